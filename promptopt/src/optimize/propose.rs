//! Instructions written by a language model, usually a stronger one than the one that is optimised.

use std::collections::BTreeSet;

use crate::error::Result;
use crate::model::{GenerateOptions, LanguageModel};

/// Longest instruction that is taken, in characters.
const INSTRUCTION_CHARS_MAX: usize = 400;
/// Examples that a proposer reads.
const READ_EXAMPLES: usize = 8;

/// One training example as the best prompt so far answered it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The inputs, a line each.
    pub inputs: String,
    /// The right answer.
    pub answer: String,
    /// What the best prompt so far gave.
    pub given: String,
}

/// What a proposer may look at. All examples are of the training split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The possible answers; none where the model writes its own.
    pub labels: Vec<String>,
    /// The best prompt so far, without inputs.
    pub prompt: String,
    /// Training examples and how it did on them.
    pub attempts: Vec<Attempt>,
}

/// Writes instructions from evidence. Users implement it for their own ways.
pub trait Proposer {
    /// Instructions to try, each a line of plain text. Each costs one call of the budget.
    ///
    /// # Errors
    /// Those of the model that writes.
    fn propose(&self, evidence: &Evidence, count: usize) -> Result<Vec<String>>;
}

/// How a [`ModelProposer`] asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// From labels, examples and a tip that changes each time (after MIPROv2; Opsahl-Ong et al., 2024).
    Grounded,
    /// From the current prompt and what it got wrong (after GEPA; Agrawal et al., 2025).
    Reflective,
}

/// Asks a language model for instructions.
pub struct ModelProposer<'a> {
    model: &'a dyn LanguageModel,
    style: Style,
    temperature: f64,
}

const TIPS: [&str; 5] = [
    "Be short and clear.",
    "Say what tells the answers apart.",
    "Describe each answer in a few words.",
    "Say what the texts are about.",
    "Name a mistake that is easily made.",
];

impl<'a> ModelProposer<'a> {
    /// A proposer that asks this model in this style.
    pub fn new(model: &'a dyn LanguageModel, style: Style) -> Self {
        Self {
            model,
            style,
            temperature: 0.7,
        }
    }

    /// The question for the `round`th instruction.
    pub fn question(&self, evidence: &Evidence, round: usize) -> String {
        let task = if evidence.labels.is_empty() {
            "A small model reads a text and writes a short answer.".to_owned()
        } else {
            let labels = evidence.labels.join(", ");
            format!("A small model reads a text and answers with one of: {labels}.")
        };
        let shown = |attempts: &mut dyn Iterator<Item = &Attempt>, given: &str| -> String {
            attempts
                .take(READ_EXAMPLES)
                .map(|attempt| {
                    let given = if given.is_empty() {
                        String::new()
                    } else {
                        format!("\n{given}: {}", attempt.given)
                    };
                    format!(
                        "{}{given}\nRight answer: {}\n\n",
                        attempt.inputs, attempt.answer
                    )
                })
                .collect()
        };
        match self.style {
            Style::Grounded => {
                let skip = round * READ_EXAMPLES % evidence.attempts.len().max(1);
                let examples = shown(&mut evidence.attempts.iter().cycle().skip(skip), "");
                format!(
                    "{task}\n\nExamples:\n\n{examples}\
                     Write one instruction of at most two sentences for the small model. {}\nInstruction:",
                    TIPS[round % TIPS.len()]
                )
            }
            Style::Reflective => {
                let wrong: Vec<&Attempt> = evidence
                    .attempts
                    .iter()
                    .filter(|a| a.given != a.answer)
                    .collect();
                let skip = round * READ_EXAMPLES % wrong.len().max(1);
                let examples = shown(
                    &mut wrong.iter().copied().cycle().skip(skip),
                    "The small model's answer",
                );
                format!(
                    "{task}\nIts prompt now:\n{}\n\n\
                     It got these wrong:\n\n{examples}\
                     Say in your mind why, then write one better instruction of at most two sentences.\nInstruction:",
                    evidence.prompt
                )
            }
        }
    }
}

impl Proposer for ModelProposer<'_> {
    fn propose(&self, evidence: &Evidence, count: usize) -> Result<Vec<String>> {
        let mut seen = BTreeSet::new();
        let mut instructions = Vec::new();
        for round in 0..count {
            let options = GenerateOptions {
                tokens_max: 80,
                stop: vec!["\n\n".to_owned()],
                temperature: self.temperature,
                seed: round as u64,
            };
            let question = self.question(evidence, round);
            let text = self.model.converse("", &question, &options)?;
            let line = text
                .trim()
                .lines()
                .next()
                .unwrap_or("")
                .trim()
                .trim_matches('"')
                .trim()
                .to_owned();
            let usable =
                line.chars().count() <= INSTRUCTION_CHARS_MAX && line.split(' ').count() >= 2;
            if usable && seen.insert(line.clone()) {
                instructions.push(line);
            }
        }
        Ok(instructions)
    }
}
