//! Sync through Mosquitto, which is stopped and started meanwhile.
#![allow(clippy::disallowed_methods, reason = "a real broker in real time")]

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use agentdb::sync::{Endpoint, Pace, Role, SyncOptions, Toward, mqtt};
use agentdb::{AgentDb, Priority, ReplicaId, Sequence, Timestamp};
use serde_json::json;

use crate::options;

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(since.as_millis() as i64)
}

struct Mosquitto(Child);

impl Mosquitto {
    /// None where it is not installed.
    fn start(port: u16) -> Option<Self> {
        let broker = Command::new("mosquitto")
            .args(["-p", &port.to_string()])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let broker = Self(broker);
        let end = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            assert!(Instant::now() < end, "the broker does not come up");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(broker)
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn endpoint(replica: u64, role: Role) -> Arc<Mutex<Endpoint>> {
    let pace = Pace {
        retry: Duration::from_millis(300),
        keep_alive: Duration::from_secs(1),
        ..Pace::default()
    };
    let db = AgentDb::in_memory(options(replica)).unwrap();
    Arc::new(Mutex::new(Endpoint::new(db, SyncOptions::new(role).pace(pace))))
}

fn work(endpoint: &Mutex<Endpoint>, id: &str, number: u64) {
    let mut endpoint = endpoint.lock().unwrap();
    let mut tx = endpoint.db_mut().begin(now()).unwrap();
    tx.agent("robot", id).unwrap().add("odometer", 1).unwrap();
    tx.append_event(id, "step", &json!(number), Priority::Normal).unwrap();
    tx.commit().unwrap();
}

fn await_events(root: &Mutex<Endpoint>, count: usize) {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let root = root.lock().unwrap();
        let events = root.db().events_after(Sequence::new(0), 100).unwrap();
        let agents = ["R0", "R1", "R9"].map(|id| root.db().get(id).unwrap());
        let agents = agents.iter().flatten();
        let written: u64 = agents.map(|agent| agent.state["odometer"].as_u64().unwrap()).sum();
        if events.len() == count && written == count as u64 {
            return;
        }
        assert!(Instant::now() < end, "{} of {count} events came", events.len());
        drop(root);
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn stores_agree_through_a_broker_that_goes_and_comes_back() {
    let port = {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        free.local_addr().unwrap().port()
    };
    let Some(broker) = Mosquitto::start(port) else {
        println!("skipped: mosquitto is not installed");
        return;
    };
    let root = endpoint(1, Role::Root);
    let devices = [endpoint(2, Role::Device), endpoint(3, Role::Device)];
    let stop = AtomicBool::new(false);
    let options = |peers, others| mqtt::Broker {
        host: "127.0.0.1".into(),
        port,
        prefix: "farm/sync".into(),
        credentials: None,
        peers,
        others,
    };
    std::thread::scope(|scope| {
        let stop = &stop;
        let up = options(vec![(ReplicaId::new(1), Toward::Parent)], None);
        let down = options(Vec::new(), Some(Toward::Child));
        let root_ref = &root;
        scope.spawn(move || mqtt::run(&down, root_ref, now, stop, |_, _| {}).unwrap());
        for device in &devices {
            let up = up.clone();
            scope.spawn(move || mqtt::run(&up, device, now, stop, |_, _| {}).unwrap());
        }
        for (number, device) in devices.iter().enumerate() {
            work(device, &format!("R{number}"), number as u64);
        }
        await_events(&root, 2);
        drop(broker);
        for (number, device) in devices.iter().enumerate() {
            work(device, "R9", 10 + number as u64);
        }
        let _broker = Mosquitto::start(port);
        await_events(&root, 4);
        stop.store(true, Ordering::Relaxed);
    });
    let root = root.lock().unwrap();
    let shared = root.db().get("R9").unwrap().unwrap();
    assert_eq!(shared.state["odometer"], 2);
}
