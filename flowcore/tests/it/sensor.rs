//! The workflow of the specification, unchanged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use flowcore::{
    ActionError, Engine, MemoryJournal, RunStatus, Runner, StepStatus, Timestamp, Workflow,
};
use serde_json::json;

pub const SENSOR: &str = "
workflow:
  name: anomaly_detection
  trigger: sensor_reading
  steps:
    - {id: filter, action: moving_average, params: {window: 10}}
    - {id: detect, action: threshold_check, params: {threshold: 0.8}}
    - {id: alert, action: send_event, condition: \"detect.result == 'anomaly'\"}
";

fn engine(sent: &Arc<AtomicU64>) -> Engine<MemoryJournal> {
    let sent = Arc::clone(sent);
    let mut engine = Engine::new(MemoryJournal::new())
        .action("moving_average", |call| {
            assert_eq!(call.params()["window"], 10);
            Ok(json!({"mean": call.input()["value"]}))
        })
        .action("threshold_check", |call| {
            let anomaly = call.input()["value"].as_f64() > call.params()["threshold"].as_f64();
            Ok(json!({"result": if anomaly { "anomaly" } else { "normal" }}))
        })
        .action("send_event", move |_| {
            sent.fetch_add(1, Ordering::Relaxed);
            Ok(json!({"sent": true}))
        });
    engine.deploy(Workflow::from_yaml(SENSOR).unwrap()).unwrap();
    engine
}

#[test]
fn the_specifications_yaml_runs_unchanged() {
    let sent = Arc::new(AtomicU64::new(0));
    let mut runner = Runner::blocking(engine(&sent));
    let now = Timestamp::from_millis(0);
    let quiet = runner
        .engine()
        .trigger("sensor_reading", json!({"value": 0.5}), now)
        .unwrap();
    let loud = runner
        .engine()
        .trigger("sensor_reading", json!({"value": 0.9}), now)
        .unwrap();
    runner.run_until_idle().unwrap();
    let quiet = runner.engine().status(quiet).unwrap();
    assert_eq!(
        (quiet.status, quiet.output),
        (RunStatus::Succeeded, json!({"result": "normal"}))
    );
    let loud = runner.engine().status(loud).unwrap();
    assert_eq!(
        (loud.status, loud.output),
        (RunStatus::Succeeded, json!({"sent": true}))
    );
    assert_eq!(sent.load(Ordering::Relaxed), 1);
}

#[test]
fn an_event_that_nothing_listens_to_is_an_error() {
    let mut engine = engine(&Arc::default());
    let error = engine
        .trigger("other", json!({}), Timestamp::from_millis(0))
        .unwrap_err();
    assert!(error.to_string().contains("`other`"), "{error}");
}

#[test]
fn retries_back_off_and_then_fail_the_run() {
    let workflow = Workflow::from_yaml(
        "workflow: {name: w, steps: [{id: a, action: flaky, retry: {max_attempts: 3, interval: 1s, backoff_rate: 2, max_interval: 3s}}]}",
    );
    let calls = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&calls);
    let mut engine = Engine::new(MemoryJournal::new()).action("flaky", move |call| {
        seen.fetch_add(1, Ordering::Relaxed);
        assert_eq!(u64::from(call.attempt()), seen.load(Ordering::Relaxed));
        if call.input()["heals_at"] == json!(call.attempt()) {
            return Ok(json!("healed"));
        }
        Err(ActionError::new("Down", "no answer"))
    });
    engine.deploy(workflow.unwrap()).unwrap();
    let run = engine
        .start("w", None, json!({}), Timestamp::from_millis(0))
        .unwrap();
    let mut due = Vec::new();
    let mut now = Timestamp::from_millis(0);
    loop {
        let mut runner = Runner::with_clock(engine, move || now);
        runner.run_until_idle().unwrap();
        engine = runner.into_engine();
        let Some(next) = engine.next_wake() else {
            break;
        };
        due.push(next.as_millis());
        now = next;
    }
    assert_eq!(due, [1_000, 3_000, 6_000]);
    let info = engine.status(run).unwrap();
    assert_eq!(info.status, RunStatus::Failed);
    let failure = info.failure.unwrap();
    assert_eq!(
        (failure.name.as_str(), failure.step.as_deref()),
        ("Down", Some("a"))
    );
    assert_eq!(calls.load(Ordering::Relaxed), 4);
}

#[test]
fn steps_with_needs_run_beside_each_other_and_join() {
    let workflow = Workflow::from_yaml(
        "
workflow:
  name: fan
  output: '{\"sum\": left.n + right.n}'
  steps:
    - {id: left, action: one, needs: []}
    - {id: right, action: one, needs: []}
    - {id: join, action: add, needs: [left, right], params: {a: '${left.n}', text: 'n=${right.n}!'}}
",
    );
    let mut engine = Engine::new(MemoryJournal::new())
        .action_external("one")
        .action("add", |call| Ok(call.params().clone()));
    engine.deploy(workflow.unwrap()).unwrap();
    let now = Timestamp::from_millis(0);
    let run = engine.start("fan", None, json!({}), now).unwrap();
    let commands = engine.step(now).unwrap();
    let tokens: Vec<_> = commands
        .iter()
        .map(|command| match command {
            flowcore::Command::Execute(call) => (call.step().to_owned(), call.token()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        tokens
            .iter()
            .map(|(step, _)| step.as_str())
            .collect::<Vec<_>>(),
        ["left", "right"]
    );
    engine.complete(tokens[1].1, Ok(json!({"n": 2}).into()), now);
    assert!(engine.step(now).unwrap().is_empty());
    engine.complete(tokens[0].1, Ok(json!({"n": 1}).into()), now);
    engine.complete(tokens[0].1, Ok(json!({"n": 100}).into()), now);
    let mut runner = Runner::with_clock(engine, move || now);
    let steps = {
        let commands = runner.engine().step(now).unwrap();
        let [flowcore::Command::Execute(call)] = commands.as_slice() else {
            panic!("{commands:?}")
        };
        assert_eq!(call.params(), &json!({"a": 1, "text": "n=2!"}));
        let steps = runner.engine().steps(run).unwrap();
        runner
            .engine()
            .complete(call.token(), Ok(json!(null).into()), now);
        steps
    };
    assert_eq!(
        steps.iter().map(|step| step.status).collect::<Vec<_>>(),
        [
            StepStatus::Succeeded,
            StepStatus::Succeeded,
            StepStatus::Running
        ]
    );
    runner.run_until_idle().unwrap();
    let info = runner.engine().status(run).unwrap();
    assert_eq!(info.output, json!({"sum": 3}));
    assert_eq!(runner.engine().stale_results(), 1);
}

#[test]
fn async_actions_run_on_the_blocking_runner() {
    let workflow =
        Workflow::from_yaml("workflow: {name: w, steps: [{id: a, action: later}]}").unwrap();
    let mut engine = Engine::new(MemoryJournal::new()).action_async("later", |call| async move {
        std::future::ready(()).await;
        Ok(json!({"step": call.step()}))
    });
    engine.deploy(workflow).unwrap();
    let run = engine
        .start("w", None, json!({}), Timestamp::from_millis(0))
        .unwrap();
    let mut runner = Runner::blocking(engine);
    assert_eq!(
        runner.run_until_ended(run).unwrap().output,
        json!({"step": "a"})
    );
}

#[test]
fn a_repeated_key_attaches_to_the_first_run() {
    let mut engine = engine(&Arc::default());
    let now = Timestamp::from_millis(0);
    let first = engine
        .start(
            "anomaly_detection",
            Some("reading-7"),
            json!({"value": 0.1}),
            now,
        )
        .unwrap();
    let again = engine
        .start(
            "anomaly_detection",
            Some("reading-7"),
            json!({"value": 0.1}),
            now,
        )
        .unwrap();
    let other = engine
        .start(
            "anomaly_detection",
            Some("reading-8"),
            json!({"value": 0.1}),
            now,
        )
        .unwrap();
    assert_eq!(first, again);
    assert_ne!(first, other);
    let mut runner = Runner::blocking(engine);
    runner.run_until_idle().unwrap();
    let ended = runner
        .engine()
        .start(
            "anomaly_detection",
            Some("reading-7"),
            json!({"value": 0.1}),
            now,
        )
        .unwrap();
    assert_eq!(first, ended);
    assert_eq!(
        runner
            .engine()
            .ended_runs(flowcore::RunId::new(0), 10)
            .unwrap()
            .len(),
        2
    );
}
