//! Deploying a version never disturbs a live run; runs move only when told, and only when they can.

use flowcore::{Engine, MemoryJournal, RunStatus, Runner, Timestamp, Upgrade, Workflow};
use serde_json::json;

const NOW: Timestamp = Timestamp::from_millis(0);

fn version(text: &str) -> Workflow {
    Workflow::from_yaml(&format!(
        "workflow: {{name: w, trigger: t, steps: [{{id: a, action: echo, params: a}}, {{id: ack, wait: {{event: go}}}}, {text}]}}"
    ))
    .unwrap()
}

fn engine(journal: &MemoryJournal) -> Engine<MemoryJournal> {
    Engine::new(journal.clone())
        .action("echo", |call| Ok(call.params().clone()))
        .action("other", |call| Ok(call.params().clone()))
}

fn drive(engine: Engine<MemoryJournal>) -> Engine<MemoryJournal> {
    let mut runner = Runner::with_clock(engine, || NOW);
    runner.run_until_idle().unwrap();
    runner.into_engine()
}

#[test]
fn a_thousand_live_runs_go_through_an_upgrade_each_on_its_own_version() {
    let journal = MemoryJournal::new();
    let mut engine = engine(&journal);
    engine.deploy(version("{id: end, set: old}")).unwrap();
    let old: Vec<_> = (0..1_000)
        .map(|n| engine.trigger("t", json!(n), NOW).unwrap())
        .collect();
    engine = drive(engine);
    engine.deploy(version("{id: end, set: new}")).unwrap();
    let new: Vec<_> = (0..1_000)
        .map(|n| engine.trigger("t", json!(n), NOW).unwrap())
        .collect();
    drop(drive(engine));
    // The process that comes after knows the new version only from its code, the old from the journal.
    let mut engine = self::engine(&journal);
    engine.deploy(version("{id: end, set: new}")).unwrap();
    engine.recover(NOW).unwrap();
    assert_eq!(engine.live_runs().len(), 2_000);
    assert_eq!(engine.publish("go", None, json!(1), NOW).unwrap(), 2_000);
    let engine = drive(engine);
    for (runs, output) in [(old, "old"), (new, "new")] {
        for run in runs {
            let info = engine.status(run).unwrap();
            assert_eq!(
                (info.status, info.output),
                (RunStatus::Succeeded, json!(output))
            );
        }
    }
}

#[test]
fn versions_are_tried_beside_the_active_one_and_taken_back() {
    let journal = MemoryJournal::new();
    let mut engine = engine(&journal);
    let blue = engine.deploy(version("{id: end, set: blue}")).unwrap();
    let green = engine
        .deploy_standby(version("{id: end, set: green}"))
        .unwrap();
    assert_eq!(engine.active_version("w"), Some(blue));
    engine.activate(green, NOW).unwrap();
    let run = engine.trigger("t", json!(0), NOW).unwrap();
    assert_eq!(engine.status(run).unwrap().definition, green);
    assert_eq!(engine.rollback("w", NOW).unwrap(), blue);
    let run = engine.trigger("t", json!(0), NOW).unwrap();
    assert_eq!(engine.status(run).unwrap().definition, blue);
    assert!(engine.rollback("unknown", NOW).is_err());
}

#[test]
fn a_run_moves_to_a_version_that_agrees_with_its_log_and_to_no_other() {
    let journal = MemoryJournal::new();
    let mut engine = engine(&journal);
    engine.deploy(version("{id: end, set: old}")).unwrap();
    let run = engine.trigger("t", json!(0), NOW).unwrap();
    let mut engine = drive(engine);
    let good = version("{id: check, action: other, params: 1}, {id: end, set: moved}");
    let bad = Workflow::from_yaml(
        "workflow: {name: w, steps: [{id: x, action: other}, {id: ack, wait: {event: go}}]}",
    )
    .unwrap();
    assert_eq!(engine.check_upgrade(run, &good).unwrap(), Upgrade::Possible);
    let check = engine.check_upgrade(run, &bad).unwrap();
    assert!(matches!(check, Upgrade::Impossible { .. }), "{check:?}");
    let (good, bad) = (engine.deploy(good).unwrap(), engine.deploy(bad).unwrap());
    let error = engine.upgrade(run, bad, NOW).unwrap_err();
    assert!(error.to_string().contains("step `a`"), "{error}");
    engine.upgrade(run, good, NOW).unwrap();
    drop(drive(engine));
    // The move is durable.
    let mut engine = self::engine(&journal);
    engine.recover(NOW).unwrap();
    assert_eq!(engine.status(run).unwrap().definition, good);
    engine.signal(run, "go", None, json!(1), NOW).unwrap();
    let engine = drive(engine);
    assert_eq!(engine.status(run).unwrap().output, json!("moved"));
}
