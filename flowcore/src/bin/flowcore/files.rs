//! Reading the files that commands name.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;

use flowcore::definition::{Document, StepDef};
use flowcore::{Engine, History, MemoryJournal, Workflow};
use serde::de::DeserializeOwned;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Largest file that is read, in bytes.
const FILE_LEN_MAX: u64 = 64 << 20;

pub fn text(path: &Path) -> Result<String> {
    let named = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let len = std::fs::metadata(path)
        .map_err(|error| named(&error))?
        .len();
    if len > FILE_LEN_MAX {
        return Err(named(&format!("{len} bytes are over the limit of {FILE_LEN_MAX}")).into());
    }
    Ok(std::fs::read_to_string(path).map_err(|error| named(&error))?)
}

/// A file in YAML, or JSON, which is YAML too.
pub fn parsed<T: DeserializeOwned>(path: &Path) -> Result<T> {
    serde_saphyr::from_str(&text(path)?)
        .map_err(|error| format!("{}: {error}", path.display()).into())
}

/// JSON from a file, or from the standard input for `-`.
pub fn json(path: &Path) -> Result<serde_json::Value> {
    let text = if path.as_os_str() == "-" {
        std::io::read_to_string(std::io::stdin())?
    } else {
        text(path)?
    };
    serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()).into())
}

pub fn workflow(path: &Path) -> Result<Workflow> {
    Workflow::from_yaml(&text(path)?).map_err(|error| format!("{}: {error}", path.display()).into())
}

pub fn document(path: &Path) -> Result<Document> {
    parsed(path)
}

pub fn history(path: &Path) -> Result<History> {
    History::from_lines(&text(path)?).map_err(|error| format!("{}: {error}", path.display()).into())
}

/// The workflow with the workflows of `with` behind its steps.
pub fn linked(workflow: &Workflow, with: &[std::path::PathBuf]) -> Result<Workflow> {
    let mut engine = Engine::new(MemoryJournal::new());
    let mut all = Vec::new();
    for path in with {
        all.push(self::workflow(path)?);
    }
    all.push(workflow.clone());
    for workflow in &all {
        for action in actions(workflow) {
            engine = engine.action_external(action);
        }
    }
    for workflow in all {
        engine.deploy(workflow)?;
    }
    engine
        .workflow(workflow.name())
        .ok_or_else(|| "the workflow was not deployed".into())
}

/// The actions that a workflow calls.
pub fn actions(workflow: &Workflow) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    collect(&workflow.definition().steps, &mut found);
    found
}

fn collect(steps: &[StepDef], found: &mut BTreeSet<String>) {
    for step in steps {
        found.extend(step.action.clone());
        found.extend(step.compensate.iter().map(|undo| undo.action.clone()));
        let lists = [&step.then, &step.else_, &step.default, &step.steps];
        lists
            .into_iter()
            .flatten()
            .for_each(|list| collect(list, found));
        for case in step.cases.iter().flatten() {
            collect(&case.steps, found);
        }
        for branch in step.parallel.iter().flatten() {
            collect(&branch.steps, found);
        }
        for catch in step.catch.iter().flatten() {
            collect(&catch.steps, found);
        }
        if let Some(linked) = &step.linked {
            collect(&linked.steps, found);
        }
    }
}
