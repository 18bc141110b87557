//! Two engines on one journal: one works, the other waits, and whoever slept too long writes nothing.

use std::time::Duration;

use flowcore::journal::JournalError;
use flowcore::{Command, Engine, Error, Journal, MemoryJournal, RunStatus, Timestamp, Workflow};
use serde_json::json;

const TTL: Duration = Duration::from_secs(10);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn engine<J: Journal>(journal: J) -> Engine<J> {
    let mut engine = Engine::new(journal).action_external("work");
    let yaml = "workflow: {name: w, steps: [{id: a, action: work}, {id: b, action: work}]}";
    engine.deploy(Workflow::from_yaml(yaml).unwrap()).unwrap();
    engine
}

fn fenced<T: std::fmt::Debug>(result: Result<T, Error>) -> bool {
    matches!(result, Err(Error::Journal(JournalError::Fenced { .. })))
}

fn one_works_and_the_other_takes_over<J: Journal>(mut open: impl FnMut() -> J) {
    let (mut one, mut two) = (engine(open()), engine(open()));
    let first = one.lease("one", TTL, at(0)).unwrap();
    let held = two.lease("two", TTL, at(5)).unwrap_err();
    assert!(
        matches!(held, Error::Journal(JournalError::Held { .. })),
        "{held}"
    );
    let run = one.start("w", None, json!(1), at(5)).unwrap();
    let commands = one.step(at(5)).unwrap();
    let [Command::Execute(call)] = commands.as_slice() else {
        panic!("{commands:?}")
    };
    assert_eq!(call.epoch(), first);
    // The step renewed the lease: without that it would have ended at 10.
    assert!(two.lease("two", TTL, at(14)).is_err());
    // Now `one` sleeps through the end of its lease.
    let second = two.lease("two", TTL, at(16)).unwrap();
    assert!(second > first);
    let taken_over = two.step(at(16)).unwrap();
    let [Command::Execute(again)] = taken_over.as_slice() else {
        panic!("{taken_over:?}")
    };
    assert_eq!(again.idempotency_key(), call.idempotency_key());
    // It wakes up with a result: nothing of it gets through, now or later.
    one.complete(call.token(), Ok(json!("late").into()), at(17));
    assert!(fenced(one.step(at(17))));
    assert!(fenced(one.step(at(100))));
    two.complete(again.token(), Ok(json!("in time").into()), at(18));
    let next = two.step(at(18)).unwrap();
    let [Command::Execute(last)] = next.as_slice() else {
        panic!("{next:?}")
    };
    two.complete(last.token(), Ok(json!("end").into()), at(19));
    two.step(at(19)).unwrap();
    let info = two.status(run).unwrap();
    assert_eq!(
        (info.status, info.output),
        (RunStatus::Succeeded, json!("end"))
    );
    // When `two` has gone, `one` may come back, and reads what happened meanwhile.
    one.lease("one", TTL, at(60)).unwrap();
    assert!(one.step(at(60)).unwrap().is_empty());
    assert_eq!(one.status(run).unwrap().output, json!("end"));
}

#[test]
fn two_engines_on_a_memory_journal_never_both_work() {
    let journal = MemoryJournal::new();
    one_works_and_the_other_takes_over(|| journal.clone());
}

#[cfg(feature = "sqlite")]
#[test]
fn two_engines_on_one_sqlite_file_never_both_work() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    one_works_and_the_other_takes_over(|| flowcore::SqliteJournal::open(&path).unwrap());
}

/// Says to this test program that it is the process that sleeps too long, and over which file.
#[cfg(feature = "sqlite")]
const SLEEPER: &str = "FLOWCORE_LEASE_SLEEPER";

/// The other process of the test below: begins a run under the lease, and wakes up too late with
/// the result of a step. Does nothing when tests run as usual.
#[cfg(feature = "sqlite")]
#[test]
fn the_process_that_sleeps_through_its_lease() {
    let Some(path) = std::env::var_os(SLEEPER) else {
        return;
    };
    let mut one = engine(flowcore::SqliteJournal::open(path).unwrap());
    one.lease("one", TTL, at(0)).unwrap();
    one.start("w", Some("only"), json!(1), at(0)).unwrap();
    let commands = one.step(at(0)).unwrap();
    let [Command::Execute(call)] = commands.as_slice() else {
        panic!("{commands:?}")
    };
    println!("\nhanded out {}", call.idempotency_key());
    std::io::stdin().read_line(&mut String::new()).unwrap();
    one.complete(call.token(), Ok(json!("late").into()), at(5));
    // Its own clock says that the lease still holds; the journal knows better.
    assert!(fenced(one.step(at(5))));
    one.start("w", None, json!(2), at(5)).unwrap();
    assert!(fenced(one.step(at(5))));
}

#[cfg(feature = "sqlite")]
#[test]
fn a_process_that_slept_through_its_lease_is_fenced_off_by_another_process() {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command as Program, Stdio};

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("runs.db");
    let mut sleeper = Program::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "leases::the_process_that_sleeps_through_its_lease",
        ])
        .arg("--nocapture")
        .env(SLEEPER, &path)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(sleeper.stdout.take().unwrap()).lines();
    let mut lines = lines.map(Result::unwrap);
    let key = lines
        .find_map(|line| line.strip_prefix("handed out ").map(str::to_owned))
        .unwrap();

    let mut two = engine(flowcore::SqliteJournal::open(&path).unwrap());
    assert!(two.lease("two", TTL, at(9)).is_err());
    two.lease("two", TTL, at(11)).unwrap();
    let commands = two.step(at(11)).unwrap();
    let [Command::Execute(again)] = commands.as_slice() else {
        panic!("{commands:?}")
    };
    assert_eq!(again.idempotency_key(), key);
    sleeper.stdin.take().unwrap().write_all(b"\n").unwrap();
    assert!(sleeper.wait().unwrap().success());
    two.complete(again.token(), Ok(json!("in time").into()), at(12));
    two.step(at(12)).unwrap();
    let steps = two.steps(again.run()).unwrap();
    assert_eq!(steps[0].output, json!("in time"));
    // Of what the sleeper tried nothing is there: one run, not two.
    assert_eq!(two.live_runs().len(), 1);
}

#[test]
fn an_engine_without_a_lease_is_fenced_by_one_that_has_it() {
    let journal = MemoryJournal::new();
    let mut careless = engine(journal.clone());
    careless.step(at(0)).unwrap();
    engine(journal).lease("owner", TTL, at(0)).unwrap();
    careless.start("w", None, json!(1), at(1)).unwrap();
    assert!(fenced(careless.step(at(1))));
}
