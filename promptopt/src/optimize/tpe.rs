//! The next plans to try: a tree-structured Parzen estimator over independent choices
//! (Bergstra et al., 2011).
//!
//! Plans seen so far are cut into the best fifth and the rest; each alternative of a dimension gets the
//! ratio of its smoothed shares in the two groups. Many plans are drawn from the best group's shares and
//! the one with the largest product of ratios is next.

use rand::{RngExt, rngs::ChaCha8Rng};

use super::space::{DIMENSIONS, Plan};

const BEST_SHARE: f64 = 0.2;
const DRAWS: usize = 24;

/// Shares of each alternative among the best plans and among the others.
pub(crate) struct Tpe {
    best: [Vec<f64>; DIMENSIONS],
    rest: [Vec<f64>; DIMENSIONS],
}

impl Tpe {
    /// Learns from plans with their losses; smaller is better.
    pub(crate) fn new(sizes: Plan, seen: &[(Plan, f64)]) -> Self {
        let mut sorted: Vec<&(Plan, f64)> = seen.iter().collect();
        sorted.sort_by(|a, b| a.1.total_cmp(&b.1));
        let cut = ((seen.len() as f64 * BEST_SHARE).ceil() as usize).min(seen.len());
        let shares = |plans: &[&(Plan, f64)]| -> [Vec<f64>; DIMENSIONS] {
            std::array::from_fn(|dimension| {
                let mut counts = vec![1.0; sizes[dimension]];
                for (plan, _) in plans {
                    counts[plan[dimension]] += 1.0;
                }
                let total: f64 = counts.iter().sum();
                counts.iter().map(|count| count / total).collect()
            })
        };
        Self {
            best: shares(&sorted[..cut]),
            rest: shares(&sorted[cut..]),
        }
    }

    /// A plan that is likelier among the best than among the others.
    pub(crate) fn propose(&self, random: &mut ChaCha8Rng) -> Plan {
        let mut chosen = (f64::NEG_INFINITY, [0; DIMENSIONS]);
        for _ in 0..DRAWS {
            let plan: Plan = std::array::from_fn(|dimension| draw(&self.best[dimension], random));
            let ratio: f64 = (0..DIMENSIONS)
                .map(|d| (self.best[d][plan[d]] / self.rest[d][plan[d]]).ln())
                .sum();
            if ratio > chosen.0 {
                chosen = (ratio, plan);
            }
        }
        chosen.1
    }
}

fn draw(shares: &[f64], random: &mut ChaCha8Rng) -> usize {
    let mut left: f64 = random.random();
    for (at, share) in shares.iter().enumerate() {
        left -= share;
        if left <= 0.0 {
            return at;
        }
    }
    shares.len() - 1
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    /// With the same number of trials, proposals find a separable optimum more often than uniform draws.
    #[test]
    fn proposals_beat_uniform_draws() {
        let sizes = [8, 6, 12, 10, 3];
        let loss = |plan: &Plan| {
            plan.iter()
                .zip([3, 1, 7, 4, 0])
                .map(|(at, good)| f64::from(*at != good))
                .sum::<f64>()
        };
        let mut wins = 0;
        for seed in 0..30 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let uniform = |random: &mut ChaCha8Rng| sizes.map(|size| random.random_range(0..size));
            let mut seen: Vec<(Plan, f64)> = Vec::new();
            for _ in 0..60 {
                let plan = uniform(&mut random);
                seen.push((plan, loss(&plan)));
            }
            let mut blind = f64::INFINITY;
            for _ in 0..40 {
                blind = blind.min(loss(&uniform(&mut random)));
            }
            let mut guided = f64::INFINITY;
            for _ in 0..40 {
                let plan = Tpe::new(sizes, &seen).propose(&mut random);
                guided = guided.min(loss(&plan));
                seen.push((plan, loss(&plan)));
            }
            wins += i32::from(guided < blind) - i32::from(guided > blind);
        }
        assert!(wins >= 15, "guided minus blind wins: {wins} of 30");
    }
}
