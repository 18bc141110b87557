//! The log of a run stays short however long its loops are, and tells the same run back.

use flowcore::{Engine, Journal, MemoryJournal, RunId, RunStatus, Runner, Timestamp, Workflow};
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_millis(0);

fn engine(journal: MemoryJournal, yaml: &str) -> Engine<MemoryJournal> {
    let mut engine = Engine::new(journal)
        .action("work", |call| Ok(json!({"n": call.params()["n"]})))
        .action("undo", |_| Ok(()));
    engine.deploy(Workflow::from_yaml(yaml).unwrap()).unwrap();
    engine
}

/// Executes about `calls` actions; the answers of the last ones are not committed yet.
fn run_some(engine: &mut Engine<MemoryJournal>, calls: usize) -> usize {
    let mut done = 0;
    loop {
        let commands = engine.step(NOW).unwrap();
        if commands.is_empty() && !engine.has_work() {
            return done;
        }
        for command in commands {
            let flowcore::Command::Execute(call) = command else {
                continue;
            };
            let flowcore::Work::Ready(result) = call.perform() else {
                panic!()
            };
            engine.complete(call.token(), result, NOW);
            done += 1;
        }
        if done >= calls {
            return done;
        }
    }
}

fn log_len(journal: &MemoryJournal, run: RunId) -> (usize, usize) {
    let log = journal.log(run).unwrap();
    (log.len(), log.iter().map(|(_, record)| record.len()).sum())
}

fn loops_over(count: u64) {
    let journal = MemoryJournal::new();
    let yaml = "workflow: {name: w, steps: [{id: all, for_each: input.count, limit: 8, collect: count, steps: [{id: s, action: work, params: {n: '${item}'}}]}]}";
    let mut engine = engine(journal.clone(), yaml);
    let run = engine
        .start("w", None, json!({ "count": count }), NOW)
        .unwrap();
    let mut longest = (0, 0);
    let step = 5_000;
    let mut done = 0;
    loop {
        let some = run_some(&mut engine, step);
        done += some;
        if some < step {
            break;
        }
        let (records, bytes) = log_len(&journal, run);
        longest = (longest.0.max(records), longest.1.max(bytes));
        assert!(
            records < 3_000 && bytes < 256 << 10,
            "{records} records with {bytes} bytes after {done} actions"
        );
        assert!(
            engine.steps(run).unwrap().len() <= 9,
            "frames of iterations go"
        );
    }
    assert_eq!(
        engine.status(run).unwrap().output,
        json!({ "count": count })
    );
}

#[test]
fn a_long_loop_has_a_short_log_and_few_frames() {
    loops_over(20_000);
}

#[test]
#[ignore = "a million actions take half a minute unoptimised"]
fn a_loop_of_a_million_actions_has_a_short_log_and_few_frames() {
    loops_over(1_000_000);
}

#[test]
fn a_run_read_back_from_a_snapshot_is_the_run_that_was_folded() {
    let yaml = "
workflow:
  name: w
  output: '{\"list\": list, \"total\": total.n, \"side\": side.left.n}'
  steps:
    - {id: first, action: work, params: {n: 7}, compensate: {action: undo}}
    - id: list
      needs: [first]
      for_each: input.count
      as: n
      limit: 3
      steps: [{id: s, action: work, params: {n: '${n}'}}]
    - id: side
      needs: [first]
      parallel:
        - {id: left, steps: [{id: a, action: work, params: {n: 1}}]}
        - {id: right, steps: [{id: w, wait: {event: go}}]}
    - id: total
      needs: [list]
      for: {var: i, to: '${input.count}'}
      max_iterations: 100000
      steps: [{id: s, action: work, params: {n: '${i}'}}]";
    let yaml = yaml.replace("needs: [list]", "needs: [list, side]");
    let count = 1_500;
    let whole = |crash_every: Option<usize>| -> Value {
        let journal = MemoryJournal::new();
        let mut live = engine(journal.clone(), &yaml);
        let run = live
            .start("w", None, json!({ "count": count }), NOW)
            .unwrap();
        live.signal(run, "go", None, json!(1), NOW).unwrap();
        let mut folded = false;
        loop {
            let done = run_some(&mut live, crash_every.unwrap_or(usize::MAX));
            folded |= journal
                .log(run)
                .unwrap()
                .first()
                .is_some_and(|(seq, _)| *seq > 0);
            if live.status(run).unwrap().status.is_ended() {
                let info = live.status(run).unwrap();
                assert!(folded, "the log was never folded: {info:?}");
                return live.status(run).unwrap().output;
            }
            assert!(done > 0, "stuck");
            live = engine(journal.clone(), &yaml);
        }
    };
    let straight = whole(None);
    assert_eq!(straight["total"], json!(count - 1));
    assert_eq!(straight["list"].as_array().unwrap().len(), count);
    assert_eq!(whole(Some(331)), straight);
}

#[test]
fn ended_runs_are_forgotten_when_told_with_log_and_key() {
    let journal = MemoryJournal::new();
    let yaml = "workflow: {name: w, steps: [{id: s, action: work}]}";
    let mut runner = Runner::with_clock(engine(journal.clone(), yaml), || NOW);
    let first = runner
        .engine()
        .start("w", Some("k"), json!(1), NOW)
        .unwrap();
    runner.run_until_idle().unwrap();
    let later = Timestamp::from_millis(5);
    assert_eq!(runner.engine().forget_ended(NOW, 10).unwrap(), 0);
    assert_eq!(runner.engine().forget_ended(later, 10).unwrap(), 1);
    assert!(journal.log(first).unwrap().is_empty());
    assert!(runner.engine().status(first).is_err());
    let again = runner
        .engine()
        .start("w", Some("k"), json!(1), NOW)
        .unwrap();
    assert_ne!(first, again);
}

#[test]
fn runs_without_durability_are_kept_for_a_look_and_then_forgotten() {
    let yaml = "workflow: {name: w, durability: none, steps: [{id: s, action: work}]}";
    let mut runner = Runner::with_clock(engine(MemoryJournal::new(), yaml), || NOW);
    let mut runs = Vec::new();
    for _ in 0..1_100 {
        runs.push(runner.engine().start("w", None, json!(1), NOW).unwrap());
        runner.run_until_idle().unwrap();
    }
    assert!(runner.engine().status(runs[0]).is_err());
    let last = runner.engine().status(runs[1_099]).unwrap();
    assert_eq!(last.status, RunStatus::Succeeded);
}
