//! What a process needs that opens a store of 1,000 agents and 10,000 events that was not closed, and reads
//! all of it.

use std::path::Path;
use std::process::Command;

use agentdb::{AgentDb, Durability, Priority, Sequence};
use serde_json::{Value, json};

use crate::{Failure, at, options};

pub fn run(folder: &Path, print: &dyn Fn(Value)) -> Result<(), Failure> {
    let path = folder.join("memory.db");
    let mut db = AgentDb::open(&path, options().durability(Durability::Buffered))?;
    for n in 0..10_000_usize {
        let mut tx = db.begin(at(n as i64))?;
        let id = format!("R{:04}", n % 1_000);
        tx.agent("robot", &id)?
            .set("battery", n % 100)?
            .set("status", "moving")?
            .add("odometer", 1)?;
        tx.append_event(
            &id,
            "step",
            &json!({"n": n, "place": "row 7"}),
            Priority::Normal,
        )?;
        tx.commit()?;
    }
    // Not closed: whoever opens it next has the log to recover.
    std::mem::forget(db);
    let child = Command::new(std::env::current_exe()?)
        .arg("--memory-of")
        .arg(&path)
        .output()?;
    let text = String::from_utf8(child.stdout)?;
    let peak_kib: u64 = text.trim().parse().map_err(|_| "the child failed")?;
    print(
        json!({"what": "memory", "agents": 1_000, "events": 10_000, "peak_rss_mib": peak_kib as f64 / 1024.0}),
    );
    Ok(())
}

/// Prints the peak of the resident set in KiB.
pub fn child(path: &Path) -> Result<(), Failure> {
    let mut db = AgentDb::open(path, options())?;
    let mut tx = db.begin(at(1_000_000))?;
    tx.agent("robot", "R0001")?.set("battery", 1)?;
    tx.commit()?;
    for n in 0..1_000 {
        db.get(&format!("R{n:04}"))?
            .ok_or("an agent is not there")?;
    }
    let mut after = Sequence::new(0);
    while let Some(last) = db.waiting_after(after, 1_000)?.last() {
        after = last.sequence;
    }
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let peak = peak
        .and_then(|peak| peak.trim().split(' ').next())
        .unwrap_or_default();
    println!("{peak}");
    Ok(())
}
