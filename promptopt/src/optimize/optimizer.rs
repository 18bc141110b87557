//! One run from data to prompts.

use std::path::PathBuf;
use std::time::Duration;

use super::assess::{Assessment, assess, time};
use super::checkpoint::Checkpoint;
use super::data::{Dataset, Example};
use super::evaluate::Evaluator;
use super::instructions::Wording;
use super::metric::Metric;
use super::pareto::front;
use super::propose::Proposer;
use super::reader::{Reader, Source};
use super::recipe::{Glue, Setting};
use super::report::{Finalist, Report};
use super::search::{Candidate, FIRST_EXAMPLES_MIN, Search};
use super::signature::{Kind, Signature};
use super::space::{Space, Thoughts};
use super::split::{Split, interleave};
use super::words::Words;
use crate::decision::LABELS_MAX;
use crate::error::{Error, Result};
use crate::model::LanguageModel;
use crate::written::{Form, Written};

/// Draws of random demonstrations in the baseline.
pub const RANDOM_SETS: usize = 20;
/// Most test examples that are used.
const TEST_MAX: usize = 500;
/// Fewest test examples, where there are so many.
const TEST_MIN: usize = 60;
/// Most validation examples that are used.
const VALIDATION_MAX: usize = 500;
/// Share of the calls that the test split gets, and the most that it may take where the fewest examples need it.
const TEST_SHARE: f64 = 0.3;
const TEST_SHARE_MAX: f64 = 0.4;
/// Prompts timed at the end of the search, before the three tiers and the two baselines.
const TIMED_PROMPTS: usize = 9;
/// Share of the calls that timing may take.
const TIMED_SHARE: f64 = 0.08;
/// Times the calls of the smallest first trials that the search must keep for thoughts to be tried.
const THOUGHTS_ROOM: usize = 4;
/// Tokens of the context kept for all that is no input: instruction, cues, labels, answer.
const CONTEXT_RESERVE: usize = 256;
/// Most demonstrations in a prompt, each as long as an input may be.
const DEMOS_IN_CONTEXT: usize = 6;
/// Longest inputs, and answers, whose tokens are counted.
const LONGEST_COUNTED: usize = 200;
/// Most tokens of a written answer.
const ANSWER_TOKENS_MAX: usize = 256;
/// Fewest and most timed calls of a prompt, once with nothing kept and once with the fixed part kept.
const TIMED_CALLS: (usize, usize) = (3, 20);

/// Where a run is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// What it does: `drawing`, `proposing`, `narrowing`, `varying`, `settling` or `testing`.
    pub stage: &'static str,
    /// Prompts tried.
    pub candidates: usize,
    /// Calls used.
    pub calls: usize,
    /// Calls allowed.
    pub calls_max: usize,
    /// Best metric so far, on validation examples.
    pub best_metric: f64,
}

/// What a run needs of the world outside: it reads no clock and prints nothing itself.
pub trait Observer {
    /// Time since any fixed moment.
    fn elapsed(&self) -> Duration;

    /// Told after each prompt that was tried.
    fn progress(&mut self, progress: &Progress);
}

/// Settings of a run. Defaults: 120 prompts, 6,000 calls, seed 1, tiers of at most 10, 30 and 100
/// tokens, inputs cut at 400 characters, no checkpoint.
pub struct Optimizer<'a> {
    signature: &'a Signature,
    model: &'a dyn LanguageModel,
    candidates: usize,
    calls: usize,
    seed: u64,
    caps: [usize; 3],
    metric: Option<Metric>,
    input_chars: usize,
    checkpoint: Option<PathBuf>,
    proposers: Vec<&'a dyn Proposer>,
}

impl<'a> Optimizer<'a> {
    /// A run for a task and a model.
    pub fn new(signature: &'a Signature, model: &'a dyn LanguageModel) -> Self {
        Self {
            signature,
            model,
            candidates: 120,
            calls: 6000,
            seed: 1,
            caps: [10, 30, 100],
            metric: None,
            input_chars: 400,
            checkpoint: None,
            proposers: Vec::new(),
        }
    }

    /// Prompts to try.
    pub fn candidates(mut self, count: usize) -> Self {
        self.candidates = count;
        self
    }

    /// Most calls of the model, baselines and timing included; one call is one prompt with one example.
    pub fn calls(mut self, calls: usize) -> Self {
        self.calls = calls;
        self
    }

    /// Seed of every draw: the same seed, data and model give the same prompts.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Most tokens of the ultra, fast and quality prompt, without the inputs.
    pub fn caps(mut self, caps: [usize; 3]) -> Self {
        self.caps = caps;
        self
    }

    /// The measure that prompts are compared by. Without it: accuracy for labels and truth values, word F1
    /// for texts, equality for numbers, equal fields for objects.
    pub fn metric(mut self, metric: Metric) -> Self {
        self.metric = Some(metric);
        self
    }

    /// Characters after which an input is cut, in the exported prompt too.
    pub fn input_chars(mut self, chars: usize) -> Self {
        self.input_chars = chars;
        self
    }

    /// File of scores that a stopped run goes on from.
    pub fn checkpoint(mut self, path: impl Into<PathBuf>) -> Self {
        self.checkpoint = Some(path.into());
        self
    }

    /// Asks this proposer for instructions too; may be called for several.
    pub fn proposer(mut self, proposer: &'a dyn Proposer) -> Self {
        self.proposers.push(proposer);
        self
    }

    /// Finds, measures and explains the prompts.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] or [`Error::Limit`] for settings or labels that make no task,
    /// [`Error::TooFewExamples`], [`Error::Budget`] when the calls do not suffice, those of the model and
    /// of the checkpoint file.
    pub fn run(&self, data: &Dataset, observer: &mut dyn Observer) -> Result<Report> {
        let started = observer.elapsed();
        self.validate()?;
        let kind = self.signature.output().kind();
        let written = !matches!(kind, Kind::Label | Kind::Bool);
        let labels = if written {
            Vec::new()
        } else {
            labels_of(data)?
        };
        let metric = self.metric.clone().unwrap_or(match kind {
            Kind::Label | Kind::Bool => Metric::Accuracy,
            Kind::Text => Metric::WordF1,
            Kind::Float => Metric::Within(0.0),
            Kind::Object => Metric::Fields,
        });
        let held_back = (0.4 * data.examples().len() as f64).round();
        let (test_size, sets_per_example) = self.test_plan(held_back as usize)?;
        // What the calls cannot test is better used for training and validation.
        let test_share = (test_size as f64 / data.examples().len() as f64).clamp(0.02, 0.4);
        let rest = (1.0 - test_share) / 2.0;
        let mut shares = Split::stratified(rest, rest, test_share, self.seed)?;
        if written {
            shares = shares.whatever_the_answer();
        }
        let mut splits = data.split(shares)?;
        splits.test.truncate(test_size);
        if !written {
            interleave(&mut splits.validation);
        }
        splits.validation.truncate(VALIDATION_MAX);
        let test_size = splits.test.len();
        let timed_calls = ((self.calls as f64 * TIMED_SHARE) as usize / (2 * (TIMED_PROMPTS + 5)))
            .clamp(TIMED_CALLS.0, TIMED_CALLS.1);
        // The naive prompt, the random draws, so many tiers that differ, and the timing; prompts that think
        // take twice the calls.
        let reserve = |tiers: usize, thinkers: usize| {
            test_size * (1 + sets_per_example + tiers + thinkers)
                + (TIMED_PROMPTS + 5 + thinkers) * 2 * timed_calls
        };
        // The last tier may think, where that leaves the search enough.
        let roomy = THOUGHTS_ROOM * FIRST_EXAMPLES_MIN * self.candidates;
        let (thoughts, thinkers) = if reserve(3, 1) + roomy <= self.calls {
            (Thoughts::Tried, 1)
        } else {
            (Thoughts::LeftOut, 0)
        };

        let input_chars = self.fitting_chars(data)?;
        let setting = Setting {
            model: self.model,
            signature: self.signature,
            train: &splits.train,
            input_chars,
        };
        let wording = if written {
            Wording::for_text(self.signature, &splits.train)
        } else {
            Wording::for_labels(self.signature, &labels)
        };
        let space = Space::new(setting, wording, labels.len(), thoughts, self.seed);
        let found = |glue: Glue| Words::find(self.model, &labels, &splits.train, glue.text());
        let words = [found(Glue::Space)?, found(Glue::Nothing)?];
        let answers = if written {
            Some(self.written(&splits.train)?)
        } else {
            None
        };
        let checkpoint = match &self.checkpoint {
            Some(path) => Checkpoint::open(path, self.model.name(), &data.fingerprint())?,
            None => Checkpoint::default(),
        };
        let mut evaluator = Evaluator::new(self.model, self.signature, self.calls, checkpoint);
        let validation: Vec<&Example> = splits.validation.iter().collect();
        let reader = Reader {
            source: match &answers {
                Some(answers) => Source::Written(answers),
                None => Source::Labels {
                    labels: &labels,
                    words: &words,
                },
            },
            metric: &metric,
            validation: &validation,
        };
        let search = Search {
            model: self.model,
            space: &space,
            reader: &reader,
            validation: &validation,
            caps: self.caps,
            seed: self.seed,
            train: &splits.train,
            proposers: &self.proposers,
        };
        let mut candidates = search.run(
            self.candidates,
            reserve(3, thinkers),
            &mut evaluator,
            observer,
        )?;
        let timed = &validation[..timed_calls.min(validation.len())];
        let finalists = self.finalists(&search, &candidates, timed, &mut evaluator, observer)?;
        let reserve_left =
            |tiers, thinkers| reserve(tiers, thinkers) - TIMED_PROMPTS * 2 * timed_calls;
        search.settle(&mut candidates, reserve_left, &mut evaluator, observer)?;
        let assessment = Assessment {
            model: self.model,
            search: &search,
            candidates: &candidates,
            train: &splits.train,
            sets_per_example,
            timed_calls,
            seed: self.seed,
        };
        let assessed = assess(&assessment, &mut splits.test, &mut evaluator, observer)?;
        Ok(Report {
            model: self.model.name().to_owned(),
            data: data.fingerprint(),
            seed: self.seed,
            split: (splits.train.len(), validation.len(), test_size),
            candidates: candidates.len(),
            candidates_wanted: self.candidates,
            input_chars,
            inputs_cut: cut_inputs(data, input_chars),
            calls_max: self.calls,
            calls: evaluator.calls(),
            calls_restored: evaluator.restored(),
            test_opened: splits.test.opened(),
            metric: metric.name().to_owned(),
            majority: assessed.majority,
            naive: assessed.naive,
            random_5: assessed.random,
            tiers: assessed.tiers,
            finalists,
            seconds: (observer.elapsed() - started).as_secs_f64(),
            prompts: assessed.prompts,
            labels,
        })
    }

    fn validate(&self) -> Result<()> {
        for (what, found) in [
            ("number of candidates", self.candidates),
            ("characters of an input", self.input_chars),
            ("tokens of the ultra tier", self.caps[0]),
        ] {
            if found == 0 {
                return Err(Error::OutOfRange {
                    what,
                    found: 0.0,
                    expected: "1 or more",
                });
            }
        }
        if self.caps[0] > self.caps[1] || self.caps[1] > self.caps[2] {
            return Err(Error::OutOfRange {
                what: "tokens of the fast tier",
                found: self.caps[1] as f64,
                expected: "between those of the ultra and the quality tier",
            });
        }
        Ok(())
    }

    /// Characters of an input such that a prompt with the most demonstrations fits into the model's context:
    /// as many as were asked for, where they do.
    fn fitting_chars(&self, data: &Dataset) -> Result<usize> {
        let Some(context) = self.model.context_tokens() else {
            return Ok(self.input_chars);
        };
        let room = context.saturating_sub(CONTEXT_RESERVE) / (DEMOS_IN_CONTEXT + 1);
        let mut longest: Vec<(usize, &Example)> = data
            .examples()
            .iter()
            .map(|example| (example.inputs.iter().map(String::len).sum(), example))
            .collect();
        longest.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        let mut chars = self.input_chars;
        for (_, example) in longest.into_iter().take(LONGEST_COUNTED) {
            loop {
                let mut tokens = 0;
                for text in &example.inputs {
                    let cut: String = text.chars().take(chars).collect();
                    tokens += self.model.count_tokens(&cut)?;
                }
                if tokens <= room || chars <= 1 {
                    break;
                }
                chars = (chars * room / tokens).clamp(1, chars - 1);
            }
        }
        Ok(chars)
    }

    /// How answers are written: as long as those of the training examples, and of one line where they are.
    fn written(&self, train: &[Example]) -> Result<Written> {
        let mut tokens = 0;
        for example in train.iter().take(LONGEST_COUNTED) {
            tokens = tokens.max(self.model.count_tokens(&example.answer)?);
        }
        let holds = |mark: &str| train.iter().any(|example| example.answer.contains(mark));
        let stop = ["\n", "\n\n"].into_iter().find(|mark| !holds(mark));
        let form = match self.signature.output().kind() {
            Kind::Float => Form::Number,
            Kind::Object => Form::Object,
            Kind::Label | Kind::Bool | Kind::Text => Form::Text,
        };
        // Numbers stand among words, and other models write objects with more space in them.
        let most = (tokens + tokens / 2 + 4).min(ANSWER_TOKENS_MAX);
        Written::new(form, most, stop.map(str::to_owned).into_iter().collect())
    }

    /// Test examples to use, and random draws that each of them is put to: all draws on all examples
    /// where the calls allow it, else fewer draws an example, then fewer examples.
    fn test_plan(&self, available: usize) -> Result<(usize, usize)> {
        let spare = self.calls as f64 * TEST_SHARE;
        let wanted = available.min(TEST_MAX);
        let sets = |examples: usize| (spare / examples as f64) as usize;
        let least = 4 + 2;
        let examples = if sets(wanted) >= least {
            wanted
        } else {
            (spare / least as f64) as usize
        };
        let fewest = TEST_MIN.min(available);
        let examples = examples.max(fewest);
        if (examples * least) as f64 > self.calls as f64 * TEST_SHARE_MAX {
            let needed = (fewest * least) as f64 / TEST_SHARE_MAX;
            return Err(Error::Budget {
                calls: self.calls,
                needed: needed.ceil() as usize,
            });
        }
        // A divisor of the number of draws keeps every draw equally used.
        let sets_per_example = (1..=RANDOM_SETS)
            .rev()
            .find(|per| RANDOM_SETS.is_multiple_of(*per) && per + 4 <= sets(examples))
            .unwrap_or(1);
        Ok((examples, sets_per_example))
    }

    /// Times the prompts that came furthest and marks the front.
    fn finalists(
        &self,
        search: &Search<'_>,
        candidates: &[Candidate],
        timed: &[&Example],
        evaluator: &mut Evaluator<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Finalist>> {
        let mut chosen = search.chosen(candidates, 2);
        chosen.sort_by(|a, b| candidates[*b].merit().total_cmp(&candidates[*a].merit()));
        chosen.truncate(TIMED_PROMPTS);
        let mut finalists = Vec::with_capacity(chosen.len());
        for at in chosen {
            let candidate = &candidates[at];
            finalists.push(Finalist {
                about: candidate.about.clone(),
                tokens: candidate.tokens,
                accuracy: candidate.accuracy(),
                latency: time(self.model, &candidate.probe, timed, evaluator, observer)?,
                on_front: false,
            });
        }
        let rows: Vec<[f64; 3]> = finalists
            .iter()
            .map(|f| [f.accuracy, -(f.tokens as f64), -f.latency.cold_p95_ms])
            .collect();
        for at in front(&rows) {
            finalists[at].on_front = true;
        }
        Ok(finalists)
    }
}

/// The different answers, sorted, where they make a task.
fn labels_of(data: &Dataset) -> Result<Vec<String>> {
    let labels: Vec<String> = data
        .answers()
        .into_iter()
        .map(|(answer, _)| answer)
        .collect();
    if labels.len() < 2 {
        return Err(Error::OutOfRange {
            what: "number of different answers in the data",
            found: labels.len() as f64,
            expected: "2 or more",
        });
    }
    if labels.len() > LABELS_MAX {
        return Err(Error::Limit {
            what: "number of different answers in the data",
            found: labels.len(),
            limit: LABELS_MAX,
        });
    }
    Ok(labels)
}

/// Inputs that are longer than what the model reads of them.
fn cut_inputs(data: &Dataset, chars: usize) -> usize {
    let inputs = data.examples().iter().flat_map(|example| &example.inputs);
    inputs
        .filter(|text| text.chars().nth(chars).is_some())
        .count()
}
