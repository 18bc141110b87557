//! Measures the chosen prompts and the baselines on the test split, opened once.

use std::collections::BTreeMap;

use super::data::Example;
use super::demos::draw;
use super::evaluate::{Evaluator, Probe};
use super::optimizer::{Observer, Progress, RANDOM_SETS};
use super::reader::Rule;
use super::recipe::Draft;
use super::report::{Baseline, Latency, Majority, Measured, RandomBaseline, TierReport};
use super::search::{Candidate, Search};
use super::split::LockedTest;
use super::statistics::{
    bootstrap_interval, holm, mcnemar, mean_and_deviation, quantile, sign_flip, wilson,
};
use crate::error::Result;
use crate::model::{LanguageModel, Row, rows};
use crate::prompt::{Prompt, Version};
use crate::template::Template;
use crate::tier::Tier;

/// Demonstrations in a random draw.
const RANDOM_EXAMPLES: usize = 5;
const FLIPS: u32 = 10_000;
const RESAMPLES: usize = 4_000;

pub(crate) struct Assessment<'a> {
    pub(crate) model: &'a dyn LanguageModel,
    pub(crate) search: &'a Search<'a>,
    pub(crate) candidates: &'a [Candidate],
    pub(crate) train: &'a [Example],
    pub(crate) sets_per_example: usize,
    /// Timed calls of a prompt, once with nothing kept and once with the fixed part kept.
    pub(crate) timed_calls: usize,
    pub(crate) seed: u64,
}

pub(crate) struct Assessed {
    pub(crate) majority: Majority,
    pub(crate) naive: Baseline,
    pub(crate) random: RandomBaseline,
    pub(crate) tiers: Vec<TierReport>,
    pub(crate) prompts: Vec<Prompt>,
}

/// Answers to the test examples with their marks.
struct Answers {
    given: Vec<String>,
    marks: Vec<f64>,
}

pub(crate) fn assess(
    run: &Assessment<'_>,
    test: &mut LockedTest,
    evaluator: &mut Evaluator<'_>,
    observer: &mut dyn Observer,
) -> Result<Assessed> {
    let examples = test.open();
    let asked: Vec<&Example> = examples.iter().collect();
    let reader = run.search.reader;
    let tell = |evaluator: &Evaluator<'_>, observer: &mut dyn Observer| {
        observer.progress(&Progress {
            stage: "testing",
            candidates: run.candidates.len(),
            calls: evaluator.calls(),
            calls_max: evaluator.calls() + evaluator.left(),
            best_metric: 0.0,
        });
    };

    let naive = &run.candidates[0];
    let (plain_reply, plain) = reader.plain()?;
    let naive_rows = evaluator.ask(&naive.probe, &asked)?;
    // The naive prompt was searched with more options; the plain rule reads the labels' names alone.
    let naive_plain = reader.plain_rows(naive.glue, &naive_rows);
    let naive_answers = run.answers(&plain, &naive_plain, &asked)?;
    let plain_probe = |template: Template| Probe {
        template,
        thought: None,
        reply: plain_reply.clone(),
    };
    tell(evaluator, observer);

    // Each example meets `sets_per_example` of the draws, in a rotation that uses all draws equally.
    let mut sums = vec![0.0; asked.len()];
    let mut accuracies = Vec::with_capacity(RANDOM_SETS);
    let mut tokens = Vec::with_capacity(RANDOM_SETS);
    let mut last_probe = naive.probe.clone();
    for set in 0..RANDOM_SETS {
        let chosen = draw(
            run.train,
            RANDOM_EXAMPLES,
            run.seed.wrapping_mul(1000) + set as u64,
        );
        let Draft { template, .. } = run.search.space.naive_with(&chosen)?;
        let probe = plain_probe(Template::parse(&template)?);
        tokens.push(run.model.count_tokens(&probe.template.literal_text())? as f64);
        let stride = RANDOM_SETS / run.sets_per_example;
        let met: Vec<usize> = (0..asked.len())
            .filter(|at| at % stride == set % stride)
            .collect();
        let part: Vec<&Example> = met.iter().map(|at| asked[*at]).collect();
        let got = run.answers(&plain, &evaluator.ask(&probe, &part)?, &part)?;
        for (at, mark) in met.iter().zip(&got.marks) {
            sums[*at] += mark;
        }
        accuracies.push(mean_and_deviation(&got.marks).0);
        last_probe = probe;
        tell(evaluator, observer);
    }
    let random_means: Vec<f64> = sums
        .iter()
        .map(|sum| sum / run.sets_per_example as f64)
        .collect();
    let (mean, _) = mean_and_deviation(&random_means);
    let (_, deviation) = mean_and_deviation(&accuracies);
    let (mean_tokens, _) = mean_and_deviation(&tokens);
    let timed = |probe: &Probe, evaluator: &mut Evaluator<'_>, observer: &mut dyn Observer| {
        let examples = &run.search.validation[..run.timed_calls.min(run.search.validation.len())];
        time(run.model, probe, examples, evaluator, observer)
    };

    let mut tiers = Vec::new();
    let mut prompts = Vec::new();
    for (at, (tier, cap)) in Tier::ALL.into_iter().zip(run.search.caps).enumerate() {
        let candidate = run.search.winner(run.candidates, at);
        let rule = reader.rule(candidate.glue, &candidate.rows, candidate.reading.as_ref())?;
        let got = run.answers(&rule, &evaluator.ask(&candidate.probe, &asked)?, &asked)?;
        tell(evaluator, observer);
        let against = |other: &[f64]| -> Vec<f64> {
            let pairs = got.marks.iter().zip(other);
            pairs.map(|(mark, other)| mark - other).collect()
        };
        let differences = against(&random_means);
        let measured = run.measured(&got, &asked);
        let validation_accuracy = candidate.accuracy();
        tiers.push(TierReport {
            tier,
            tokens_cap: cap,
            prompt_tokens: candidate.tokens,
            about: candidate.about.clone(),
            template: candidate.probe.template.source().to_owned(),
            rule: reader.about(
                candidate.glue,
                candidate.reading.as_ref(),
                candidate.rows.len(),
            ),
            test: measured,
            validation_accuracy,
            winners_curse: validation_accuracy - measured.accuracy,
            p_naive: run.paired_p(&against(&naive_answers.marks)),
            p_naive_holm: 1.0,
            p_random: sign_flip(&differences, FLIPS, run.seed),
            p_random_holm: 1.0,
            gain_random: bootstrap_interval(&differences, RESAMPLES, run.seed),
            latency: timed(&candidate.probe, evaluator, observer)?,
            tokens_saved: mean_tokens / candidate.tokens.max(1) as f64,
            copied_words: longest_copy(candidate.probe.template.source(), examples),
        });
        let mut prompt = Prompt::new(tier, Version::new(1), candidate.probe.template.clone())
            .with_tokens(candidate.tokens as u32, run.model.name());
        if let Some(thought) = &candidate.probe.thought {
            prompt = prompt.with_thought(thought.clone());
        }
        prompts.push(rule.onto(prompt));
    }
    let naive_holm = holm(&tiers.iter().map(|tier| tier.p_naive).collect::<Vec<_>>());
    let random_holm = holm(&tiers.iter().map(|tier| tier.p_random).collect::<Vec<_>>());
    for (tier, (naive, random)) in tiers
        .iter_mut()
        .zip(naive_holm.into_iter().zip(random_holm))
    {
        tier.p_naive_holm = naive;
        tier.p_random_holm = random;
    }

    // The naive prompt's own scores, read by a rule fitted on validation examples.
    let calibrated = if reader.labels().is_empty() {
        None
    } else {
        let fitted = reader.rule(naive.glue, &naive.rows, naive.reading.as_ref())?;
        let answers = run.answers(&fitted, &naive_rows, &asked)?;
        Some(run.measured(&answers, &asked))
    };
    Ok(Assessed {
        majority: run.majority(&asked),
        naive: Baseline {
            template: naive.probe.template.source().to_owned(),
            tokens: naive.tokens,
            test: run.measured(&naive_answers, &asked),
            calibrated,
            latency: timed(
                &plain_probe(naive.probe.template.clone()),
                evaluator,
                observer,
            )?,
        },
        random: RandomBaseline {
            sets: RANDOM_SETS,
            sets_per_example: run.sets_per_example,
            mean,
            deviation,
            tokens: mean_tokens,
            latency: timed(&last_probe, evaluator, observer)?,
        },
        tiers,
        prompts,
    })
}

impl Assessment<'_> {
    fn answers(&self, rule: &Rule, rows: &[Row], examples: &[&Example]) -> Result<Answers> {
        let given = rule.answers(rows)?;
        let marks = given
            .iter()
            .zip(examples)
            .map(|(given, example)| self.search.reader.mark(given, &example.answer))
            .collect();
        Ok(Answers { given, marks })
    }

    fn measured(&self, answers: &Answers, examples: &[&Example]) -> Measured {
        let pairs: Vec<(&str, &str)> = answers
            .given
            .iter()
            .zip(examples)
            .map(|(given, example)| (given.as_str(), example.answer.as_str()))
            .collect();
        let right = answers.marks.iter().filter(|mark| **mark == 1.0).count();
        let interval = if answers.marks.iter().all(|mark| is_whole(*mark)) {
            wilson(right, pairs.len())
        } else {
            bootstrap_interval(&answers.marks, RESAMPLES, self.seed)
        };
        Measured {
            accuracy: mean_and_deviation(&answers.marks).0,
            interval,
            examples: pairs.len(),
            metric: self.search.reader.metric.measure(&pairs),
        }
    }

    /// Two-sided p for paired differences of marks having mean 0.
    fn paired_p(&self, differences: &[f64]) -> f64 {
        if differences.iter().all(|d| is_whole(*d)) {
            let gained = differences.iter().filter(|d| **d > 0.0).count();
            let lost = differences.iter().filter(|d| **d < 0.0).count();
            mcnemar(gained, lost)
        } else {
            sign_flip(differences, FLIPS, self.seed)
        }
    }

    /// The answer that is most frequent in validation, the first of equally frequent ones, given to every
    /// test example.
    fn majority(&self, test: &[&Example]) -> Majority {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for example in self.search.validation {
            *counts.entry(&example.answer).or_insert(0) += 1;
        }
        let most = counts.iter().rev().max_by_key(|(_, count)| **count);
        let label = most.map_or("", |(label, _)| *label);
        let reader = self.search.reader;
        let marks: Vec<f64> = test
            .iter()
            .map(|example| reader.mark(label, &example.answer))
            .collect();
        Majority {
            label: label.to_owned(),
            accuracy: mean_and_deviation(&marks).0,
        }
    }
}

/// Marks of 0 and 1, and their differences.
fn is_whole(value: f64) -> bool {
    value.fract() == 0.0
}

/// Times single calls of a prompt, first with nothing kept of earlier prompts, then with its fixed part kept.
pub(crate) fn time(
    model: &dyn LanguageModel,
    probe: &Probe,
    examples: &[&Example],
    evaluator: &mut Evaluator<'_>,
    observer: &mut dyn Observer,
) -> Result<Latency> {
    let prompts = examples
        .iter()
        .map(|example| evaluator.render(probe, example))
        .collect::<Result<Vec<_>>>()?;
    evaluator.spend(2 * prompts.len() * probe.calls_each())?;
    let measure = |cold: bool| {
        let mut times = Vec::with_capacity(prompts.len());
        for prompt in &prompts {
            if cold {
                model.forget();
            }
            let before = observer.elapsed();
            rows(
                model,
                vec![prompt.clone()],
                probe.thought.as_ref(),
                &probe.reply,
            )?;
            times.push((observer.elapsed() - before).as_secs_f64() * 1e3);
        }
        times.sort_by(f64::total_cmp);
        Ok((quantile(&times, 0.5), quantile(&times, 0.95)))
    };
    let (cold_p50_ms, cold_p95_ms) = measure(true)?;
    let (warm_p50_ms, warm_p95_ms) = measure(false)?;
    Ok(Latency {
        cold_p50_ms,
        cold_p95_ms,
        warm_p50_ms,
        warm_p95_ms,
    })
}

/// Words of the longest run that a template shares with any example's inputs.
fn longest_copy(template: &str, examples: &[Example]) -> usize {
    let cut = |text: &str| -> Vec<String> {
        text.split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect()
    };
    let prompt = cut(template);
    let mut longest = 0;
    for text in examples.iter().flat_map(|example| &example.inputs) {
        let words = cut(text);
        let mut above = vec![0; words.len() + 1];
        for word in &prompt {
            let mut row = vec![0; words.len() + 1];
            for (at, other) in words.iter().enumerate() {
                if word == other {
                    row[at + 1] = above[at] + 1;
                    longest = longest.max(row[at + 1]);
                }
            }
            above = row;
        }
    }
    longest
}
