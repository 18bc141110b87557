//! What the optimiser needs of a language model, and the models that provide it.

use crate::error::Result;

mod ask;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "candle")]
mod llama;

pub use ask::ask;
pub(crate) use ask::{Reply, Row, rows};
#[cfg(feature = "http")]
pub use http::{ChatForm, HttpModel, RESPONSE_BYTES_MAX};
#[cfg(feature = "candle")]
pub use llama::{LlamaModel, PACK_TOKENS_MAX, PREFIX_TOKENS_MAX};

/// How a text is generated.
#[derive(Clone, Debug, PartialEq)]
pub struct GenerateOptions {
    /// Most new tokens.
    pub tokens_max: usize,
    /// Ends the text where one of these would appear; it is not part of the text.
    pub stop: Vec<String>,
    /// 0 takes the most likely token each time; larger is more varied.
    pub temperature: f64,
    /// Seed of the draws when the temperature is above 0.
    pub seed: u64,
}

impl Default for GenerateOptions {
    /// 64 tokens, no stop text, always the most likely token.
    fn default() -> Self {
        Self {
            tokens_max: 64,
            stop: Vec::new(),
            temperature: 0.0,
            seed: 0,
        }
    }
}

/// A language model. Users implement it for engines that the crate does not know.
pub trait LanguageModel {
    /// A name for reports and cache keys: two models that answer differently have different names.
    fn name(&self) -> &str;

    /// Number of tokens of a text, without any mark that the model adds at the start.
    ///
    /// # Errors
    /// Those of the model.
    fn count_tokens(&self, text: &str) -> Result<usize>;

    /// Tokens that the model can read at once, prompt and answer together, where it is known.
    fn context_tokens(&self) -> Option<usize> {
        None
    }

    /// Log-probability (natural logarithm, at most 0) of each option right after the prompt.
    ///
    /// # Errors
    /// Those of the model, such as a prompt longer than its context.
    fn score(&self, prompt: &str, options: &[&str]) -> Result<Vec<f64>>;

    /// As [`LanguageModel::score`] for several prompts; prompts that start alike are best given together.
    ///
    /// # Errors
    /// Those of the model; no score is given when one fails.
    fn score_batch(&self, prompts: &[&str], options: &[&str]) -> Result<Vec<Vec<f64>>> {
        prompts
            .iter()
            .map(|prompt| self.score(prompt, options))
            .collect()
    }

    /// How many options of one token can be scored in a call that takes no longer for them. The optimiser reads
    /// answers through so many words: more words tell more.
    fn options_at_once(&self) -> usize {
        32
    }

    /// The text that follows the prompt.
    ///
    /// # Errors
    /// Those of the model.
    fn generate(&self, prompt: &str, options: &GenerateOptions) -> Result<String>;

    /// The answer to a conversation of one turn: as [`LanguageModel::generate`] behind [`LanguageModel::chat`]
    /// unless the engine writes conversations in a form of its own.
    ///
    /// # Errors
    /// Those of the model.
    fn converse(&self, system: &str, user: &str, options: &GenerateOptions) -> Result<String> {
        self.generate(&self.chat(system, user), options)
    }

    /// Drops whatever is kept from earlier prompts, so that the next one is timed from nothing.
    fn forget(&self) {}

    /// A conversation of one turn in the form that the model was trained on, up to where its answer starts.
    fn chat(&self, system: &str, user: &str) -> String;
}

/// A conversation of one turn with the marks `<|im_start|>` and `<|im_end|>`, or as plain paragraphs.
#[cfg(any(feature = "candle", feature = "http"))]
fn chat_text(marked: bool, system: &str, user: &str) -> String {
    match (marked, system.is_empty()) {
        (true, true) => format!("<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n"),
        (true, false) => format!(
            "<|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n"
        ),
        (false, true) => format!("{user}\n"),
        (false, false) => format!("{system}\n\n{user}\n"),
    }
}
