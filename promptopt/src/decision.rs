//! The rule that turns a model's label log-probabilities into an answer.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Most labels of one prompt.
pub const LABELS_MAX: usize = 256;

/// One possible answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The answer, as in the data.
    pub name: String,
    /// What the model would write right after the prompt; its log-probability is the score.
    pub text: String,
    /// Added to the score, in nats: takes back the model's taste for some labels.
    #[serde(default)]
    pub bias: f64,
}

/// Labels with the text that is scored and the calibrated bias of each.
///
/// The answer is the label with the largest `log p(text | prompt) + bias`
/// (domain-context calibration; Fei et al., 2023, with the bias fitted on the training split).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Label>", into = "Vec<Label>")]
pub struct Decision {
    labels: Vec<Label>,
}

/// The answer that a [`Decision`] gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer<'a> {
    /// Position of the label in the decision.
    pub index: usize,
    /// The label.
    pub label: &'a Label,
    /// Its share of the biased probabilities of all labels, 0 to 1.
    pub confidence: f64,
}

impl Decision {
    /// A rule over at least two labels with different names.
    ///
    /// # Errors
    /// [`Error::Limit`] over [`LABELS_MAX`], [`Error::OutOfRange`] for fewer than two labels or a bias
    /// that is not finite, [`Error::DuplicateLabel`].
    pub fn new(labels: Vec<Label>) -> Result<Self> {
        if labels.len() > LABELS_MAX {
            return Err(Error::Limit {
                what: "number of labels",
                found: labels.len(),
                limit: LABELS_MAX,
            });
        }
        if labels.len() < 2 {
            return Err(Error::OutOfRange {
                what: "number of labels",
                found: labels.len() as f64,
                expected: "2 or more",
            });
        }
        for (index, label) in labels.iter().enumerate() {
            if !label.bias.is_finite() {
                return Err(Error::OutOfRange {
                    what: "bias of a label",
                    found: label.bias,
                    expected: "a finite number",
                });
            }
            if labels[..index]
                .iter()
                .any(|earlier| earlier.name == label.name)
            {
                return Err(Error::DuplicateLabel {
                    name: label.name.clone(),
                });
            }
        }
        Ok(Self { labels })
    }

    /// The labels, in the order in which scores are given.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// The answer for one log-probability a label. No allocation.
    ///
    /// # Errors
    /// [`Error::ScoreCount`] when there is not one score a label, [`Error::OutOfRange`] when one is NaN
    /// or plus infinity or all are minus infinity.
    pub fn choose(&self, log_probs: &[f64]) -> Result<Answer<'_>> {
        if log_probs.len() != self.labels.len() {
            return Err(Error::ScoreCount {
                found: log_probs.len(),
                expected: self.labels.len(),
            });
        }
        let biased = || {
            self.labels
                .iter()
                .zip(log_probs)
                .map(|(label, score)| score + label.bias)
        };
        let (mut index, mut best) = (0, f64::NEG_INFINITY);
        for (at, score) in biased().enumerate() {
            if score.is_nan() || score == f64::INFINITY {
                return Err(Error::OutOfRange {
                    what: "log-probability",
                    found: score,
                    expected: "a number of at most 0",
                });
            }
            if score > best {
                (index, best) = (at, score);
            }
        }
        if best == f64::NEG_INFINITY {
            return Err(Error::OutOfRange {
                what: "largest log-probability",
                found: best,
                expected: "a finite number",
            });
        }
        let sum: f64 = biased().map(|score| (score - best).exp()).sum();
        Ok(Answer {
            index,
            label: &self.labels[index],
            confidence: 1.0 / sum,
        })
    }
}

impl TryFrom<Vec<Label>> for Decision {
    type Error = Error;

    fn try_from(labels: Vec<Label>) -> Result<Self> {
        Self::new(labels)
    }
}

impl From<Decision> for Vec<Label> {
    fn from(decision: Decision) -> Self {
        decision.labels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decision(biases: &[f64]) -> Decision {
        let label = |(index, bias): (usize, &f64)| Label {
            name: index.to_string(),
            text: format!(" {index}"),
            bias: *bias,
        };
        Decision::new(biases.iter().enumerate().map(label).collect()).unwrap()
    }

    #[test]
    fn a_bias_moves_the_answer_and_the_confidence() {
        let scores = [-0.5_f64, -1.0];
        assert_eq!(decision(&[0.0, 0.0]).choose(&scores).unwrap().index, 0);
        let moved = decision(&[0.0, 1.0]);
        let answer = moved.choose(&scores).unwrap();
        assert_eq!(answer.index, 1);
        let expected = (0.0_f64).exp() / ((0.0_f64).exp() + (-0.5_f64).exp());
        assert!((answer.confidence - expected).abs() < 1e-12);
    }

    #[test]
    fn scores_that_are_no_probabilities_are_refused() {
        let rule = decision(&[0.0, 0.0]);
        assert!(matches!(
            rule.choose(&[-1.0]),
            Err(Error::ScoreCount {
                found: 1,
                expected: 2
            })
        ));
        assert!(rule.choose(&[f64::NAN, -1.0]).is_err());
        assert!(rule.choose(&[f64::NEG_INFINITY; 2]).is_err());
        assert_eq!(rule.choose(&[f64::NEG_INFINITY, -1.0]).unwrap().index, 1);
    }
}
