//! Both journals keep the promises of the trait, and a step's state write commits with its record.

use flowcore::journal::conformance;
use flowcore::{
    Engine, Journal, MemoryJournal, RunStatus, Runner, StateWrite, Timestamp, Workflow,
};
use serde_json::json;

#[test]
fn the_memory_journal_conforms() {
    conformance::check(MemoryJournal::new).unwrap();
}

#[cfg(feature = "sqlite")]
#[test]
fn the_sqlite_journal_conforms() {
    let folder = tempfile::tempdir().unwrap();
    let mut number = 0;
    conformance::check(|| {
        number += 1;
        flowcore::SqliteJournal::open(folder.path().join(format!("{number}.db"))).unwrap()
    })
    .unwrap();
    conformance::check_durable(|| {
        flowcore::SqliteJournal::open(folder.path().join("same.db")).unwrap()
    })
    .unwrap();
}

const STORE: &str = "workflow: {name: store, trigger: t, steps: [{id: put, action: put}, {id: after, action: after}]}";

#[test]
fn a_state_write_is_there_exactly_when_its_step_is() {
    let journal = MemoryJournal::new();
    let open = |journal: MemoryJournal| {
        let mut engine = Engine::new(journal)
            .action("put", |call| {
                let output = flowcore::Output::new(json!("stored"));
                Ok(output.write(StateWrite::new(
                    "incidents",
                    "i-1",
                    json!({"by": call.idempotency_key()}),
                )))
            })
            .action("after", |_| Ok(json!("end")));
        engine.deploy(Workflow::from_yaml(STORE).unwrap()).unwrap();
        engine
    };
    let now = Timestamp::from_millis(0);
    let mut engine = open(journal.clone());
    engine.trigger("t", json!({}), now).unwrap();
    let commands = engine.step(now).unwrap();
    let flowcore::Command::Execute(call) = &commands[0] else {
        panic!()
    };
    let flowcore::Work::Ready(result) = call.perform() else {
        panic!()
    };
    engine.complete(call.token(), result, now);
    assert!(
        journal.state("incidents", "i-1").is_none(),
        "nothing is written before the commit"
    );
    let commits = journal.commits();
    // The process dies here: the result was never committed.
    let mut engine = open(journal.clone());
    let again = engine.step(now).unwrap();
    let flowcore::Command::Execute(second) = &again[0] else {
        panic!()
    };
    assert_eq!(
        (second.step(), second.idempotency_key()),
        ("put", call.idempotency_key())
    );
    let flowcore::Work::Ready(result) = second.perform() else {
        panic!()
    };
    engine.complete(second.token(), result, now);
    engine.step(now).unwrap();
    assert!(journal.commits() > commits);
    assert_eq!(
        journal.state("incidents", "i-1"),
        Some(json!({"by": call.idempotency_key()}))
    );
    // And after this commit the step never comes back.
    let mut engine = open(journal);
    let commands = engine.step(now).unwrap();
    let flowcore::Command::Execute(third) = &commands[0] else {
        panic!()
    };
    assert_eq!(third.step(), "after");
}

/// A store that holds runs and nothing else.
struct RunsOnly(MemoryJournal);

impl Journal for RunsOnly {
    fn commit(&mut self, batch: &flowcore::journal::Batch) -> Result<(), flowcore::JournalError> {
        self.0.commit(batch)
    }
    fn log(&self, run: flowcore::RunId) -> Result<Vec<(u64, Vec<u8>)>, flowcore::JournalError> {
        self.0.log(run)
    }
    fn get(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, flowcore::JournalError> {
        self.0.get(space, key)
    }
    fn scan(
        &self,
        space: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, flowcore::JournalError> {
        self.0.scan(space, after, limit)
    }
}

#[test]
fn a_state_write_that_cannot_commit_fails_its_step() {
    conformance::check(|| RunsOnly(MemoryJournal::new())).unwrap();
    let mut engine = Engine::new(RunsOnly(MemoryJournal::new()))
        .action("put", |_| {
            Ok(flowcore::Output::default().write(StateWrite::new("c", "k", json!(1))))
        })
        .action("after", |_| Ok(()));
    engine.deploy(Workflow::from_yaml(STORE).unwrap()).unwrap();
    let run = engine
        .trigger("t", json!({}), Timestamp::from_millis(0))
        .unwrap();
    let mut runner = Runner::blocking(engine);
    let info = runner.run_until_ended(run).unwrap();
    assert_eq!(info.status, RunStatus::Failed);
    assert_eq!(info.failure.unwrap().name, "StateWritesUnsupported");
}

/// Records lie in two tables of the file, and move from one to the other: nobody may notice.
#[cfg(feature = "sqlite")]
#[test]
fn a_sqlite_log_reads_as_a_plain_one_whatever_is_repeated_reopened_or_truncated() {
    use flowcore::journal::{Batch, Op};
    use flowcore::{RunId, SqliteJournal};

    const RUNS: u64 = 40;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut plain = MemoryJournal::new();
    let mut file = SqliteJournal::open(&path).unwrap();
    let mut next = [0_u64; RUNS as usize];
    for round in 0..250_u64 {
        let mut ops = Vec::new();
        for run in 0..RUNS {
            // Another run now and then stays behind, one repeats its last record with other bytes.
            if (run + round).is_multiple_of(7) {
                continue;
            }
            let slot = &mut next[run as usize];
            let seq = if (run * round) % 11 == 5 {
                slot.saturating_sub(1)
            } else {
                *slot
            };
            *slot = seq + 1;
            let record = format!("{run} {seq} {round}").into_bytes();
            let run = RunId::new(run);
            ops.push(Op::Append { run, seq, record });
            if (seq + round) % 97 == 1 {
                ops.push(Op::Truncate {
                    run,
                    before: seq / 2,
                });
            }
        }
        let batch = Batch { epoch: 0, ops };
        plain.commit(&batch).unwrap();
        file.commit(&batch).unwrap();
        match round % 20 {
            3 => file = SqliteJournal::open(&path).unwrap(),
            // Another connection writes the same batch again, as after an error.
            9 => SqliteJournal::open(&path).unwrap().commit(&batch).unwrap(),
            _ => {}
        }
        for run in [RunId::new(round % RUNS), RunId::new(3)] {
            assert_eq!(
                file.log(run).unwrap(),
                plain.log(run).unwrap(),
                "round {round}"
            );
        }
    }
    for run in (0..RUNS).map(RunId::new) {
        assert_eq!(file.log(run).unwrap(), plain.log(run).unwrap());
    }
}
