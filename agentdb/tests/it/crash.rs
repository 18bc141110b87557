//! A process that is killed at any moment loses nothing that it acknowledged, and keeps nothing by half.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use agentdb::{AgentDb, Priority, Sequence};
use serde_json::json;

use crate::{at, options};

const PATH: &str = "AGENTDB_TEST_CRASH_PATH";

/// The backend goes by the name of the file, so that both processes open the same.
fn open(path: &Path) -> AgentDb {
    #[cfg(feature = "sled")]
    if path
        .extension()
        .is_some_and(|extension| extension == "sled")
    {
        let storage = agentdb::storage::Sled::open(path).unwrap();
        return AgentDb::with_storage(Box::new(storage), options(1)).unwrap();
    }
    AgentDb::open(path, options(1)).unwrap()
}

/// The child: commits state, event and record together for ever, and prints each number once committed.
#[test]
#[ignore = "run by kill_nine_loses_nothing_acknowledged in a process of its own"]
fn writer() {
    let Ok(path) = std::env::var(PATH) else {
        return;
    };
    let mut db = open(Path::new(&path));
    let mut number = db
        .get("R1")
        .unwrap()
        .map_or(0, |agent| agent.state["odometer"].as_i64().unwrap());
    loop {
        number += 1;
        let mut tx = db.begin(at(number)).unwrap();
        tx.agent("robot", "R1")
            .unwrap()
            .add("odometer", 1)
            .unwrap()
            .set("battery", number)
            .unwrap();
        tx.append_event("R1", "step", &json!(number), Priority::Normal)
            .unwrap();
        tx.put_record("journal", &format!("{number:020}"), b"done")
            .unwrap();
        tx.commit().unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "committed {number}").unwrap();
        out.flush().unwrap();
    }
}

fn kill_at_random_moments(file: &str, kills: u32) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(file);
    let mut acknowledged = 0;
    for kill in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash::writer", "--ignored", "--nocapture"])
            .env(PATH, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap())
            .lines()
            .map_while(Result::ok);
        let mut numbers =
            lines.filter_map(|line| line.strip_prefix("committed ")?.parse::<i64>().ok());
        // Another moment each time: after some commits, and then in the midst of one.
        for number in numbers.by_ref().take(1 + (kill as usize * 7) % 23) {
            acknowledged = number;
        }
        std::thread::sleep(std::time::Duration::from_micros(
            u64::from(kill) * 137 % 3_000,
        ));
        child.kill().unwrap();
        child.wait().unwrap();
        acknowledged = numbers.last().unwrap_or(acknowledged);

        let db = open(&path);
        let state = db.get("R1").unwrap().unwrap().state;
        let kept = state["odometer"].as_i64().unwrap();
        assert!(
            kept >= acknowledged,
            "kill {kill}: {acknowledged} was acknowledged, {kept} is there"
        );
        assert!(
            kept <= acknowledged + 1,
            "kill {kill}: {kept} is there, {acknowledged} was the last"
        );
        assert_eq!(state["battery"], kept);
        let events = db.events_after(Sequence::new(0), usize::MAX).unwrap();
        let numbers: Vec<i64> = events
            .iter()
            .map(|event| event.payload.as_i64().unwrap())
            .collect();
        assert_eq!(numbers, (1..=kept).collect::<Vec<_>>());
        assert_eq!(
            db.scan_records("journal", "", usize::MAX).unwrap().len() as i64,
            kept
        );
    }
    assert!(acknowledged >= i64::from(kills));
}

#[test]
fn kill_nine_loses_nothing_acknowledged() {
    kill_at_random_moments("state.db", 12);
}

#[cfg(feature = "sled")]
#[test]
fn kill_nine_loses_nothing_acknowledged_on_sled() {
    kill_at_random_moments("state.sled", 6);
}

#[test]
#[ignore = "minutes: the same with 300 kills"]
fn kill_nine_three_hundred_times() {
    kill_at_random_moments("state.db", 300);
    #[cfg(feature = "sled")]
    kill_at_random_moments("state.sled", 300);
}
