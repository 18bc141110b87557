//! A journal that fails at any commit costs nothing: no work is handed out for what is not durable,
//! and the next attempt goes on from there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use flowcore::journal::Batch;
use flowcore::{
    ActionError, Command, Engine, Journal, JournalError, MemoryJournal, RunId, Timestamp, Work,
    Workflow,
};
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_millis(0);

/// What a failed commit leaves behind.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Failing {
    /// Nothing: the disk was full.
    Before,
    /// Everything: the error came after the data was safe, as an `fsync` can.
    After,
}

struct Faulty {
    inner: MemoryJournal,
    /// Commits until the fault, counted down by every commit of every engine.
    left: Arc<Mutex<u64>>,
    failing: Failing,
}

impl Journal for Faulty {
    fn commit(&mut self, batch: &Batch) -> Result<(), JournalError> {
        let mut left = self.left.lock().unwrap();
        let fails = *left == 0;
        *left = left.wrapping_sub(1);
        if fails && self.failing == Failing::Before {
            return Err(JournalError::store("no space left on device"));
        }
        self.inner.commit(batch)?;
        if fails {
            return Err(JournalError::store("fsync failed"));
        }
        Ok(())
    }
    fn log(&self, run: RunId) -> Result<Vec<(u64, Vec<u8>)>, JournalError> {
        self.inner.log(run)
    }
    fn get(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        self.inner.get(space, key)
    }
    fn scan(
        &self,
        space: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, JournalError> {
        self.inner.scan(space, after, limit)
    }
}

const WORK: &str = "
workflow:
  name: w
  trigger: t
  output: '[all, both, round.n, saved]'
  steps:
    - {id: all, for_each: 3, limit: 2, steps: [{id: s, action: work, params: {n: '${item}'}}]}
    - id: both
      parallel:
        - {id: left, steps: [{id: l, action: work, params: {n: 1}}]}
        - {id: right, steps: [{id: r, action: flaky, retry: {max_attempts: 2, interval: 0s}}]}
    - {id: round, for: {to: 2}, max_iterations: 2, steps: [{id: s, action: work, params: {n: '${i}'}}]}
    - {id: saved, action: broken, catch: [{steps: [{id: c, set: caught}]}]}
";

type Committed = Arc<Mutex<BTreeSet<String>>>;

fn engine(journal: Faulty, durable: &Committed) -> Engine<Faulty> {
    let check = |call: &flowcore::Call, durable: &Committed| {
        let key = call.idempotency_key();
        assert!(
            !durable.lock().unwrap().contains(&key),
            "{key} was committed and ran again"
        );
    };
    let (one, two, three) = (
        Arc::clone(durable),
        Arc::clone(durable),
        Arc::clone(durable),
    );
    let mut engine = Engine::new(journal)
        .action("work", move |call| {
            check(call, &one);
            Ok(call.params().clone())
        })
        .action("flaky", move |call| {
            check(call, &two);
            match call.attempt() {
                1 => Err(ActionError::new("Odd", "try again")),
                attempt => Ok(json!(attempt)),
            }
        })
        .action("broken", move |call| -> Result<Value, _> {
            check(call, &three);
            Err(ActionError::new("Broken", "for good"))
        });
    engine.deploy(Workflow::from_yaml(WORK).unwrap()).unwrap();
    engine
}

/// Drives until idle or until a commit fails; notes which steps became durable.
fn drive(engine: &mut Engine<Faulty>, durable: &Committed) -> Result<(), flowcore::Error> {
    let mut answered: Vec<String> = Vec::new();
    loop {
        let commands = engine.step(NOW)?;
        durable.lock().unwrap().extend(answered.drain(..));
        if commands.is_empty() && !engine.has_work() {
            return Ok(());
        }
        for command in commands {
            let Command::Execute(call) = command else {
                continue;
            };
            let Work::Ready(result) = call.perform() else {
                panic!()
            };
            if result.is_ok() {
                answered.push(call.idempotency_key());
            }
            engine.complete(call.token(), result, NOW);
        }
    }
}

/// With the fault at commit `nth`; the process either dies of it or tries again.
fn outcome(nth: u64, failing: Failing, dies: bool) -> (Option<Value>, bool) {
    let inner = MemoryJournal::new();
    let left = Arc::new(Mutex::new(nth));
    let durable = Committed::default();
    let journal = || Faulty {
        inner: inner.clone(),
        left: Arc::clone(&left),
        failing,
    };
    let mut live = engine(journal(), &durable);
    let mut run = live.start("w", Some("k"), json!(1), NOW).unwrap();
    let mut failed = false;
    while drive(&mut live, &durable).is_err() {
        failed = true;
        if dies {
            live = engine(journal(), &durable);
            // Whoever triggered it did not hear that it worked, and tries again: the same run.
            run = live.start("w", Some("k"), json!(1), NOW).unwrap();
        }
    }
    (live.status(run).ok().map(|info| info.output), failed)
}

#[test]
fn a_fault_at_any_commit_changes_nothing_about_the_outcome() {
    let (expected, _) = outcome(u64::MAX, Failing::Before, false);
    assert_eq!(
        expected,
        Some(json!([[{"n": 0}, {"n": 1}, {"n": 2}], {"left": {"n": 1}, "right": 2}, 1, "caught"]))
    );
    let mut points = 0;
    for failing in [Failing::Before, Failing::After] {
        for dies in [true, false] {
            for nth in 0.. {
                let (found, failed) = outcome(nth, failing, dies);
                assert_eq!(found, expected, "commit {nth}, {failing:?}, dies: {dies}");
                if !failed {
                    break;
                }
                points += 1;
            }
        }
    }
    assert!(points > 30, "only {points} commits");
}
