//! Definitions in YAML, with the line of each step for messages.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::definition::Document;
use crate::error::{Error, Result};
use crate::plan::{Workflow, compile};

/// Longest definition that is read, in bytes.
pub(crate) const TEXT_LEN_MAX: usize = 4 << 20;

pub(crate) fn read(text: &str) -> Result<Workflow> {
    if text.len() > TEXT_LEN_MAX {
        return Err(Error::Limit {
            what: "bytes of a definition",
            found: text.len() as u64,
            limit: TEXT_LEN_MAX as u64,
        });
    }
    let document: Document = serde_saphyr::from_str(text).map_err(|error| Error::Format {
        message: error.to_string(),
    })?;
    let lines = lines(text);
    let plan = compile(document.workflow, &|path| lines.get(path).copied())?;
    Ok(Workflow {
        plan: Arc::new(plan),
    })
}

/// The parts of a document that hold steps; everything else is skipped.
#[derive(Deserialize)]
struct Outline {
    workflow: OutlineBlock,
}

#[derive(Deserialize)]
struct OutlineBlock {
    #[serde(default)]
    id: String,
    #[serde(default)]
    steps: Vec<Spanned<OutlineStep>>,
}

#[derive(Deserialize)]
struct OutlineStep {
    #[serde(default)]
    id: String,
    #[serde(default)]
    then: Vec<Spanned<OutlineStep>>,
    #[serde(default, rename = "else")]
    else_: Vec<Spanned<OutlineStep>>,
    #[serde(default)]
    default: Vec<Spanned<OutlineStep>>,
    #[serde(default)]
    steps: Vec<Spanned<OutlineStep>>,
    #[serde(default)]
    cases: Vec<OutlineBlock>,
    #[serde(default)]
    parallel: Vec<OutlineBlock>,
    #[serde(default)]
    catch: Vec<OutlineBlock>,
}

/// Line of each step by its path. Empty when the outline cannot be read; messages then lack lines.
fn lines(text: &str) -> HashMap<String, u64> {
    let mut found = HashMap::new();
    if let Ok(outline) = serde_saphyr::from_str::<Outline>(text) {
        collect("", &outline.workflow.steps, &mut found);
    }
    found
}

fn collect(path: &str, steps: &[Spanned<OutlineStep>], found: &mut HashMap<String, u64>) {
    for step in steps {
        let outline = &step.value;
        let here = if path.is_empty() {
            outline.id.clone()
        } else {
            format!("{path}/{}", outline.id)
        };
        collect(&format!("{here}/then"), &outline.then, found);
        collect(&format!("{here}/else"), &outline.else_, found);
        collect(&format!("{here}/default"), &outline.default, found);
        collect(&format!("{here}/steps"), &outline.steps, found);
        for (index, case) in outline.cases.iter().enumerate() {
            collect(&format!("{here}/case{index}"), &case.steps, found);
        }
        for branch in &outline.parallel {
            collect(&format!("{here}/{}", branch.id), &branch.steps, found);
        }
        for (index, catch) in outline.catch.iter().enumerate() {
            collect(&format!("{here}/catch{index}"), &catch.steps, found);
        }
        // Of two steps with one id the later is at fault.
        found.insert(here, step.referenced.line());
    }
}
