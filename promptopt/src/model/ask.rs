//! A prompt's answer, asked for exactly as it was when the prompt was scored.

use serde::{Deserialize, Serialize};

use super::{GenerateOptions, LanguageModel};
use crate::decision::Decision;
use crate::error::{Error, Result};
use crate::prompt::Prompt;
use crate::written::{Thought, Written};

/// How the answer to a rendered prompt comes about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reply {
    /// These texts are scored.
    Scored(Vec<String>),
    /// The model writes.
    Written(Written),
}

/// What the model gave for one prompt: a log-probability an option, or a text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Row {
    Scores(Vec<f32>),
    Text(String),
}

impl Row {
    /// The log-probabilities; none for a text.
    pub(crate) fn scores(&self) -> &[f32] {
        match self {
            Self::Scores(scores) => scores,
            Self::Text(_) => &[],
        }
    }

    /// The label that a rule gives to the log-probabilities.
    pub(crate) fn chosen<'d>(&self, decision: &'d Decision) -> Result<&'d str> {
        let scores: Vec<f64> = self.scores().iter().copied().map(f64::from).collect();
        Ok(&decision.choose(&scores)?.label.name)
    }

    /// The text; empty for log-probabilities.
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Scores(_) => "",
            Self::Text(text) => text,
        }
    }
}

/// Rows for rendered prompts, each with a thought first where there is one. Prompts that are scored go to
/// the model together.
pub(crate) fn rows(
    model: &dyn LanguageModel,
    prompts: Vec<String>,
    thought: Option<&Thought>,
    reply: &Reply,
) -> Result<Vec<Row>> {
    let prompts = match thought {
        None => prompts,
        Some(thought) => prompts
            .iter()
            .map(|prompt| {
                let options = greedy(thought.tokens_max(), &["\n".to_owned()]);
                Ok(thought.closed(prompt, &model.generate(prompt, &options)?))
            })
            .collect::<Result<_>>()?,
    };
    match reply {
        Reply::Scored(options) => {
            let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
            let options: Vec<&str> = options.iter().map(String::as_str).collect();
            let scores = model.score_batch(&prompts, &options)?;
            let short = |scores: Vec<f64>| scores.into_iter().map(|score| score as f32).collect();
            Ok(scores.into_iter().map(short).map(Row::Scores).collect())
        }
        Reply::Written(written) => {
            let options = greedy(written.tokens_max(), written.stop());
            let text = |prompt: &String| model.generate(prompt, &options).map(Row::Text);
            prompts.iter().map(text).collect()
        }
    }
}

fn greedy(tokens_max: usize, stop: &[String]) -> GenerateOptions {
    GenerateOptions {
        tokens_max,
        stop: stop.to_vec(),
        ..GenerateOptions::default()
    }
}

/// The prompt's answer to the inputs (name, value): a label by its decision, or what the model writes by
/// its form; empty where that holds no such form. One or two calls of the model.
///
/// # Errors
/// [`Error::NoReply`] when the prompt does not say how it is answered, those of rendering and of the model.
pub fn ask(model: &dyn LanguageModel, prompt: &Prompt, inputs: &[(&str, &str)]) -> Result<String> {
    let text = prompt.template().render(inputs)?;
    let one = |reply: &Reply| -> Result<Row> {
        let mut given = rows(model, vec![text.clone()], prompt.thought(), reply)?;
        Ok(given.pop().unwrap_or(Row::Text(String::new())))
    };
    if let Some(decision) = prompt.decision() {
        let options = decision.options().map(str::to_owned).collect();
        let row = one(&Reply::Scored(options))?;
        return row.chosen(decision).map(str::to_owned);
    }
    let written = prompt.written().ok_or(Error::NoReply {
        tier: prompt.tier(),
    })?;
    let row = one(&Reply::Written(written.clone()))?;
    Ok(written.read(row.text()).unwrap_or_default().to_owned())
}
