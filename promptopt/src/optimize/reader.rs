//! How answers are read from what the model gives, and how well a prompt does with it.

use super::calibrate::{Freedom, Scored, estimate, fit};
use super::data::Example;
use super::metric::Metric;
use super::recipe::Glue;
use super::words::{Words, readable};
use crate::decision::Decision;
use crate::error::Result;
use crate::model::{Reply, Row};
use crate::prompt::Prompt;
use crate::written::Written;

/// How a prompt's answers are read, and what that is worth on the examples behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Reading {
    /// Which words stand for the labels.
    set: usize,
    freedom: Freedom,
    /// Mean loss of the rule in nats; 0 for written answers.
    pub(crate) loss: f64,
    pub(crate) metric: f64,
    /// Share of right answers, or the mean mark of written ones.
    pub(crate) accuracy: f64,
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
            Self::Chosen(decision) => decision.choose(row.scores())?.label.name.clone(),
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
        let mut best: Option<Reading> = None;
        for (set, word_set) in words.sets.iter().enumerate() {
            // The set of all words is the one whose weights may move freely.
            let free = [Freedom::Ridge(3.0), Freedom::Ridge(12.0)];
            let last = set + 1 == words.sets.len();
            let freedoms = [Freedom::Grouped]
                .into_iter()
                .chain(free.into_iter().filter(|_| last));
            for freedom in freedoms {
                let Some(estimate) =
                    estimate(&scored, words.options.len(), &word_set.groups, freedom)
                else {
                    continue;
                };
                let pairs: Vec<(&str, &str)> = estimate
                    .answers
                    .iter()
                    .zip(&scored.truth)
                    .map(|(answer, truth)| (labels[*answer].as_str(), labels[*truth].as_str()))
                    .collect();
                let reading = Reading {
                    set,
                    freedom,
                    loss: estimate.loss,
                    metric: self.metric.measure(&pairs),
                    accuracy: Metric::Accuracy.measure(&pairs),
                };
                if best.is_none_or(|held| reading.loss < held.loss) {
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
        let marks: f64 = pairs.iter().map(|(a, t)| self.metric.mark(a, t)).sum();
        (!pairs.is_empty()).then(|| Reading {
            set: 0,
            freedom: Freedom::Grouped,
            loss: 0.0,
            metric: self.metric.measure(&pairs),
            accuracy: marks / pairs.len() as f64,
        })
    }

    /// The rule of a prompt, fitted on all rows of validation examples that there are.
    pub(crate) fn rule(&self, glue: Glue, rows: &[Row], reading: Option<Reading>) -> Result<Rule> {
        let (labels, words) = match &self.source {
            Source::Labels { labels, words } => (labels, &words[at(glue)]),
            Source::Written(written) => return Ok(Rule::Written((*written).clone())),
        };
        let (set, freedom) = reading.map_or((0, Freedom::Grouped), |r| (r.set, r.freedom));
        let scored = self.scored(labels, rows);
        let groups = &words.sets[set].groups;
        fit(&scored, labels, &words.options, groups, freedom).map(Rule::Chosen)
    }

    /// The rule in words.
    pub(crate) fn about(&self, glue: Glue, reading: Option<Reading>) -> String {
        match &self.source {
            Source::Labels { words, .. } => {
                let (set, freedom) = reading.map_or((0, Freedom::Grouped), |r| (r.set, r.freedom));
                format!("{}, {}", words[at(glue)].sets[set].name, freedom.name())
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
