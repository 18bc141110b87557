//! Branches, loops, parallel work, sub-workflows and what happens after a failure.

use std::sync::{Arc, Mutex};

use flowcore::{
    ActionError, Engine, MemoryJournal, RunInfo, RunStatus, Runner, Timestamp, Workflow,
};
use serde_json::{Value, json};

type Trace = Arc<Mutex<Vec<String>>>;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn engine(journal: MemoryJournal, trace: &Trace) -> Engine<MemoryJournal> {
    let (seen, failed, undone) = (Arc::clone(trace), Arc::clone(trace), Arc::clone(trace));
    Engine::new(journal)
        .action("echo", move |call| {
            seen.lock()
                .unwrap()
                .push(format!("{}{}", call.path(), call.step()));
            Ok(call.params().clone())
        })
        .action("break", move |call| -> Result<Value, _> {
            failed.lock().unwrap().push(format!("{}!", call.step()));
            Err(ActionError::new("Broken", "on purpose"))
        })
        .action("undo", move |call| {
            undone
                .lock()
                .unwrap()
                .push(format!("undo {}", call.params()));
            Ok(())
        })
}

/// Runs a workflow with virtual time until it ends; returns it with the trace of its actions.
fn run(steps: &str, input: Value) -> (RunInfo, Vec<String>) {
    let trace = Trace::default();
    let mut engine = engine(MemoryJournal::new(), &trace);
    let yaml = format!("workflow:\n  name: w\n  steps:\n{steps}");
    engine.deploy(Workflow::from_yaml(&yaml).unwrap()).unwrap();
    let run = engine.start("w", None, input, at(0)).unwrap();
    let mut now = at(0);
    loop {
        let mut runner = Runner::with_clock(engine, move || now);
        runner.run_until_idle().unwrap();
        engine = runner.into_engine();
        match engine.next_wake() {
            Some(next) if engine.status(run).unwrap().status == RunStatus::Running => now = next,
            _ => break,
        }
    }
    let info = engine.status(run).unwrap();
    let trace = trace.lock().unwrap().clone();
    (info, trace)
}

#[test]
fn if_takes_one_side() {
    let steps = "
    - id: side
      if: input.n > 3
      then: [{id: big, action: echo, params: big}]
      else: [{id: small, action: echo, params: small}]
    - {id: after, set: '${side}'}";
    let (info, trace) = run(steps, json!({"n": 5}));
    assert_eq!(
        (info.output, trace),
        (json!("big"), vec!["side/big".to_owned()])
    );
    assert_eq!(run(steps, json!({"n": 1})).0.output, json!("small"));
}

#[test]
fn switch_takes_the_first_case_that_fits() {
    let steps = "
    - id: kind
      switch: input.kind
      cases:
        - {is: fire, steps: [{id: a, set: run}]}
        - {when: input.level > 2, steps: [{id: b, set: look}]}
      default: [{id: c, set: wait}]";
    for (kind, level, expected) in [
        ("fire", 9, "run"),
        ("smoke", 3, "look"),
        ("smoke", 1, "wait"),
    ] {
        assert_eq!(
            run(steps, json!({"kind": kind, "level": level})).0.output,
            json!(expected)
        );
    }
}

#[test]
fn while_goes_on_with_what_the_last_iteration_gave() {
    let steps = "
    - id: count
      while: '!has(last.n) || last.n < 5'
      max_iterations: 10
      steps: [{id: next, action: echo, params: {n: '${index + 1}'}}]";
    let (info, trace) = run(steps, json!({}));
    assert_eq!(info.output, json!({"n": 5}));
    assert_eq!(
        trace,
        (0..5)
            .map(|n| format!("count[{n}]/next"))
            .collect::<Vec<_>>()
    );
}

#[test]
fn a_loop_that_does_not_end_fails_at_its_bound() {
    let (info, trace) = run(
        "    - {id: l, while: 'true', max_iterations: 7, steps: [{id: s, action: echo}]}",
        json!({}),
    );
    assert_eq!(info.failure.unwrap().name, "MaxIterations");
    assert_eq!(trace.len(), 7);
    let (info, _) = run(
        "    - {id: l, for: {to: 8}, max_iterations: 7, steps: [{id: s, action: echo}]}",
        json!({}),
    );
    assert_eq!(info.failure.unwrap().name, "MaxIterations");
}

#[test]
fn for_counts_in_both_directions() {
    let steps = "    - {id: l, for: {var: n, from: '${input.a}', to: '${input.b}', by: '${input.c}'}, max_iterations: 9, steps: [{id: s, action: echo, params: '${n}'}]}";
    for (a, b, c, last, count) in [
        (0, 3, 1, json!(2), 3),
        (10, 0, -4, json!(2), 3),
        (5, 5, 1, json!(null), 0),
    ] {
        let (info, trace) = run(steps, json!({"a": a, "b": b, "c": c}));
        assert_eq!((info.output, trace.len()), (last, count));
    }
}

#[test]
fn for_each_keeps_the_order_and_its_limit() {
    let trace = Trace::default();
    let mut engine = engine(MemoryJournal::new(), &trace).action_external("slow");
    let yaml = "workflow: {name: w, steps: [{id: e, for_each: input.list, as: x, limit: 2, steps: [{id: s, action: slow, params: '${x * 10}'}]}]}";
    engine.deploy(Workflow::from_yaml(yaml).unwrap()).unwrap();
    let run = engine
        .start("w", None, json!({"list": [1, 2, 3, 4, 5]}), at(0))
        .unwrap();
    let mut open = Vec::new();
    loop {
        for command in engine.step(at(0)).unwrap() {
            let flowcore::Command::Execute(call) = command else {
                panic!()
            };
            open.push(call);
        }
        assert!(open.len() <= 2, "the limit is 2");
        // The youngest answers first, so the outputs come out of order.
        let Some(call) = open.pop() else { break };
        engine.complete(call.token(), Ok(call.params().clone().into()), at(0));
    }
    assert_eq!(
        engine.status(run).unwrap().output,
        json!([10, 20, 30, 40, 50])
    );
}

#[test]
fn for_each_counts_far_without_collecting() {
    let steps = "    - {id: e, for_each: input.n, limit: 8, collect: count, steps: [{id: s, set: '${item}'}]}";
    assert_eq!(
        run(steps, json!({"n": 50_000})).0.output,
        json!({"count": 50_000})
    );
    let list = "    - {id: e, for_each: input.n, steps: [{id: s, set: 1}]}";
    assert_eq!(
        run(list, json!({"n": 50_000})).0.failure.unwrap().name,
        "Limit"
    );
}

#[test]
fn parallel_branches_join_by_name() {
    let steps = "
    - id: p
      parallel:
        - {id: left, steps: [{id: a, action: echo, params: 1}, {id: b, action: echo, params: '${a + 1}'}]}
        - {id: right, steps: [{id: a, action: echo, params: 7}]}";
    let (info, trace) = run(steps, json!({}));
    assert_eq!(info.output, json!({"left": 2, "right": 7}));
    assert_eq!(trace, ["p/left/a", "p/right/a", "p/left/b"]);
}

#[test]
fn catch_sees_the_error_and_fallback_stands_in() {
    let steps = "
    - id: risky
      action: break
      retry: {max_attempts: 2, interval: 1s}
      catch:
        - {on: [Other], steps: [{id: x, set: wrong}]}
        - {on: [Broken], steps: [{id: x, set: '${error.name} in ${error.step}'}]}
    - {id: soft, action: break, fallback: {from: '${risky}'}}";
    let (info, trace) = run(steps, json!({}));
    assert_eq!(info.output, json!({"from": "Broken in risky"}));
    assert_eq!(trace, ["risky!", "risky!", "risky!", "soft!"]);
}

#[test]
fn a_failure_inside_a_block_reaches_the_catch_around_it() {
    let steps = "
    - id: outer
      for_each: '[1, 2, 3]'
      limit: 3
      steps: [{id: s, if: item == 2, then: [{id: f, fail: {error: Two, message: 'no ${item}'}}], else: [{id: w, wait: {for: 1h}}]}]
      catch: [{steps: [{id: c, set: '${error.message} at ${error.step}'}]}]";
    assert_eq!(
        run(steps, json!({})).0.output,
        json!("no 2 at outer[1]/s/f")
    );
}

#[test]
fn compensation_undoes_the_latest_first() {
    let steps = "
    - {id: a, action: echo, params: 1, compensate: {action: undo, params: '${a + 100}'}}
    - {id: b, action: echo, params: 2, compensate: {action: undo, params: {b: '${b}'}}}
    - {id: c, action: break, compensate: {action: undo, params: never}}";
    let (info, trace) = run(steps, json!({}));
    assert_eq!(info.status, RunStatus::Failed);
    assert_eq!(info.failure.unwrap().step.as_deref(), Some("c"));
    assert_eq!(trace, ["a", "b", "c!", "undo {\"b\":2}", "undo 101"]);
}

#[test]
fn a_timeout_of_a_block_takes_its_work_back() {
    let steps = "
    - id: slow
      timeout: 10s
      parallel: [{id: one, steps: [{id: w, wait: {for: 1h}}]}]
      fallback: late";
    assert_eq!(run(steps, json!({})).0.output, json!("late"));
}

#[test]
fn a_sub_workflow_is_part_of_the_run_and_pinned_with_it() {
    let trace = Trace::default();
    let mut engine = engine(MemoryJournal::new(), &trace);
    let child = |text: &str| {
        let yaml = format!(
            "workflow: {{name: child, output: 's + \"{text}\"', steps: [{{id: s, action: echo, params: '${{input.word}}'}}]}}"
        );
        Workflow::from_yaml(&yaml).unwrap()
    };
    let parent = "workflow: {name: parent, steps: [{id: c, workflow: child, params: {word: 'hi'}}, {id: w, wait: {for: 1s}}, {id: d, workflow: child, params: {word: '${c}'}}]}";
    let parent = || Workflow::from_yaml(parent).unwrap();
    assert!(
        engine
            .deploy(parent())
            .unwrap_err()
            .to_string()
            .contains("`child`")
    );
    engine.deploy(child("!")).unwrap();
    let first = engine.deploy(parent()).unwrap();
    let run = engine.start("parent", None, json!({}), at(0)).unwrap();
    // The new version is for later runs only.
    engine.deploy(child("?")).unwrap();
    assert_ne!(engine.deploy(parent()).unwrap(), first);
    let later = engine.start("parent", None, json!({}), at(0)).unwrap();
    for now in [0, 1_000] {
        let mut runner = Runner::with_clock(engine, move || at(now));
        runner.run_until_idle().unwrap();
        engine = runner.into_engine();
    }
    assert_eq!(engine.status(run).unwrap().output, json!("hi!!"));
    assert_eq!(engine.status(later).unwrap().output, json!("hi??"));
}

#[test]
fn a_breaker_opens_is_kept_and_probes() {
    let trace = Trace::default();
    let journal = MemoryJournal::new();
    let yaml =
        "workflow: {name: w, steps: [{id: b, action: break, breaker: {failures: 2, reset: 30s}}]}";
    let open = |journal: &MemoryJournal| {
        let mut engine = engine(journal.clone(), &trace);
        engine.deploy(Workflow::from_yaml(yaml).unwrap()).unwrap();
        engine
    };
    let call = |mut engine: Engine<MemoryJournal>, now: i64| {
        let run = engine.start("w", None, json!({}), at(now)).unwrap();
        let mut runner = Runner::with_clock(engine, move || at(now));
        runner.run_until_idle().unwrap();
        let engine = runner.into_engine();
        (engine.status(run).unwrap().failure.unwrap().name, engine)
    };
    let mut names = Vec::new();
    let mut engine = open(&journal);
    for now in [0, 1, 2] {
        let (name, back) = call(engine, now);
        names.push(name);
        engine = back;
    }
    drop(engine);
    let (name, engine) = call(open(&journal), 3);
    names.push(name);
    names.push(call(engine, 40_000).0);
    assert_eq!(
        names,
        ["Broken", "Broken", "CircuitOpen", "CircuitOpen", "Broken"]
    );
    assert_eq!(trace.lock().unwrap().len(), 3);
}

#[test]
fn a_crash_at_every_commit_leads_to_the_same_end() {
    let steps = "
    - {id: e, for_each: 'input.list', limit: 2, steps: [{id: s, action: echo, params: '${item}'}]}
    - id: l
      while: '!has(last.n) || last.n < 3'
      max_iterations: 5
      steps: [{id: n, action: echo, params: {n: '${index + 1}'}}]
    - {id: p, parallel: [{id: a, steps: [{id: x, action: echo, params: 1}]}, {id: b, steps: [{id: y, action: break, catch: [{steps: [{id: z, action: echo, params: 2}]}]}]}]}";
    let yaml = format!("workflow:\n  name: w\n  steps:\n{steps}");
    let (plain, _) = run(steps, json!({"list": [1, 2, 3]}));
    assert_eq!(plain.output, json!({"a": 1, "b": 2}));
    let (journal, trace) = (MemoryJournal::new(), Trace::default());
    let mut id = None;
    for _ in 0..200 {
        // One round, then the process dies with whatever it had not committed.
        let mut engine = engine(journal.clone(), &trace);
        engine.deploy(Workflow::from_yaml(&yaml).unwrap()).unwrap();
        let run = *id.get_or_insert_with(|| {
            engine
                .start("w", Some("k"), json!({"list": [1, 2, 3]}), at(0))
                .unwrap()
        });
        for command in engine.step(at(0)).unwrap() {
            if let flowcore::Command::Execute(call) = command
                && let flowcore::Work::Ready(result) = call.perform()
            {
                engine.complete(call.token(), result, at(0));
                break;
            }
        }
        engine.step(at(0)).unwrap();
        let info = engine.status(run).unwrap();
        if info.status.is_ended() {
            assert_eq!((info.status, info.output), (plain.status, plain.output));
            // Every result was committed before the crash, so nothing ran twice.
            let mut seen = trace.lock().unwrap().clone();
            let count = seen.len();
            seen.sort();
            seen.dedup();
            assert_eq!(seen.len(), count);
            return;
        }
    }
    panic!("the run never ended");
}
