//! GGUF models of the Llama family, in process, on the processor.
//!
//! Scoring multiplies by single-precision weights, because a batch of prompts is bound by arithmetic;
//! generating multiplies by 8-bit weights, because one token at a time is bound by memory. Weights of
//! other formats (such as Q4_1, whose product is not vectorised) are requantised to Q8_0 when loaded.

mod forest;
mod generate;
mod prefix;
mod tokenizer;
mod weights;

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use candle_core::Tensor;
use candle_core::quantized::gguf_file::Content;

use self::forest::{Forest, log_sum_exp};
use self::prefix::PrefixCache;
use self::tokenizer::TextTokenizer;
use self::weights::Weights;
use super::{GenerateOptions, LanguageModel};
use crate::error::{Error, Result};

/// Most tokens that go through the model in one pass when a batch is scored.
pub const PACK_TOKENS_MAX: usize = 192;
/// Most tokens of fixed prefixes whose keys and values are kept; the least recently used go first.
pub const PREFIX_TOKENS_MAX: usize = 4096;

/// A model of the Llama family loaded from a GGUF file.
///
/// Prompts of a batch share the keys and values of what they have in common at the start, and so do
/// successive single prompts: the fixed part of a prompt goes through the model once.
///
/// The engine starts a thread for each core of the machine and reads another number from the environment
/// alone. Where the process may use fewer cores (a container's quota, `taskset`), set `RAYON_NUM_THREADS` to
/// their number before it starts: its threads would wait for one another by spinning, ten times slower.
#[derive(Debug)]
pub struct LlamaModel {
    name: String,
    tokenizer: TextTokenizer,
    weights: Weights,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    prefixes: PrefixCache,
    last_prompt: Vec<u32>,
}

impl LlamaModel {
    /// Loads a GGUF file of at most 4 GiB. Takes about a second for 135 million parameters.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::FileTooLarge`], [`Error::Data`] when the file is no GGUF file,
    /// [`Error::Model`] when it is not of
    /// the Llama family, misses a tensor, or has a tokenizer that the crate does not know.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        const FILE_BYTES_MAX: u64 = 4 << 30;
        let path = path.as_ref();
        let io = |source| Error::Io {
            action: "read",
            path: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(io)?;
        let bytes = file.metadata().map_err(io)?.len();
        if bytes > FILE_BYTES_MAX {
            return Err(Error::FileTooLarge {
                path: path.to_owned(),
                bytes,
                limit: FILE_BYTES_MAX,
            });
        }
        let content = Content::read(&mut file).map_err(|cause| Error::Data {
            path: path.to_owned(),
            cause: format!("this is no GGUF file: {}", first_line(&cause)),
        })?;
        let tokenizer = TextTokenizer::from_gguf(&content)?;
        let weights = Weights::load(&content, &mut file)?;
        let stem = path
            .file_stem()
            .map_or_else(String::new, |name| name.display().to_string());
        Ok(Self {
            name: stem,
            tokenizer,
            weights,
            state: Mutex::default(),
        })
    }

    /// Token ids of a text; marks such as `<|im_start|>` become their one token.
    ///
    /// # Errors
    /// [`Error::Model`] when the tokenizer fails.
    pub fn tokenize(&self, text: &str) -> Result<Vec<u32>> {
        self.tokenizer.encode(text)
    }

    fn prompt_tokens(&self, prompt: &str, room: usize) -> Result<Vec<u32>> {
        let tokens = self.tokenizer.encode_prompt(prompt)?;
        if tokens.is_empty() {
            return Err(Error::Model {
                action: "read the prompt",
                cause: "it has no token".to_owned(),
            });
        }
        let limit = self.weights.shape.context_tokens;
        if tokens.len() + room > limit {
            return Err(Error::Limit {
                what: "length of prompt and answer in tokens",
                found: tokens.len() + room,
                limit,
            });
        }
        Ok(tokens)
    }

    fn score_tokens(&self, prompts: &[Vec<u32>], options: &[Vec<u32>]) -> Result<Vec<Vec<f64>>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let shared = match prompts {
            [single] => common(&state.last_prompt, single),
            [first, rest @ ..] => rest
                .iter()
                .map(|prompt| common(first, prompt))
                .min()
                .unwrap_or(0),
            [] => return Ok(Vec::new()),
        };
        let shortest = prompts.iter().map(Vec::len).min().unwrap_or(1);
        // The last token of a prompt always goes through the model: its output is what is scored.
        let shared = shared.min(shortest - 1);
        let prefix = state.prefixes.get(&self.weights, &prompts[0][..shared])?;
        if let [single] = prompts {
            state.last_prompt.clone_from(single);
        }
        drop(state);

        let option_tokens: usize = options.iter().map(|tokens| tokens.len() - 1).sum();
        let mut scores = Vec::with_capacity(prompts.len());
        let mut waiting = prompts;
        while !waiting.is_empty() {
            let mut forest = Forest::new(shared);
            let mut reads = Vec::new();
            for prompt in waiting {
                let needed = prompt.len() - shared + option_tokens;
                if forest.len() > 0 && forest.len() + needed > PACK_TOKENS_MAX {
                    break;
                }
                let tail = forest.push_chain(None, &prompt[shared..]);
                reads.push(place_options(&mut forest, tail, options));
            }
            waiting = &waiting[reads.len()..];
            scores.extend(self.read_scores(&forest, prefix.as_ref(), &reads)?);
        }
        Ok(scores)
    }

    /// Runs the forest and adds up, for each option, the log-probabilities of its tokens.
    fn read_scores(
        &self,
        forest: &Forest,
        prefix: Option<&prefix::KeyValues>,
        reads: &[Vec<Vec<(usize, u32)>>],
    ) -> Result<Vec<Vec<f64>>> {
        let mut rows: Vec<usize> = reads
            .iter()
            .flatten()
            .flatten()
            .map(|(node, _)| *node)
            .collect();
        rows.sort_unstable();
        rows.dedup();
        let (hidden, _) = forest.run(&self.weights, prefix)?;
        let logits = self.weights.logits(&hidden, &rows)?;
        let mut table = HashMap::with_capacity(rows.len());
        for (row, values) in rows
            .iter()
            .zip(logits.chunks_exact(self.weights.shape.vocabulary))
        {
            table.insert(*row, (values, log_sum_exp(values)));
        }
        let token = |(node, token): &(usize, u32)| match table.get(node) {
            Some((values, sum)) => f64::from(values[*token as usize]) - sum,
            None => f64::NAN,
        };
        Ok(reads
            .iter()
            .map(|options| {
                options
                    .iter()
                    .map(|path| path.iter().map(token).sum())
                    .collect()
            })
            .collect())
    }
}

/// Adds the options behind a prompt's last node, shared starts once. For each option: which node
/// predicts which token.
fn place_options(forest: &mut Forest, tail: usize, options: &[Vec<u32>]) -> Vec<Vec<(usize, u32)>> {
    let mut children: HashMap<(usize, u32), usize> = HashMap::new();
    options
        .iter()
        .map(|tokens| {
            let mut node = tail;
            let mut path = Vec::with_capacity(tokens.len());
            for (index, token) in tokens.iter().enumerate() {
                path.push((node, *token));
                if index + 1 < tokens.len() {
                    node = *children
                        .entry((node, *token))
                        .or_insert_with(|| forest.push_chain(Some(node), &[*token]));
                }
            }
            path
        })
        .collect()
}

fn common(left: &[u32], right: &[u32]) -> usize {
    left.iter().zip(right).take_while(|(a, b)| a == b).count()
}

pub(super) fn failed(action: &'static str) -> impl Fn(candle_core::Error) -> Error {
    move |cause| Error::Model {
        action,
        cause: first_line(&cause),
    }
}

/// The engine's message without the backtrace that it may carry.
fn first_line(cause: &candle_core::Error) -> String {
    let text = cause.to_string();
    text.lines().next().unwrap_or_default().to_owned()
}

impl LanguageModel for LlamaModel {
    fn name(&self) -> &str {
        &self.name
    }

    fn count_tokens(&self, text: &str) -> Result<usize> {
        Ok(self.tokenizer.encode(text)?.len())
    }

    fn context_tokens(&self) -> Option<usize> {
        Some(self.weights.shape.context_tokens)
    }

    /// The pass gives the log-probabilities of all tokens; so many are fitted, kept and sent in a rule at little cost.
    fn options_at_once(&self) -> usize {
        160
    }

    fn score(&self, prompt: &str, options: &[&str]) -> Result<Vec<f64>> {
        Ok(self
            .score_batch(&[prompt], options)?
            .pop()
            .unwrap_or_default())
    }

    fn score_batch(&self, prompts: &[&str], options: &[&str]) -> Result<Vec<Vec<f64>>> {
        let options = options
            .iter()
            .map(|option| {
                let tokens = self.tokenizer.encode(option)?;
                if tokens.is_empty() {
                    return Err(Error::Model {
                        action: "score an option",
                        cause: "the option is empty".to_owned(),
                    });
                }
                Ok(tokens)
            })
            .collect::<Result<Vec<_>>>()?;
        let room = options.iter().map(Vec::len).max().unwrap_or(0);
        let prompts = prompts
            .iter()
            .map(|prompt| self.prompt_tokens(prompt, room))
            .collect::<Result<Vec<_>>>()?;
        self.score_tokens(&prompts, &options)
    }

    fn generate(&self, prompt: &str, options: &GenerateOptions) -> Result<String> {
        let tokens = self.prompt_tokens(prompt, options.tokens_max)?;
        generate::generate(&self.weights, &self.tokenizer, &tokens, options)
    }

    fn forget(&self) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = State::default();
    }

    fn chat(&self, system: &str, user: &str) -> String {
        self.tokenizer.chat(system, user)
    }
}

/// A tensor's values in row order.
pub(super) fn values(tensor: &Tensor, action: &'static str) -> Result<Vec<f32>> {
    tensor
        .flatten_all()
        .and_then(|flat| flat.to_vec1())
        .map_err(failed(action))
}
