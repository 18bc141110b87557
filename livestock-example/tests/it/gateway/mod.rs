//! The gateway as a user runs it: the real program, its output and its exit code.

mod broker_outage;
mod demo;
mod errors;
mod real_input;

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// The program with these arguments.
pub fn gateway(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_livestock-gateway"));
    command.args(args);
    command
}

/// Runs to the end.
pub fn run(args: &[&str]) -> Output {
    gateway(args).output().unwrap()
}

/// The JSON lines of an output that ended well: alerts, and the summary that is last.
pub fn lines(output: &Output) -> (Vec<Value>, Value) {
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let mut lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let summary = lines.pop().unwrap();
    (lines, summary)
}

/// Asserts that the counters of a summary add up.
pub fn assert_adds_up(summary: &Value) {
    let number = |name: &str| {
        summary[name]
            .as_u64()
            .unwrap_or_else(|| panic!("no {name} in {summary}"))
    };
    let sum = |name: &str| {
        summary[name]
            .as_object()
            .unwrap()
            .values()
            .map(|v| v.as_u64().unwrap())
            .sum::<u64>()
    };
    assert_eq!(
        number("events_in"),
        number("events_out") + sum("dropped") + number("held"),
        "{summary}"
    );
    assert_eq!(
        number("matches"),
        number("incidents_opened") + sum("not_alerted"),
        "{summary}"
    );
}

/// A folder of the shared data; none, with a word on stderr, where it is absent.
pub fn data(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("EDGEWEAVE_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data")),
        PathBuf::from,
    );
    let path = root.join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is absent (set EDGEWEAVE_DATA)", path.display());
    None
}
