//! The demo finds what is staged, adds up, and tells the same twice.

use super::{assert_adds_up, lines, run};

#[test]
fn the_demo_finds_the_staged_incidents_and_its_counters_add_up() {
    let (alerts, summary) = lines(&run(&["demo", "--seconds", "60", "--fast", "--json"]));
    assert_adds_up(&summary);
    let expected = summary["incidents_expected"].as_f64().unwrap();
    assert!(expected >= 6.0, "{summary}");
    assert!(
        summary["incidents_found"].as_f64().unwrap() >= 0.9 * expected,
        "{summary}"
    );
    assert!(summary["false_alerts"].as_u64().unwrap() <= 1, "{summary}");
    assert_eq!(summary["alerts_waiting"], 0, "{summary}");
    let told = alerts
        .iter()
        .filter(|alert| alert["message"] == "alert")
        .count() as u64;
    assert_eq!(summary["incidents_opened"].as_u64().unwrap(), told);
    assert_eq!(
        summary["alerts_delivered"].as_u64().unwrap(),
        alerts.len() as u64
    );
}

#[test]
fn the_same_seed_raises_the_same_alerts() {
    let once = lines(&run(&[
        "demo",
        "--seconds",
        "20",
        "--seed",
        "5",
        "--fast",
        "--json",
    ]))
    .0;
    let again = lines(&run(&[
        "demo",
        "--seconds",
        "20",
        "--seed",
        "5",
        "--fast",
        "--json",
    ]))
    .0;
    let ids =
        |alerts: &[serde_json::Value]| alerts.iter().map(|a| a["id"].clone()).collect::<Vec<_>>();
    assert!(!once.is_empty());
    assert_eq!(ids(&once), ids(&again));
}

#[test]
fn a_person_reads_tables() {
    let output = run(&["demo", "--seconds", "10", "--fast"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    for word in [
        "frames",
        "events in",
        "found / staged",
        "false alerts",
        "stage, ms",
        "pattern",
    ] {
        assert!(text.contains(word), "no {word:?} in {text}");
    }
}
