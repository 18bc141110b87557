//! Pausing, resuming, forking, parking, deadlines: what people do to runs from outside.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use flowcore::{
    ActionError, AuditAct, Command, Engine, MemoryJournal, Progress, RunStatus, Runner, Timestamp,
    Work, Workflow,
};
use serde_json::{Value, json};

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn engine(journal: &MemoryJournal, yaml: &str) -> Engine<MemoryJournal> {
    let mut engine = Engine::new(journal.clone())
        .action("echo", |call| Ok(call.params().clone()))
        .action("break", |_| -> Result<Value, _> {
            Err(ActionError::new("Broken", "on purpose"))
        });
    engine.deploy(Workflow::from_yaml(yaml).unwrap()).unwrap();
    engine
}

fn drive(engine: Engine<MemoryJournal>, now: i64) -> Engine<MemoryJournal> {
    let mut runner = Runner::with_clock(engine, move || at(now));
    runner.run_until_idle().unwrap();
    runner.into_engine()
}

const WAITING: &str = "workflow: {name: w, steps: [{id: a, action: echo, params: 1}, {id: nap, wait: {for: 10s}}, {id: b, action: echo, params: 2}]}";

#[test]
fn a_paused_run_starts_nothing_until_it_is_resumed_also_over_a_restart() {
    let journal = MemoryJournal::new();
    let mut live = engine(&journal, WAITING);
    let run = live.start("w", None, json!(null), at(0)).unwrap();
    live = drive(live, 0);
    live.pause(run, "maintenance", at(1)).unwrap();
    live = drive(live, 60_000);
    let info = live.status(run).unwrap();
    assert_eq!(info.status, RunStatus::Paused);
    assert_eq!(info.failure.unwrap().message, "maintenance");
    assert!(live.pause(run, "again", at(60_000)).is_err());
    drop(live);
    let mut live = engine(&journal, WAITING);
    live.recover(at(60_000)).unwrap();
    live = drive(live, 60_000);
    assert_eq!(live.status(run).unwrap().status, RunStatus::Paused);
    live.resume(run, at(61_000)).unwrap();
    live = drive(live, 61_000);
    let info = live.status(run).unwrap();
    assert_eq!((info.status, info.output), (RunStatus::Succeeded, json!(2)));
}

#[test]
fn a_result_that_comes_while_paused_is_kept() {
    let journal = MemoryJournal::new();
    let mut live = engine(&journal, WAITING);
    let run = live.start("w", None, json!(null), at(0)).unwrap();
    let commands = live.step(at(0)).unwrap();
    let Command::Execute(call) = &commands[0] else {
        panic!()
    };
    live.pause(run, "", at(0)).unwrap();
    live.step(at(0)).unwrap();
    live.complete(call.token(), Ok(json!("late").into()), at(0));
    live = drive(live, 0);
    assert_eq!(live.steps(run).unwrap()[0].output, json!("late"));
    drop(live);
    let mut live = engine(&journal, WAITING);
    live.resume(run, at(5)).unwrap();
    live = drive(live, 5);
    assert_eq!(live.steps(run).unwrap()[1].deadline, Some(at(10_005)));
}

#[test]
fn a_fork_has_what_came_before_the_step_and_runs_the_rest_again() {
    let journal = MemoryJournal::new();
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&calls);
    let yaml = "workflow: {name: w, output: 'a.n + b.n', steps: [{id: a, action: count}, {id: b, action: count}, {id: c, action: count}]}";
    let mut live = Engine::new(journal.clone()).action("count", move |call| {
        let mut calls = seen.lock().unwrap();
        calls.push((call.run(), call.step().to_owned(), call.idempotency_key()));
        Ok(json!({"n": calls.len()}))
    });
    live.deploy(Workflow::from_yaml(yaml).unwrap()).unwrap();
    let run = live.start("w", None, json!(null), at(0)).unwrap();
    live = drive(live, 0);
    assert_eq!(live.status(run).unwrap().output, json!(3));
    let fork = live.fork(run, "b", at(9)).unwrap();
    assert!(live.fork(run, "zz", at(9)).is_err());
    live = drive(live, 9);
    // `a` keeps its 1, `b` ran again as the fourth call.
    assert_eq!(live.status(fork).unwrap().output, json!(5));
    assert_eq!(live.status(run).unwrap().output, json!(3));
    let calls = calls.lock().unwrap();
    let steps: Vec<_> = calls
        .iter()
        .map(|(run, step, _)| (*run, step.as_str()))
        .collect();
    assert_eq!(
        steps,
        [(run, "a"), (run, "b"), (run, "c"), (fork, "b"), (fork, "c")]
    );
    assert_ne!(calls[1].2, calls[3].2, "another run, another key");
}

#[test]
fn a_run_that_brings_the_process_down_again_and_again_is_parked() {
    let journal = MemoryJournal::new();
    let yaml =
        "workflow: {name: w, steps: [{id: a, action: echo}, {id: b, action: echo, params: end}]}";
    let mut live = engine(&journal, yaml).recoveries_max(3);
    let run = live.start("w", None, json!(null), at(0)).unwrap();
    live.step(at(0)).unwrap();
    drop(live);
    let mut handed_out = 0;
    let parked = loop {
        let mut live = engine(&journal, yaml).recoveries_max(3);
        // The action is handed out, and the process dies of it.
        handed_out += live.step(at(1)).unwrap().len();
        if live.status(run).unwrap().status == RunStatus::Parked {
            break live;
        }
        assert!(handed_out < 20, "never parked");
    };
    assert_eq!(handed_out, 4);
    let failure = parked.status(run).unwrap().failure.unwrap();
    assert_eq!(failure.name, "RecoveryLimit");
    drop(parked);
    let mut live = engine(&journal, yaml);
    live = drive(live, 2);
    assert_eq!(live.status(run).unwrap().status, RunStatus::Parked);
    live.resume(run, at(3)).unwrap();
    live = drive(live, 3);
    assert_eq!(live.status(run).unwrap().output, json!("end"));
}

#[test]
fn a_run_whose_action_is_gone_is_parked_and_goes_on_when_it_is_back() {
    let journal = MemoryJournal::new();
    let mut live = engine(&journal, WAITING);
    let run = live.start("w", Some("k"), json!(null), at(0)).unwrap();
    drop(drive(live, 0));
    let mut bare = Engine::new(journal.clone());
    bare.recover(at(1)).unwrap();
    let info = bare.status(run).unwrap();
    assert_eq!(
        (info.status, info.workflow.as_str()),
        (RunStatus::Parked, "w")
    );
    assert!(info.failure.unwrap().message.contains("`echo`"));
    bare.step(at(1)).unwrap();
    drop(bare);
    let live = drive(engine(&journal, WAITING), 10_000);
    assert_eq!(live.status(run).unwrap().status, RunStatus::Succeeded);
}

#[test]
fn a_missed_deadline_runs_its_action_and_the_run_goes_on() {
    let yaml = "workflow: {name: w, deadline: {within: 5s, action: page, params: {who: '${input.who}'}}, steps: [{id: nap, wait: {for: 8s}}, {id: b, action: echo, params: done}]}";
    let pages = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&pages);
    let journal = MemoryJournal::new();
    let mut live = Engine::new(journal)
        .action("echo", |call| Ok(call.params().clone()))
        .action("page", move |call| {
            seen.lock().unwrap().push(call.params().clone());
            Ok(())
        });
    live.deploy(Workflow::from_yaml(yaml).unwrap()).unwrap();
    let run = live.start("w", None, json!({"who": "ann"}), at(0)).unwrap();
    live = drive(live, 4_999);
    assert!(pages.lock().unwrap().is_empty());
    live = drive(live, 5_000);
    assert_eq!(*pages.lock().unwrap(), [json!({"who": "ann"})]);
    live = drive(live, 8_000);
    assert_eq!(live.status(run).unwrap().output, json!("done"));
    assert_eq!(pages.lock().unwrap().len(), 1);
}

#[test]
fn a_missed_deadline_can_fail_the_run_which_then_undoes_what_it_did() {
    let yaml = "workflow: {name: w, deadline: {within: 5s, action: page, then: fail}, steps: [{id: a, action: echo, compensate: {action: undo}}, {id: nap, wait: {for: 8s}}]}";
    let order = Arc::new(Mutex::new(Vec::new()));
    let (pages, undone) = (Arc::clone(&order), Arc::clone(&order));
    let mut live = Engine::new(MemoryJournal::new())
        .action("echo", |call| Ok(call.params().clone()))
        .action("page", move |_| {
            pages.lock().unwrap().push("page");
            Ok(())
        })
        .action("undo", move |_| {
            undone.lock().unwrap().push("undo");
            Ok(())
        });
    live.deploy(Workflow::from_yaml(yaml).unwrap()).unwrap();
    let run = live.start("w", None, json!(null), at(0)).unwrap();
    live = drive(live, 0);
    live = drive(live, 6_000);
    let info = live.status(run).unwrap();
    assert_eq!(info.status, RunStatus::Failed);
    assert_eq!(info.failure.unwrap().name, "Deadline");
    assert_eq!(*order.lock().unwrap(), ["page", "undo"]);
}

#[test]
fn progress_is_told_in_order_and_only_after_the_commit() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let listener = Arc::clone(&told);
    let journal = MemoryJournal::new();
    let commits = journal.clone();
    let mut live = Engine::new(journal)
        .action("echo", |call| Ok(call.params().clone()))
        .progress(move |progress: &Progress| {
            listener
                .lock()
                .unwrap()
                .push((progress.to_line(), commits.commits()));
        });
    let yaml = "workflow: {name: w, steps: [{id: a, action: echo}, {id: b, action: echo, condition: 'false'}, {id: c, for_each: 2, steps: [{id: d, set: 1}]}]}";
    live.deploy(Workflow::from_yaml(yaml).unwrap()).unwrap();
    live.start("w", None, json!(null), at(3)).unwrap();
    assert!(told.lock().unwrap().is_empty());
    drive(live, 3);
    let told = told.lock().unwrap();
    let short: Vec<String> = told
        .iter()
        .map(|(line, _)| {
            let line: Value = serde_json::from_str(line).unwrap();
            let name = line["step"].as_str().or(line["workflow"].as_str()).unwrap();
            format!("{name} {}", line["status"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        short,
        [
            "w running",
            "a running",
            "a succeeded",
            "b skipped",
            "c running",
            "c[0]/d running",
            "c[0]/d succeeded",
            "c[1]/d running",
            "c[1]/d succeeded",
            "c succeeded",
            "w succeeded"
        ]
    );
    assert!(told.iter().all(|(_, commits)| *commits > 0));
}

#[test]
fn the_audit_log_keeps_the_latest_entries_in_order_over_restarts() {
    let journal = MemoryJournal::new();
    let mut live = engine(&journal, WAITING).audited(4);
    let run = live.start("w", None, json!(null), at(0)).unwrap();
    live.pause(run, "lunch", at(1)).unwrap();
    live.step(at(1)).unwrap();
    live.resume(run, at(2)).unwrap();
    live.step(at(2)).unwrap();
    drop(live);
    let mut live = engine(&journal, WAITING).audited(4);
    live.cancel(run, "no more", at(3)).unwrap();
    live.step(at(3)).unwrap();
    let log = live.audit_log(0, 100).unwrap();
    let short: Vec<_> = log.iter().map(|entry| (entry.number, entry.act)).collect();
    let expected = [
        (1, AuditAct::Paused),
        (2, AuditAct::Resumed),
        (3, AuditAct::Cancelled),
        (4, AuditAct::Ended),
    ];
    assert_eq!(short, expected);
    assert_eq!((log[0].note.as_str(), log[0].run), ("lunch", Some(run)));
    assert_eq!(live.audit_log(3, 1).unwrap()[0].number, 3);
}

#[test]
fn latencies_are_those_of_the_given_times() {
    let mut live = engine(
        &MemoryJournal::new(),
        "workflow: {name: w, steps: [{id: a, action: echo}]}",
    )
    .measure();
    let mut now = 0;
    for n in 1..=100 {
        live.start("w", None, json!(null), at(now)).unwrap();
        let commands = live.step(at(now)).unwrap();
        now += n;
        let Command::Execute(call) = &commands[0] else {
            panic!()
        };
        let Work::Ready(result) = call.perform() else {
            panic!()
        };
        live.complete(call.token(), result, at(now));
        live.step(at(now)).unwrap();
    }
    let [found] = live.latencies().try_into().unwrap();
    assert_eq!(
        (found.step.as_str(), found.count, found.failures),
        ("a", 100, 0)
    );
    assert_eq!(found.max_ms, 100);
    assert!((50..=56).contains(&found.p50_ms), "{}", found.p50_ms);
    assert!((99..=100).contains(&found.p99_ms), "{}", found.p99_ms);
}

#[test]
fn a_breaker_stays_open_over_a_restart() {
    let journal = MemoryJournal::new();
    let calls = Arc::new(AtomicU64::new(0));
    let open = || {
        let seen = Arc::clone(&calls);
        let mut live = Engine::new(journal.clone()).action("flaky", move |_| -> Result<Value, _> {
            seen.fetch_add(1, Ordering::Relaxed);
            Err(ActionError::new("Down", "no answer"))
        });
        let yaml = "workflow: {name: w, steps: [{id: a, action: flaky, breaker: {failures: 2, reset: 10s}}]}";
        live.deploy(Workflow::from_yaml(yaml).unwrap()).unwrap();
        live
    };
    let mut live = open();
    for _ in 0..4 {
        live.start("w", None, json!(null), at(0)).unwrap();
        live = drive(live, 0);
    }
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    drop(live);
    let mut live = open();
    let run = live.start("w", None, json!(null), at(9_000)).unwrap();
    live = drive(live, 9_000);
    assert_eq!(
        live.status(run).unwrap().failure.unwrap().name,
        "CircuitOpen"
    );
    assert_eq!(calls.load(Ordering::Relaxed), 2);
    live.start("w", None, json!(null), at(10_000)).unwrap();
    drive(live, 10_000);
    assert_eq!(calls.load(Ordering::Relaxed), 3);
}
