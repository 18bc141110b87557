//! `promptopt optimize`.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
#[cfg(feature = "http")]
use promptopt::model::HttpModel;
use promptopt::model::LanguageModel;
#[cfg(feature = "candle")]
use promptopt::model::LlamaModel;
use promptopt::optimize::{
    Dataset, Metric, ModelProposer, Observer, Optimizer, Progress, Report, Signature, Style,
};
use promptopt::{Error, Result};

/// Longest that an endpoint may take for one answer.
#[cfg(feature = "http")]
const ENDPOINT_TIMEOUT: Duration = Duration::from_secs(300);

#[derive(Args)]
pub(crate) struct Arguments {
    /// CSV file with a header row, or a `.jsonl` file with one object a line.
    #[arg(long)]
    data: PathBuf,
    /// Column that the model reads.
    #[arg(long)]
    text: String,
    /// Column with the right answers.
    #[arg(long)]
    label: String,
    /// GGUF file of a Llama-family model (feature `candle`), or `http://HOST:PORT` of an OpenAI-compatible
    /// endpoint (feature `http`).
    #[arg(long)]
    model: String,
    /// Name of the model at the endpoint.
    #[arg(long, default_value = "default")]
    model_name: String,
    /// A model that writes instructions, given as `--model` is: usually a stronger one.
    #[arg(long)]
    proposer: Option<String>,
    /// Name of the proposing model at its endpoint.
    #[arg(long, default_value = "default")]
    proposer_model: String,
    /// What the answers are.
    #[arg(long, value_enum, default_value_t = Answer::Label)]
    answer: Answer,
    /// What prompts are compared by; without it accuracy for labels, word F1 for texts, `within` for numbers,
    /// `fields` for objects.
    #[arg(long, value_enum)]
    metric: Option<Measure>,
    /// How far from the truth a number may be with the metric `within`.
    #[arg(long, default_value_t = 0.0)]
    tolerance: f64,
    /// Prompts to try.
    #[arg(long, default_value_t = 120)]
    candidates: usize,
    /// Most calls of the model, baselines and timing included; one call is one prompt with one example.
    #[arg(long, default_value_t = 6000)]
    calls: usize,
    /// Seed of every draw.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder for prompts, report and the checkpoint that a stopped run goes on from.
    #[arg(long)]
    out: PathBuf,
    /// What to do, in words, if the column names do not say it.
    #[arg(long, default_value = "")]
    instruction: String,
    /// Characters after which a text is cut.
    #[arg(long, default_value_t = 400)]
    input_chars: usize,
    /// Print the report as one line of JSON, last.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Answer {
    /// One of those in the data, chosen by its probability.
    Label,
    /// A text that the model writes.
    Text,
    /// A number that the model writes.
    Number,
    /// A JSON object that the model writes.
    Object,
}

impl Answer {
    /// Its type in a signature.
    fn kind(self) -> &'static str {
        match self {
            Self::Label => "label",
            Self::Text => "text",
            Self::Number => "float",
            Self::Object => "object",
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Measure {
    /// Share of right answers.
    Accuracy,
    /// Mean over the labels of the share of each that is found.
    BalancedAccuracy,
    /// Mean over the labels of the harmonic mean of precision and recall.
    MacroF1,
    /// Share of answers that are right but for case and space around.
    ExactMatch,
    /// Harmonic mean of precision and recall of an answer's words.
    WordF1,
    /// Share of numbers within `--tolerance` of the truth.
    Within,
    /// Share of equal fields of JSON objects.
    Fields,
}

impl Measure {
    fn metric(self, tolerance: f64) -> Metric {
        match self {
            Self::Accuracy => Metric::Accuracy,
            Self::BalancedAccuracy => Metric::BalancedAccuracy,
            Self::MacroF1 => Metric::MacroF1,
            Self::ExactMatch => Metric::ExactMatch,
            Self::WordF1 => Metric::WordF1,
            Self::Within => Metric::Within(tolerance),
            Self::Fields => Metric::Fields,
        }
    }
}

/// The model at an address or in a file.
fn open(place: &str, name: &str) -> Result<Box<dyn LanguageModel>> {
    if place.starts_with("http://") {
        endpoint(place, name)
    } else {
        file(place)
    }
}

#[cfg(feature = "http")]
fn endpoint(address: &str, name: &str) -> Result<Box<dyn LanguageModel>> {
    Ok(Box::new(HttpModel::new(address, name, ENDPOINT_TIMEOUT)))
}

#[cfg(not(feature = "http"))]
fn endpoint(address: &str, _: &str) -> Result<Box<dyn LanguageModel>> {
    Err(needs(address, "http"))
}

#[cfg(feature = "candle")]
fn file(path: &str) -> Result<Box<dyn LanguageModel>> {
    Ok(Box::new(LlamaModel::load(path)?))
}

#[cfg(not(feature = "candle"))]
fn file(path: &str) -> Result<Box<dyn LanguageModel>> {
    Err(needs(path, "candle"))
}

#[cfg(not(all(feature = "candle", feature = "http")))]
fn needs(place: &str, feature: &str) -> Error {
    Error::Model {
        action: "open the model",
        cause: format!("`{place}` needs a build with the feature `{feature}`"),
    }
}

/// Answers with fewer examples are left out, and named.
const RARE_BELOW: usize = 3;

/// Prints progress on standard error: a moving line on a terminal, now and then a line elsewhere.
struct Bar {
    started: Instant,
    told: Duration,
    moving: bool,
}

impl Bar {
    fn new() -> Self {
        Self {
            started: now(),
            told: Duration::ZERO,
            moving: std::io::stderr().is_terminal(),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the command times the model and shows progress"
)]
fn now() -> Instant {
    Instant::now()
}

impl Observer for Bar {
    fn elapsed(&self) -> Duration {
        now() - self.started
    }

    fn progress(&mut self, progress: &Progress) {
        let elapsed = self.elapsed();
        let every = if self.moving {
            Duration::from_millis(200)
        } else {
            Duration::from_secs(10)
        };
        if elapsed - self.told < every {
            return;
        }
        self.told = elapsed;
        const WIDTH: usize = 24;
        let done = progress.calls * WIDTH / progress.calls_max.max(1);
        let bar: String = (0..WIDTH)
            .map(|at| if at < done { '#' } else { '.' })
            .collect();
        let line = format!(
            "[{bar}] {:>9}  {}/{} calls  {} prompts  best {:.3}  {:.0} s",
            progress.stage,
            progress.calls,
            progress.calls_max,
            progress.candidates,
            progress.best_metric,
            elapsed.as_secs_f64(),
        );
        let mut stderr = std::io::stderr();
        // Progress that cannot be shown is no reason to stop.
        let _ = if self.moving {
            write!(stderr, "\r{line}")
        } else {
            writeln!(stderr, "{line}")
        };
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    #[cfg(target_os = "linux")]
    super::cores::keep_to_allowed();
    let columns = [arguments.text.as_str(), arguments.label.as_str()];
    let lines = arguments.data.extension().is_some_and(|e| e == "jsonl");
    let data = if lines {
        Dataset::from_jsonl(&arguments.data, &columns)?
    } else {
        Dataset::from_csv(&arguments.data, &columns)?
    };
    let skipped = data.skipped();
    eprintln!(
        "{} examples, {} answers ({} rows empty, {} repeated)",
        data.examples().len(),
        data.answers().len(),
        skipped.empty,
        skipped.repeated
    );
    // One example a split is the least that can be measured at all.
    let least = if arguments.answer == Answer::Label {
        RARE_BELOW
    } else {
        1
    };
    let (data, rare) = data.without_rare(least);
    for (answer, count) in rare {
        eprintln!("left out: the answer `{answer}` has {count} of at least {RARE_BELOW} examples");
    }
    let (text, label) = (
        slot(&arguments.text, "text"),
        slot(&arguments.label, "label"),
    );
    let text = if text == label {
        "text".to_owned()
    } else {
        text
    };
    let task = format!("{text} -> {label}: {}", arguments.answer.kind());
    let signature = Signature::parse(&task, &arguments.instruction)?;
    let model = open(&arguments.model, &arguments.model_name)?;
    let proposing = arguments
        .proposer
        .as_deref()
        .map(|place| open(place, &arguments.proposer_model))
        .transpose()?;
    let proposers: Vec<ModelProposer<'_>> = proposing
        .iter()
        .flat_map(|model| {
            [Style::Grounded, Style::Reflective]
                .map(|style| ModelProposer::new(model.as_ref(), style))
        })
        .collect();
    std::fs::create_dir_all(&arguments.out).map_err(|source| Error::Io {
        action: "make",
        path: arguments.out.clone(),
        source,
    })?;
    let mut bar = Bar::new();
    let mut optimizer = Optimizer::new(&signature, model.as_ref())
        .candidates(arguments.candidates)
        .calls(arguments.calls)
        .seed(arguments.seed)
        .input_chars(arguments.input_chars)
        .checkpoint(arguments.out.join("scores.jsonl"));
    let tolerant = (arguments.tolerance > 0.0).then_some(Measure::Within);
    if let Some(measure) = arguments.metric.or(tolerant) {
        optimizer = optimizer.metric(measure.metric(arguments.tolerance));
    }
    let report = proposers
        .iter()
        .fold(optimizer, |optimizer, proposer| {
            optimizer.proposer(proposer)
        })
        .run(&data, &mut bar)?;
    if bar.moving {
        eprintln!();
    }
    report.export(&arguments.out)?;
    print(&report);
    if arguments.json {
        let line = serde_json::to_string(&report).map_err(|source| Error::Json {
            what: "report".to_owned(),
            source,
        })?;
        println!("{line}");
    }
    Ok(())
}

/// A column's name as an input's name; another one where letters would be lost.
fn slot(column: &str, otherwise: &str) -> String {
    let name: String = column
        .trim()
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_lowercase()
            } else {
                '_'
            }
        })
        .collect();
    let name = name.trim_matches('_');
    if column.is_ascii() && name.chars().any(|c| c.is_ascii_alphabetic()) {
        name.to_owned()
    } else {
        otherwise.to_owned()
    }
}

fn print(report: &Report) {
    let percent = |share: f64| 100.0 * share;
    println!(
        "{} prompts, {} of {} calls, {} test examples, opened {} time(s), {:.0} s",
        report.candidates,
        report.calls,
        report.calls_max,
        report.naive.test.examples,
        report.test_opened,
        report.seconds
    );
    if report.candidates < report.candidates_wanted {
        println!(
            "{} prompts were asked for: more calls, or data with more examples, make room for them",
            report.candidates_wanted
        );
    }
    if report.inputs_cut > 0 {
        println!(
            "{} texts are longer than {} characters; only that much of them is read",
            report.inputs_cut, report.input_chars
        );
    }
    if report.metric != "accuracy" {
        println!("prompts are compared by {}", report.metric);
    }
    println!(
        "prompt            accuracy [95 %]        tokens  cold p50/p95 ms  p naive  p random-5 (Holm)"
    );
    println!(
        "always `{}`: {:.1}",
        report.majority.label,
        percent(report.majority.accuracy)
    );
    let naive = &report.naive;
    println!(
        "naive             {:5.1} [{:4.1}, {:4.1}]  {:>10}  {:>7.0} {:>7.0}",
        percent(naive.test.accuracy),
        percent(naive.test.interval.0),
        percent(naive.test.interval.1),
        naive.tokens,
        naive.latency.cold_p50_ms,
        naive.latency.cold_p95_ms
    );
    if let Some(calibrated) = &naive.calibrated {
        println!(
            "naive, calibrated {:5.1} [{:4.1}, {:4.1}]",
            percent(calibrated.accuracy),
            percent(calibrated.interval.0),
            percent(calibrated.interval.1)
        );
    }
    let random = &report.random_5;
    println!(
        "random-5          {:5.1} (sd {:4.1} of {})  {:>7.0}  {:>7.0} {:>7.0}",
        percent(random.mean),
        percent(random.deviation),
        random.sets,
        random.tokens,
        random.latency.cold_p50_ms,
        random.latency.cold_p95_ms
    );
    for tier in &report.tiers {
        println!(
            "{:<17} {:5.1} [{:4.1}, {:4.1}]  {:>10}  {:>7.0} {:>7.0}  {:.2e}  {:.2e}",
            tier.tier.name(),
            percent(tier.test.accuracy),
            percent(tier.test.interval.0),
            percent(tier.test.interval.1),
            tier.prompt_tokens,
            tier.latency.cold_p50_ms,
            tier.latency.cold_p95_ms,
            tier.p_naive_holm,
            tier.p_random_holm
        );
    }
    for tier in &report.tiers {
        println!("{}: {:?} ({})", tier.tier, tier.template, tier.rule);
    }
}
