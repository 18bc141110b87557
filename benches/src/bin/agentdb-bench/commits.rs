//! Commits by durability level.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

use agentdb::{AgentDb, Durability};
use serde_json::{Value, json};

use crate::{Failure, Times, at, options, timed};

const WRITERS: usize = 8;
const GROUP: Durability = Durability::Group(Duration::from_millis(5));
/// Commits that a thread has under way where it does not wait for each.
const UNDER_WAY: usize = 64;

/// The median time of appending 4 KiB to a file and syncing it.
pub fn raw_fsync(folder: &Path) -> Result<Duration, Failure> {
    let path = folder.join("raw");
    let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
    let mut times = Vec::new();
    for _ in 0..200 {
        let ((), time) = timed(|| {
            file.write_all(&[7; 4096])?;
            Ok(file.sync_data()?)
        })?;
        times.push(time);
    }
    Ok(Times::of(times).at(0.5))
}

fn commit(db: &mut AgentDb, robot: usize, n: i64) -> Result<(), Failure> {
    let mut tx = db.begin(at(n))?;
    let mut agent = tx.agent("robot", &format!("R{robot:04}"))?;
    agent.set("battery", n % 100)?.add("odometer", 1)?;
    tx.commit()?;
    Ok(())
}

pub fn run(folder: &Path, print: &dyn Fn(Value)) -> Result<(), Failure> {
    for (name, durability, commits) in [
        ("buffered", Durability::Buffered, 20_000),
        ("immediate", Durability::Immediate, 1_000),
        ("group, one writer", GROUP, 1_000),
    ] {
        let mut db = AgentDb::open(
            folder.join(format!("{name}.db")),
            options().durability(durability),
        )?;
        let mut times = Vec::with_capacity(commits);
        for n in 0..commits {
            let ((), time) = timed(|| commit(&mut db, n % 100, n as i64))?;
            times.push(time);
        }
        let (p50, p99) = Times::of(times).p50_p99();
        print(
            json!({"what": "commit", "level": name, "commits": commits, "us_p50": p50, "us_p99": p99}),
        );
    }
    for (name, each, under_way) in [
        ("group, 8 writers, each waits for each commit", 1_000, 1),
        (
            "group, 8 writers, 64 commits of each under way",
            10_000,
            UNDER_WAY,
        ),
    ] {
        let db = AgentDb::open(
            folder.join(format!("group-{under_way}.db")),
            options().durability(GROUP),
        )?;
        let start = Instant::now();
        let threads: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let db = db.clone();
                std::thread::spawn(move || {
                    write(db, writer, each, under_way).map_err(|e| e.to_string())
                })
            })
            .collect();
        // So that only those that write are waited for.
        drop(db);
        for thread in threads {
            thread.join().map_err(|_| "a writer panicked")??;
        }
        let seconds = start.elapsed().as_secs_f64();
        let commits = WRITERS * each;
        print(
            json!({"what": "durable commits", "level": name, "commits": commits,
            "per_second": (commits as f64 / seconds).round()}),
        );
    }
    Ok(())
}

fn write(mut db: AgentDb, writer: usize, commits: usize, under_way: usize) -> Result<(), Failure> {
    for n in 0..commits {
        let mut tx = db.begin(at(0))?;
        let mut agent = tx.agent("robot", &format!("R{writer}-{}", n % 10))?;
        agent.set("battery", n % 100)?.add("odometer", 1)?;
        let submitted = tx.submit()?;
        if n % under_way == under_way - 1 || n == commits - 1 {
            db.wait(&submitted)?;
        }
    }
    Ok(())
}
