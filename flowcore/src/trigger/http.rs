//! Webhooks: a small HTTP/1.1 server for POST requests with JSON. One request at a time, on the
//! caller's thread, with bounds on everything; put a proxy before it where the open internet is.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::Arrival;

/// Longest head of a request, in bytes.
const HEAD_LEN_MAX: usize = 16 * 1024;
/// Most headers of a request.
const HEADERS_MAX: usize = 64;
/// Longest body of a request, in bytes.
pub const BODY_LEN_MAX: usize = 1 << 20;
/// How long a client may take for its whole request, and to take its answer.
const REQUEST_TIME_MAX: Duration = Duration::from_secs(2);
/// Pause between two looks for a connection.
const POLL: Duration = Duration::from_millis(2);

/// Listens for requests. Works only while it is called.
#[derive(Debug)]
pub struct HttpSource {
    listener: TcpListener,
}

/// A request that waits for its answer. Dropped without one, it answers 503: the client tries again.
#[derive(Debug)]
pub struct HttpCall {
    stream: TcpStream,
    arrival: Arrival,
    answered: bool,
}

impl HttpSource {
    /// Listens on an address such as `127.0.0.1:8080`; port 0 takes any free one.
    ///
    /// # Errors
    /// An address that cannot be had.
    pub fn bind(address: impl ToSocketAddrs) -> std::io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// As the system says.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The next request, waiting for it up to `limit`. Requests that are not understood are answered
    /// here (400, 405, 411, 413, 431) and not handed out.
    ///
    /// # Errors
    /// A listener that failed; a client that fails is no error.
    #[expect(
        clippy::disallowed_methods,
        reason = "a source that waits measures its wait"
    )]
    pub fn recv_timeout(&self, limit: Duration) -> std::io::Result<Option<HttpCall>> {
        let end = Instant::now() + limit;
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    if let Some(call) = serve(stream) {
                        return Ok(Some(call));
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let left = end.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        return Ok(None);
                    }
                    std::thread::sleep(left.min(POLL));
                }
                Err(error) if is_of_client(error.kind()) => {}
                Err(error) => return Err(error),
            }
        }
    }
}

impl HttpCall {
    /// What came: the path and the body as JSON.
    pub fn arrival(&self) -> &Arrival {
        &self.arrival
    }

    /// Answers with a status such as 202 and a JSON body. A client that is gone is no error: its
    /// request counts as taken.
    pub fn answer(mut self, status: u16, body: &Value) {
        self.answered = true;
        respond(&mut self.stream, status, body);
    }
}

impl Drop for HttpCall {
    fn drop(&mut self) {
        if !self.answered {
            respond(
                &mut self.stream,
                503,
                &json!({"error": "not taken; try again"}),
            );
        }
    }
}

fn is_of_client(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}

/// Reads one request; answers it here when it cannot be handed out.
fn serve(mut stream: TcpStream) -> Option<HttpCall> {
    let ready = stream
        .set_nonblocking(false)
        .and_then(|()| stream.set_write_timeout(Some(REQUEST_TIME_MAX)));
    ready.ok()?;
    match read(&mut stream) {
        Ok(arrival) => Some(HttpCall {
            stream,
            arrival,
            answered: false,
        }),
        Err(Refusal::Gone) => None,
        Err(Refusal::Answer(status, message)) => {
            respond(&mut stream, status, &json!({"error": message}));
            None
        }
    }
}

enum Refusal {
    Gone,
    Answer(u16, String),
}

fn refuse<T>(status: u16, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal::Answer(status, message.into()))
}

#[expect(
    clippy::disallowed_methods,
    reason = "a slow client is cut off by time"
)]
fn read(stream: &mut TcpStream) -> Result<Arrival, Refusal> {
    let end = Instant::now() + REQUEST_TIME_MAX;
    let mut bytes = Vec::new();
    let head_len = loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
        if bytes.len() >= HEAD_LEN_MAX {
            return refuse(431, format!("the head is over {HEAD_LEN_MAX} bytes"));
        }
        more(stream, &mut bytes, HEAD_LEN_MAX, end)?;
    };
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    if let Err(error) = request.parse(&bytes[..head_len]) {
        return refuse(400, format!("the request cannot be read: {error}"));
    }
    if request.method != Some("POST") {
        return refuse(405, "only POST is served");
    }
    let path = request.path.unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default().to_owned();
    let header = |name: &str| {
        let mut found = request
            .headers
            .iter()
            .filter(|header| header.name.eq_ignore_ascii_case(name));
        found
            .next()
            .map(|header| String::from_utf8_lossy(header.value).into_owned())
    };
    if header("transfer-encoding").is_some() {
        return refuse(411, "chunked bodies are not served; send Content-Length");
    }
    let Some(len) = header("content-length").and_then(|len| len.trim().parse::<usize>().ok())
    else {
        return refuse(411, "a request needs Content-Length");
    };
    if len > BODY_LEN_MAX {
        return refuse(
            413,
            format!("{len} bytes are over the limit of {BODY_LEN_MAX}"),
        );
    }
    if header("expect").is_some_and(|expect| expect.eq_ignore_ascii_case("100-continue")) {
        let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n");
    }
    while bytes.len() < head_len + len {
        more(stream, &mut bytes, head_len + len, end)?;
    }
    match serde_json::from_slice(&bytes[head_len..head_len + len]) {
        Ok(body) => Ok(Arrival::http(path, body)),
        Err(error) => refuse(400, format!("the body is no JSON: {error}")),
    }
}

/// Reads up to `most` bytes in all.
#[expect(
    clippy::disallowed_methods,
    reason = "a slow client is cut off by time"
)]
fn more(
    stream: &mut TcpStream,
    bytes: &mut Vec<u8>,
    most: usize,
    end: Instant,
) -> Result<(), Refusal> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() || stream.set_read_timeout(Some(left)).is_err() {
        return Err(Refusal::Gone);
    }
    let mut chunk = [0; 4096];
    let room = chunk.len().min(most - bytes.len());
    match stream.read(&mut chunk[..room]) {
        Ok(0) | Err(_) => Err(Refusal::Gone),
        Ok(len) => {
            bytes.extend_from_slice(&chunk[..len]);
            Ok(())
        }
    }
}

fn respond(stream: &mut TcpStream, status: u16, body: &Value) {
    let reason = match status {
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        411 => "Length Required",
        413 => "Content Too Large",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "",
    };
    let body = body.to_string();
    let text = format!(
        "HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    // A client that is gone does not hear it, and nothing can be done about that.
    let _ = stream.write_all(text.as_bytes());
    let _ = stream.shutdown(std::net::Shutdown::Write);
    // What the client still sends is read, so that the answer is not lost to a reset.
    let _ = stream.set_read_timeout(Some(Duration::from_millis(50)));
    let mut rest = [0; 4096];
    for _ in 0..16 {
        if !matches!(stream.read(&mut rest), Ok(1..)) {
            break;
        }
    }
}
