//! Scores prompts on examples within a budget of calls; what was scored once is never scored again.

use std::collections::HashMap;

use super::checkpoint::Checkpoint;
use super::data::Example;
use super::signature::Signature;
use crate::error::{Error, Result};
use crate::model::{LanguageModel, Reply, Row, rows};
use crate::template::Template;
use crate::written::Thought;

/// Examples that are given to the model together.
const BATCH: usize = 16;

/// A prompt and how it is answered.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) template: Template,
    pub(crate) thought: Option<Thought>,
    pub(crate) reply: Reply,
}

/// Calls of the model and their results. One call is one prompt with one example; a thought is another.
pub(crate) struct Evaluator<'a> {
    model: &'a dyn LanguageModel,
    signature: &'a Signature,
    checkpoint: Checkpoint,
    rows: HashMap<(String, String), Row>,
    calls: usize,
    calls_max: usize,
    restored: usize,
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(
        model: &'a dyn LanguageModel,
        signature: &'a Signature,
        calls_max: usize,
        checkpoint: Checkpoint,
    ) -> Self {
        Self {
            model,
            signature,
            checkpoint,
            rows: HashMap::new(),
            calls: 0,
            calls_max,
            restored: 0,
        }
    }

    /// Calls so far; those answered from the checkpoint count too, so that a resumed run takes the same way.
    pub(crate) fn calls(&self) -> usize {
        self.calls
    }

    pub(crate) fn restored(&self) -> usize {
        self.restored
    }

    pub(crate) fn left(&self) -> usize {
        self.calls_max - self.calls
    }

    /// Counts calls that are made elsewhere, such as timed ones.
    pub(crate) fn spend(&mut self, calls: usize) -> Result<()> {
        if calls > self.left() {
            return Err(Error::Budget {
                calls: self.calls_max,
                needed: self.calls + calls,
            });
        }
        self.calls += calls;
        Ok(())
    }

    pub(crate) fn render(&self, probe: &Probe, example: &Example) -> Result<String> {
        let inputs: Vec<(&str, &str)> = self
            .signature
            .inputs()
            .iter()
            .zip(&example.inputs)
            .map(|(field, value)| (field.name(), value.as_str()))
            .collect();
        probe.template.render(&inputs)
    }

    /// What the model gives for each example.
    pub(crate) fn ask(&mut self, probe: &Probe, examples: &[&Example]) -> Result<Vec<Row>> {
        let prompt_key = probe.key();
        let keys: Vec<(String, String)> = examples
            .iter()
            .map(|example| (prompt_key.clone(), example_key(example)))
            .collect();
        let mut missing: Vec<usize> = (0..examples.len())
            .filter(|at| !self.rows.contains_key(&keys[*at]))
            .collect();
        self.spend(missing.len() * probe.calls_each())?;
        missing.retain(|at| match self.checkpoint.take(&keys[*at]) {
            Some(row) => {
                self.restored += probe.calls_each();
                self.rows.insert(keys[*at].clone(), row);
                false
            }
            None => true,
        });
        for batch in missing.chunks(BATCH) {
            let prompts = batch
                .iter()
                .map(|at| self.render(probe, examples[*at]))
                .collect::<Result<Vec<_>>>()?;
            let given = rows(self.model, prompts, probe.thought.as_ref(), &probe.reply)?;
            for (at, row) in batch.iter().zip(given) {
                self.checkpoint.keep(&keys[*at], &row)?;
                self.rows.insert(keys[*at].clone(), row);
            }
        }
        let found = keys.iter().filter_map(|key| self.rows.get(key).cloned());
        Ok(found.collect())
    }
}

impl Probe {
    /// Calls of the model for one example.
    pub(crate) fn calls_each(&self) -> usize {
        1 + usize::from(self.thought.is_some())
    }

    fn key(&self) -> String {
        let mut parts = vec![self.template.source()];
        let limits: String;
        match &self.reply {
            Reply::Scored(options) => parts.extend(options.iter().map(String::as_str)),
            Reply::Written(written) => {
                limits = written.tokens_max().to_string();
                parts.extend(["written", &limits]);
                parts.extend(written.stop().iter().map(String::as_str));
            }
        }
        let thought_tokens: String;
        if let Some(thought) = &self.thought {
            thought_tokens = thought.tokens_max().to_string();
            parts.extend(["thought", thought.then(), &thought_tokens]);
        }
        digest(&parts)
    }
}

fn example_key(example: &Example) -> String {
    let parts: Vec<&str> = example.inputs.iter().map(String::as_str).collect();
    digest(&parts)
}

/// The first 128 bits of SHA-256 over texts with their lengths.
fn digest(parts: &[&str]) -> String {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part.as_bytes());
    }
    crate::prompt::hex(&hash.finalize()[..16])
}
