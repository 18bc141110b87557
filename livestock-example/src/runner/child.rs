//! The detector's process: started with a private socket, ended with the gateway.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::client::Launch;
use super::error::RunnerError;

/// Lines that the detector writes to standard error are kept up to this length for error messages.
const LINE_BYTES_MAX: usize = 1000;
const POLL: Duration = Duration::from_millis(10);

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

/// Reads to the end, so that the detector never waits for a reader, and keeps the last line.
fn keep_last_line(stderr: impl BufRead, last: &Mutex<String>) {
    for line in stderr.split(b'\n') {
        let Ok(mut line) = line else { return };
        line.truncate(LINE_BYTES_MAX);
        let text = String::from_utf8_lossy(&line).trim().to_owned();
        if let (false, Ok(mut last)) = (text.is_empty(), last.lock()) {
            *last = text;
        }
    }
}
