//! Two processes over TCP, either of which is killed at any moment: they converge, and nothing that either
//! acknowledged is lost.
#![allow(clippy::disallowed_methods, reason = "real processes in real time")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use agentdb::sync::{Endpoint, Pace, Role, SyncOptions, Toward, tcp};
use agentdb::{AgentDb, Durability, Priority, Sequence, Timestamp};
use serde_json::{Value, json};

use crate::options;

const SITE: &str = "AGENTDB_TEST_SITE";

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(since.as_millis() as i64)
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    if writeln!(out, "{line}").and_then(|()| out.flush()).is_err() {
        // Nobody listens any more.
        std::process::exit(0);
    }
}

/// The child: writes without pause, or just syncs, and tells what it has committed or has.
#[test]
#[ignore = "run by the tests below in a process of its own"]
fn site() {
    let Ok(what) = std::env::var(SITE) else {
        return;
    };
    let what: Value = serde_json::from_str(&what).unwrap();
    let replica = what["replica"].as_u64().unwrap();
    let port = what["port"].as_u64().unwrap() as u16;
    let writes = what["writes"].as_bool().unwrap();
    let options = options(replica).durability(Durability::Immediate);
    let db = AgentDb::open(what["path"].as_str().unwrap(), options).unwrap();
    let (role, toward) = match replica {
        1 => (Role::Root, Toward::Child),
        _ => (Role::Device, Toward::Parent),
    };
    let pace = Pace {
        events_per_second: 100_000,
        retry: Duration::from_millis(200),
        ..Pace::default()
    };
    let endpoint = Endpoint::new(db, SyncOptions::new(role).pace(pace));
    let endpoint = Arc::new(Mutex::new(endpoint));
    let shared = endpoint.clone();
    let never = Arc::new(AtomicBool::new(false));
    std::thread::spawn(move || {
        if replica == 1 {
            // The one before it may not have given its port back yet.
            let listener = loop {
                match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
                    Ok(listener) => break listener,
                    Err(_) => std::thread::sleep(Duration::from_millis(10)),
                }
            };
            for stream in listener.incoming() {
                let (shared, never) = (shared.clone(), never.clone());
                std::thread::spawn(move || {
                    drop(tcp::run(stream.unwrap(), &shared, toward, now, &never, |_| {}));
                });
            }
        }
        loop {
            if let Ok(stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
                drop(tcp::run(stream, &shared, toward, now, &never, |_| {}));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    });
    loop {
        let mut endpoint = endpoint.lock().unwrap();
        if writes {
            let last = endpoint.db().last_event().unwrap().get();
            let number = last * 10 + replica as i64;
            let mut tx = endpoint.db_mut().begin(now()).unwrap();
            let mut agent = tx.agent("robot", "R1").unwrap();
            agent.add("odometer", 1).unwrap();
            agent.set("battery", number).unwrap();
            if replica == 2 {
                tx.append_event("R1", "step", &json!(number), Priority::Normal)
                    .unwrap();
            }
            tx.commit().unwrap();
            drop(endpoint);
            say(&format!("committed {number}"));
            std::thread::sleep(Duration::from_millis(2));
        } else {
            let state = endpoint.db().get("R1").unwrap();
            let state = state.map_or(Value::Null, |agent| agent.state);
            let waiting = endpoint.db().waiting().unwrap();
            drop(endpoint);
            say(&format!("has {}", json!([state, waiting])));
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

struct Running {
    child: Child,
    lines: Receiver<String>,
    numbers: Vec<i64>,
}

impl Running {
    fn start(replica: u64, port: u16, path: &Path, writes: bool) -> Self {
        let what = json!({"replica": replica, "port": port, "path": path, "writes": writes});
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "sync::two_processes::site",
                "--ignored",
                "--nocapture",
            ])
            .env(SITE, what.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self {
            child,
            lines,
            numbers: Vec::new(),
        }
    }

    fn note(&mut self, line: &str) {
        let number = line.strip_prefix("committed ");
        self.numbers.extend(number.and_then(|number| number.parse::<i64>().ok()));
    }

    /// Waits until it has committed something.
    fn await_commit(&mut self) {
        while self.numbers.is_empty() {
            let line = self.lines.recv_timeout(Duration::from_secs(30)).unwrap();
            self.note(&line);
        }
    }

    /// Kills it with signal 9; what it has acknowledged.
    fn kill(mut self) -> Vec<i64> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        while let Ok(line) = self.lines.recv_timeout(Duration::from_secs(5)) {
            self.note(&line);
        }
        std::mem::take(&mut self.numbers)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kill_either(kills: u32) {
    let folder = tempfile::tempdir().unwrap();
    let paths = [1, 2].map(|site| folder.path().join(format!("site-{site}.db")));
    let port = {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        free.local_addr().unwrap().port()
    };
    let start = |site: usize, writes| Running::start(site as u64 + 1, port, &paths[site], writes);
    let mut sites = [start(0, true), start(1, true)];
    let mut acknowledged = [Vec::new(), Vec::new()];
    for kill in 0..kills {
        let victim = (kill as usize * 7 / 3) % 2;
        sites[victim].await_commit();
        // Another moment each time.
        std::thread::sleep(Duration::from_micros(u64::from(kill) * 7_919 % 60_000));
        let fresh = start(victim, true);
        let old = std::mem::replace(&mut sites[victim], fresh);
        acknowledged[victim].extend(old.kill());
    }
    let [root, device] = sites;
    acknowledged[0].extend(root.kill());
    acknowledged[1].extend(device.kill());

    let (root, device) = (start(0, false), start(1, false));
    let end = Instant::now() + Duration::from_secs(60);
    let (mut at_root, mut at_device) = (String::new(), String::from("nothing"));
    while at_root != at_device || !at_device.ends_with(",0]") {
        assert!(Instant::now() < end, "root {at_root}, device {at_device}");
        while let Ok(line) = root.lines.recv_timeout(Duration::from_millis(20)) {
            at_root = line;
        }
        while let Ok(line) = device.lines.recv_timeout(Duration::from_millis(20)) {
            at_device = line;
        }
    }
    drop((root.kill(), device.kill()));

    let commits = acknowledged[0].len() + acknowledged[1].len();
    let stores = [0, 1].map(|site| AgentDb::open(&paths[site], options(site as u64 + 1)).unwrap());
    for db in &stores {
        let odometer = db.get("R1").unwrap().unwrap().state["odometer"].as_u64().unwrap();
        // A kill may come between a commit and its acknowledgement.
        let range = commits as u64..=commits as u64 + u64::from(kills) + 2;
        assert!(range.contains(&odometer), "{odometer} of {commits} committed");
    }
    let events = stores[0].events_of_type_after("step", Sequence::new(0), usize::MAX).unwrap();
    let arrived: Vec<i64> = events.iter().map(|event| event.payload.as_i64().unwrap()).collect();
    let distinct: BTreeSet<i64> = arrived.iter().copied().collect();
    assert_eq!(distinct.len(), arrived.len(), "an event arrived twice");
    for number in &acknowledged[1] {
        assert!(distinct.contains(number), "event {number} was acknowledged and is lost");
    }
    assert!(commits > kills as usize);
}

#[test]
fn two_killed_processes_converge_and_lose_nothing_acknowledged() {
    kill_either(10);
}

#[test]
#[ignore = "minutes: the same with 1,000 kills"]
fn two_processes_killed_a_thousand_times() {
    kill_either(1_000);
}
