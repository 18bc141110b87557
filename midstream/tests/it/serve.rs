//! The command `serve` with a real broker: what is published is counted once, whatever is killed.

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rumqttc::{AsyncClient, Event, Incoming, MqttOptions, PublishOptions, QoS, SessionMode};

const EVENTS: u64 = 3_000;
const PER_WINDOW: u64 = 100;

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn mosquitto(folder: &Path, port: u16) -> Killed {
    let config = folder.join("mosquitto.conf");
    let text = format!(
        "listener {port} 127.0.0.1\nallow_anonymous true\nuser root\npersistence true\npersistence_location {}/\n\
         max_inflight_messages 0\nmax_queued_messages 0\n",
        folder.display()
    );
    std::fs::write(&config, text).unwrap();
    let child = Command::new("mosquitto")
        .arg("-c")
        .arg(&config)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let up = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(50));
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    assert!(up, "the broker does not start");
    Killed(child)
}

fn midstream(deploy: &Path) -> Killed {
    let child = Command::new(env!("CARGO_BIN_EXE_midstream"))
        .args(["serve", "--deploy"])
        .arg(deploy)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Killed(child)
}

fn terminate(child: &Child) {
    let _ = Command::new("kill").arg(child.id().to_string()).status();
}

/// Each window's count by its end; a window that comes twice must be the same.
type Windows = BTreeMap<i64, u64>;

/// A session that the broker keeps windows for.
async fn subscribe(port: u16) {
    let (client, mut events) = collector(port);
    client.subscribe("out/#", QoS::AtLeastOnce).await.unwrap();
    while !matches!(
        events.poll().await.unwrap(),
        Event::Incoming(Incoming::SubAck(_))
    ) {}
}

fn collector(port: u16) -> (AsyncClient, rumqttc::EventLoop) {
    let mut mqtt = MqttOptions::new("collector", ("127.0.0.1", port));
    mqtt.set_session_mode(SessionMode::Persistent)
        .set_session_expiry_interval(Some(600))
        .set_broker_session_resume_policy(rumqttc::BrokerSessionResumePolicy::AllowBrokerOnly);
    AsyncClient::builder(mqtt).capacity(10).build()
}

async fn collect(port: u16, windows: &mut Windows, wanted: u64) {
    let (_client, mut events) = collector(port);
    while windows.values().sum::<u64>() < wanted {
        match events.poll().await {
            Ok(Event::Incoming(Incoming::Publish(message))) => {
                let line: serde_json::Value = serde_json::from_slice(&message.payload).unwrap();
                let end = line["last"].as_i64().unwrap();
                let count = line["found"]["window"]["count"].as_u64().unwrap();
                let before = windows.insert(end, count);
                assert!(
                    before.is_none_or(|before| before == count),
                    "{line} after {before:?}"
                );
            }
            Ok(_) => {}
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

async fn publish(port: u16, events: std::ops::Range<u64>) {
    let mqtt = MqttOptions::new(format!("publisher-{}", events.start), ("127.0.0.1", port));
    let (client, mut loop_) = AsyncClient::builder(mqtt).capacity(100).build();
    let send = async {
        for id in events {
            let payload = format!("{{\"id\":\"{id}\",\"at\":{},\"value\":1}}", id * 10);
            let options = PublishOptions::new(QoS::AtLeastOnce);
            let notice = client
                .publish_tracked("in/a", payload, options)
                .await
                .unwrap();
            notice.wait_completion_async().await.unwrap();
        }
    };
    tokio::select! {
        () = send => {}
        () = async { while loop_.poll().await.is_ok() {} } => panic!("the broker is gone"),
    }
}

#[test]
fn each_event_counts_once_though_broker_and_engine_are_killed() {
    if Command::new("mosquitto")
        .arg("-h")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        eprintln!("skipped: there is no mosquitto");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let port = 21_000 + (std::process::id() % 9_000) as u16;
    let deploy = folder.path().join("deploy.yaml");
    let text = format!(
        "
broker: {{ host: 127.0.0.1, port: {port} }}
state: {}/state
engine: {{ disorder: 0ms, dedup: 1h }}
sources:
  s: {{ topic: in/+, fields: {{ value: float }} }}
rules: 'RULE all: FROM s HAVING COUNT(*) > 0 WITHIN TUMBLING WINDOW 1 SECONDS EMIT EVERY'
sinks:
  out: {{ topic: out/windows }}
routes:
  - {{ rules: ['*'], to: [out] }}
limits: {{ snapshot_every: 300ms }}
",
        folder.path().display()
    );
    std::fs::write(&deploy, text).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut broker = mosquitto(folder.path(), port);
    let mut engine = midstream(&deploy);
    runtime.block_on(subscribe(port));
    // Its session must be there before the first event.
    std::thread::sleep(Duration::from_millis(1500));
    let mut windows = Windows::new();
    let third = EVENTS / 3;
    runtime.block_on(publish(port, 0..third));
    // Killed, and back while events wait at the broker.
    engine.0.kill().unwrap();
    engine.0.wait().unwrap();
    runtime.block_on(publish(port, third..third * 2));
    engine = midstream(&deploy);
    std::thread::sleep(Duration::from_millis(700));
    terminate(&broker.0);
    broker.0.wait().unwrap();
    broker = mosquitto(folder.path(), port);
    runtime.block_on(publish(port, third * 2..EVENTS + 1));
    let wanted = EVENTS;
    runtime.block_on(async {
        let limit = Duration::from_secs(30);
        let done = tokio::time::timeout(limit, collect(port, &mut windows, wanted)).await;
        assert!(
            done.is_ok(),
            "{} of {wanted}: {windows:?}",
            windows.values().sum::<u64>()
        );
    });
    assert_eq!(windows.len() as u64, EVENTS / PER_WINDOW);
    assert!(
        windows.values().all(|count| *count == PER_WINDOW),
        "{windows:?}"
    );
    drop((engine, broker));
}
