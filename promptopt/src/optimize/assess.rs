//! Measures the chosen prompts and the baselines on the test split, opened once.

use super::calibrate::{Scored, fit};
use super::data::Example;
use super::demos::draw;
use super::evaluate::{Evaluator, Probe};
use super::metric::Metric;
use super::optimizer::{Observer, Progress, RANDOM_SETS, positions};
use super::report::{Baseline, Latency, Majority, Measured, RandomBaseline, TierReport};
use super::search::{Candidate, Reading, Search};
use super::space::Draft;
use super::split::LockedTest;
use super::statistics::{
    bootstrap_interval, holm, mcnemar, mean_and_deviation, quantile, sign_flip, wilson,
};
use super::words::readable;
use crate::decision::Decision;
use crate::error::Result;
use crate::model::LanguageModel;
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

/// Answers of a rule to the test examples.
struct Answers {
    given: Vec<usize>,
    right: Vec<bool>,
}

pub(crate) fn assess(
    run: &Assessment<'_>,
    test: &mut LockedTest,
    evaluator: &mut Evaluator<'_>,
    observer: &mut dyn Observer,
) -> Result<Assessed> {
    let examples = test.open();
    let asked: Vec<&Example> = examples.iter().collect();
    let truth = positions(run.search.labels, examples);
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
    let plain = run.plain_rule()?;
    let naive_scores = evaluator.score(&naive.probe, &asked)?;
    // The naive prompt was searched with more options; the plain rule reads the labels' names alone.
    let names = &run.search.words(naive.glue).sets[0].groups;
    let named: Vec<Vec<f64>> = naive_scores
        .iter()
        .map(|row| names.iter().flatten().map(|at| row[*at]).collect())
        .collect();
    let naive_answers = answers(&plain, &named, &truth)?;
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
        let probe = run.plain_probe(&Template::parse(&template)?);
        tokens.push(run.model.count_tokens(&probe.template.literal_text())? as f64);
        let stride = RANDOM_SETS / run.sets_per_example;
        let met: Vec<usize> = (0..asked.len())
            .filter(|at| at % stride == set % stride)
            .collect();
        let part: Vec<&Example> = met.iter().map(|at| asked[*at]).collect();
        let part_truth: Vec<usize> = met.iter().map(|at| truth[*at]).collect();
        let got = answers(&plain, &evaluator.score(&probe, &part)?, &part_truth)?;
        for (at, right) in met.iter().zip(&got.right) {
            sums[*at] += f64::from(*right);
        }
        let right = got.right.iter().filter(|right| **right).count();
        accuracies.push(right as f64 / got.right.len().max(1) as f64);
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
    for (tier, cap) in Tier::ALL.into_iter().zip(run.search.caps) {
        let candidate = run.winner(cap);
        let (decision, reading) = run.rule(candidate)?;
        let got = answers(
            &decision,
            &evaluator.score(&candidate.probe, &asked)?,
            &truth,
        )?;
        tell(evaluator, observer);
        let pairs = || got.right.iter().zip(&naive_answers.right);
        let gained = pairs().filter(|(now, before)| **now && !**before).count();
        let lost = pairs().filter(|(now, before)| !**now && **before).count();
        let differences: Vec<f64> = got
            .right
            .iter()
            .zip(&random_means)
            .map(|(right, mean)| f64::from(*right) - mean)
            .collect();
        let measured = run.measured(&got, &truth);
        let words = run.search.words(candidate.glue);
        tiers.push(TierReport {
            tier,
            tokens_cap: cap,
            prompt_tokens: candidate.tokens,
            about: candidate.about.clone(),
            template: candidate.probe.template.source().to_owned(),
            rule: format!("{}, {:?}", words.sets[reading.set].name, reading.freedom).to_lowercase(),
            test: measured,
            validation_accuracy: reading.accuracy,
            winners_curse: reading.accuracy - measured.accuracy,
            p_naive: mcnemar(gained, lost),
            p_naive_holm: 1.0,
            p_random: sign_flip(&differences, FLIPS, run.seed),
            p_random_holm: 1.0,
            gain_random: bootstrap_interval(&differences, RESAMPLES, run.seed),
            latency: timed(&candidate.probe, evaluator, observer)?,
            tokens_saved: mean_tokens / candidate.tokens.max(1) as f64,
            copied_words: longest_copy(candidate.probe.template.source(), examples),
        });
        prompts.push(
            Prompt::new(tier, Version::new(1), candidate.probe.template.clone())
                .with_decision(decision)
                .with_tokens(candidate.tokens as u32, run.model.name()),
        );
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
    let (fitted, _) = run.rule(naive)?;
    let calibrated = answers(&fitted, &naive_scores, &truth)?;
    Ok(Assessed {
        majority: majority(run.search.labels, run.search.truth, &truth),
        naive: Baseline {
            template: naive.probe.template.source().to_owned(),
            tokens: naive.tokens,
            test: run.measured(&naive_answers, &truth),
            calibrated: run.measured(&calibrated, &truth),
            latency: timed(&run.plain_probe(&naive.probe.template), evaluator, observer)?,
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
    /// The best prompt of at most `cap` tokens among those compared to the end; the shortest of all where
    /// none is so short.
    fn winner(&self, cap: usize) -> &Candidate {
        let compared = self.search.chosen(self.candidates, 1);
        compared
            .iter()
            .map(|at| &self.candidates[*at])
            .filter(|candidate| candidate.tokens <= cap && candidate.reading.is_some())
            .max_by(|a, b| {
                a.scores
                    .len()
                    .cmp(&b.scores.len())
                    .then(a.merit().total_cmp(&b.merit()))
            })
            .or_else(|| {
                self.candidates
                    .iter()
                    .min_by_key(|candidate| candidate.tokens)
            })
            .unwrap_or(&self.candidates[0])
    }

    /// The decision rule of a candidate, fitted on all validation examples that it was scored on.
    fn rule(&self, candidate: &Candidate) -> Result<(Decision, Reading)> {
        let reading = candidate.reading.unwrap_or(Reading {
            set: 0,
            freedom: super::calibrate::Freedom::Grouped,
            loss: f64::INFINITY,
            metric: 0.0,
            accuracy: 0.0,
        });
        let words = self.search.words(candidate.glue);
        let scored = Scored {
            rows: candidate.scores.iter().map(Vec::as_slice).collect(),
            truth: self.search.truth[..candidate.scores.len()].to_vec(),
        };
        let groups = &words.sets[reading.set].groups;
        let decision = fit(
            &scored,
            self.search.labels,
            &words.options,
            groups,
            reading.freedom,
        )?;
        Ok((decision, reading))
    }

    /// The likeliest label name, as it is: what a user without an optimiser does.
    fn plain_rule(&self) -> Result<Decision> {
        let options = self.plain_options();
        let pairs: Vec<(&str, &str)> = self
            .search
            .labels
            .iter()
            .zip(&options)
            .map(|(label, option)| (label.as_str(), option.as_str()))
            .collect();
        Decision::plain(&pairs)
    }

    fn plain_options(&self) -> Vec<String> {
        self.search
            .labels
            .iter()
            .map(|label| format!(" {}", readable(label)))
            .collect()
    }

    fn plain_probe(&self, template: &Template) -> Probe {
        Probe {
            template: template.clone(),
            options: self.plain_options(),
        }
    }

    fn measured(&self, answers: &Answers, truth: &[usize]) -> Measured {
        let right = answers.right.iter().filter(|right| **right).count();
        let labels = self.search.labels;
        let pairs: Vec<(&str, &str)> = answers
            .given
            .iter()
            .zip(truth)
            .map(|(given, truth)| (labels[*given].as_str(), labels[*truth].as_str()))
            .collect();
        Measured {
            accuracy: Metric::Accuracy.measure(&pairs),
            interval: wilson(right, pairs.len()),
            examples: pairs.len(),
            metric: self.search.metric.measure(&pairs),
        }
    }
}

/// The label that is most frequent in validation, given to every test example.
fn majority(labels: &[String], validation: &[usize], test: &[usize]) -> Majority {
    let count = |label: usize, truth: &[usize]| truth.iter().filter(|at| **at == label).count();
    let label = (0..labels.len())
        .rev()
        .max_by_key(|label| count(*label, validation))
        .unwrap_or(0);
    Majority {
        label: labels[label].clone(),
        accuracy: count(label, test) as f64 / test.len().max(1) as f64,
    }
}

fn answers(rule: &Decision, scores: &[Vec<f64>], truth: &[usize]) -> Result<Answers> {
    let given = scores
        .iter()
        .map(|row| rule.choose(row).map(|answer| answer.index))
        .collect::<Result<Vec<_>>>()?;
    let right = given
        .iter()
        .zip(truth)
        .map(|(given, truth)| given == truth)
        .collect();
    Ok(Answers { given, right })
}

/// Times single calls of a prompt, first with nothing kept of earlier prompts, then with its fixed part kept.
pub(crate) fn time(
    model: &dyn LanguageModel,
    probe: &Probe,
    examples: &[&Example],
    evaluator: &mut Evaluator<'_>,
    observer: &mut dyn Observer,
) -> Result<Latency> {
    let options: Vec<&str> = probe.options.iter().map(String::as_str).collect();
    let prompts = examples
        .iter()
        .map(|example| evaluator.render(probe, example))
        .collect::<Result<Vec<_>>>()?;
    evaluator.spend(2 * prompts.len())?;
    let measure = |cold: bool| {
        let mut times = Vec::with_capacity(prompts.len());
        for prompt in &prompts {
            if cold {
                model.forget();
            }
            let before = observer.elapsed();
            model.score(prompt, &options)?;
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
