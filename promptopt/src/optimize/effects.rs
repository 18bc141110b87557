//! What each choice of a plan is worth by itself, learnt from all plans tried.
//!
//! A plan that was scored on few examples is known badly, but each of its choices was tried in many plans.
//! The merit of a plan is therefore drawn towards the sum of its choices' effects: an additive model,
//! fitted by backfitting (Hastie and Tibshirani, 1990), each effect shrunk by the plans that speak for it and by how
//! large the effects of its kind are found to be (empirical Bayes; Efron and Morris, 1973).
//!
//! One effect more is that of the expectation: how much of the model's probability goes to the labels' names, whichever
//! of them is right. Where the model takes the prompt for a question with these answers, its answers tend to be better, and
//! a few examples tell this nearly without noise. How much it is worth is learnt for each task.

use super::space::{DIMENSIONS, Plan};

const SWEEPS: usize = 30;
/// Plans' worth of doubt in an effect before anything is learnt, and the least and most that is.
const EFFECT_DOUBT: f64 = 10.0;
const EFFECT_DOUBTS: (f64, f64) = (2.0, 1000.0);
/// Least and most examples at which a plan's own merit counts as much as the sum of its choices' effects.
const MERIT_DOUBTS: (f64, f64) = (8.0, 100.0);

/// A plan and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tried {
    pub(crate) plan: Plan,
    /// Not finite before anything is known.
    pub(crate) merit: f64,
    /// Examples behind it.
    pub(crate) examples: usize,
    /// Variance of the merit from example to example.
    pub(crate) variance: f64,
    /// Logarithm of the labels' names' probability together, a mean over the examples.
    pub(crate) expectation: f64,
}

/// One set of effects: each plan has one of them, times a factor.
struct Effects {
    worth: Vec<f64>,
    /// Plans' worth of doubt: variance of what is not explained over that of the effects.
    doubt: f64,
    /// For each plan its effect and the factor.
    of: Vec<(usize, f64)>,
}

impl Effects {
    fn new(of: Vec<(usize, f64)>) -> Self {
        let most = of.iter().map(|(choice, _)| *choice).max().unwrap_or(0);
        Self {
            worth: vec![0.0; most + 1],
            doubt: EFFECT_DOUBT,
            of,
        }
    }

    fn at(&self, plan: usize) -> f64 {
        let (choice, factor) = self.of[plan];
        self.worth[choice] * factor
    }

    /// Fits the effects to what the others leave of each plan's merit, and learns from their size how far they are to be
    /// trusted; `unexplained` is the variance of a plan's merit that no effect explains.
    fn fit(&mut self, left: &[f64], weights: &[f64], unexplained: f64) {
        let size = self.worth.len();
        let (mut sums, mut speak) = (vec![0.0; size], vec![0.0; size]);
        for (at, (choice, factor)) in self.of.iter().enumerate() {
            sums[*choice] += weights[at] * factor * left[at];
            speak[*choice] += weights[at] * factor * factor;
        }
        let (mut squares, mut seen) = (0.0, 0.0);
        for ((worth, sum), speak) in self.worth.iter_mut().zip(sums).zip(speak) {
            *worth = sum / (speak + self.doubt);
            if speak > 0.0 {
                squares += *worth * *worth + unexplained / (speak + self.doubt);
                seen += 1.0;
            }
        }
        if squares > 0.0 {
            let (least, most) = EFFECT_DOUBTS;
            self.doubt = (unexplained * seen / squares).clamp(least, most);
        }
    }
}

/// The merits of plans after they are drawn towards what their choices and the expectation are worth; a merit that is
/// not finite stays as it is. Plans x sweeps.
pub(crate) fn smoothed(plans: &[Tried]) -> Vec<f64> {
    let known: Vec<&Tried> = plans.iter().filter(|held| held.merit.is_finite()).collect();
    let total: f64 = known.iter().map(|held| held.examples as f64).sum();
    if total == 0.0 {
        return plans.iter().map(|held| held.merit).collect();
    }
    let mean_examples = total / known.len() as f64;
    let weights: Vec<f64> = known
        .iter()
        .map(|held| held.examples as f64 / mean_examples)
        .collect();
    let mean = |values: &mut dyn Iterator<Item = f64>| {
        let sum: f64 = weights
            .iter()
            .zip(values)
            .map(|(weight, value)| weight * value)
            .sum();
        sum / known.len() as f64
    };
    let centre = mean(&mut known.iter().map(|held| held.merit));
    let noise = mean(&mut known.iter().map(|held| held.variance)) / mean_examples;
    let expected = mean(&mut known.iter().map(|held| held.expectation));
    let deviation = mean(
        &mut known
            .iter()
            .map(|held| (held.expectation - expected).powi(2)),
    );
    let deviation = deviation.sqrt().max(1e-9);

    let mut effects: Vec<Effects> = (0..DIMENSIONS)
        .map(|dimension| {
            Effects::new(
                known
                    .iter()
                    .map(|held| (held.plan[dimension], 1.0))
                    .collect(),
            )
        })
        .collect();
    let slope = known
        .iter()
        .map(|held| (0, (held.expectation - expected) / deviation));
    effects.push(Effects::new(slope.collect()));
    let mut left: Vec<f64> = known.iter().map(|held| held.merit - centre).collect();
    let mut unexplained = mean(&mut left.iter().map(|left| left * left));
    for _ in 0..SWEEPS {
        for effects in &mut effects {
            for (at, left) in left.iter_mut().enumerate() {
                *left += effects.at(at);
            }
            effects.fit(&left, &weights, unexplained);
            for (at, left) in left.iter_mut().enumerate() {
                *left -= effects.at(at);
            }
        }
        unexplained = mean(&mut left.iter().map(|left| left * left)).max(1e-9);
    }
    // What is unexplained and no noise is the plan's own.
    let (least, most) = MERIT_DOUBTS;
    let own = (unexplained - noise).max(1e-9);
    let doubt = (noise * mean_examples / own).clamp(least, most);
    let mut left = left.into_iter();
    plans
        .iter()
        .map(|held| {
            if held.merit.is_finite() {
                let left = left.next().unwrap_or(0.0);
                held.merit - left * doubt / (held.examples as f64 + doubt)
            } else {
                held.merit
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

    use super::*;

    #[test]
    fn of_many_badly_known_plans_better_ones_are_kept() {
        const RUNS: usize = 60;
        let mut random = ChaCha8Rng::seed_from_u64(3);
        // Of twelve uniform numbers: near enough to a normal distribution.
        let mut normal = move |deviation: f64| {
            let sum: f64 = (0..12).map(|_| random.random::<f64>()).sum();
            deviation * (sum - 6.0)
        };
        let mut draws = ChaCha8Rng::seed_from_u64(4);
        let (mut by_merit, mut by_effects) = (0.0, 0.0);
        let (mut one_by_effects, mut one_by_expectation) = (0.0, 0.0);
        for _ in 0..RUNS {
            let sizes = [10, 6, 16, 20, 3];
            let worth = sizes.map(|size| (0..size).map(|_| normal(0.05)).collect::<Vec<_>>());
            let mut truths = Vec::new();
            let mut seen = Vec::new();
            for _ in 0..120 {
                let plan = sizes.map(|size| draws.random_range(0..size));
                let parts: f64 = worth.iter().zip(plan).map(|(w, choice)| w[choice]).sum();
                let truth = parts + normal(0.05);
                truths.push(truth);
                seen.push(Tried {
                    plan,
                    merit: truth + normal(0.25),
                    examples: 4,
                    variance: 0.25,
                    expectation: 0.0,
                });
            }
            let best_kept = |merits: Vec<f64>, count: usize| {
                let mut order: Vec<usize> = (0..merits.len()).collect();
                order.sort_by(|a, b| merits[*b].total_cmp(&merits[*a]));
                let kept = order.into_iter().take(count).map(|at| truths[at]);
                kept.fold(f64::NEG_INFINITY, f64::max)
            };
            by_merit += best_kept(seen.iter().map(|held| held.merit).collect(), 10) / RUNS as f64;
            by_effects += best_kept(smoothed(&seen), 10) / RUNS as f64;
            one_by_effects += best_kept(smoothed(&seen), 1) / RUNS as f64;
            for (held, truth) in seen.iter_mut().zip(&truths) {
                held.expectation = 40.0 * truth + 3.0 * normal(1.0) - 8.0;
            }
            one_by_expectation += best_kept(smoothed(&seen), 1) / RUNS as f64;
        }
        assert!(by_effects > by_merit + 0.005, "{by_effects} {by_merit}");
        assert!(
            one_by_expectation > one_by_effects + 0.02,
            "{one_by_expectation} {one_by_effects}"
        );
    }

    #[test]
    fn what_is_well_known_or_not_known_stays() {
        let known = |plan, merit, examples| Tried {
            plan,
            merit,
            examples,
            variance: 0.25,
            expectation: merit,
        };
        let plans = [
            known([0, 0, 0, 0, 0], 0.9, 100_000),
            known([1, 0, 0, 0, 0], 0.1, 100_000),
            known([0, 1, 0, 0, 0], f64::NEG_INFINITY, 0),
        ];
        let merits = smoothed(&plans);
        assert!((merits[0] - 0.9).abs() < 1e-3 && (merits[1] - 0.1).abs() < 1e-3);
        assert_eq!(merits[2], f64::NEG_INFINITY);
        assert!(smoothed(&[]).is_empty());
    }
}
