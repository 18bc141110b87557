//! A workflow as bytes comes back as the same workflow, and damaged bytes as an error.

use flowcore::definition::{RetryDef, StepDef, WorkflowDef};
use flowcore::{Engine, MemoryJournal, Runner, Timestamp, Workflow};
use proptest::prelude::*;
use serde_json::json;
use std::time::Duration;

use crate::sensor::SENSOR;

#[test]
fn bytes_come_back_as_the_same_workflow_and_run() {
    let workflow = Workflow::from_yaml(SENSOR).unwrap();
    let bytes = workflow.to_bytes().unwrap();
    let loaded = Workflow::from_bytes(&bytes).unwrap();
    assert_eq!(loaded.hash(), workflow.hash());
    assert_eq!(loaded.definition(), workflow.definition());
    let mut engine = Engine::new(MemoryJournal::new())
        .action("moving_average", |_| Ok(()))
        .action("threshold_check", |_| Ok(json!({"result": "anomaly"})))
        .action("send_event", |_| Ok(json!("sent")));
    engine.deploy(loaded).unwrap();
    let now = Timestamp::from_millis(0);
    let run = engine.trigger("sensor_reading", json!(1), now).unwrap();
    let mut runner = Runner::with_clock(engine, move || now);
    assert_eq!(runner.run_until_ended(run).unwrap().output, json!("sent"));
}

#[test]
fn every_damaged_byte_is_noticed() {
    let bytes = Workflow::from_yaml(SENSOR).unwrap().to_bytes().unwrap();
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x20;
        // Two bytes of the header are reserved.
        if !(10..12).contains(&at) {
            assert!(Workflow::from_bytes(&damaged).is_err(), "byte {at}");
        }
    }
    for len in 0..bytes.len() {
        assert!(Workflow::from_bytes(&bytes[..len]).is_err(), "length {len}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_workflow_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(Workflow::from_bytes(&bytes).is_err());
    }
}

#[test]
fn a_workflow_built_in_code_is_the_one_written_in_yaml() {
    let built = WorkflowDef::new("w")
        .on("t")
        .step(
            StepDef::call("a", "read")
                .with(json!({"n": 1}))
                .retried(RetryDef::times(2).starting_at(Duration::from_millis(500))),
        )
        .step(
            StepDef::each("all", "a.items", [StepDef::call("s", "check")])
                .at_once(4)
                .only_counted(),
        )
        .step(StepDef::choose(
            "side",
            "a.n > 1",
            [StepDef::value("x", "big")],
            [],
        ))
        .step(
            StepDef::event("go", "ready")
                .keyed("${a.id}")
                .timeout_after(Duration::from_secs(3)),
        )
        .step(StepDef::count(
            "rounds",
            0,
            5,
            [StepDef::call("r", "turn").or("none")],
        ))
        .giving("a.n")
        .build()
        .unwrap();
    let written = Workflow::from_yaml("
workflow:
  name: w
  trigger: t
  output: a.n
  steps:
    - {id: a, action: read, params: {n: 1}, retry: {max_attempts: 2, interval: 500ms}}
    - {id: all, for_each: a.items, limit: 4, collect: count, steps: [{id: s, action: check}]}
    - {id: side, if: 'a.n > 1', then: [{id: x, set: big}]}
    - {id: go, wait: {event: ready, key: '${a.id}', timeout: 3000ms}}
    - {id: rounds, for: {from: 0, to: 5}, max_iterations: 5, steps: [{id: r, action: turn, fallback: none}]}
").unwrap();
    assert_eq!(built.definition(), written.definition());
    assert_eq!(built.hash(), written.hash());
}
