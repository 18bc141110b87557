//! Fits the rule that reads an answer from option log-probabilities, and says how well it will do.
//!
//! Small models prefer some labels whatever the text. The fitted rule takes that preference back: each
//! label's score is a common scale times the mean log-probability of its options plus a bias. With enough
//! examples the weights of all options may move too (matrix scaling; Guo et al., 2017), held to the grouped
//! rule by a ridge penalty: a prompt is then read through every word that is scored, whichever label that word
//! stands for. What a rule will do on new text is estimated by cross-fitting: each example is judged by a
//! rule fitted on the others' folds.

mod free;
mod grouped;

use crate::decision::{Decision, Label};
use crate::error::Result;

/// Folds of the cross-fitted estimate.
pub const FOLDS: usize = 5;
/// Examples below which only scale and biases are fitted.
const FREE_EXAMPLES_MIN: usize = 40;

/// How freely the weights may leave the grouped rule.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Freedom {
    /// One scale and a bias a label.
    Grouped,
    /// All weights, with this ridge penalty in standardised units.
    Ridge(f64),
}

impl Freedom {
    /// In words, for reports.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Grouped => "one scale and a bias a label".to_owned(),
            Self::Ridge(ridge) => format!("a weight a word, ridge {ridge}"),
        }
    }
}

/// Scored examples of one prompt.
#[derive(Clone, Debug)]
pub struct Scored<'a> {
    /// Log-probability of each option, an example a row.
    pub rows: Vec<&'a [f32]>,
    /// The right label of each example.
    pub truth: Vec<usize>,
}

/// A cross-fitted estimate of what a rule does on new text.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// The label given to each example by a rule that did not see it.
    pub answers: Vec<usize>,
    /// Minus the logarithm of the share given to the right label of each example, in nats.
    pub losses: Vec<f64>,
    /// Their mean.
    pub loss: f64,
}

/// A rule over `groups[label]` = positions of the label's options.
#[derive(Clone, Debug)]
struct Rule {
    weights: Vec<Vec<f64>>,
    biases: Vec<f64>,
}

impl Rule {
    fn logits(&self, row: &[f32]) -> Vec<f64> {
        let sum = |weights: &Vec<f64>| -> f64 {
            let terms = weights.iter().zip(row);
            terms.map(|(w, x)| w * f64::from(*x)).sum()
        };
        let labels = self.weights.iter().zip(&self.biases);
        labels.map(|(weights, bias)| bias + sum(weights)).collect()
    }
}

/// Fits a rule on all examples. Weights are kept to four digits: more say nothing and make the file longer.
///
/// # Errors
/// Those of [`Decision::new`].
pub fn fit(
    scored: &Scored<'_>,
    names: &[String],
    options: &[String],
    groups: &[Vec<usize>],
    freedom: Freedom,
) -> Result<Decision> {
    let all: Vec<usize> = (0..scored.rows.len()).collect();
    let mut rules = rules(scored, &all, groups, options.len(), &[freedom]);
    let rule = rules.swap_remove(0);
    let labels = names
        .iter()
        .zip(rule.weights.iter().zip(rule.biases))
        .map(|(name, (weights, bias))| Label {
            name: name.clone(),
            bias,
            weights: weights.iter().map(|weight| four_digits(*weight)).collect(),
        })
        .collect();
    Decision::new(options.to_vec(), labels)
}

/// The nearest number of four decimal digits.
fn four_digits(number: f64) -> f32 {
    format!("{number:.3e}").parse().unwrap_or(number as f32)
}

/// The cross-fitted estimates of [`fit`] on these examples, one for each freedom; `None` for fewer examples
/// than it asks for: 4, and 40 where the weights are free.
pub fn estimates(
    scored: &Scored<'_>,
    options: usize,
    groups: &[Vec<usize>],
    freedoms: &[Freedom],
) -> Vec<Option<Estimate>> {
    let count = scored.rows.len();
    let enough = |freedom: &Freedom| match freedom {
        Freedom::Grouped => count >= 4,
        Freedom::Ridge(_) => count >= FREE_EXAMPLES_MIN,
    };
    let fitted: Vec<Freedom> = freedoms.iter().copied().filter(enough).collect();
    let mut found = vec![(vec![0; count], vec![0.0; count]); fitted.len()];
    for fold in 0..FOLDS {
        if fitted.is_empty() {
            break;
        }
        let others: Vec<usize> = (0..count).filter(|at| at % FOLDS != fold).collect();
        let rules = rules(scored, &others, groups, options, &fitted);
        for (rule, (answers, losses)) in rules.iter().zip(&mut found) {
            for at in (fold..count).step_by(FOLDS) {
                let mut shares = rule.logits(scored.rows[at]);
                softmax(&mut shares);
                losses[at] = -shares[scored.truth[at]].max(1e-12).ln();
                // The first of equal shares, as `Decision::choose` takes it.
                for (label, share) in shares.iter().enumerate() {
                    if *share > shares[answers[at]] {
                        answers[at] = label;
                    }
                }
            }
        }
    }
    let mut found = found.into_iter().map(|(answers, losses)| Estimate {
        answers,
        loss: losses.iter().sum::<f64>() / count as f64,
        losses,
    });
    freedoms
        .iter()
        .map(|freedom| if enough(freedom) { found.next() } else { None })
        .collect()
}

/// The rules of these freedoms, fitted on the chosen examples.
fn rules(
    scored: &Scored<'_>,
    chosen: &[usize],
    groups: &[Vec<usize>],
    options: usize,
    freedoms: &[Freedom],
) -> Vec<Rule> {
    let grouped = grouped::fit(scored, chosen, groups, options);
    let ridges: Vec<f64> = freedoms
        .iter()
        .filter_map(|freedom| match freedom {
            Freedom::Grouped => None,
            Freedom::Ridge(ridge) => Some(*ridge),
        })
        .collect();
    let mut freed = free::fit(scored, chosen, &grouped, &ridges).into_iter();
    freedoms
        .iter()
        .filter_map(|freedom| match freedom {
            Freedom::Grouped => Some(grouped.clone()),
            Freedom::Ridge(_) => freed.next(),
        })
        .collect()
}

/// Turns logits into shares in place.
fn softmax(logits: &mut [f64]) {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    logits.iter_mut().for_each(|x| *x = (*x - largest).exp());
    let sum: f64 = logits.iter().sum();
    logits.iter_mut().for_each(|share| *share /= sum);
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

    use super::*;

    const FREEDOMS: [Freedom; 2] = [Freedom::Grouped, Freedom::Ridge(1.0)];

    fn wide(row: &[f32]) -> Vec<f64> {
        row.iter().copied().map(f64::from).collect()
    }

    /// Two labels; the model always prefers label 0 by 3 nats, and knows the truth up to noise.
    fn biased(count: usize) -> (Vec<Vec<f32>>, Vec<usize>) {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let truth: Vec<usize> = (0..count).map(|_| random.random_range(0..2)).collect();
        let rows = truth
            .iter()
            .map(|truth| {
                let noise = || -1.0;
                let mut row = vec![noise() - 1.0, noise() - 4.0];
                row[*truth] += 1.0;
                row.iter_mut()
                    .for_each(|x| *x += random.random::<f32>() - 0.5);
                row
            })
            .collect();
        (rows, truth)
    }

    #[test]
    fn a_constant_preference_is_taken_back() {
        let (rows, truth) = biased(100);
        let scored = Scored {
            rows: rows.iter().map(Vec::as_slice).collect(),
            truth: truth.clone(),
        };
        let groups = [vec![0], vec![1]];
        let names = ["a".to_owned(), "b".to_owned()];
        let options = [" a".to_owned(), " b".to_owned()];
        let rule = fit(&scored, &names, &options, &groups, Freedom::Grouped).unwrap();
        let right = |rule: &Decision| {
            rows.iter()
                .zip(&truth)
                .filter(|(r, t)| rule.choose(&wide(r)).unwrap().index == **t)
                .count()
        };
        assert!(right(&rule) >= 95, "{}", right(&rule));
        let plain = Decision::plain(&[("a", " a"), ("b", " b")]).unwrap();
        assert!(right(&plain) < 70);
        for estimate in estimates(&scored, 2, &groups, &FREEDOMS) {
            let estimate = estimate.unwrap();
            let right = estimate
                .answers
                .iter()
                .zip(&truth)
                .filter(|(a, t)| a == t)
                .count();
            assert!(right > 90 && estimate.loss < 0.4, "{estimate:?}");
        }
    }

    #[test]
    fn noise_is_estimated_as_noise() {
        let mut random = ChaCha8Rng::seed_from_u64(6);
        let rows: Vec<Vec<f32>> = (0..200)
            .map(|_| (0..12).map(|_| random.random::<f32>()).collect())
            .collect();
        let truth: Vec<usize> = (0..200).map(|_| random.random_range(0..2)).collect();
        let scored = Scored {
            rows: rows.iter().map(Vec::as_slice).collect(),
            truth,
        };
        let groups = [(0..6).collect(), (6..12).collect()];
        for estimate in estimates(&scored, 12, &groups, &FREEDOMS) {
            let estimate = estimate.unwrap();
            let right = estimate
                .answers
                .iter()
                .zip(&scored.truth)
                .filter(|(a, t)| a == t)
                .count();
            assert!((76..124).contains(&right), "{estimate:?}");
            assert!(estimate.loss > 0.65, "{estimate:?}");
        }
    }

    #[test]
    fn fitting_twice_gives_the_same_bits() {
        let (rows, truth) = biased(80);
        let scored = Scored {
            rows: rows.iter().map(Vec::as_slice).collect(),
            truth,
        };
        let groups = [vec![0], vec![1]];
        let all: Vec<usize> = (0..80).collect();
        let first = rules(&scored, &all, &groups, 2, &FREEDOMS);
        let second = rules(&scored, &all, &groups, 2, &FREEDOMS);
        for (first, second) in first.iter().zip(&second) {
            assert_eq!(first.weights, second.weights);
            assert_eq!(first.biases, second.biases);
        }
    }
}
