//! The detector's process: started with a private socket, ended with the gateway.

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::client::Launch;
use super::error::RunnerError;

/// Lines that the detector writes to standard error are kept up to this length for error messages.
const LINE_BYTES_MAX: u64 = 1000;
/// How long to wait before looking again.
pub(super) const POLL: Duration = Duration::from_millis(10);

/// A running detector; it is ended when this is dropped.
pub(super) struct Process {
    child: Child,
    /// Closed when the gateway ends, however it ends: the detector ends then too.
    _stdin: Option<ChildStdin>,
    /// Holds the socket; only this user may look into it.
    _folder: tempfile::TempDir,
    pub socket: PathBuf,
    last_line: Arc<Mutex<String>>,
}

impl Process {
    pub fn start(launch: &Launch) -> Result<Self, RunnerError> {
        // The system's folder for temporary files: the path of a socket is at most about 100 bytes.
        let folder = tempfile::Builder::new()
            .prefix("detector-")
            .tempdir()
            .map_err(RunnerError::Start)?;
        let socket = folder.path().join("socket");
        let mut child = Command::new(&launch.program)
            .args(&launch.args)
            .arg("--socket")
            .arg(&socket)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(RunnerError::Start)?;
        let last_line = Arc::new(Mutex::new(String::new()));
        if let Some(stderr) = child.stderr.take() {
            let line = last_line.clone();
            std::thread::Builder::new()
                .name("detector-stderr".into())
                .spawn(move || keep_last_line(BufReader::new(stderr), &line))
                .map_err(RunnerError::Start)?;
        }
        Ok(Self {
            _stdin: child.stdin.take(),
            child,
            _folder: folder,
            socket,
            last_line,
        })
    }

    /// Waits until the socket is there.
    pub fn await_socket(&mut self, limit: Duration) -> Result<(), RunnerError> {
        let end = Instant::now() + limit;
        while !self.socket.exists() {
            if self.has_ended() {
                return Err(RunnerError::Ended(self.last_words()));
            }
            if Instant::now() >= end {
                return Err(RunnerError::Silent(limit));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    pub fn has_ended(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(Some(_)) | Err(_))
    }

    /// The last line that the detector wrote to standard error, or how it ended.
    pub fn last_words(&mut self) -> String {
        // What it wrote before it ended may still be on its way.
        std::thread::sleep(POLL);
        let line = self
            .last_line
            .lock()
            .map(|line| line.clone())
            .unwrap_or_default();
        if !line.is_empty() {
            return line;
        }
        match self.child.try_wait() {
            Ok(Some(status)) => status.to_string(),
            _ => "no reason given".into(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads to the end, so that the detector never waits for a reader, and keeps the last line. Of a longer
/// line than allowed, the pieces count as lines: no more than one is ever held.
fn keep_last_line(mut stderr: impl BufRead, last: &Mutex<String>) {
    let mut line = Vec::new();
    loop {
        line.clear();
        let piece = stderr
            .by_ref()
            .take(LINE_BYTES_MAX)
            .read_until(b'\n', &mut line);
        if !matches!(piece, Ok(1..)) {
            return;
        }
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        if let (false, Ok(mut last)) = (text.is_empty(), last.lock()) {
            *last = text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_is_kept_and_no_line_is_held_beyond_its_limit() {
        let last = Mutex::new(String::new());
        keep_last_line(&b"loading\nno such model\n\n"[..], &last);
        assert_eq!(*last.lock().unwrap(), "no such model");
        let endless = vec![b'x'; 3 * LINE_BYTES_MAX as usize + 7];
        keep_last_line(&endless[..], &last);
        assert_eq!(*last.lock().unwrap(), "xxxxxxx");
    }
}
