//! A process that changes an index is killed at random moments: what it had flushed is there, what it
//! had deleted stays deleted, and the rest is a prefix of what it did.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use ruvector::{Index, IndexKind, Metric, Quantization, Storage};
use serde_json::json;

use crate::common::Random;

const DIM: usize = 8;
const IDS: u64 = 200;
/// Changes between two flushes.
const FLUSH_EVERY: u64 = 7;
/// Changes between two compactions.
const COMPACT_EVERY: u64 = 300;

/// A change, decided by its number alone.
enum Change {
    Upsert(u64, Vec<f32>),
    Delete(u64),
}

fn change(number: u64) -> Change {
    let mut random = Random(number.wrapping_mul(77));
    let id = random.next() % IDS;
    if random.next().is_multiple_of(4) {
        return Change::Delete(id);
    }
    Change::Upsert(id, (0..DIM).map(|_| random.unit()).collect())
}

fn open(path: &Path) -> Index {
    Index::builder(DIM)
        .metric(Metric::L2)
        .kind(IndexKind::Hnsw)
        .quantization(Quantization::Int8)
        .max_log_bytes(16 << 10)
        .storage(Storage::File(path.to_owned()))
        .build()
        .unwrap()
}

/// The process that is killed; does nothing unless a test starts it.
#[test]
fn the_writer_that_is_killed() {
    let Some(path) = std::env::var_os("RUVECTOR_CRASH_FILE") else {
        return;
    };
    let first: u64 = std::env::var("RUVECTOR_CRASH_FIRST")
        .unwrap()
        .parse()
        .unwrap();
    let index = open(Path::new(&path));
    for number in first.. {
        match change(number) {
            Change::Upsert(id, vector) => index.upsert(id, &vector, json!({"n": number})).unwrap(),
            Change::Delete(id) => _ = index.delete(id).unwrap(),
        }
        if number % COMPACT_EVERY == 0 {
            index.compact().unwrap();
        }
        if number % FLUSH_EVERY == 0 {
            index.flush().unwrap();
            // What is acknowledged; not through the captured print of tests, and in one write, which a kill does
            // not cut.
            let line = format!("flushed {number}\n");
            std::io::stderr().write_all(line.as_bytes()).unwrap();
        }
    }
}

/// Runs the writer from a change on, kills it after a while, and tells the last change that it flushed.
fn killed_writer(path: &Path, first: u64, after: Duration) -> Option<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::the_writer_that_is_killed", "--nocapture"])
        .env("RUVECTOR_CRASH_FILE", path)
        .env("RUVECTOR_CRASH_FIRST", first.to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let reader = std::thread::spawn(move || {
        let mut last = None;
        for line in lines.map_while(Result::ok) {
            let flushed = line.strip_prefix("flushed ").map(|n| n.parse().unwrap());
            assert!(flushed.is_some(), "the writer failed: {line}");
            last = flushed;
        }
        last
    });
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    reader.join().unwrap()
}

/// Kills a writer so many times; every time the file holds a prefix that has all that was flushed.
fn survive(kills: usize) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("index");
    let mut random = Random(1);
    let mut model: HashMap<u64, (Vec<f32>, u64)> = HashMap::new();
    // The first change that may be missing.
    let mut next = 1;
    for kill in 0..kills {
        let after = Duration::from_micros(2_000 + random.next() % 60_000);
        let flushed = killed_writer(&path, next, after);
        if !path.exists() {
            assert_eq!(flushed, None);
            continue;
        }
        Index::verify(&path).unwrap();
        let index = open(&path);
        let holds = |model: &HashMap<u64, (Vec<f32>, u64)>| {
            index.len() == model.len()
                && model.iter().all(|(id, (vector, number))| {
                    index.get(*id).unwrap().is_some_and(|entry| {
                        entry.vector == *vector && entry.payload == Some(json!({"n": number}))
                    })
                })
        };
        // The writer cannot have come further than this in its time.
        let last = next + 200_000;
        while flushed.is_some_and(|flushed| next <= flushed) || !holds(&model) {
            assert!(
                next < last,
                "kill {kill}: the file holds no prefix that has change {flushed:?}"
            );
            match change(next) {
                Change::Upsert(id, vector) => _ = model.insert(id, (vector, next)),
                Change::Delete(id) => _ = model.remove(&id),
            }
            next += 1;
        }
        // The graph finds what the file holds.
        for (id, (vector, _)) in model.iter().take(20) {
            assert_eq!(index.search(vector, 1).run().unwrap()[0].id, *id);
        }
    }
    assert!(next > 1, "no writer came to its first change");
}

#[test]
fn a_writer_killed_a_few_times_loses_nothing_that_it_flushed() {
    survive(12);
}

#[test]
#[ignore = "takes about two minutes"]
fn a_writer_killed_a_thousand_times_loses_nothing_that_it_flushed() {
    survive(1000);
}
