//! Lets every weight move away from a grouped rule, in units of each option's deviation.
//!
//! Multinomial logistic regression with a ridge penalty, fitted by minorisation (Böhning, 1992): the
//! curvature is never more than that of half the squared inputs, so one matrix, factored once, bounds every
//! step and no step size is searched for. Momentum that restarts where it points uphill (O'Donoghue and
//! Candès, 2015) makes few steps of it. Log-probabilities of words rise and fall together, which methods that move one
//! weight at a time do not cope with.

use super::{Rule, Scored, softmax};
use crate::decision::dot;

/// Steps from one penalty's solution to the next one's.
const STEPS: usize = 30;

/// A rule for each ridge penalty; penalties are best given from the largest to the smallest, as each starts at
/// the rule of the one before. Examples x options x (options + labels x steps).
pub(super) fn fit(
    scored: &Scored<'_>,
    chosen: &[usize],
    grouped: &Rule,
    ridges: &[f64],
) -> Vec<Rule> {
    if ridges.is_empty() {
        return Vec::new();
    }
    let task = Task::new(scored, chosen, grouped);
    let mut moves = vec![0.0; task.labels * task.width];
    ridges
        .iter()
        .map(|ridge| {
            task.descend(&mut moves, *ridge);
            task.moved(grouped, &moves)
        })
        .collect()
}

/// The examples, standardised.
struct Task {
    labels: usize,
    /// Options, and the constant that the bias is the weight of.
    width: usize,
    /// Examples, each of `width` inputs.
    inputs: Vec<f64>,
    /// What the grouped rule gives, each of `labels` logits.
    base: Vec<f64>,
    truth: Vec<usize>,
    /// Mean and deviation of each option.
    scales: Vec<(f64, f64)>,
    /// Products of the inputs, `width` x `width`.
    products: Vec<f64>,
}

impl Task {
    fn new(scored: &Scored<'_>, chosen: &[usize], grouped: &Rule) -> Self {
        let labels = grouped.biases.len();
        let options = grouped.weights[0].len();
        let width = options + 1;
        let count = chosen.len().max(1) as f64;
        let scales: Vec<(f64, f64)> = (0..options)
            .map(|option| {
                let of = |at: &usize| f64::from(scored.rows[*at][option]);
                let mean = chosen.iter().map(of).sum::<f64>() / count;
                let squares: f64 = chosen.iter().map(|at| (of(at) - mean).powi(2)).sum();
                (mean, (squares / count).sqrt().max(1e-6))
            })
            .collect();
        let mut inputs = Vec::with_capacity(chosen.len() * width);
        for at in chosen {
            let row = scored.rows[*at].iter().zip(&scales);
            inputs.extend(row.map(|(x, (mean, deviation))| (f64::from(*x) - mean) / deviation));
            inputs.push(1.0);
        }
        let mut products = vec![0.0; width * width];
        for row in inputs.chunks_exact(width) {
            for (x, sums) in row.iter().zip(products.chunks_exact_mut(width)) {
                add(sums, *x, row);
            }
        }
        let base = chosen
            .iter()
            .flat_map(|at| grouped.logits(scored.rows[*at]))
            .collect();
        Self {
            labels,
            width,
            inputs,
            base,
            truth: chosen.iter().map(|at| scored.truth[*at]).collect(),
            scales,
            products,
        }
    }

    /// Brings the moves, `width` a label, near to the best ones under a penalty.
    fn descend(&self, moves: &mut [f64], ridge: f64) {
        let bound: Vec<f64> = self
            .products
            .iter()
            .enumerate()
            .map(|(at, product)| {
                let diagonal = at / self.width == at % self.width;
                0.5 * product + if diagonal { ridge } else { 0.0 }
            })
            .collect();
        let factor = factored(bound, self.width);
        // Where the momentum leads, from which the step is taken.
        let mut ahead = moves.to_vec();
        let mut weight = 1.0_f64;
        let mut slope = vec![0.0; moves.len()];
        for _ in 0..STEPS {
            self.slope(&ahead, ridge, &mut slope);
            let mut step = slope.clone();
            for part in step.chunks_exact_mut(self.width) {
                solve(&factor, part);
            }
            let mut uphill = 0.0;
            let next = (1.0 + (1.0 + 4.0 * weight * weight).sqrt()) / 2.0;
            let momentum = (weight - 1.0) / next;
            for at in 0..moves.len() {
                let before = moves[at];
                moves[at] = ahead[at] - step[at];
                uphill += slope[at] * (moves[at] - before);
                ahead[at] = moves[at] + momentum * (moves[at] - before);
            }
            weight = next;
            if uphill > 0.0 {
                weight = 1.0;
                ahead.copy_from_slice(moves);
            }
        }
    }

    fn slope(&self, moves: &[f64], ridge: f64, slope: &mut [f64]) {
        for (slope, value) in slope.iter_mut().zip(moves) {
            *slope = ridge * value;
        }
        let mut shares = vec![0.0; self.labels];
        let rows = self.inputs.chunks_exact(self.width);
        let bases = self.base.chunks_exact(self.labels);
        for ((row, base), truth) in rows.zip(bases).zip(&self.truth) {
            let parts = moves.chunks_exact(self.width).zip(base);
            for (share, (part, base)) in shares.iter_mut().zip(parts) {
                *share = base + dot(part, row);
            }
            softmax(&mut shares);
            let parts = slope.chunks_exact_mut(self.width).zip(&shares);
            for (label, (part, share)) in parts.enumerate() {
                add(part, share - f64::from(label == *truth), row);
            }
        }
    }

    /// The grouped rule with these moves, in log-probabilities as the model gives them.
    fn moved(&self, grouped: &Rule, moves: &[f64]) -> Rule {
        let mut rule = grouped.clone();
        for (label, part) in moves.chunks_exact(self.width).enumerate() {
            rule.biases[label] += part[self.width - 1];
            let weights = rule.weights[label].iter_mut();
            for (weight, (value, (mean, deviation))) in weights.zip(part.iter().zip(&self.scales)) {
                let change = value / deviation;
                *weight += change;
                rule.biases[label] -= change * mean;
            }
        }
        rule
    }
}

/// Adds `factor` times a row to sums.
fn add(sums: &mut [f64], factor: f64, row: &[f64]) {
    for (sum, x) in sums.iter_mut().zip(row) {
        *sum += factor * x;
    }
}

/// The lower factor of a symmetric, positive matrix (Cholesky), a row after the other.
fn factored(mut matrix: Vec<f64>, width: usize) -> Vec<f64> {
    for row in 0..width {
        let (above, below) = matrix.split_at_mut(row * width);
        let below = &mut below[..width];
        for column in 0..row {
            let other = &above[column * width..];
            let sum = dot(&below[..column], &other[..column]);
            below[column] = (below[column] - sum) / other[column];
        }
        let squares = dot(&below[..row], &below[..row]);
        below[row] = (below[row] - squares).max(1e-12).sqrt();
    }
    matrix
}

/// Solves for a right-hand side, in place.
fn solve(factor: &[f64], values: &mut [f64]) {
    let width = values.len();
    for row in 0..width {
        let line = &factor[row * width..];
        values[row] = (values[row] - dot(&line[..row], &values[..row])) / line[row];
    }
    for row in (0..width).rev() {
        let line = &factor[row * width..];
        let (before, rest) = values.split_at_mut(row);
        rest[0] /= line[row];
        add(before, -rest[0], &line[..row]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_factored_matrix_solves_what_it_was_made_of() {
        let width = 20;
        // A sum of outer products and a diagonal: symmetric and positive.
        let entry = |row: usize, column: usize| {
            let shared: f64 = (0..5)
                .map(|k| ((row * 7 + k * 3) % 11) as f64 * ((column * 7 + k * 3) % 11) as f64)
                .sum();
            shared / 10.0 + f64::from(row == column)
        };
        let matrix: Vec<f64> = (0..width * width)
            .map(|at| entry(at / width, at % width))
            .collect();
        let wanted: Vec<f64> = (0..width).map(|at| at as f64 - 3.5).collect();
        let mut values: Vec<f64> = matrix
            .chunks_exact(width)
            .map(|row| dot(row, &wanted))
            .collect();
        solve(&factored(matrix, width), &mut values);
        for (found, wanted) in values.iter().zip(&wanted) {
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        }
    }

    #[test]
    fn the_steps_end_where_the_slope_is_flat() {
        // Three labels; forty options that nearly agree with each other, as words do.
        let rows: Vec<Vec<f32>> = (0..90)
            .map(|at: usize| {
                let common = ((at * 37) % 23) as f32 / 5.0;
                (0..40)
                    .map(|option: usize| {
                        let own = ((at * 13 + option * 29) % 17) as f32 / 20.0;
                        let told = if option % 3 == at % 3 { 0.3 } else { 0.0 };
                        -common - own + told
                    })
                    .collect()
            })
            .collect();
        let scored = Scored {
            rows: rows.iter().map(Vec::as_slice).collect(),
            truth: (0..90)
                .map(|at| if at % 7 == 0 { 0 } else { at % 3 })
                .collect(),
        };
        let grouped = Rule {
            weights: vec![vec![0.0; 40]; 3],
            biases: vec![0.0; 3],
        };
        let all: Vec<usize> = (0..90).collect();
        let task = Task::new(&scored, &all, &grouped);
        let mut moves = vec![0.0; task.labels * task.width];
        let mut slope = moves.clone();
        task.slope(&moves, 3.0, &mut slope);
        let steepness = |slope: &[f64]| dot(slope, slope).sqrt();
        let before = steepness(&slope);
        for ridge in [48.0, 12.0, 3.0] {
            task.descend(&mut moves, ridge);
        }
        task.slope(&moves, 3.0, &mut slope);
        assert!(
            steepness(&slope) < 1e-3 * before,
            "{} {before}",
            steepness(&slope)
        );
        let rule = task.moved(&grouped, &moves);
        let logits = rule.logits(scored.rows[4]);
        let row = &task.inputs[4 * task.width..5 * task.width];
        for (label, logit) in logits.iter().enumerate() {
            let part = &moves[label * task.width..(label + 1) * task.width];
            assert!((logit - dot(part, row)).abs() < 1e-9);
        }
    }
}
