//! One version of one tier's prompt, and its file.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::decision::Decision;
use crate::error::{Error, Result};
use crate::layout::laid_out;
use crate::template::Template;
use crate::tier::Tier;
use crate::written::{Thought, Written};

/// The format that prompt files name.
pub const PROMPT_FORMAT: &str = "edgeweave-prompt/1";
/// Largest prompt file, in bytes.
pub const PROMPT_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Number of a prompt within its tier, larger is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(u32);

impl Version {
    /// The version with this number.
    pub const fn new(number: u32) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// What the hash covers, in this order; the order is part of the format.
#[derive(Serialize)]
struct Hashed<'a> {
    format: &'a str,
    tier: Tier,
    version: Version,
    template: &'a Template,
    decision: &'a Option<Decision>,
    tokens: Option<u32>,
    model: &'a Option<String>,
    // Later fields: left out where there is none, so that earlier prompts keep their hash.
    #[serde(skip_serializing_if = "Option::is_none")]
    thought: &'a Option<Thought>,
    #[serde(skip_serializing_if = "Option::is_none")]
    written: &'a Option<Written>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PromptFile {
    format: String,
    tier: Tier,
    version: Version,
    template: Template,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decision: Option<Decision>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tokens: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    thought: Option<Thought>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    written: Option<Written>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

/// One version of one tier's prompt. Its content never changes; its hash names it.
#[derive(Clone, Debug, PartialEq)]
pub struct Prompt {
    tier: Tier,
    version: Version,
    template: Template,
    decision: Option<Decision>,
    tokens: Option<u32>,
    model: Option<String>,
    thought: Option<Thought>,
    written: Option<Written>,
    sha256: String,
}

impl Prompt {
    /// A prompt for `tier`; `with_*` adds the rest.
    pub fn new(tier: Tier, version: Version, template: Template) -> Self {
        let mut prompt = Self {
            tier,
            version,
            template,
            decision: None,
            tokens: None,
            model: None,
            thought: None,
            written: None,
            sha256: String::new(),
        };
        prompt.sha256 = prompt.content_hash();
        prompt
    }

    /// The same prompt whose answer is read from label log-probabilities by `decision`, not written.
    pub fn with_decision(mut self, decision: Decision) -> Self {
        self.decision = Some(decision);
        self.written = None;
        self.sha256 = self.content_hash();
        self
    }

    /// The same prompt whose answer the model writes, not one of labels.
    pub fn with_written(mut self, written: Written) -> Self {
        self.written = Some(written);
        self.decision = None;
        self.sha256 = self.content_hash();
        self
    }

    /// The same prompt with a thought before the answer.
    pub fn with_thought(mut self, thought: Thought) -> Self {
        self.thought = Some(thought);
        self.sha256 = self.content_hash();
        self
    }

    /// The same prompt with its length without inputs, in tokens of the model named `model`.
    pub fn with_tokens(mut self, tokens: u32, model: &str) -> Self {
        self.tokens = Some(tokens);
        self.model = Some(model.to_owned());
        self.sha256 = self.content_hash();
        self
    }

    /// Reads the JSON form. `what` names the text in errors, such as its path.
    ///
    /// # Errors
    /// [`Error::Json`] with line and column (a template that does not parse is reported here too),
    /// [`Error::Format`], [`Error::HashMismatch`].
    pub fn from_json(text: &str, what: &str) -> Result<Self> {
        let file: PromptFile = serde_json::from_str(text).map_err(|source| Error::Json {
            what: what.to_owned(),
            source,
        })?;
        if file.format != PROMPT_FORMAT {
            return Err(Error::Format {
                what: what.to_owned(),
                found: file.format,
                expected: PROMPT_FORMAT,
            });
        }
        let mut prompt = Self::new(file.tier, file.version, file.template);
        prompt.decision = file.decision;
        prompt.tokens = file.tokens;
        prompt.model = file.model;
        prompt.thought = file.thought;
        prompt.written = file.written;
        if prompt.decision.is_some() && prompt.written.is_some() {
            return Err(Error::Json {
                what: what.to_owned(),
                source: serde::de::Error::custom(
                    "`decision` and `written` are both there, one of them says how to answer",
                ),
            });
        }
        prompt.sha256 = prompt.content_hash();
        match file.sha256 {
            Some(recorded) if recorded != prompt.sha256 => Err(Error::HashMismatch {
                what: what.to_owned(),
                recorded,
                actual: prompt.sha256,
            }),
            _ => Ok(prompt),
        }
    }

    /// Reads a file of at most [`PROMPT_FILE_BYTES_MAX`].
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::FileTooLarge`], and those of [`Prompt::from_json`].
    pub fn load(path: &Path) -> Result<Self> {
        let text = read_text(path, PROMPT_FILE_BYTES_MAX)?;
        Self::from_json(&text, &path.display().to_string())
    }

    /// The JSON form, indented, with the hash.
    ///
    /// # Errors
    /// [`Error::Json`], which no prompt gives.
    pub fn to_json(&self) -> Result<String> {
        let file = PromptFile {
            format: PROMPT_FORMAT.to_owned(),
            tier: self.tier,
            version: self.version,
            template: self.template.clone(),
            decision: self.decision.clone(),
            tokens: self.tokens,
            model: self.model.clone(),
            thought: self.thought.clone(),
            written: self.written.clone(),
            sha256: Some(self.sha256.clone()),
        };
        laid_out(&file).map_err(|source| Error::Json {
            what: "prompt".to_owned(),
            source,
        })
    }

    /// The tier that it serves.
    pub fn tier(&self) -> Tier {
        self.tier
    }

    /// Its number within the tier.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Its text.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// How an answer is read from label log-probabilities, where it is.
    pub fn decision(&self) -> Option<&Decision> {
        self.decision.as_ref()
    }

    /// How an answer is taken from what the model writes, where it is.
    pub fn written(&self) -> Option<&Written> {
        self.written.as_ref()
    }

    /// What the model writes for itself before it answers, where it does.
    pub fn thought(&self) -> Option<&Thought> {
        self.thought.as_ref()
    }

    /// Its length without inputs, in tokens of [`Prompt::model`], where it was counted.
    pub fn tokens(&self) -> Option<u32> {
        self.tokens
    }

    /// The model that it was optimised for, where it was.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// SHA-256 of its content, in hexadecimal.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    fn content_hash(&self) -> String {
        let hashed = Hashed {
            format: PROMPT_FORMAT,
            tier: self.tier,
            version: self.version,
            template: &self.template,
            decision: &self.decision,
            tokens: self.tokens,
            model: &self.model,
            thought: &self.thought,
            written: &self.written,
        };
        // Strings and finite numbers always serialise; an empty text would only make the hash not match.
        let bytes = serde_json::to_vec(&hashed).unwrap_or_default();
        hex(&Sha256::digest(&bytes))
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
            // Writing to a String does not fail.
            let _ = write!(out, "{byte:02x}");
            out
        })
}

pub(crate) fn read_text(path: &Path, limit: u64) -> Result<String> {
    let io = |source| Error::Io {
        action: "read",
        path: path.to_owned(),
        source,
    };
    let bytes = std::fs::metadata(path).map_err(io)?.len();
    if bytes > limit {
        return Err(Error::FileTooLarge {
            path: path.to_owned(),
            bytes,
            limit,
        });
    }
    String::from_utf8(std::fs::read(path).map_err(io)?).map_err(|cause| Error::Data {
        path: path.to_owned(),
        cause: format!(
            "byte {} is not UTF-8: save the file as UTF-8",
            cause.utf8_error().valid_up_to()
        ),
    })
}
