//! Timers, cron, messages and requests start runs, each occasion once.

use flowcore::trigger::{Arrival, Triggers};
use flowcore::{Engine, MemoryJournal, RunId, RunStatus, Runner, Timestamp, Workflow};
use serde_json::{Value, json};

fn workflow(triggers: Value) -> Workflow {
    let definition = json!({"workflow": {
        "name": "w", "triggers": triggers, "steps": [{"id": "a", "set": "${input}"}]}});
    Workflow::from_json(&definition.to_string()).unwrap()
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

#[test]
fn a_timer_fires_at_each_multiple_and_once_for_many_that_passed() {
    let workflow = workflow(json!([{"every": "60 seconds"}]));
    let mut triggers = Triggers::of([&workflow], at(59_999)).unwrap();
    assert_eq!(triggers.next_due(), Some(at(60_000)));
    assert!(triggers.due(at(59_999)).is_empty());
    let keys = |firings: Vec<flowcore::trigger::Firing>| -> Vec<Option<String>> {
        firings.into_iter().map(|firing| firing.key).collect()
    };
    assert_eq!(
        keys(triggers.due(at(60_000))),
        [Some("every/60000".to_owned())]
    );
    assert!(triggers.due(at(119_999)).is_empty());
    assert_eq!(
        keys(triggers.due(at(400_000))),
        [Some("every/360000".to_owned())]
    );
    assert_eq!(triggers.next_due(), Some(at(420_000)));
}

#[test]
fn two_processes_over_one_journal_start_one_run_a_tick() {
    let workflow = workflow(json!([{"every": "1s"}]));
    let journal = MemoryJournal::new();
    let mut runs = Vec::new();
    for _ in 0..2 {
        let mut triggers = Triggers::of([&workflow], at(0)).unwrap();
        let mut engine = Engine::new(journal.clone());
        engine.deploy(workflow.clone()).unwrap();
        for firing in triggers.due(at(1_000)) {
            runs.push(firing.start(&mut engine, at(1_000)).unwrap());
        }
        engine.step(at(1_000)).unwrap();
    }
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[0], runs[1]);
}

#[cfg(feature = "zones")]
#[test]
fn cron_fires_in_its_zone() {
    let workflow = workflow(json!([{"cron": "0 6 * * *", "zone": "Europe/Berlin"}]));
    let mut triggers = Triggers::of([&workflow], at(0)).unwrap();
    // 1970-01-01T06:00 in Berlin is 05:00 in Greenwich.
    assert_eq!(triggers.next_due(), Some(at(5 * 3_600_000)));
    let day = 24 * 3_600_000;
    let firings = triggers.due(at(3 * day));
    assert_eq!(firings[0].key.as_deref(), Some("cron/190800000"));
    assert_eq!(firings.len(), 1);
}

#[test]
fn arrivals_start_what_listens_and_their_key_counts_once() {
    let workflow = workflow(json!([
        {"mqtt": "barn/+/low", "key": "input.topic + '/' + string(input.payload.id)"},
        {"http": "/hooks/order", "key": "${input.body.id}"},
        {"event": "overheat", "key": "input.cow"},
    ]));
    let triggers = Triggers::of([&workflow], at(0)).unwrap();
    let mut engine = Engine::new(MemoryJournal::new());
    engine.deploy(workflow.clone()).unwrap();
    assert_eq!(triggers.topics(), ["barn/+/low"]);
    let mut start = |arrival: Arrival| -> Vec<RunId> {
        let firings = triggers.accept(&arrival).unwrap();
        let started = firings
            .into_iter()
            .map(|firing| firing.start(&mut engine, at(0)).unwrap());
        started.collect()
    };
    let first = start(Arrival::mqtt("barn/3/low", json!({"id": 7})));
    assert_eq!(first.len(), 1);
    assert_eq!(start(Arrival::mqtt("barn/3/low", json!({"id": 7}))), first);
    assert_ne!(start(Arrival::mqtt("barn/4/low", json!({"id": 7}))), first);
    assert!(start(Arrival::mqtt("barn/3/high", json!({"id": 7}))).is_empty());
    let hook = start(Arrival::http("/hooks/order", json!({"id": "o1"})));
    assert_eq!(
        start(Arrival::http(
            "/hooks/order",
            json!({"id": "o1", "again": true})
        )),
        hook
    );
    let event = start(Arrival::event("overheat", json!({"cow": "c4"})));
    assert_eq!(event.len(), 1);
    // Without its key a repetition could not be told, so the arrival is refused.
    let error = triggers
        .accept(&Arrival::http("/hooks/order", json!({})))
        .unwrap_err();
    assert!(error.to_string().contains("no such key: id"), "{error}");

    let mut runner = Runner::with_clock(engine, || at(0));
    runner.run_until_idle().unwrap();
    let info = runner.engine().status(hook[0]).unwrap();
    assert_eq!(info.status, RunStatus::Succeeded);
    assert_eq!(
        info.output,
        json!({"path": "/hooks/order", "body": {"id": "o1"}})
    );
}

#[test]
fn triggers_that_make_no_sense_are_refused() {
    let cases = [
        (json!([{}]), "exactly one of"),
        (json!([{"every": "1s", "event": "x"}]), "exactly one of"),
        (json!([{"every": "soon"}]), "`soon` is no span"),
        (
            json!([{"every": "1s", "key": "input.x"}]),
            "their time as key",
        ),
        (
            json!([{"event": "x", "zone": "UTC"}]),
            "`zone` belongs to `cron`",
        ),
        (json!([{"mqtt": "a/#/b"}]), "no topic filter"),
        (json!([{"http": "hooks"}]), "begins with `/`"),
        (
            json!([{"event": "x", "key": "inputs.id"}]),
            "unknown name `inputs`",
        ),
    ];
    for (triggers, expected) in cases {
        let definition = json!({"workflow": {
            "name": "w", "triggers": triggers, "steps": [{"id": "a", "set": 1}]}});
        let error = Workflow::from_json(&definition.to_string())
            .unwrap_err()
            .to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[cfg(feature = "http")]
mod http {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::process::Command;
    use std::time::Duration;

    use flowcore::trigger::{HttpSource, Triggers};

    use super::*;

    const WAIT: Duration = Duration::from_secs(20);

    #[test]
    fn a_real_client_starts_a_run_and_hears_its_number() {
        let workflow = workflow(json!([{"http": "/hooks/order", "key": "input.body.id"}]));
        let triggers = Triggers::of([&workflow], at(0)).unwrap();
        let mut engine = Engine::new(MemoryJournal::new());
        engine.deploy(workflow.clone()).unwrap();
        let source = HttpSource::bind("127.0.0.1:0").unwrap();
        let address = source.address().unwrap();
        let curl = move |path: &str, body: String| {
            let url = format!("http://{address}{path}");
            Command::new("curl")
                .args(["-s", "--max-time", "20", "-X", "POST", "-d", &body, &url])
                .output()
        };
        if Command::new("curl").arg("--version").output().is_err() {
            eprintln!("skipped: curl is not installed (apt-get install curl)");
            return;
        }
        let client = std::thread::spawn(move || {
            let answers = [
                curl(
                    "/hooks/order",
                    json!({"id": "o1", "pad": "x".repeat(5_000)}).to_string(),
                ),
                curl("/hooks/order", json!({"id": "o1"}).to_string()),
                curl("/nowhere", json!({}).to_string()),
                curl("/hooks/order", "no json".to_owned()),
            ];
            answers.map(|answer| serde_json::from_slice::<Value>(&answer.unwrap().stdout).unwrap())
        });
        for _ in 0..3 {
            let call = source.recv_timeout(WAIT).unwrap().unwrap();
            let firings = triggers.accept(call.arrival()).unwrap();
            let runs: Vec<u64> = firings
                .into_iter()
                .map(|firing| firing.start(&mut engine, at(0)).unwrap().as_u64())
                .collect();
            // Answered once it is durable.
            engine.step(at(0)).unwrap();
            match runs.is_empty() {
                true => call.answer(404, &json!({"error": "nothing listens here"})),
                false => call.answer(202, &json!({"runs": runs})),
            }
        }
        assert!(
            source
                .recv_timeout(Duration::from_millis(500))
                .unwrap()
                .is_none()
        );
        let answers = client.join().unwrap();
        assert_eq!(answers[0], answers[1]);
        assert!(answers[0]["runs"][0].is_u64());
        assert_eq!(answers[2]["error"], "nothing listens here");
        assert!(
            answers[3]["error"]
                .as_str()
                .unwrap()
                .starts_with("the body is no JSON")
        );
    }

    #[test]
    fn requests_that_are_not_understood_are_answered_and_bounded() {
        let source = HttpSource::bind("127.0.0.1:0").unwrap();
        let address = source.address().unwrap();
        let cases = [
            ("GET / HTTP/1.1\r\n\r\n".to_owned(), "405"),
            ("nonsense\r\n\r\n".to_owned(), "400"),
            ("POST / HTTP/1.1\r\n\r\n".to_owned(), "411"),
            (
                "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned(),
                "411",
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n".to_owned(),
                "413",
            ),
            (
                format!("POST / HTTP/1.1\r\nX: {}\r\n\r\n", "y".repeat(20_000)),
                "431",
            ),
            (
                "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\n{".to_owned(),
                "400",
            ),
        ];
        let client = std::thread::spawn(move || {
            for (request, expected) in cases {
                let mut stream = TcpStream::connect(address).unwrap();
                stream.set_read_timeout(Some(WAIT)).unwrap();
                // The server may answer before it has read everything.
                let _ = stream.write_all(request.as_bytes());
                let mut answer = String::new();
                let _ = stream.read_to_string(&mut answer);
                assert!(
                    answer.starts_with(&format!("HTTP/1.1 {expected} ")),
                    "{answer}"
                );
            }
            // One that is never handed an answer is told to come again.
            let mut stream = TcpStream::connect(address).unwrap();
            stream
                .write_all(b"POST /x HTTP/1.1\r\nContent-Length: 2\r\n\r\n{}")
                .unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).unwrap();
            assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        });
        let call = source.recv_timeout(WAIT).unwrap().unwrap();
        assert_eq!(call.arrival().name(), "/x");
        drop(call);
        client.join().unwrap();
    }
}

#[cfg(feature = "mqtt")]
mod mqtt {
    use std::net::{TcpListener, TcpStream};
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use flowcore::trigger::{MqttSource, Triggers};

    use super::*;

    struct Broker(Child);

    impl Drop for Broker {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    /// Mosquitto on a free port; `None` where it is not installed.
    fn broker(folder: &std::path::Path) -> Option<(Broker, u16)> {
        let port = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
            .port();
        let config = folder.join("mosquitto.conf");
        std::fs::write(
            &config,
            format!("listener {port} 127.0.0.1\nallow_anonymous true\n"),
        )
        .unwrap();
        let child = Command::new("mosquitto")
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            eprintln!("skipped: mosquitto is not installed (apt-get install mosquitto)");
            return None;
        };
        let broker = Broker(child);
        let end = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < end, "mosquitto does not listen");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some((broker, port))
    }

    fn publish(port: u16, topic: &str, payload: &str) {
        use rumqttc::{Client, Event, Incoming, MqttOptions, PublishOptions, QoS};
        let (client, mut connection) =
            Client::builder(MqttOptions::new("publisher", ("127.0.0.1", port)))
                .capacity(8)
                .build();
        client
            .publish(topic, payload, PublishOptions::new(QoS::AtLeastOnce))
            .unwrap();
        for event in connection.iter() {
            if let Event::Incoming(Incoming::PubAck(_)) = event.unwrap() {
                return;
            }
        }
    }

    #[test]
    fn a_message_that_was_not_acknowledged_comes_again_and_is_one_run() {
        let folder = tempfile::tempdir().unwrap();
        let Some((_broker, port)) = broker(folder.path()) else {
            return;
        };
        let workflow = workflow(json!([{"mqtt": "barn/+/low", "key": "input.payload.id"}]));
        let triggers = Triggers::of([&workflow], at(0)).unwrap();
        let journal = MemoryJournal::new();
        let wait = Duration::from_secs(20);
        let mut runs = Vec::new();
        // The first process takes the message, starts its run, and dies before it acknowledges.
        for acknowledge in [false, true] {
            let mut source = MqttSource::new("127.0.0.1", port, "flow", &triggers.topics());
            if runs.is_empty() {
                // Subscribed before the message is sent.
                assert!(
                    source
                        .recv_timeout(Duration::from_millis(500))
                        .unwrap()
                        .is_none()
                );
                publish(port, "barn/3/low", r#"{"id": "m1"}"#);
            }
            let mut engine = Engine::new(journal.clone());
            engine.deploy(workflow.clone()).unwrap();
            let message = source.recv_timeout(wait).unwrap().unwrap();
            assert_eq!(message.arrival().name(), "barn/3/low");
            for firing in triggers.accept(message.arrival()).unwrap() {
                runs.push(firing.start(&mut engine, at(0)).unwrap());
            }
            engine.step(at(0)).unwrap();
            if acknowledge {
                source.acknowledge(&message).unwrap();
                assert!(
                    source
                        .recv_timeout(Duration::from_millis(300))
                        .unwrap()
                        .is_none()
                );
            }
        }
        assert_eq!(runs.len(), 2);
        assert_eq!(runs[0], runs[1]);
        let mut source = MqttSource::new("127.0.0.1", port, "flow", &triggers.topics());
        assert!(
            source
                .recv_timeout(Duration::from_millis(500))
                .unwrap()
                .is_none()
        );
    }
}
