//! What each choice of a plan is worth by itself, learnt from all plans tried.
//!
//! A plan that was scored on few examples is known badly, but each of its choices was tried in many plans.
//! The merit of a plan is therefore drawn towards the sum of its choices' effects: an additive model,
//! fitted by backfitting (Hastie and Tibshirani, 1990), each effect shrunk by the plans that speak for it.

use super::space::{DIMENSIONS, Plan};

/// Plans' worth of doubt in an effect.
const EFFECT_DOUBT: f64 = 3.0;
/// Examples at which a plan's own merit counts as much as the sum of its choices' effects.
const MERIT_DOUBT: f64 = 12.0;
const SWEEPS: usize = 20;

/// The merits of plans after they are drawn towards what their choices are worth. Each plan comes with its
/// merit and the number of examples behind it; a merit that is not finite stays as it is.
pub(crate) fn smoothed(plans: &[(Plan, f64, usize)]) -> Vec<f64> {
    let known = || plans.iter().filter(|(_, merit, _)| merit.is_finite());
    let total: f64 = known().map(|(_, _, count)| *count as f64).sum();
    if total == 0.0 {
        return plans.iter().map(|(_, merit, _)| *merit).collect();
    }
    let mean = known().map(|(_, merit, n)| merit * *n as f64).sum::<f64>() / total;
    let mean_examples = total / known().count() as f64;
    let mut effects: [Vec<f64>; DIMENSIONS] = std::array::from_fn(|dimension| {
        let most = plans.iter().map(|(plan, _, _)| plan[dimension]).max();
        vec![0.0; most.unwrap_or(0) + 1]
    });
    let additive = |effects: &[Vec<f64>; DIMENSIONS], plan: &Plan| {
        mean + effects
            .iter()
            .zip(plan)
            .map(|(effect, choice)| effect[*choice])
            .sum::<f64>()
    };
    for _ in 0..SWEEPS {
        for dimension in 0..DIMENSIONS {
            let size = effects[dimension].len();
            let (mut sums, mut weights) = (vec![0.0; size], vec![0.0; size]);
            for (plan, merit, count) in known() {
                let choice = plan[dimension];
                let weight = *count as f64 / mean_examples;
                let others = additive(&effects, plan) - effects[dimension][choice];
                sums[choice] += weight * (merit - others);
                weights[choice] += weight;
            }
            for (effect, (sum, weight)) in
                effects[dimension].iter_mut().zip(sums.iter().zip(&weights))
            {
                *effect = sum / (weight + EFFECT_DOUBT);
            }
        }
    }
    plans
        .iter()
        .map(|(plan, merit, count)| {
            let own = *count as f64 / (*count as f64 + MERIT_DOUBT);
            if merit.is_finite() {
                own * merit + (1.0 - own) * additive(&effects, plan)
            } else {
                *merit
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

    use super::*;

    #[test]
    fn among_ten_kept_of_many_badly_known_plans_is_a_better_one() {
        const RUNS: usize = 60;
        let mut random = ChaCha8Rng::seed_from_u64(3);
        // Of twelve uniform numbers: near enough to a normal distribution.
        let mut normal = move |deviation: f64| {
            let sum: f64 = (0..12).map(|_| random.random::<f64>()).sum();
            deviation * (sum - 6.0)
        };
        let mut draws = ChaCha8Rng::seed_from_u64(4);
        let (mut by_merit, mut by_effects) = (0.0, 0.0);
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
                seen.push((plan, truth + normal(0.25), 4));
            }
            let best_kept = |merits: Vec<f64>| {
                let mut order: Vec<usize> = (0..merits.len()).collect();
                order.sort_by(|a, b| merits[*b].total_cmp(&merits[*a]));
                let kept = order.into_iter().take(10).map(|at| truths[at]);
                kept.fold(f64::NEG_INFINITY, f64::max)
            };
            by_merit += best_kept(seen.iter().map(|plan| plan.1).collect()) / RUNS as f64;
            by_effects += best_kept(smoothed(&seen)) / RUNS as f64;
        }
        assert!(by_effects > by_merit + 0.005, "{by_effects} {by_merit}");
    }

    #[test]
    fn what_is_well_known_or_not_known_stays() {
        let plans = [
            ([0, 0, 0, 0, 0], 0.9, 100_000),
            ([1, 0, 0, 0, 0], 0.1, 100_000),
            ([0, 1, 0, 0, 0], f64::NEG_INFINITY, 0),
        ];
        let merits = smoothed(&plans);
        assert!((merits[0] - 0.9).abs() < 1e-3 && (merits[1] - 0.1).abs() < 1e-3);
        assert_eq!(merits[2], f64::NEG_INFINITY);
        assert!(smoothed(&[]).is_empty());
    }
}
