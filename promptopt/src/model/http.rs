//! A model behind an OpenAI-compatible endpoint: llama.cpp's server, vLLM and others.
//!
//! Scoring asks `/v1/completions` for one token with `logprobs` and reads the options from the most likely
//! tokens, so options of one token cost one request together; longer options are followed token by token.
//! An option that is not among the tokens that the server lists gets the smallest listed value: its true
//! value is at most that. `echo`, which would give exact values, is not used: servers disagree on it
//! (`llama-cpp-python` 0.3 gives each token the value of the one after it).
//! Plain HTTP: for a server on the same machine or behind a tunnel.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use super::{GenerateOptions, LanguageModel};
use crate::error::{Error, Result};

/// Largest answer of a server, in bytes.
pub const RESPONSE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Token counts that are remembered; then the memory is emptied.
const COUNTS_MAX: usize = 10_000;

/// How a conversation is written for the model behind an endpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChatForm {
    /// Plain text without marks.
    #[default]
    Plain,
    /// `<|im_start|>role` ... `<|im_end|>`.
    ChatMl,
}

/// A model behind an OpenAI-compatible endpoint.
#[derive(Debug)]
pub struct HttpModel {
    agent: ureq::Agent,
    base: String,
    model: String,
    key: Option<String>,
    chat_form: ChatForm,
    listed: u32,
    counts: Mutex<HashMap<String, usize>>,
}

impl HttpModel {
    /// A model by its name at a server, such as `http://127.0.0.1:8000`; requests end after `timeout`.
    pub fn new(base_url: &str, model: &str, timeout: Duration) -> Self {
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(timeout))
            .http_status_as_error(false)
            .build()
            .new_agent();
        Self {
            agent,
            base: format!("{}/v1", base_url.trim_end_matches('/')),
            model: model.to_owned(),
            key: None,
            chat_form: ChatForm::default(),
            listed: 100,
            counts: Mutex::default(),
        }
    }

    /// Sends this key with each request.
    pub fn with_key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Writes conversations in this form.
    pub fn with_chat_form(mut self, form: ChatForm) -> Self {
        self.chat_form = form;
        self
    }

    /// Asks for so many of the most likely tokens when scoring: 100 unless said otherwise. More finds more
    /// options; some servers refuse more than 5 or 20.
    pub fn with_listed_tokens(mut self, count: u32) -> Self {
        self.listed = count;
        self
    }

    fn complete(&self, body: Value) -> Result<Value> {
        self.post("completions", body)
    }

    fn post(&self, what: &str, mut body: Value) -> Result<Value> {
        let url = format!("{}/{what}", self.base);
        let failed = |cause: String| Error::Model {
            action: "ask the endpoint",
            cause,
        };
        body["model"] = json!(self.model);
        let mut request = self.agent.post(&url);
        if let Some(key) = &self.key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        let mut response = request
            .send_json(&body)
            .map_err(|cause| failed(format!("{url}: {cause}")))?;
        let status = response.status();
        let text = response
            .body_mut()
            .with_config()
            .limit(RESPONSE_BYTES_MAX)
            .read_to_string()
            .map_err(|cause| failed(format!("{url}: {cause}")))?;
        if !status.is_success() {
            let start: String = text.chars().take(200).collect();
            return Err(failed(format!("{url} answers {status}: {start}")));
        }
        serde_json::from_str(&text)
            .map_err(|cause| failed(format!("{url} answers no JSON: {cause}")))
    }

    /// Most likely next tokens, as text, with their log-probabilities.
    fn next_tokens(&self, prompt: &str) -> Result<Vec<(String, f64)>> {
        let answer = self.complete(json!({
            "prompt": prompt,
            "max_tokens": 1,
            "temperature": 0.0,
            "logprobs": self.listed,
        }))?;
        let listed = listed(&answer["choices"][0]["logprobs"]);
        if listed.is_empty() {
            return Err(Error::Model {
                action: "score with the endpoint",
                cause: "its answer has no top_logprobs: it must know `logprobs`".to_owned(),
            });
        }
        Ok(listed)
    }
}

/// Tokens with their log-probabilities: a map of the first position, as OpenAI's completions and
/// llama-cpp-python have it, or a list, as its chats and llama.cpp's own server have it.
fn listed(logprobs: &Value) -> Vec<(String, f64)> {
    let map = logprobs["top_logprobs"][0].as_object();
    let of_map = map.into_iter().flatten();
    let of_map = of_map.map(|(text, score)| (Some(text.as_str()), score.as_f64()));
    let list = logprobs["content"][0]["top_logprobs"].as_array();
    let of_list = list.into_iter().flatten();
    let of_list = of_list.map(|token| (token["token"].as_str(), token["logprob"].as_f64()));
    of_map
        .chain(of_list)
        .filter_map(|(text, score)| {
            Some((text.filter(|text| !text.is_empty())?.to_owned(), score?))
        })
        .collect()
}

impl LanguageModel for HttpModel {
    fn name(&self) -> &str {
        &self.model
    }

    /// Asks the server, once a text.
    fn count_tokens(&self, text: &str) -> Result<usize> {
        if text.is_empty() {
            return Ok(0);
        }
        let counts = || self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts().get(text) {
            return Ok(*count);
        }
        let answer = self.complete(json!({"prompt": text, "max_tokens": 1, "temperature": 0.0}))?;
        let count = answer["usage"]["prompt_tokens"]
            .as_u64()
            .ok_or_else(|| Error::Model {
                action: "count tokens with the endpoint",
                cause: "its answer has no usage.prompt_tokens".to_owned(),
            })? as usize;
        let mut counts = counts();
        if counts.len() >= COUNTS_MAX {
            counts.clear();
        }
        counts.insert(text.to_owned(), count);
        Ok(count)
    }

    /// Options that the server does not list take requests of their own.
    fn options_at_once(&self) -> usize {
        0
    }

    fn score(&self, prompt: &str, options: &[&str]) -> Result<Vec<f64>> {
        // Options that start with the same tokens share the requests for them.
        let mut known: HashMap<String, Vec<(String, f64)>> = HashMap::new();
        let mut scores = Vec::with_capacity(options.len());
        for option in options {
            let (mut at, mut sum) = (0, 0.0);
            while at < option.len() {
                let before = format!("{prompt}{}", &option[..at]);
                if !known.contains_key(&before) {
                    let tokens = self.next_tokens(&before)?;
                    known.insert(before.clone(), tokens);
                }
                let tokens = known.get(&before).map_or(&[][..], Vec::as_slice);
                let rest = &option[at..];
                // The longest token that the option goes on with: byte-pair encoders are greedy too.
                let longest = tokens
                    .iter()
                    .filter(|(text, _)| rest.starts_with(text.as_str()))
                    .max_by_key(|(text, _)| text.len());
                match longest {
                    Some((text, score)) => {
                        sum += score.min(0.0);
                        at += text.len();
                    }
                    None => {
                        sum += tokens.iter().map(|(_, score)| *score).fold(0.0, f64::min);
                        at = option.len();
                    }
                }
            }
            scores.push(sum);
        }
        Ok(scores)
    }

    fn generate(&self, prompt: &str, options: &GenerateOptions) -> Result<String> {
        let mut body = body_of(options);
        body["prompt"] = json!(prompt);
        let answer = self.complete(body)?;
        text_at(&answer["choices"][0]["text"], "choices[0].text")
    }

    /// Asks `/v1/chat/completions`: the server knows the form that its model was trained on.
    fn converse(&self, system: &str, user: &str, options: &GenerateOptions) -> Result<String> {
        let mut messages = Vec::new();
        if !system.is_empty() {
            messages.push(json!({"role": "system", "content": system}));
        }
        messages.push(json!({"role": "user", "content": user}));
        let mut body = body_of(options);
        body["messages"] = json!(messages);
        let answer = self.post("chat/completions", body)?;
        let content = &answer["choices"][0]["message"]["content"];
        text_at(content, "choices[0].message.content")
    }

    fn chat(&self, system: &str, user: &str) -> String {
        super::chat_text(self.chat_form == ChatForm::ChatMl, system, user)
    }
}

fn body_of(options: &GenerateOptions) -> Value {
    let mut body = json!({
        "max_tokens": options.tokens_max,
        "temperature": options.temperature,
        "seed": options.seed,
    });
    if !options.stop.is_empty() {
        body["stop"] = json!(options.stop);
    }
    body
}

fn text_at(value: &Value, place: &str) -> Result<String> {
    value
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| Error::Model {
            action: "generate with the endpoint",
            cause: format!("its answer has no {place}"),
        })
}
