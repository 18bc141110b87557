//! A broker that stops half way, and a gateway that is killed: no alert is lost, none arrives twice.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use super::{gateway, lines, run};
use crate::mqtt::publisher::{Mosquitto, Subscriber};

const LIMIT: Duration = Duration::from_secs(40);

fn assert_each_once(received: &[serde_json::Value], raised: &[serde_json::Value]) {
    let mut times: BTreeMap<(String, String), usize> = BTreeMap::new();
    let key = |alert: &serde_json::Value| (alert["id"].to_string(), alert["message"].to_string());
    for alert in received {
        *times.entry(key(alert)).or_default() += 1;
    }
    for alert in raised {
        assert_eq!(times.get(&key(alert)), Some(&1), "{alert} of {received:?}");
    }
    assert_eq!(received.len(), raised.len());
}

#[test]
fn alerts_of_a_demo_whose_broker_stops_half_way_arrive_once_when_it_is_back() {
    let Some(mut broker) = Mosquitto::start() else {
        return;
    };
    let subscriber = Subscriber::start(broker.port(), "demo/alerts/#");
    let address = format!("127.0.0.1:{}", broker.port());
    let demo = gateway(&[
        "demo",
        "--seconds",
        "15",
        "--seed",
        "2",
        "--json",
        "--drain-seconds",
        "30",
        "--mqtt",
        &address,
    ])
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    std::thread::sleep(Duration::from_secs(5));
    broker.stop();
    std::thread::sleep(Duration::from_secs(7));
    broker.restart();
    let output = demo.wait_with_output().unwrap();
    let (alerts, summary) = lines(&output);
    assert_eq!(summary["alerts_waiting"], 0, "{summary}");
    assert!(!alerts.is_empty(), "{summary}");
    assert_each_once(&subscriber.wait_for(alerts.len(), LIMIT), &alerts);
}

#[test]
fn alerts_that_wait_when_the_run_ends_go_out_with_the_next_run() {
    let Some(mut broker) = Mosquitto::start() else {
        return;
    };
    let subscriber = Subscriber::start(broker.port(), "demo/alerts/#");
    let address = format!("127.0.0.1:{}", broker.port());
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    broker.stop();
    let args = [
        "demo",
        "--seconds",
        "20",
        "--fast",
        "--json",
        "--drain-seconds",
        "0",
        "--mqtt",
        &address,
        "--state",
        state,
    ];
    let (alerts, summary) = lines(&run(&args));
    assert!(!alerts.is_empty());
    assert_eq!(
        summary["alerts_waiting"].as_u64().unwrap(),
        alerts.len() as u64
    );
    broker.restart();
    // The same farm again: its incidents are known, so that nothing new is raised.
    let args = [
        "demo",
        "--seconds",
        "20",
        "--fast",
        "--json",
        "--drain-seconds",
        "20",
        "--mqtt",
        &address,
        "--state",
        state,
    ];
    let (again, summary) = lines(&run(&args));
    assert_eq!(again, Vec::<serde_json::Value>::new());
    assert_eq!(summary["alerts_waiting"], 0);
    assert_each_once(&subscriber.wait_for(alerts.len(), LIMIT), &alerts);
}

#[test]
fn a_gateway_killed_in_the_middle_loses_no_alert_that_it_raised() {
    let Some(broker) = Mosquitto::start() else {
        return;
    };
    let subscriber = Subscriber::start(broker.port(), "demo/alerts/#");
    let address = format!("127.0.0.1:{}", broker.port());
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().to_str().unwrap();
    let mut demo = gateway(&[
        "demo",
        "--seconds",
        "15",
        "--json",
        "--mqtt",
        &address,
        "--state",
        state,
    ])
    .stdout(Stdio::piped())
    .stderr(Stdio::null())
    .spawn()
    .unwrap();
    std::thread::sleep(Duration::from_secs(9));
    demo.kill().unwrap();
    let raised = String::from_utf8(demo.wait_with_output().unwrap().stdout).unwrap();
    let raised: Vec<serde_json::Value> = raised
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect();
    let (more, summary) = lines(&run(&[
        "demo",
        "--seconds",
        "15",
        "--fast",
        "--json",
        "--mqtt",
        &address,
        "--state",
        state,
    ]));
    assert_eq!(summary["alerts_waiting"], 0);
    let all: Vec<_> = raised.into_iter().chain(more).collect();
    assert!(!all.is_empty());
    assert_each_once(&subscriber.wait_for(all.len(), LIMIT), &all);
}
