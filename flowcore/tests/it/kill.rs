//! A process is killed with SIGKILL at any moment; the next one goes on where it was.
#![cfg(all(feature = "sqlite", unix))]

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use flowcore::{Engine, RunId, RunStatus, Runner, SqliteJournal, StateWrite, Timestamp, Workflow};
use serde_json::json;

const FOLDER: &str = "FLOWCORE_KILL_TEST";
const RUNS: u64 = 8;
const STEPS: usize = 12;

fn workflow() -> Workflow {
    let steps: Vec<_> = (0..STEPS)
        .map(|n| json!({"id": format!("s{n}"), "action": "work"}))
        .collect();
    Workflow::from_json(&json!({"workflow": {"name": "chain", "steps": steps}}).to_string())
        .unwrap()
}

fn open(folder: &Path) -> Engine<SqliteJournal> {
    let trace = folder.join("trace");
    let journal = SqliteJournal::open(folder.join("journal.db")).unwrap();
    let mut engine = Engine::new(journal).action("work", move |call| {
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&trace)
            .unwrap();
        file.write_all(
            format!(
                "{} {} {}\n",
                call.run(),
                call.step(),
                call.idempotency_key()
            )
            .as_bytes(),
        )
        .unwrap();
        std::thread::sleep(Duration::from_millis(1));
        let key = format!("{}/{}", call.run(), call.step());
        Ok(
            flowcore::Output::new(json!({"step": call.step()})).write(StateWrite::new(
                "done",
                key,
                json!(1),
            )),
        )
    });
    engine.deploy(workflow()).unwrap();
    engine
}

/// The body of the process that gets killed; does nothing in an ordinary test run.
#[test]
fn child_process() {
    let Some(folder) = std::env::var_os(FOLDER) else {
        return;
    };
    let mut engine = open(Path::new(&folder));
    for n in 0..RUNS {
        engine
            .start(
                "chain",
                Some(&format!("key-{n}")),
                json!({"n": n}),
                Timestamp::from_millis(0),
            )
            .unwrap();
    }
    Runner::blocking(engine).run_until_idle().unwrap();
}

#[test]
fn a_killed_process_loses_no_run_and_repeats_no_committed_step() {
    let folder = tempfile::tempdir().unwrap();
    let mut kills = 0;
    for round in 0..200_u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::child_process"])
            .env(FOLDER, folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(25 + round * 7 % 41));
        let ended = child.try_wait().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        if ended.is_some_and(|status| status.success()) {
            break;
        }
        assert!(ended.is_none(), "the child failed by itself");
        kills += 1;
        // Whatever was committed before the kill must never execute again.
        if folder.path().join("journal.db").exists() {
            let committed = committed(folder.path());
            let trace = std::fs::read_to_string(folder.path().join("trace")).unwrap_or_default();
            let marks: String = committed.iter().map(|step| format!("# {step}\n")).collect();
            std::fs::write(folder.path().join("trace"), format!("{trace}{marks}")).unwrap();
        }
    }
    assert!(kills >= 3, "only {kills} kills hit");

    let engine = open(folder.path());
    let mut runner = Runner::blocking(engine);
    runner.run_until_idle().unwrap();
    let ended = runner.engine().ended_runs(RunId::new(0), 100).unwrap();
    assert_eq!(ended.len() as u64, RUNS);
    assert!(ended.iter().all(|info| info.status == RunStatus::Succeeded));
    assert_eq!(committed(folder.path()).len(), RUNS as usize * STEPS);

    let trace = std::fs::read_to_string(folder.path().join("trace")).unwrap();
    let mut keys: HashMap<String, String> = HashMap::new();
    let mut closed = std::collections::HashSet::new();
    for line in trace.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        match words.as_slice() {
            ["#", step] => drop(closed.insert((*step).to_owned())),
            [run, step, key] => {
                let step = format!("{run}/{step}");
                assert!(
                    !closed.contains(&step),
                    "{step} was committed and ran again"
                );
                let first = keys.entry(step).or_insert_with(|| (*key).to_owned());
                assert_eq!(first, key, "the idempotency key changed between attempts");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(keys.len(), RUNS as usize * STEPS);
}

/// Steps whose state write, and so whose record, is in the journal.
fn committed(folder: &Path) -> Vec<String> {
    let journal = SqliteJournal::open(folder.join("journal.db")).unwrap();
    let mut found = Vec::new();
    for run in 1..=RUNS + 1024 * 64 {
        // Run numbers are reserved in blocks, so a killed process leaves gaps.
        for step in 0..STEPS {
            let key = format!("{run}/s{step}");
            if journal.state("done", &key).unwrap().is_some() {
                found.push(key);
            } else if step == 0 {
                break;
            }
        }
    }
    found
}
