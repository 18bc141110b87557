//! Mosquitto, set up for high rates.

use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::Process;

/// What a broker in front of midstream needs: by default Mosquitto sends twenty messages ahead of their
/// acknowledgement and keeps a thousand for a client that is away.
fn config(folder: &Path, port: u16) -> String {
    format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\nset_tcp_nodelay true\n\
         max_inflight_messages 0\nmax_queued_messages 0\nmax_queued_bytes 0\n\
         persistence true\npersistence_location {}/\nlog_type error\n",
        folder.display()
    )
}

pub fn start(folder: &Path, port: u16, core: usize) -> Result<Process> {
    let path = folder.join("mosquitto.conf");
    std::fs::write(&path, config(folder, port))?;
    let child = Command::new("taskset")
        .args(["-c", &core.to_string(), "mosquitto", "-c"])
        .arg(&path)
        .stderr(Stdio::null())
        .spawn()
        .context("starting mosquitto")?;
    let broker = Process(child);
    let begin = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        ensure!(
            begin.elapsed() < Duration::from_secs(20),
            "mosquitto does not start"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(broker)
}
