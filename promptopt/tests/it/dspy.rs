//! DSPy's program state, read and written. `EDGEWEAVE_DSPY_PYTHON` names a Python with the package `dspy`
//! of pip; without it only the fixture that such a Python wrote is used, and the test says so.

use std::path::Path;
use std::process::Command;

use promptopt::optimize::{DspyField, DspyPredictor, DspyProgram};
use serde_json::{Value, json};

const FIXTURE: &str = include_str!("../fixtures/dspy_program.json");

fn changed(text: &str) -> (DspyPredictor, String) {
    let mut program = DspyProgram::from_json(text).unwrap();
    let mut predictor = program.predictors().remove(0);
    predictor.instructions = "Answer with one word.\n\"So\".".to_owned();
    predictor.fields[0].prefix = "Text:".to_owned();
    predictor.fields[1] = DspyField {
        prefix: "Mood:".to_owned(),
        description: "good or bad".to_owned(),
    };
    predictor.demos.truncate(1);
    predictor.demos.push(vec![
        ("review".to_owned(), "f\u{fc}nf {x}".to_owned()),
        ("feeling".to_owned(), "bad".to_owned()),
    ]);
    program.set(&predictor).unwrap();
    (predictor, program.to_json().unwrap())
}

#[test]
fn a_program_saved_by_dspy_is_read_and_the_rest_is_kept() {
    let program = DspyProgram::from_json(FIXTURE).unwrap();
    let predictors = program.predictors();
    assert_eq!(predictors.len(), 1);
    assert_eq!(predictors[0].instructions, "Say what the review feels.");
    assert_eq!(predictors[0].fields[0].description, "a film review");
    assert_eq!(predictors[0].fields[1].prefix, "Feeling:");
    assert!(predictors[0].demos[1].contains(&("review".into(), "na\u{ef}ve {and} dull\n".into())));
    let same: Value = serde_json::from_str(&program.to_json().unwrap()).unwrap();
    assert_eq!(same, serde_json::from_str::<Value>(FIXTURE).unwrap());

    let (predictor, text) = changed(FIXTURE);
    let read = DspyProgram::from_json(&text).unwrap();
    let again = &read.predictors()[0];
    assert_eq!(
        (again.instructions.as_str(), &again.fields),
        (predictor.instructions.as_str(), &predictor.fields)
    );
    let after: Value = serde_json::from_str(&text).unwrap();
    let before: Value = serde_json::from_str(FIXTURE).unwrap();
    assert_eq!(
        after["metadata"], before["metadata"],
        "what is not ours stays"
    );
}

#[test]
fn a_program_without_the_predictor_is_refused() {
    let mut program = DspyProgram::from_json("{}").unwrap();
    let (predictor, _) = changed(FIXTURE);
    let error = program.set(&predictor).unwrap_err().to_string();
    assert!(error.contains("no predictor"), "{error}");
    assert!(DspyProgram::from_json("[1]").is_err());
}

#[test]
fn the_real_dspy_loads_what_is_exported() {
    let Some(python) = std::env::var_os("EDGEWEAVE_DSPY_PYTHON") else {
        eprintln!("skipped: EDGEWEAVE_DSPY_PYTHON names no Python with the package dspy");
        return;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/dspy_roundtrip.py");
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("program.json");
    let call = |action: &str, path: &Path| {
        let output = Command::new(&python)
            .arg(script)
            .arg(action)
            .arg(path)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    };
    call("save", &path);
    let (predictor, text) = changed(&std::fs::read_to_string(&path).unwrap());
    std::fs::write(&path, text).unwrap();
    let shown = call("show", &path);
    let held: Value = serde_json::from_str(shown.lines().last().unwrap()).unwrap();
    assert_eq!(held["instructions"], json!(predictor.instructions));
    assert_eq!(
        held["fields"],
        json!([["Text:", "a film review"], ["Mood:", "good or bad"]])
    );
    assert_eq!(held["demos"][0]["review"], json!("a joy, \"twice\""));
    assert_eq!(
        held["demos"][1],
        json!({"review": "f\u{fc}nf {x}", "feeling": "bad"})
    );
}
