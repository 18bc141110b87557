//! Waiting for time, for events and for people, also over a restart.

use flowcore::{
    Decision, Engine, MemoryJournal, RunId, RunStatus, Runner, StepStatus, Timestamp, Verdict,
    Workflow,
};
use serde_json::json;

const INCIDENT: &str = "
workflow:
  name: incident
  trigger: incident
  steps:
    - {id: confirm, action: ok}
    - {id: alert, action: ok, params: {text: 'animal ${input.animal} is down'}}
    - {id: ack, wait: {event: incident_ack, key: '${input.incident}', timeout: 15m}}
    - {id: escalate, action: ok, condition: ack.timed_out}
";

fn engine(journal: MemoryJournal) -> Engine<MemoryJournal> {
    let mut engine = Engine::new(journal).action("ok", |call| {
        Ok(json!({"did": call.step(), "params": call.params()}))
    });
    engine
        .deploy(Workflow::from_yaml(INCIDENT).unwrap())
        .unwrap();
    engine
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn drive(engine: Engine<MemoryJournal>, now: i64) -> Engine<MemoryJournal> {
    let mut runner = Runner::with_clock(engine, move || at(now));
    runner.run_until_idle().unwrap();
    runner.into_engine()
}

fn parked() -> (Engine<MemoryJournal>, MemoryJournal, RunId) {
    let journal = MemoryJournal::new();
    let mut engine = engine(journal.clone());
    let run = engine
        .trigger("incident", json!({"incident": "i-1", "animal": 7}), at(0))
        .unwrap();
    let engine = drive(engine, 0);
    assert_eq!(engine.steps(run).unwrap()[2].status, StepStatus::Waiting);
    (engine, journal, run)
}

#[test]
fn an_acknowledgement_ends_the_wait_and_nothing_escalates() {
    let (mut engine, _, run) = parked();
    assert_eq!(
        engine
            .publish("incident_ack", Some("i-2"), json!({}), at(10))
            .unwrap(),
        0
    );
    assert_eq!(
        engine
            .publish("incident_ack", Some("i-1"), json!({"by": "ann"}), at(10))
            .unwrap(),
        1
    );
    let engine = drive(engine, 10);
    let info = engine.status(run).unwrap();
    assert_eq!(info.status, RunStatus::Succeeded);
    assert_eq!(
        info.output,
        json!({"timed_out": false, "event": {"by": "ann"}})
    );
}

#[test]
fn silence_until_the_deadline_escalates_also_after_a_restart() {
    let (engine_before, journal, run) = parked();
    drop(engine_before);
    let engine = drive(engine(journal), 899_999);
    assert_eq!(engine.status(run).unwrap().status, RunStatus::Running);
    assert_eq!(engine.next_wake(), Some(at(900_000)));
    let engine = drive(engine, 900_000);
    let info = engine.status(run).unwrap();
    assert_eq!(info.output["did"], "escalate");
}

#[test]
fn an_event_that_comes_before_the_wait_is_kept_for_it() {
    let mut engine = engine(MemoryJournal::new());
    let run = engine
        .trigger("incident", json!({"incident": "i-1", "animal": 7}), at(0))
        .unwrap();
    engine
        .signal(
            run,
            "incident_ack",
            Some("i-1"),
            json!({"early": true}),
            at(0),
        )
        .unwrap();
    let engine = drive(engine, 0);
    assert_eq!(
        engine.status(run).unwrap().output,
        json!({"timed_out": false, "event": {"early": true}})
    );
}

#[test]
fn a_person_decides_or_the_deadline_does() {
    let yaml = "
workflow:
  name: gate
  steps:
    - {id: pause, wait: {for: 5s}}
    - {id: ok, approval: {prompt: 'open gate ${input.gate}?', timeout: 1m}}
    - {id: open, action: ok, condition: ok.approved}
";
    for (verdict, opened) in [
        (Some(Verdict::Approved), true),
        (Some(Verdict::Rejected), false),
        (None, false),
    ] {
        let mut engine =
            Engine::new(MemoryJournal::new()).action("ok", |_| Ok(json!({"opened": true})));
        engine.deploy(Workflow::from_yaml(yaml).unwrap()).unwrap();
        let run = engine
            .start("gate", None, json!({"gate": 3}), at(0))
            .unwrap();
        let mut engine = drive(drive(engine, 0), 5_000);
        let decision = |verdict| Decision {
            verdict,
            by: "ann".to_owned(),
            note: None,
        };
        assert!(
            engine
                .decide(run, "open", decision(Verdict::Approved), at(5_000))
                .is_err()
        );
        if let Some(verdict) = verdict {
            engine
                .decide(run, "ok", decision(verdict), at(6_000))
                .unwrap();
        }
        let engine = drive(engine, 65_000);
        let info = engine.status(run).unwrap();
        assert_eq!(info.status, RunStatus::Succeeded);
        assert_eq!(info.output.get("opened").is_some(), opened);
    }
}

#[test]
fn a_cancelled_run_stays_cancelled() {
    let (mut engine, journal, run) = parked();
    engine.cancel(run, "false alarm", at(20)).unwrap();
    let engine = drive(engine, 20);
    assert_eq!(engine.status(run).unwrap().status, RunStatus::Cancelled);
    let engine = drive(self::engine(journal), 2_000_000);
    assert_eq!(engine.status(run).unwrap().status, RunStatus::Cancelled);
    assert!(engine.live_runs().is_empty());
}
