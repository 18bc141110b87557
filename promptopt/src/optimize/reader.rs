//! How answers are read from what the model gives, and how well a prompt does with it.

use super::calibrate::{Freedom, Scored, estimates, fit};
use super::data::Example;
use super::metric::Metric;
use super::recipe::Glue;
use super::statistics::mean_and_deviation;
use super::words::{Words, readable};
use crate::decision::Decision;
use crate::error::Result;
use crate::model::{Reply, Row};
use crate::prompt::Prompt;
use crate::written::Written;

/// How a prompt's answers are read, and what that is worth on the examples behind it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reading {
    /// Which words stand for the labels.
    set: usize,
    freedom: Freedom,
    /// Mean loss of the rule in nats; 0 for written answers.
    pub(crate) loss: f64,
    pub(crate) metric: f64,
    /// Share of right answers, or the mean mark of written ones.
    pub(crate) accuracy: f64,
    /// Logarithm of the probability of the labels' names together, a mean over the examples; 0 for written answers.
    pub(crate) expectation: f64,
    /// The part of each example in the merit.
    merits: Vec<f64>,
}

/// Most labels times options whose weights are fitted one by one: more take seconds, for each prompt.
const FREE_WEIGHTS_MAX: usize = 8192;
/// Penalties that are tried, the largest first.
const RIDGES: [f64; 4] = [192.0, 48.0, 12.0, 3.0];
/// Weight of the loss beside the metric: it tells more than the metric where examples are few.
const LOSS_WEIGHT: f64 = 0.5;

impl Reading {
    /// What the comparison of candidates is by: the metric, less a part of the loss.
    pub(crate) fn merit(&self) -> f64 {
        self.metric - LOSS_WEIGHT * self.loss
    }

    /// Variance of the merit from example to example.
    pub(crate) fn variance(&self) -> f64 {
        mean_and_deviation(&self.merits).1.powi(2)
    }

    /// Standard error of the difference of two merits on the examples that both have; infinite for fewer than 2.
    pub(crate) fn error_beside(&self, other: &Self) -> f64 {
        let pairs = self.merits.iter().zip(&other.merits);
        let differences: Vec<f64> = pairs.map(|(merit, other)| merit - other).collect();
        if differences.len() < 2 {
            return f64::INFINITY;
        }
        mean_and_deviation(&differences).1 / (differences.len() as f64).sqrt()
    }
}

/// A fixed way to read an answer.
pub(crate) enum Rule {
    Chosen(Decision),
    Written(Written),
}

impl Rule {
    /// The answer in a row; empty where it has not the form asked for.
    pub(crate) fn answer(&self, row: &Row) -> Result<String> {
        Ok(match self {
            Self::Chosen(decision) => row.chosen(decision)?.to_owned(),
            Self::Written(written) => written.read(row.text()).unwrap_or_default().to_owned(),
        })
    }

    pub(crate) fn answers(&self, rows: &[Row]) -> Result<Vec<String>> {
        rows.iter().map(|row| self.answer(row)).collect()
    }

    /// The prompt, to be answered by this rule.
    pub(crate) fn onto(self, prompt: Prompt) -> Prompt {
        match self {
            Self::Chosen(decision) => prompt.with_decision(decision),
            Self::Written(written) => prompt.with_written(written),
        }
    }
}

/// Where answers come from.
pub(crate) enum Source<'a> {
    /// One of these labels, by words behind a space and behind nothing; the labels are sorted.
    Labels {
        labels: &'a [String],
        words: &'a [Words; 2],
    },
    /// The model writes them.
    Written(&'a Written),
}

/// Reads the answers of one task.
pub(crate) struct Reader<'a> {
    pub(crate) source: Source<'a>,
    pub(crate) metric: &'a Metric,
    /// What rows of validation examples belong to, in order.
    pub(crate) validation: &'a [&'a Example],
}

fn at(glue: Glue) -> usize {
    match glue {
        Glue::Space => 0,
        Glue::Nothing => 1,
    }
}

impl Reader<'_> {
    /// What the model is asked for behind a prompt.
    pub(crate) fn reply(&self, glue: Glue) -> Reply {
        match &self.source {
            Source::Labels { words, .. } => Reply::Scored(words[at(glue)].options.clone()),
            Source::Written(written) => Reply::Written((*written).clone()),
        }
    }

    /// The labels; none where answers are written.
    pub(crate) fn labels(&self) -> &[String] {
        match &self.source {
            Source::Labels { labels, .. } => labels,
            Source::Written(_) => &[],
        }
    }

    /// A mark from 0 to 1: whether a label is the right one, or the metric's mark of a written answer.
    pub(crate) fn mark(&self, answer: &str, truth: &str) -> f64 {
        match self.source {
            Source::Labels { .. } => f64::from(answer == truth),
            Source::Written(_) => self.metric.mark(answer, truth),
        }
    }

    /// The best way to read the rows of the first validation examples, judged by cross-fitting; `None`
    /// for too few.
    pub(crate) fn reading(&self, glue: Glue, rows: &[Row]) -> Option<Reading> {
        let (labels, words) = match &self.source {
            Source::Labels { labels, words } => (labels, &words[at(glue)]),
            Source::Written(written) => return self.written_reading(written, rows),
        };
        let scored = self.scored(labels, rows);
        let expectation = expectation(&words.sets[0].groups, rows);
        let mut best: Option<Reading> = None;
        for (set, word_set) in words.sets.iter().enumerate() {
            let mut freedoms = vec![Freedom::Grouped];
            // From the last set the weights of all words may move freely.
            let last = set + 1 == words.sets.len();
            if last && labels.len() * words.options.len() <= FREE_WEIGHTS_MAX {
                freedoms.extend(RIDGES.map(Freedom::Ridge));
            }
            let options = words.options.len();
            let found = estimates(&scored, options, &word_set.groups, &freedoms);
            for (freedom, estimate) in freedoms.into_iter().zip(found) {
                let Some(estimate) = estimate else {
                    continue;
                };
                let pairs: Vec<(&str, &str)> = estimate
                    .answers
                    .iter()
                    .zip(&scored.truth)
                    .map(|(answer, truth)| (labels[*answer].as_str(), labels[*truth].as_str()))
                    .collect();
                let merit = |((answer, truth), loss): (&(&str, &str), &f64)| {
                    f64::from(answer == truth) - LOSS_WEIGHT * loss
                };
                let reading = Reading {
                    merits: pairs.iter().zip(&estimate.losses).map(merit).collect(),
                    expectation,
                    set,
                    freedom,
                    loss: estimate.loss,
                    metric: self.metric.measure(&pairs),
                    accuracy: Metric::Accuracy.measure(&pairs),
                };
                if best.as_ref().is_none_or(|held| reading.loss < held.loss) {
                    best = Some(reading);
                }
            }
        }
        best
    }

    fn written_reading(&self, written: &Written, rows: &[Row]) -> Option<Reading> {
        let pairs: Vec<(&str, &str)> = rows
            .iter()
            .zip(self.validation)
            .map(|(row, example)| {
                let answer = written.read(row.text()).unwrap_or_default();
                (answer, example.answer.as_str())
            })
            .collect();
        let marks: Vec<f64> = pairs.iter().map(|(a, t)| self.metric.mark(a, t)).collect();
        (!pairs.is_empty()).then(|| Reading {
            set: 0,
            freedom: Freedom::Grouped,
            loss: 0.0,
            expectation: 0.0,
            metric: self.metric.measure(&pairs),
            accuracy: marks.iter().sum::<f64>() / pairs.len() as f64,
            merits: marks,
        })
    }

    /// The rule of a prompt, fitted on all rows of validation examples that there are.
    pub(crate) fn rule(&self, glue: Glue, rows: &[Row], reading: Option<&Reading>) -> Result<Rule> {
        let (labels, words) = match &self.source {
            Source::Labels { labels, words } => (labels, &words[at(glue)]),
            Source::Written(written) => return Ok(Rule::Written((*written).clone())),
        };
        let (set, freedom) = reading.map_or((0, Freedom::Grouped), |r| (r.set, r.freedom));
        let scored = self.scored(labels, rows);
        let groups = &words.sets[set].groups;
        fit(&scored, labels, &words.options, groups, freedom).map(Rule::Chosen)
    }

    /// The rule in words, and the number of `examples` that it was fitted on.
    pub(crate) fn about(&self, glue: Glue, reading: Option<&Reading>, examples: usize) -> String {
        match &self.source {
            Source::Labels { words, .. } => {
                let (set, freedom) = reading.map_or((0, Freedom::Grouped), |r| (r.set, r.freedom));
                let words = words[at(glue)].sets[set].name;
                format!("{words}, {}, fitted on {examples} examples", freedom.name())
            }
            Source::Written(written) => format!("written, at most {} tokens", written.tokens_max()),
        }
    }

    /// What a user without an optimiser does: the likeliest label name, or what the model writes.
    pub(crate) fn plain(&self) -> Result<(Reply, Rule)> {
        match &self.source {
            Source::Labels { labels, .. } => {
                let options: Vec<String> = labels
                    .iter()
                    .map(|label| format!(" {}", readable(label)))
                    .collect();
                let pairs: Vec<(&str, &str)> = labels
                    .iter()
                    .zip(&options)
                    .map(|(label, option)| (label.as_str(), option.as_str()))
                    .collect();
                let rule = Decision::plain(&pairs)?;
                Ok((Reply::Scored(options), Rule::Chosen(rule)))
            }
            Source::Written(written) => Ok((
                Reply::Written((*written).clone()),
                Rule::Written((*written).clone()),
            )),
        }
    }

    /// Of rows with all words' scores, those of the labels' names alone, as [`Reader::plain`] reads them.
    pub(crate) fn plain_rows(&self, glue: Glue, rows: &[Row]) -> Vec<Row> {
        let Source::Labels { words, .. } = &self.source else {
            return rows.to_vec();
        };
        let names = &words[at(glue)].sets[0].groups;
        let named = |row: &Row| names.iter().flatten().map(|at| row.scores()[*at]).collect();
        rows.iter().map(|row| Row::Scores(named(row))).collect()
    }

    fn scored<'r>(&self, labels: &[String], rows: &'r [Row]) -> Scored<'r> {
        let truth = |example: &&Example| labels.binary_search(&example.answer).unwrap_or(0);
        Scored {
            rows: rows.iter().map(Row::scores).collect(),
            truth: self.validation.iter().take(rows.len()).map(truth).collect(),
        }
    }
}

/// Logarithm of the probability of the names together, a mean over the rows.
fn expectation(names: &[Vec<usize>], rows: &[Row]) -> f64 {
    let of = |row: &Row| {
        let scores = names.iter().flatten().map(|at| row.scores()[*at]);
        scores
            .map(|score| f64::from(score).exp())
            .sum::<f64>()
            .max(1e-30)
            .ln()
    };
    rows.iter().map(of).sum::<f64>() / rows.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_error_of_a_difference_is_that_of_the_pairs_and_not_of_the_examples() {
        let reading = |merits: &[f64]| Reading {
            set: 0,
            freedom: Freedom::Grouped,
            loss: 0.0,
            expectation: 0.0,
            metric: 0.0,
            accuracy: 0.0,
            merits: merits.to_vec(),
        };
        let first = reading(&[0.0, 1.0, 0.0, 1.0]);
        let always_above = reading(&[0.5, 1.5, 0.5, 1.5]);
        assert_eq!(always_above.error_beside(&first), 0.0);
        let other = reading(&[1.0, 0.0, 0.0, 1.0]);
        // Differences 1, -1, 0, 0: a variance of 2/3, over 4 examples.
        assert!((other.error_beside(&first) - (2.0_f64 / 3.0 / 4.0).sqrt()).abs() < 1e-12);
        assert_eq!(reading(&[1.0]).error_beside(&first), f64::INFINITY);
    }
}
