//! The publisher against Mosquitto that stops and comes back.

use std::ops::Range;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use livestock::mqtt::{Delivery, Outgoing, Publisher, PublisherOptions};
use rumqttc::{Client, Event, Incoming, MqttOptions, QoS, SessionMode};

/// Mosquitto on a free port with its sessions on disk; killed when dropped.
pub struct Mosquitto {
    port: u16,
    folder: tempfile::TempDir,
    process: Child,
}

impl Mosquitto {
    /// Starts it; `None`, with a word on stderr, where it is not installed.
    pub fn start() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous true\npersistence true\npersistence_location {}/\nautosave_on_changes true\nautosave_interval 1\nuser root\n",
            folder.path().display()
        );
        std::fs::write(folder.path().join("mosquitto.conf"), config).unwrap();
        let Some(process) = Self::spawn(&folder) else {
            eprintln!("skipped: mosquitto is not installed (apt-get install mosquitto)");
            return None;
        };
        let broker = Self {
            port,
            folder,
            process,
        };
        broker.await_port();
        Some(broker)
    }

    fn spawn(folder: &tempfile::TempDir) -> Option<Child> {
        Command::new("mosquitto")
            .arg("-c")
            .arg(folder.path().join("mosquitto.conf"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()
    }

    fn await_port(&self) {
        let end = Instant::now() + Duration::from_secs(10);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < end, "mosquitto does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends it as a service manager does, which lets it save its sessions.
    pub fn stop(&mut self) {
        let pid = self.process.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again on the same port with what it saved.
    pub fn restart(&mut self) {
        self.process = Self::spawn(&self.folder).unwrap();
        self.await_port();
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A subscriber that keeps the JSON objects that arrive.
pub struct Subscriber {
    objects: mpsc::Receiver<serde_json::Value>,
}

impl Subscriber {
    /// Subscribes to a filter and returns when the broker has confirmed it.
    pub fn start(port: u16, filter: &str) -> Self {
        let mut options = MqttOptions::new("subscriber", ("127.0.0.1", port));
        options
            .set_keep_alive(5)
            .set_session_mode(SessionMode::Persistent);
        let (client, mut connection) = Client::builder(options).capacity(16).build();
        client.subscribe(filter, QoS::ExactlyOnce).unwrap();
        let (send, objects) = mpsc::channel();
        let (ready, subscribed) = mpsc::channel();
        std::thread::spawn(move || {
            let _keep = client;
            for event in connection.iter() {
                match event {
                    Ok(Event::Incoming(Incoming::SubAck(_))) => drop(ready.send(())),
                    Ok(Event::Incoming(Incoming::Publish(publish))) => {
                        let object = serde_json::from_slice(&publish.payload).unwrap();
                        if send.send(object).is_err() {
                            return;
                        }
                    }
                    Ok(_) => {}
                    Err(_) => std::thread::sleep(Duration::from_millis(100)),
                }
            }
        });
        subscribed.recv_timeout(Duration::from_secs(10)).unwrap();
        Self { objects }
    }

    /// What has arrived when `count` have, or at the time's end, and whatever comes in the second after.
    pub fn wait_for(&self, count: usize, limit: Duration) -> Vec<serde_json::Value> {
        let end = Instant::now() + limit;
        let mut seen = Vec::new();
        while seen.len() < count {
            match self
                .objects
                .recv_timeout(end.saturating_duration_since(Instant::now()))
            {
                Ok(object) => seen.push(object),
                Err(_) => return seen,
            }
        }
        while let Ok(object) = self.objects.recv_timeout(Duration::from_secs(1)) {
            seen.push(object);
        }
        seen
    }
}

/// Publishes each number and waits until the broker has taken all.
pub fn publish_all(port: u16, client_id: &str, numbers: Range<u64>, limit: Duration) {
    let publisher = publisher(port, client_id);
    let end = Instant::now() + limit;
    let mut taken = Vec::new();
    let mut waiting: Vec<u64> = numbers.clone().rev().collect();
    while taken.len() < numbers.clone().count() {
        assert!(Instant::now() < end, "only {taken:?} were taken");
        while let Some(number) = waiting.pop() {
            if publisher.push(message(number)).is_err() {
                waiting.push(number);
                break;
            }
        }
        if let Some(Delivery::Taken { sequence }) = publisher.wait(Duration::from_millis(50)) {
            taken.push(sequence);
        }
    }
    assert_eq!(taken, numbers.collect::<Vec<_>>());
}

fn publisher(port: u16, client_id: &str) -> Publisher {
    Publisher::start(PublisherOptions {
        host: "127.0.0.1".into(),
        port,
        client_id: client_id.into(),
        credentials: None,
    })
    .unwrap()
}

fn message(number: u64) -> Outgoing {
    Outgoing {
        sequence: number,
        topic: "test/alerts".into(),
        payload: number.to_string().into_bytes(),
    }
}

#[test]
fn alerts_arrive_once_and_in_order_across_a_broker_that_stops_and_comes_back() {
    let Some(mut broker) = Mosquitto::start() else {
        return;
    };
    let collector = Subscriber::start(broker.port(), "test/alerts");
    let publisher = publisher(broker.port(), "publisher");
    let mut taken = Vec::new();
    for number in 0..30 {
        match number {
            10 => broker.stop(),
            20 => broker.restart(),
            _ => {}
        }
        publisher.push(message(number)).unwrap();
        if number < 10 {
            while taken.len() as u64 <= number {
                if let Some(Delivery::Taken { sequence }) = publisher.wait(Duration::from_secs(5)) {
                    taken.push(sequence);
                }
            }
        }
    }
    assert_eq!(
        collector.wait_for(30, Duration::from_secs(30)),
        (0..30).collect::<Vec<_>>()
    );
}

#[test]
fn a_broker_that_is_not_there_is_reported_and_holds_nothing_up() {
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let publisher = publisher(port, "lonely");
    publisher.push(message(1)).unwrap();
    let report = publisher.wait(Duration::from_secs(10)).unwrap();
    assert!(
        matches!(report, Delivery::Link(livestock::mqtt::Link::Down(_))),
        "{report:?}"
    );
}
