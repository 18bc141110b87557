//! Any bytes that a client sends are a request that is handed out, or are answered, or are let go.
#![no_main]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::LazyLock;
use std::time::Duration;

use flowcore::trigger::HttpSource;
use libfuzzer_sys::fuzz_target;
use serde_json::json;

static SOURCE: LazyLock<HttpSource> =
    LazyLock::new(|| HttpSource::bind("127.0.0.1:0").expect("a free port"));

fuzz_target!(|bytes: &[u8]| {
    let address = SOURCE.address().expect("it listens");
    let mut client = TcpStream::connect(address).expect("it listens");
    // All of it is in the socket's buffers before the source looks.
    client.write_all(bytes).expect("there is room");
    client.shutdown(Shutdown::Write).expect("it is open");
    let call = SOURCE.recv_timeout(Duration::ZERO).expect("it listens");
    let taken = call.is_some();
    if let Some(call) = call {
        assert!(call.arrival().name().len() <= bytes.len());
        call.answer(202, &json!({"runs": []}));
    }
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("an end");
    // Before a body that the client waits to send there may be a word of its own.
    let answer = answer.strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(&answer);
    assert!(!taken || answer.starts_with(b"HTTP/1.1 202"));
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 "));
});
