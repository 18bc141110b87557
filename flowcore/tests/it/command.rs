//! The command does what its help says, as a process.
#![cfg(feature = "cli")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

fn flowcore(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_flowcore"))
        .current_dir(folder)
        .args(args)
        .output()
        .unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn examples() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/workflows")
}

#[test]
fn the_sensor_workflow_runs_from_files_and_tells_each_step() {
    let folder = folder(&[("input.json", r#"{"value": 0.93}"#)]);
    let file = examples().join("sensor.yaml");
    let args = [
        "run",
        file.to_str().unwrap(),
        "--input",
        "input.json",
        "--json",
    ];
    let output = flowcore(folder.path(), &args);
    assert_eq!(code(&output), 0);
    let lines = lines(&output);
    let steps: Vec<(&str, &str)> = lines
        .iter()
        .filter(|line| line["event"] == "step")
        .map(|line| {
            (
                line["step"].as_str().unwrap(),
                line["status"].as_str().unwrap(),
            )
        })
        .collect();
    let expected = ["filter", "detect", "alert"]
        .map(|step| [(step, "running"), (step, "succeeded")])
        .concat();
    assert_eq!(steps, expected);
    let outcome = lines.last().unwrap();
    assert_eq!(outcome["status"], "succeeded");
    assert_eq!(outcome["output"]["sent"].as_str().unwrap().len(), 32);
}

#[test]
fn the_tests_of_the_example_workflows_pass() {
    let names = ["sensor", "camera", "fleet", "escalation", "drone"];
    let files: Vec<_> = names
        .iter()
        .map(|name| examples().join(format!("{name}.yaml")))
        .collect();
    let mut args = vec!["test", "--json"];
    args.extend(files.iter().map(|file| file.to_str().unwrap()));
    let output = flowcore(Path::new("."), &args);
    let lines = lines(&output);
    let faults: Vec<&Value> = lines
        .iter()
        .filter(|line| line["passed"] == false)
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
    assert_eq!(lines.last().unwrap()["failed"], 0);
    assert!(lines.last().unwrap()["passed"].as_u64().unwrap() >= 17);
    assert_eq!(code(&output), 0);
}

#[test]
fn a_test_that_does_not_hold_says_what_differs_and_fails() {
    let folder = folder(&[(
        "w.yaml",
        "workflow: {name: w, steps: [{id: a, action: work}]}\ntests:\n- name: wrong\n  mocks: {work: {output: 1}}\n  \
         expect: {output: 2, calls: {work: 3}, steps: {a: failed, b: succeeded}, elapsed: 1s}\n",
    )]);
    let output = flowcore(folder.path(), &["test", "w.yaml"]);
    assert_eq!(code(&output), 1);
    let text = String::from_utf8(output.stdout).unwrap();
    for expected in [
        "the output is 1, expected 2",
        "action `work` was called 1 times, expected 3",
        "step `a` is \"succeeded\", expected \"failed\"",
        "step `b` was never reached",
        "the run took 0 ms, expected 1s",
        "0 passed, 1 failed",
    ] {
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn the_exit_code_tells_the_outcome() {
    let folder = folder(&[
        (
            "fails.yaml",
            "workflow: {name: f, steps: [{id: a, fail: {error: Broken, message: no}}]}",
        ),
        (
            "waits.yaml",
            "workflow: {name: w, steps: [{id: a, wait: {event: go}}]}",
        ),
        (
            "unknown.yaml",
            "workflow: {name: u, steps: [{id: a, action: nowhere}]}",
        ),
        (
            "broken.yaml",
            "workflow: {name: b, steps: [{id: a, needs: [z], action: x}]}",
        ),
        ("events.yaml", "[{after: 1h, event: go, data: {n: 1}}]"),
    ]);
    let run = |args: &[&str]| {
        flowcore(
            folder.path(),
            &[&["run", "--json", "--clock", "virtual"], args].concat(),
        )
    };
    let failed = run(&["fails.yaml"]);
    assert_eq!(code(&failed), 1);
    assert_eq!(lines(&failed).last().unwrap()["failure"]["name"], "Broken");
    let waits = run(&["waits.yaml"]);
    assert_eq!(code(&waits), 3);
    assert_eq!(
        lines(&waits).last().unwrap()["waits"],
        json!([{"step": "a", "status": "waiting"}])
    );
    let told = run(&["waits.yaml", "--events", "events.yaml"]);
    assert_eq!(code(&told), 0);
    assert_eq!(
        lines(&told).last().unwrap()["output"]["event"],
        json!({"n": 1})
    );
    assert_eq!(lines(&told).last().unwrap()["at"], 3_600_000);
    for (file, message) in [
        ("unknown.yaml", "no action nowhere"),
        ("broken.yaml", "needs `z`"),
        ("none.yaml", "none.yaml"),
    ] {
        let output = run(&[file]);
        assert_eq!(code(&output), 2);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(message), "{text}");
    }
    assert_eq!(code(&run(&["unknown.yaml", "--echo"])), 0);
}

#[test]
fn programs_run_only_when_they_are_allowed() {
    let folder = folder(&[(
        "exec.yaml",
        "workflow: {name: e, steps: [{id: a, action: exec, timeout: 5s, params: {program: cat, stdin: {x: 1}}}]}",
    )]);
    assert_eq!(code(&flowcore(folder.path(), &["run", "exec.yaml"])), 1);
    let output = flowcore(
        folder.path(),
        &["run", "exec.yaml", "--json", "--allow-exec"],
    );
    assert_eq!(code(&output), 0);
    assert_eq!(
        lines(&output).last().unwrap()["output"]["stdout"],
        json!({"x": 1})
    );
}

#[test]
fn a_run_in_a_file_is_attached_to_by_its_key_and_can_be_drawn() {
    let folder = folder(&[
        (
            "w.yaml",
            "workflow: {name: w, steps: [{id: a, action: work}, {id: b, wait: {event: go}}, {id: c, set: 1}]}",
        ),
        ("mocks.yaml", "work: {output: 5}"),
        ("events.yaml", "[{event: go}]"),
    ]);
    let args = [
        "run",
        "w.yaml",
        "--json",
        "--journal",
        "runs.db",
        "--key",
        "k",
        "--mocks",
        "mocks.yaml",
    ];
    let first = flowcore(folder.path(), &args);
    assert_eq!(code(&first), 3);
    let run = lines(&first).last().unwrap()["run"].to_string();
    let graph = |format: &str| {
        let args = [
            "graph",
            "w.yaml",
            "--format",
            format,
            "--journal",
            "runs.db",
            "--run",
            &run,
        ];
        let output = flowcore(folder.path(), &args);
        assert_eq!(code(&output), 0);
        String::from_utf8(output.stdout).unwrap()
    };
    let mermaid = graph("mermaid");
    for expected in [
        "class n0 succeeded",
        "class n1 waiting",
        "n0 --> n1",
        "n1 --> n2",
    ] {
        assert!(mermaid.contains(expected), "{mermaid}");
    }
    assert!(!mermaid.contains("class n2"), "{mermaid}");
    let dot = graph("dot");
    assert!(
        dot.contains("digraph \"w\"") && dot.contains("tooltip=\"waiting\""),
        "{dot}"
    );

    let again = flowcore(
        folder.path(),
        &[&args[..], &["--events", "events.yaml"]].concat(),
    );
    assert_eq!(code(&again), 0);
    let outcome = lines(&again).pop().unwrap();
    assert_eq!(outcome["run"].to_string(), run);
    // What was done before is not called again.
    assert!(lines(&again).iter().all(|line| line["event"] != "call"));
}

#[test]
fn an_upgrade_is_possible_only_where_the_past_is_the_same() {
    let folder = folder(&[
        (
            "old.yaml",
            "workflow: {name: w, steps: [{id: a, action: work}, {id: b, wait: {event: go}}, {id: c, set: 1}]}",
        ),
        (
            "later.yaml",
            "workflow: {name: w, steps: [{id: a, action: work}, {id: b, wait: {event: go}}, {id: c, set: 2}, {id: d, action: more}]}",
        ),
        (
            "before.yaml",
            "workflow: {name: w, steps: [{id: z, action: new}, {id: a, action: work}, {id: b, wait: {event: go}}]}",
        ),
        (
            "other.yaml",
            "workflow: {name: w, steps: [{id: a, action: work}, {id: b, wait: {event: stop}}]}",
        ),
    ]);
    let path = folder.path();
    let run = flowcore(
        path,
        &[
            "run",
            "old.yaml",
            "--echo",
            "--history",
            "run.jsonl",
            "--journal",
            "runs.db",
        ],
    );
    assert_eq!(code(&run), 3);
    let verify = |new: &str, how: &[&str]| {
        let output = flowcore(path, &[&["verify-upgrade", "old.yaml", new], how].concat());
        (code(&output), lines(&output))
    };
    for how in [&["run.jsonl"][..], &["--journal", "runs.db"][..]] {
        let (code, lines) = verify("later.yaml", how);
        assert_eq!(
            (code, lines.last().unwrap()),
            (0, &json!({"runs": 1, "possible": 1, "impossible": 0}))
        );
    }
    let (code_before, lines_before) = verify("before.yaml", &["run.jsonl"]);
    assert_eq!(code_before, 1);
    assert_eq!(lines_before[0]["record"], 0);
    let reason = lines_before[0]["reason"].as_str().unwrap();
    assert!(
        reason.contains("`work`") && reason.contains("`new`"),
        "{reason}"
    );
    let (code_other, lines_other) = verify("other.yaml", &["run.jsonl"]);
    assert_eq!(code_other, 1);
    assert!(
        lines_other[0]["reason"]
            .as_str()
            .unwrap()
            .contains("`stop`")
    );
    // A recorded history is a test of its own.
    std::fs::write(
        path.join("replayed.yaml"),
        "workflow: {name: w, steps: [{id: a, action: work}, {id: b, wait: {event: go}}, {id: c, set: 1}]}\ntests: \
         [{name: goes on, history: run.jsonl, expect: {status: running, steps: {a: succeeded, b: waiting}}}]",
    )
    .unwrap();
    assert_eq!(code(&flowcore(path, &["test", "replayed.yaml"])), 0);
    let history = flowcore(path, &["history", "--journal", "runs.db", "--run", "1"]);
    assert_eq!(
        history.stdout,
        std::fs::read(path.join("run.jsonl")).unwrap()
    );
}

#[test]
fn files_are_validated_and_the_schema_printed() {
    let folder = folder(&[(
        "bad.yaml",
        "workflow:\n  name: w\n  steps:\n    - {id: a, action: x}\n    - {id: a, action: y}\n",
    )]);
    let good = examples().join("fleet.yaml");
    let output = flowcore(folder.path(), &["validate", good.to_str().unwrap()]);
    assert_eq!(code(&output), 0);
    let output = flowcore(folder.path(), &["validate", "bad.yaml"]);
    assert_eq!(code(&output), 1);
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("line 5: step `a`: two steps have this id")
    );
    let schema = flowcore(folder.path(), &["schema"]);
    let schema: Value = serde_json::from_slice(&schema.stdout).unwrap();
    assert!(schema["$defs"]["TestDef"].is_object());
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let folder = folder(&[("input.json", r#"{"value": 0.93}"#)]);
    let sensor = examples().join("sensor.yaml");
    let sensor = sensor.to_str().unwrap();
    for args in [
        vec!["schema"],
        vec!["graph", sensor],
        vec!["run", sensor, "--input", "input.json", "--json"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let child = Command::new(env!("CARGO_BIN_EXE_flowcore"))
            .current_dir(folder.path())
            .args(&args)
            .stdout(writer)
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(code(&output), 0, "{args:?}: {told}");
        assert!(!told.contains("panicked"), "{args:?}: {told}");
    }
}
