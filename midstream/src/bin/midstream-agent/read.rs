//! Lines into samples.

use std::fs::File;
use std::io::{BufRead, BufReader, stdin};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use midstream::Timestamp;
use midstream::agent::{Agent, AgentStats, Edge, Emit};

use crate::Failure;
use crate::options::Options;
use crate::publish::{Kind, Queue};

/// Longer lines are none.
const LINE_BYTES_MAX: usize = 256;

pub struct Read {
    pub agent: AgentStats,
    pub bad_lines: u64,
}

/// Milliseconds, where the line has them, and a value.
fn parse(line: &[u8]) -> Option<(Option<i64>, f32)> {
    let text = std::str::from_utf8(line).ok()?.trim();
    match text.split_once(',') {
        None => Some((None, text.parse().ok()?)),
        Some((at, value)) => Some((Some(at.trim().parse().ok()?), value.trim().parse().ok()?)),
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "samples without a time are given that of the machine"
)]
fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Reads until the end of the input.
pub fn read(options: &Options, queue: &Queue) -> Result<Read, Failure> {
    let mut agent = Agent::new(options.agent)?;
    let mut input: Box<dyn BufRead> = match options.input.as_str() {
        "-" => Box::new(stdin().lock()),
        path => {
            let file = File::open(path).map_err(|cause| format!("{path}: {cause}"))?;
            Box::new(BufReader::new(file))
        }
    };
    let begin = now();
    let (mut lines, mut bad_lines) = (0_u64, 0_u64);
    let mut line = Vec::with_capacity(LINE_BYTES_MAX);
    loop {
        line.clear();
        if input.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let parsed = (line.len() <= LINE_BYTES_MAX).then(|| parse(&line));
        let Some((at, value)) = parsed.flatten() else {
            bad_lines += 1;
            continue;
        };
        let tick = (lines as f64 * 1000.0 / options.hertz) as i64;
        lines += 1;
        let at = Timestamp::from_millis(at.unwrap_or_else(|| begin.saturating_add(tick)));
        agent.push(at, value, |emit| send(queue, emit));
    }
    agent.flush(|emit| send(queue, emit));
    Ok(Read {
        agent: agent.stats(),
        bad_lines,
    })
}

fn send(queue: &Queue, emit: Emit<'_>) {
    match emit {
        Emit::Batch(bytes) => queue.push(Kind::Batch, bytes.to_vec()),
        Emit::Alarm(edge, sample) => {
            let edge = match edge {
                Edge::Raised => "raised",
                Edge::Ended => "ended",
            };
            let text = format!(
                "{{\"alarm\":\"{edge}\",\"at\":{},\"value\":{}}}",
                sample.at.as_millis(),
                sample.value
            );
            queue.push(Kind::Alarm, text.into_bytes());
        }
    }
}
