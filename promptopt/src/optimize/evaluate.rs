//! Scores prompts on examples within a budget of calls; what was scored once is never scored again.

use std::collections::HashMap;

use super::checkpoint::Checkpoint;
use super::data::Example;
use super::signature::Signature;
use crate::error::{Error, Result};
use crate::model::LanguageModel;
use crate::template::Template;

/// Examples that are given to the model together.
const BATCH: usize = 16;

/// A prompt and the options that are scored after it.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    pub(crate) template: Template,
    pub(crate) options: Vec<String>,
}

/// Calls of the model and their results. One call is one prompt with one example.
pub(crate) struct Evaluator<'a> {
    model: &'a dyn LanguageModel,
    signature: &'a Signature,
    checkpoint: Checkpoint,
    scores: HashMap<(String, String), Vec<f64>>,
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
            scores: HashMap::new(),
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

    /// Log-probabilities of the probe's options for each example.
    pub(crate) fn score(&mut self, probe: &Probe, examples: &[&Example]) -> Result<Vec<Vec<f64>>> {
        let prompt_key = probe.key();
        let keys: Vec<(String, String)> = examples
            .iter()
            .map(|example| (prompt_key.clone(), example_key(example)))
            .collect();
        let mut missing: Vec<usize> = (0..examples.len())
            .filter(|at| !self.scores.contains_key(&keys[*at]))
            .collect();
        self.spend(missing.len())?;
        missing.retain(|at| match self.checkpoint.take(&keys[*at]) {
            Some(scores) => {
                self.restored += 1;
                self.scores.insert(keys[*at].clone(), scores);
                false
            }
            None => true,
        });
        let options: Vec<&str> = probe.options.iter().map(String::as_str).collect();
        for batch in missing.chunks(BATCH) {
            let prompts = batch
                .iter()
                .map(|at| self.render(probe, examples[*at]))
                .collect::<Result<Vec<_>>>()?;
            let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
            let scored = self.model.score_batch(&prompts, &options)?;
            for (at, scores) in batch.iter().zip(scored) {
                self.checkpoint.keep(&keys[*at], &scores)?;
                self.scores.insert(keys[*at].clone(), scores);
            }
        }
        let found = keys
            .iter()
            .map(|key| self.scores.get(key).cloned().unwrap_or_default());
        Ok(found.collect())
    }
}

impl Probe {
    fn key(&self) -> String {
        let mut parts: Vec<&str> = vec![self.template.source()];
        parts.extend(self.options.iter().map(String::as_str));
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
