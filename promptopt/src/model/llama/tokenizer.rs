//! The tokenizer of a GGUF file: byte-pair encoding over bytes, cut as the file's `pre` says.

use candle_core::quantized::gguf_file::{Content, Value};
use tokenizers::decoders::byte_level::ByteLevel as ByteLevelDecoder;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::{AddedToken, Tokenizer};

use crate::error::{Error, Result};

/// Kinds of tokens in a GGUF file that stand for themselves in a prompt: control and user-defined.
const MARK_KINDS: [i64; 2] = [3, 4];

#[derive(Debug)]
pub(super) struct TextTokenizer {
    tokenizer: Tokenizer,
    start: Option<u32>,
    ends: Vec<u32>,
    marks_turns: bool,
}

impl TextTokenizer {
    pub(super) fn from_gguf(content: &Content) -> Result<Self> {
        let text = |key: &str| -> Option<&str> {
            content
                .metadata
                .get(key)?
                .to_string()
                .ok()
                .map(String::as_str)
        };
        let refused = |cause: String| Error::Model {
            action: "read the tokenizer",
            cause,
        };
        let kind = text("tokenizer.ggml.model").unwrap_or("none");
        if kind != "gpt2" {
            return Err(refused(format!(
                "its model is `{kind}`, known is `gpt2` (byte-level BPE)"
            )));
        }
        let tokens = strings(content, "tokenizer.ggml.tokens")?;
        let merges = strings(content, "tokenizer.ggml.merges")?
            .into_iter()
            .map(|merge| match merge.split_once(' ') {
                Some((left, right)) => Ok((left.to_owned(), right.to_owned())),
                None => Err(refused(format!("the merge `{merge}` has no space"))),
            })
            .collect::<Result<Vec<_>>>()?;
        let vocabulary: Vocab = (0u32..)
            .zip(&tokens)
            .map(|(id, token)| (token.clone(), id))
            .collect();
        let bpe = BPE::builder()
            .vocab_and_merges(vocabulary, merges)
            .build()
            .map_err(|cause| refused(cause.to_string()))?;
        let mut tokenizer = Tokenizer::new(bpe);
        // No space is put before the text, whatever the file says of other tokenizers.
        let bytes = ByteLevel::new(false, true, true);
        let cut: PreTokenizerWrapper = match text("tokenizer.ggml.pre").unwrap_or("gpt-2") {
            "smollm" => Sequence::new(vec![Digits::new(true).into(), bytes.into()]).into(),
            "gpt-2" => bytes.into(),
            other => {
                return Err(refused(format!(
                    "it cuts text as `{other}`, known are `smollm` and `gpt-2`"
                )));
            }
        };
        tokenizer.with_pre_tokenizer(Some(cut));
        tokenizer.with_decoder(Some(ByteLevelDecoder::new(false, true, true)));
        let kinds = content
            .metadata
            .get("tokenizer.ggml.token_type")
            .and_then(|value| value.to_vec().ok())
            .map_or(&[][..], Vec::as_slice);
        let marks: Vec<AddedToken> = kinds
            .iter()
            .zip(&tokens)
            .filter(|(kind, _)| number(kind).is_some_and(|kind| MARK_KINDS.contains(&kind)))
            .map(|(_, token)| AddedToken::from(token.clone(), true))
            .collect();
        tokenizer
            .add_special_tokens(marks)
            .map_err(|cause| refused(cause.to_string()))?;

        let id = |key: &str| {
            content
                .metadata
                .get(key)
                .and_then(number)
                .and_then(|id| u32::try_from(id).ok())
        };
        let adds_start = content
            .metadata
            .get("tokenizer.ggml.add_bos_token")
            .is_some_and(|value| matches!(value, Value::Bool(true)));
        let mut ends: Vec<u32> = id("tokenizer.ggml.eos_token_id").into_iter().collect();
        ends.extend(tokenizer.token_to_id("<|endoftext|>"));
        ends.extend(tokenizer.token_to_id("<|im_end|>"));
        let marks_turns = tokenizer.token_to_id("<|im_start|>").is_some();
        Ok(Self {
            start: id("tokenizer.ggml.bos_token_id").filter(|_| adds_start),
            tokenizer,
            ends,
            marks_turns,
        })
    }

    pub(super) fn encode(&self, text: &str) -> Result<Vec<u32>> {
        let encoding = self
            .tokenizer
            .encode_fast(text, false)
            .map_err(|cause| Error::Model {
                action: "cut a text into tokens",
                cause: cause.to_string(),
            })?;
        Ok(encoding.get_ids().to_vec())
    }

    /// As [`Self::encode`], with the mark that the model expects at the start, where it does.
    pub(super) fn encode_prompt(&self, text: &str) -> Result<Vec<u32>> {
        let tokens = self.encode(text)?;
        Ok(self.start.into_iter().chain(tokens).collect())
    }

    pub(super) fn decode(&self, tokens: &[u32]) -> Result<String> {
        self.tokenizer
            .decode(tokens, true)
            .map_err(|cause| Error::Model {
                action: "turn tokens into text",
                cause: cause.to_string(),
            })
    }

    pub(super) fn ends(&self, token: u32) -> bool {
        self.ends.contains(&token)
    }

    pub(super) fn chat(&self, system: &str, user: &str) -> String {
        crate::model::chat_text(self.marks_turns, system, user)
    }
}

fn number(value: &Value) -> Option<i64> {
    value
        .to_i64()
        .ok()
        .or_else(|| value.to_i32().ok().map(i64::from))
        .or_else(|| value.to_u32().ok().map(i64::from))
}

fn strings(content: &Content, key: &'static str) -> Result<Vec<String>> {
    let missing = || Error::Model {
        action: "read the tokenizer",
        cause: format!("`{key}` is no list of texts"),
    };
    content
        .metadata
        .get(key)
        .and_then(|value| value.to_vec().ok())
        .ok_or_else(missing)?
        .iter()
        .map(|value| value.to_string().cloned().map_err(|_| missing()))
        .collect()
}
