//! The grouped rule: a common scale times the mean log-probability of a label's options, plus its bias.

use super::{Rule, Scored, softmax};

const STEPS: usize = 80;
const BIAS_RIDGE: f64 = 1.0;
const SCALE_RIDGE: f64 = 1.0;

/// Fits one scale and a bias a label on the chosen examples.
pub(super) fn fit(
    scored: &Scored<'_>,
    chosen: &[usize],
    groups: &[Vec<usize>],
    options: usize,
) -> Rule {
    let labels = groups.len();
    let truth: Vec<usize> = chosen.iter().map(|at| scored.truth[*at]).collect();
    // Mean over a label's options, centred over the examples: the label-free part of the calibration.
    let mut grouped: Vec<Vec<f64>> = chosen
        .iter()
        .map(|at| {
            let row = scored.rows[*at];
            let mean = |group: &Vec<usize>| {
                group.iter().map(|at| f64::from(row[*at])).sum::<f64>() / group.len().max(1) as f64
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
    Rule { weights, biases }
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
