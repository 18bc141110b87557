//! Fits the rule that reads an answer from option log-probabilities, and says how well it will do.
//!
//! Small models prefer some labels whatever the text. The fitted rule takes that preference back: each
//! label's score is a common scale times the mean log-probability of its options plus a bias. With enough
//! examples the weights of all options may move too (matrix scaling; Guo et al., 2017), held to the grouped
//! rule by a ridge penalty. What a rule will do on new text is estimated by cross-fitting: each
//! example is judged by a rule fitted on the others' folds.

use crate::decision::{Decision, Label};
use crate::error::Result;

/// Folds of the cross-fitted estimate.
pub const FOLDS: usize = 5;
const STEPS: usize = 80;
/// Examples below which only scale and biases are fitted.
const FREE_EXAMPLES_MIN: usize = 60;
const BIAS_RIDGE: f64 = 1.0;
const SCALE_RIDGE: f64 = 1.0;

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
    pub rows: Vec<&'a [f64]>,
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
    fn logits(&self, row: &[f64]) -> Vec<f64> {
        self.weights
            .iter()
            .zip(&self.biases)
            .map(|(weights, bias)| bias + weights.iter().zip(row).map(|(w, x)| w * x).sum::<f64>())
            .collect()
    }
}

/// Fits a rule on all examples.
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
    let rule = fit_rule(scored, &all, groups, options.len(), freedom);
    let labels = names
        .iter()
        .zip(rule.weights.into_iter().zip(rule.biases))
        .map(|(name, (weights, bias))| Label {
            name: name.clone(),
            bias,
            weights,
        })
        .collect();
    Decision::new(options.to_vec(), labels)
}

/// The cross-fitted estimate of [`fit`] on these examples; `None` for fewer than four.
pub fn estimate(
    scored: &Scored<'_>,
    options: usize,
    groups: &[Vec<usize>],
    freedom: Freedom,
) -> Option<Estimate> {
    let count = scored.rows.len();
    let too_few = matches!(freedom, Freedom::Ridge(_)) && count < FREE_EXAMPLES_MIN;
    if count < 4 || too_few {
        return None;
    }
    let mut answers = vec![0; count];
    let mut losses = vec![0.0; count];
    for fold in 0..FOLDS {
        let others: Vec<usize> = (0..count).filter(|at| at % FOLDS != fold).collect();
        let rule = fit_rule(scored, &others, groups, options, freedom);
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
    Some(Estimate {
        answers,
        loss: losses.iter().sum::<f64>() / count as f64,
        losses,
    })
}

fn fit_rule(
    scored: &Scored<'_>,
    chosen: &[usize],
    groups: &[Vec<usize>],
    options: usize,
    freedom: Freedom,
) -> Rule {
    let labels = groups.len();
    let truth: Vec<usize> = chosen.iter().map(|at| scored.truth[*at]).collect();
    // Mean over a label's options, centred over the examples: the label-free part of the calibration.
    let mut grouped: Vec<Vec<f64>> = chosen
        .iter()
        .map(|at| {
            let row = scored.rows[*at];
            let mean = |group: &Vec<usize>| {
                group.iter().map(|at| row[*at]).sum::<f64>() / group.len().max(1) as f64
            };
            groups.iter().map(mean).collect()
        })
        .collect();
    let centres = centre(&mut grouped, labels);
    let mut priors = vec![1.0; labels];
    truth.iter().for_each(|label| priors[*label] += 1.0);
    let total: f64 = priors.iter().sum();
    let start: Vec<f64> = priors.iter().map(|prior| (prior / total).ln()).collect();

    // Parameters: logarithm of the scale, then the biases.
    let mut parameters = vec![0.0];
    parameters.extend(&start);
    descend(&mut parameters, |parameters, slope| {
        let scale = parameters[0].exp();
        let biases = &parameters[1..];
        slope[0] = SCALE_RIDGE * parameters[0];
        for (k, slope) in slope[1..].iter_mut().enumerate() {
            *slope = BIAS_RIDGE * (biases[k] - start[k]);
        }
        let mut shares = vec![0.0; labels];
        for (row, truth) in grouped.iter().zip(&truth) {
            for (share, (x, b)) in shares.iter_mut().zip(row.iter().zip(biases)) {
                *share = scale * x + b;
            }
            softmax(&mut shares);
            for (k, share) in shares.iter().enumerate() {
                let error = share - f64::from(k == *truth);
                slope[0] += error * scale * row[k];
                slope[k + 1] += error;
            }
        }
    });
    let scale = parameters[0].exp();
    let weights = groups
        .iter()
        .map(|group| {
            let mut weights = vec![0.0; options];
            group
                .iter()
                .for_each(|at| weights[*at] += scale / group.len() as f64);
            weights
        })
        .collect();
    let biases = (0..labels)
        .map(|k| parameters[k + 1] - scale * centres[k])
        .collect();
    let rule = Rule { weights, biases };
    match freedom {
        Freedom::Grouped => rule,
        Freedom::Ridge(ridge) => free_weights(scored, chosen, &truth, rule, ridge),
    }
}

/// Lets every weight move away from `rule`, in units of each option's deviation.
fn free_weights(
    scored: &Scored<'_>,
    chosen: &[usize],
    truth: &[usize],
    rule: Rule,
    ridge: f64,
) -> Rule {
    let labels = rule.biases.len();
    let options = rule.weights[0].len();
    let mut rows: Vec<Vec<f64>> = chosen.iter().map(|at| scored.rows[*at].to_vec()).collect();
    let centres = centre(&mut rows, options);
    let mut deviations = vec![0.0; options];
    for row in &rows {
        row.iter()
            .zip(&mut deviations)
            .for_each(|(x, sum)| *sum += x * x);
    }
    deviations
        .iter_mut()
        .for_each(|sum| *sum = (*sum / rows.len() as f64).sqrt().max(1e-6));
    for row in &mut rows {
        row.iter_mut()
            .zip(&deviations)
            .for_each(|(x, deviation)| *x /= deviation);
    }
    let base: Vec<Vec<f64>> = chosen
        .iter()
        .map(|at| rule.logits(scored.rows[*at]))
        .collect();

    // Parameters: for each label the moves of its weights, then of its bias.
    let stride = options + 1;
    let mut parameters = vec![0.0; labels * stride];
    descend(&mut parameters, |parameters, slope| {
        for (slope, value) in slope.iter_mut().zip(parameters) {
            *slope = ridge * value;
        }
        let mut shares = vec![0.0; labels];
        for ((row, base), truth) in rows.iter().zip(&base).zip(truth) {
            let parts = parameters.chunks_exact(stride).zip(base);
            for (share, (part, base)) in shares.iter_mut().zip(parts) {
                let moved: f64 = part.iter().zip(row).map(|(w, x)| w * x).sum();
                *share = base + part[options] + moved;
            }
            softmax(&mut shares);
            for (k, share) in shares.iter().enumerate() {
                let error = share - f64::from(k == *truth);
                let part = &mut slope[k * stride..(k + 1) * stride];
                part.iter_mut()
                    .zip(row)
                    .for_each(|(slope, x)| *slope += error * x);
                part[options] += error;
            }
        }
    });
    let mut rule = rule;
    for (k, part) in parameters.chunks_exact(stride).enumerate() {
        rule.biases[k] += part[options];
        for at in 0..options {
            let moved = part[at] / deviations[at];
            rule.weights[k][at] += moved;
            rule.biases[k] -= moved * centres[at];
        }
    }
    rule
}

/// Takes the mean of each column away and gives the means.
fn centre(rows: &mut [Vec<f64>], columns: usize) -> Vec<f64> {
    let mut means = vec![0.0; columns];
    for row in rows.iter() {
        row.iter().zip(&mut means).for_each(|(x, sum)| *sum += x);
    }
    means
        .iter_mut()
        .for_each(|sum| *sum /= rows.len().max(1) as f64);
    for row in rows {
        row.iter_mut().zip(&means).for_each(|(x, mean)| *x -= mean);
    }
    means
}

/// Turns logits into shares in place.
fn softmax(logits: &mut [f64]) {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    logits.iter_mut().for_each(|x| *x = (*x - largest).exp());
    let sum: f64 = logits.iter().sum();
    logits.iter_mut().for_each(|share| *share /= sum);
}

/// Minimises a smooth convex function from its slope: Rprop (Riedmiller and Braun, 1993), which needs no
/// step size; the same numbers in, the same numbers out.
fn descend(parameters: &mut [f64], mut slope_at: impl FnMut(&[f64], &mut [f64])) {
    let mut slope = vec![0.0; parameters.len()];
    let mut earlier = vec![0.0; parameters.len()];
    let mut steps = vec![0.05; parameters.len()];
    for _ in 0..STEPS {
        slope_at(parameters, &mut slope);
        for at in 0..parameters.len() {
            let turn = slope[at] * earlier[at];
            if turn > 0.0 {
                steps[at] = f64::min(steps[at] * 1.2, 1.0);
            } else if turn < 0.0 {
                steps[at] = f64::max(steps[at] * 0.5, 1e-9);
                slope[at] = 0.0;
            }
            if slope[at] != 0.0 {
                parameters[at] -= steps[at] * slope[at].signum();
            }
        }
        earlier.copy_from_slice(&slope);
    }
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

    use super::*;

    /// Two labels; the model always prefers label 0 by 3 nats, and knows the truth up to noise.
    fn biased(count: usize) -> (Vec<Vec<f64>>, Vec<usize>) {
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let truth: Vec<usize> = (0..count).map(|_| random.random_range(0..2)).collect();
        let rows = truth
            .iter()
            .map(|truth| {
                let noise = || -1.0;
                let mut row = vec![noise() - 1.0, noise() - 4.0];
                row[*truth] += 1.0;
                row.iter_mut()
                    .for_each(|x| *x += random.random::<f64>() - 0.5);
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
                .filter(|(r, t)| rule.choose(r).unwrap().index == **t)
                .count()
        };
        assert!(right(&rule) >= 95, "{}", right(&rule));
        let plain = Decision::plain(&[("a", " a"), ("b", " b")]).unwrap();
        assert!(right(&plain) < 70);
        for freedom in [Freedom::Grouped, Freedom::Ridge(1.0)] {
            let estimate = estimate(&scored, 2, &groups, freedom).unwrap();
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
        let rows: Vec<Vec<f64>> = (0..200)
            .map(|_| (0..12).map(|_| random.random::<f64>()).collect())
            .collect();
        let truth: Vec<usize> = (0..200).map(|_| random.random_range(0..2)).collect();
        let scored = Scored {
            rows: rows.iter().map(Vec::as_slice).collect(),
            truth,
        };
        let groups = [(0..6).collect(), (6..12).collect()];
        for freedom in [Freedom::Grouped, Freedom::Ridge(1.0)] {
            let estimate = estimate(&scored, 12, &groups, freedom).unwrap();
            let right = estimate
                .answers
                .iter()
                .zip(&scored.truth)
                .filter(|(a, t)| a == t)
                .count();
            assert!((76..124).contains(&right), "{freedom:?} {estimate:?}");
            assert!(estimate.loss > 0.65, "{freedom:?} {estimate:?}");
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
        let first = fit_rule(
            &scored,
            &(0..80).collect::<Vec<_>>(),
            &groups,
            2,
            Freedom::Ridge(1.0),
        );
        let second = fit_rule(
            &scored,
            &(0..80).collect::<Vec<_>>(),
            &groups,
            2,
            Freedom::Ridge(1.0),
        );
        assert_eq!(first.weights, second.weights);
        assert_eq!(first.biases, second.biases);
    }
}
