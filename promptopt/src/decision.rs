//! The rule that turns a model's log-probabilities into an answer.

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// Most labels of one prompt.
pub const LABELS_MAX: usize = 256;
/// Most texts that are scored for one answer.
pub const OPTIONS_MAX: usize = 1024;

/// One possible answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// The answer, as in the data.
    pub name: String,
    /// Added to the score, in nats: takes back the model's taste for some labels.
    pub bias: f64,
    /// Weight of each option's log-probability in this label's score.
    pub weights: Vec<f32>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DecisionFile {
    options: Vec<String>,
    labels: Vec<Label>,
}

/// The texts that are scored after the prompt, and how each label's score is made of them.
///
/// A label's score is `bias + sum over options of weight x log p(option | prompt)`; the answer is the label
/// with the largest score. With one option a label, weight 1 and bias 0 this is the plain comparison of
/// label probabilities; the optimiser fits biases (domain-context calibration; Fei et al., 2023) and
/// weights on examples that are not in the prompt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "DecisionFile", into = "DecisionFile")]
pub struct Decision {
    options: Options,
    labels: Vec<Label>,
}

/// Many short texts in one piece of memory.
#[derive(Clone, Debug, PartialEq)]
struct Options {
    text: Box<str>,
    ends: Box<[u32]>,
}

impl Options {
    fn new(options: &[String]) -> Result<Self> {
        let text: Box<str> = options.concat().into();
        if u32::try_from(text.len()).is_err() {
            return Err(Error::Limit {
                what: "bytes of all options",
                found: text.len(),
                limit: u32::MAX as usize,
            });
        }
        let ends = options.iter().scan(0, |end, option| {
            *end += option.len() as u32;
            Some(*end)
        });
        Ok(Self {
            ends: ends.collect(),
            text,
        })
    }

    fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        let end = |at: usize| self.ends[at] as usize;
        let start = move |at: usize| at.checked_sub(1).map_or(0, end);
        (0..self.ends.len()).map(move |at| &self.text[start(at)..end(at)])
    }
}

/// The answer that a [`Decision`] gives.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer<'a> {
    /// Position of the label in the decision.
    pub index: usize,
    /// The label.
    pub label: &'a Label,
    /// The share of this label when scores are read as log-probabilities, 0 to 1.
    pub confidence: f64,
}

impl Decision {
    /// A rule over at least two labels with different names.
    ///
    /// # Errors
    /// [`Error::Limit`] over [`LABELS_MAX`] or [`OPTIONS_MAX`], [`Error::OutOfRange`] for fewer than two
    /// labels or a number that is not finite, [`Error::ScoreCount`] for a label without one weight an
    /// option, [`Error::DuplicateLabel`].
    pub fn new(options: Vec<String>, labels: Vec<Label>) -> Result<Self> {
        for (what, found, limit) in [
            ("number of labels", labels.len(), LABELS_MAX),
            ("number of options", options.len(), OPTIONS_MAX),
        ] {
            if found > limit {
                return Err(Error::Limit { what, found, limit });
            }
        }
        if labels.len() < 2 {
            return Err(Error::OutOfRange {
                what: "number of labels",
                found: labels.len() as f64,
                expected: "2 or more",
            });
        }
        for (index, label) in labels.iter().enumerate() {
            if label.weights.len() != options.len() {
                return Err(Error::ScoreCount {
                    found: label.weights.len(),
                    expected: options.len(),
                });
            }
            let weights = label.weights.iter().copied().map(f64::from);
            for found in weights.chain([label.bias]) {
                if !found.is_finite() {
                    return Err(Error::OutOfRange {
                        what: "bias or weight of a label",
                        found,
                        expected: "a finite number",
                    });
                }
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
        Ok(Self {
            options: Options::new(&options)?,
            labels,
        })
    }

    /// The plain comparison of label probabilities: one option a label, given as (name, option).
    ///
    /// # Errors
    /// As [`Decision::new`].
    pub fn plain(labels: &[(&str, &str)]) -> Result<Self> {
        let options = labels
            .iter()
            .map(|(_, option)| (*option).to_owned())
            .collect();
        let labels = labels
            .iter()
            .enumerate()
            .map(|(index, (name, _))| Label {
                name: (*name).to_owned(),
                bias: 0.0,
                weights: (0..labels.len())
                    .map(|at| f32::from(u8::from(at == index)))
                    .collect(),
            })
            .collect();
        Self::new(options, labels)
    }

    /// The texts that the model scores after the prompt, in the order of the scores.
    pub fn options(&self) -> impl ExactSizeIterator<Item = &str> {
        self.options.iter()
    }

    /// The labels.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// The answer for one log-probability an option. No allocation; labels x options.
    ///
    /// # Errors
    /// [`Error::ScoreCount`] when there is not one score an option, [`Error::OutOfRange`] when one is not
    /// a finite number.
    pub fn choose(&self, log_probs: &[f64]) -> Result<Answer<'_>> {
        if log_probs.len() != self.options.ends.len() {
            return Err(Error::ScoreCount {
                found: log_probs.len(),
                expected: self.options.ends.len(),
            });
        }
        if let Some(found) = log_probs.iter().find(|score| !score.is_finite()) {
            return Err(Error::OutOfRange {
                what: "log-probability",
                found: *found,
                expected: "a finite number",
            });
        }
        let (mut index, mut best, mut sum) = (0, f64::NEG_INFINITY, 0.0);
        for (at, label) in self.labels.iter().enumerate() {
            let score = label.bias + dot(&label.weights, log_probs);
            // The shares' sum is kept in units of the best one's.
            if score > best {
                sum = sum * (best - score).exp() + 1.0;
                (index, best) = (at, score);
            } else {
                sum += (score - best).exp();
            }
        }
        Ok(Answer {
            index,
            label: &self.labels[index],
            confidence: 1.0 / sum,
        })
    }
}

/// The sum of products, in eight parts that the processor adds at once.
pub(crate) fn dot<T: Copy + Into<f64>>(a: &[T], b: &[f64]) -> f64 {
    let mut parts = [0.0; 8];
    let (a, b) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest = a.remainder().iter().zip(b.remainder());
    let rest: f64 = rest.map(|(x, y)| (*x).into() * y).sum();
    for (a, b) in a.zip(b) {
        for (part, (x, y)) in parts.iter_mut().zip(a.iter().zip(b)) {
            *part += (*x).into() * y;
        }
    }
    rest + parts.iter().sum::<f64>()
}

impl TryFrom<DecisionFile> for Decision {
    type Error = Error;

    fn try_from(file: DecisionFile) -> Result<Self> {
        Self::new(file.options, file.labels)
    }
}

impl From<Decision> for DecisionFile {
    fn from(decision: Decision) -> Self {
        Self {
            options: decision.options.iter().map(str::to_owned).collect(),
            labels: decision.labels,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(name: &str, bias: f64, weights: &[f32]) -> Label {
        Label {
            name: name.to_owned(),
            bias,
            weights: weights.to_vec(),
        }
    }

    fn decision(bias: f64) -> Decision {
        let options = [" a", " b", " c"].map(str::to_owned).to_vec();
        Decision::new(
            options,
            vec![
                label("x", 0.0, &[1.0, 0.0, 0.0]),
                label("y", bias, &[0.0, 0.5, 0.5]),
            ],
        )
        .unwrap()
    }

    #[test]
    fn a_bias_moves_the_answer_and_the_confidence() {
        let scores = [-0.5_f64, -0.5, -1.5];
        assert_eq!(decision(0.0).choose(&scores).unwrap().index, 0);
        let moved = decision(1.0);
        let answer = moved.choose(&scores).unwrap();
        assert_eq!((answer.index, answer.label.name.as_str()), (1, "y"));
        let expected = (0.0_f64).exp() / ((0.0_f64).exp() + (-0.5_f64).exp());
        assert!((answer.confidence - expected).abs() < 1e-12);
    }

    #[test]
    fn the_plain_rule_takes_the_likeliest_label() {
        let rule = Decision::plain(&[("yes", " yes"), ("no", " no")]).unwrap();
        assert_eq!(rule.choose(&[-2.0, -1.0]).unwrap().label.name, "no");
        assert!(rule.options().eq([" yes", " no"]));
    }

    #[test]
    fn what_cannot_be_decided_is_refused() {
        let rule = decision(0.0);
        assert!(matches!(
            rule.choose(&[-1.0]),
            Err(Error::ScoreCount {
                found: 1,
                expected: 3
            })
        ));
        assert!(rule.choose(&[f64::NAN, -1.0, -1.0]).is_err());
        assert!(rule.choose(&[f64::NEG_INFINITY; 3]).is_err());
        assert!(matches!(
            Decision::plain(&[("a", " a")]),
            Err(Error::OutOfRange { .. })
        ));
        assert!(matches!(
            Decision::plain(&[("a", " a"), ("a", " b")]),
            Err(Error::DuplicateLabel { .. })
        ));
        let uneven = vec![label("x", 0.0, &[1.0]), label("y", f64::NAN, &[])];
        assert!(Decision::new(vec![" a".to_owned()], uneven).is_err());
    }
}
