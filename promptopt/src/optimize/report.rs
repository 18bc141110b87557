//! What a run found, with the numbers that a reader needs to believe it.

use std::path::Path;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::prompt::Prompt;
use crate::tier::Tier;

/// Time of one answer, in milliseconds, the model doing nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// Median when nothing of the prompt was seen before.
    pub cold_p50_ms: f64,
    /// 95th percentile when nothing of the prompt was seen before.
    pub cold_p95_ms: f64,
    /// Median when the fixed part was seen before.
    pub warm_p50_ms: f64,
    /// 95th percentile when the fixed part was seen before.
    pub warm_p95_ms: f64,
}

/// Right answers on the test split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Share of right answers; the mean mark where answers are written.
    pub accuracy: f64,
    /// Its 95 % interval: Wilson's, or by resampling where marks are not all 0 or 1.
    pub interval: (f64, f64),
    /// Test examples.
    pub examples: usize,
    /// The metric that was optimised.
    pub metric: f64,
}

/// No model at all: the most frequent answer, whatever the text.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Majority {
    /// The answer, by the validation split.
    pub label: String,
    /// Share of test examples that it is right for, or its mean mark.
    pub accuracy: f64,
}

/// The naive prompt: instruction with the labels' names, the text, the likeliest name; or what is written.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Baseline {
    /// Its template.
    pub template: String,
    /// Its tokens without the inputs.
    pub tokens: usize,
    /// On the test split.
    pub test: Measured,
    /// The same prompt with a fitted decision rule: what calibration alone gives; none where answers are
    /// written.
    pub calibrated: Option<Measured>,
    /// Measured time.
    pub latency: Latency,
}

/// The naive prompt behind five random training examples, 20 times.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RandomBaseline {
    /// Draws of five examples.
    pub sets: usize,
    /// Draws that each test example was put to; all draws take part equally.
    pub sets_per_example: usize,
    /// Mean accuracy over all answers.
    pub mean: f64,
    /// Deviation of the draws' accuracies.
    pub deviation: f64,
    /// Mean tokens without the inputs.
    pub tokens: f64,
    /// Measured time of one draw.
    pub latency: Latency,
}

/// The chosen prompt of a tier.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TierReport {
    /// The tier.
    pub tier: Tier,
    /// Most tokens that the tier allows.
    pub tokens_cap: usize,
    /// Tokens without the inputs.
    pub prompt_tokens: usize,
    /// What it is made of.
    pub about: String,
    /// Its template.
    pub template: String,
    /// Which words its rule reads and how freely.
    pub rule: String,
    /// On the test split.
    pub test: Measured,
    /// Cross-fitted accuracy on the validation split.
    pub validation_accuracy: f64,
    /// Validation less test accuracy: the price of having chosen the best of many.
    pub winners_curse: f64,
    /// Two-sided p against the naive prompt (McNemar, exact; sign flips where marks are not all 0 or 1).
    pub p_naive: f64,
    /// The same after Holm's correction over the tiers.
    pub p_naive_holm: f64,
    /// Two-sided p against the mean of the random draws (sign flips).
    pub p_random: f64,
    /// The same after Holm's correction over the tiers.
    pub p_random_holm: f64,
    /// 95 % interval of the accuracy less the random draws' mean, by resampling.
    pub gain_random: (f64, f64),
    /// Measured time.
    pub latency: Latency,
    /// How many times fewer tokens than the random draws' mean.
    pub tokens_saved: f64,
    /// Longest run of words that the template shares with a test example.
    pub copied_words: usize,
}

/// A prompt that came to the last comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finalist {
    /// What it is made of.
    pub about: String,
    /// Tokens without the inputs.
    pub tokens: usize,
    /// Cross-fitted accuracy on the validation split.
    pub accuracy: f64,
    /// Measured time.
    pub latency: Latency,
    /// Whether no other finalist is as good in accuracy, tokens and time and better in one.
    pub on_front: bool,
}

/// Everything that a run found.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The model's name.
    pub model: String,
    /// SHA-256 of the data.
    pub data: String,
    /// Seed of every draw.
    pub seed: u64,
    /// Labels, sorted; none where answers are written.
    pub labels: Vec<String>,
    /// Examples for training, validation and test; the last two as far as they were used.
    pub split: (usize, usize, usize),
    /// Prompts that were tried, variants included.
    pub candidates: usize,
    /// Prompts that were asked for.
    pub candidates_wanted: usize,
    /// Characters after which an input is cut.
    pub input_chars: usize,
    /// Inputs of the data that are longer.
    pub inputs_cut: usize,
    /// Calls allowed.
    pub calls_max: usize,
    /// Calls used, baselines and timing included; one call is one prompt with one example.
    pub calls: usize,
    /// Of those, answered from a checkpoint.
    pub calls_restored: usize,
    /// How often the test split was opened.
    pub test_opened: u32,
    /// Name of the metric.
    pub metric: String,
    /// The most frequent label.
    pub majority: Majority,
    /// The naive prompt.
    pub naive: Baseline,
    /// Random demonstrations.
    pub random_5: RandomBaseline,
    /// The chosen prompts, cheapest first.
    pub tiers: Vec<TierReport>,
    /// The last comparison.
    pub finalists: Vec<Finalist>,
    /// Seconds that the run took.
    pub seconds: f64,
    /// The prompts themselves.
    #[serde(skip)]
    pub prompts: Vec<Prompt>,
}

impl Report {
    /// Writes `prompt_ultra.json`, `prompt_fast.json`, `prompt_quality.json`, `report.json`
    /// and `report.html`.
    ///
    /// # Errors
    /// [`Error::Io`] when a file cannot be written.
    pub fn export(&self, dir: impl AsRef<Path>) -> Result<()> {
        let dir = dir.as_ref();
        let write = |name: &str, text: String| {
            let path = dir.join(name);
            std::fs::write(&path, text + "\n").map_err(|source| Error::Io {
                action: "write",
                path,
                source,
            })
        };
        std::fs::create_dir_all(dir).map_err(|source| Error::Io {
            action: "make",
            path: dir.to_owned(),
            source,
        })?;
        for prompt in &self.prompts {
            write(prompt.tier().file_name(), prompt.to_json()?)?;
        }
        let text = serde_json::to_string_pretty(self).map_err(|source| Error::Json {
            what: "report".to_owned(),
            source,
        })?;
        write("report.json", text)?;
        write("report.html", self.to_html())
    }
}
