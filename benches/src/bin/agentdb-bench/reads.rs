//! Reads and queries while a thousand updates a second are committed.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use agentdb::{AgentDb, Durability};
use serde_json::{Value, json};

use crate::{Failure, Times, at, micros, options, timed};

const QUERY: &str = "battery < 20 && status != 'charging'";
const UPDATES_PER_SECOND: u64 = 1_000;
const GETS: u64 = 20_000;

/// A number that looks random, the same each time.
fn mixed(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

fn id(n: u64) -> String {
    format!("R{n:06}")
}

/// Waits that do nothing but count time, as long and as many as the reads: on a core that is shared with the
/// updates, what they take longer is the scheduler's, and no read can do better.
fn busy(length: Duration) -> Vec<Duration> {
    let wait = |_| {
        let start = Instant::now();
        loop {
            let passed = start.elapsed();
            if passed >= length {
                return passed;
            }
        }
    };
    (0..GETS).map(wait).collect()
}

pub fn run(folder: &Path, agents: usize, print: &dyn Fn(Value)) -> Result<(), Failure> {
    let agents = agents as u64;
    let path = folder.join(format!("reads-{agents}.db"));
    let mut db = AgentDb::open(&path, options().durability(Durability::Buffered))?;
    for chunk in 0..agents.div_ceil(1_000) {
        let mut tx = db.begin(at(0))?;
        for n in chunk * 1_000..agents.min((chunk + 1) * 1_000) {
            let status = ["moving", "charging", "idle"][(mixed(n) >> 32) as usize % 3];
            let mut agent = tx.agent("robot", &id(n))?;
            agent
                .set("battery", mixed(n) % 101)?
                .set("status", status)?
                .add("odometer", 5)?;
        }
        tx.commit()?;
    }
    db.compact()?;

    let stop = Arc::new(AtomicBool::new(false));
    let updates = Arc::new(AtomicU64::new(0));
    let start = Instant::now();
    let writer = {
        let (mut db, stop, updates) = (db.clone(), stop.clone(), updates.clone());
        std::thread::spawn(move || -> Result<(), String> {
            while !stop.load(Ordering::Relaxed) {
                let due = start.elapsed().as_millis() as u64 * UPDATES_PER_SECOND / 1_000;
                let done = updates.load(Ordering::Relaxed);
                if done >= due {
                    std::thread::sleep(Duration::from_micros(500));
                    continue;
                }
                let update = |db: &mut AgentDb| -> Result<(), Failure> {
                    let mut tx = db.begin(at(done as i64))?;
                    tx.agent("robot", &id(mixed(done) % agents))?
                        .set("battery", mixed(done + 7) % 101)?;
                    tx.commit()?;
                    Ok(())
                };
                update(&mut db).map_err(|failure| failure.to_string())?;
                updates.store(done + 1, Ordering::Relaxed);
            }
            Ok(())
        })
    };
    let mut gets = Vec::new();
    for n in 0..GETS {
        let (agent, time) = timed(|| Ok(db.get(&id(mixed(n * 3) % agents))?))?;
        agent.ok_or("an agent is not there")?;
        gets.push(time);
    }
    let gets = Times::of(gets);
    let floor = Times::of(busy(gets.at(0.5)));
    let mut queries = Vec::new();
    let mut found = 0;
    let query = db.find("robot", QUERY)?.order_by("battery").limit(50);
    while queries.len() < 500 {
        let (agents, time) = timed(|| Ok(query.run()?))?;
        found = agents.len();
        queries.push(time);
    }
    let (all, all_time) = timed(|| Ok(db.find("robot", QUERY)?.run()?))?;
    stop.store(true, Ordering::Relaxed);
    let seconds = start.elapsed().as_secs_f64();
    writer.join().map_err(|_| "the writer panicked")??;
    let rate = (updates.load(Ordering::Relaxed) as f64 / seconds).round();
    let (p50, p99) = gets.p50_p99();
    print(
        json!({"what": "get", "agents": agents, "us_p50": p50, "us_p99": p99, "us_p99_9": micros(gets.at(0.999)),
        "floor_us_p99": floor.p50_p99().1, "floor_us_p99_9": micros(floor.at(0.999)), "updates_per_second": rate}),
    );
    let (p50, p99) = Times::of(queries).p50_p99();
    print(
        json!({"what": "query", "query": QUERY, "plan": query.explain(), "agents": agents, "found": found,
        "us_p50": p50, "us_p99": p99, "updates_per_second": rate}),
    );
    print(
        json!({"what": "query without a limit", "agents": agents, "found": all.len(), "us": micros(all_time)}),
    );
    Ok(())
}
