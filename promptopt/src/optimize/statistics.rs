//! Intervals and tests for paired answers.

use rand::{RngExt, SeedableRng, rngs::ChaCha8Rng};

/// Wilson's score interval for a share at 95 % (Wilson, 1927); 0 to 1 for no trial.
pub fn wilson(successes: usize, trials: usize) -> (f64, f64) {
    if trials == 0 {
        return (0.0, 1.0);
    }
    const Z: f64 = 1.959_963_984_540_054;
    let n = trials as f64;
    let share = successes as f64 / n;
    let z2 = Z * Z;
    let centre = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
    let half = Z * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt() / (1.0 + z2 / n);
    // Rounding must not leave the share itself outside.
    (
        (centre - half).clamp(0.0, share),
        (centre + half).clamp(share, 1.0),
    )
}

/// McNemar's exact test: two-sided p for `gained` and `lost` pairs being equally likely.
pub fn mcnemar(gained: usize, lost: usize) -> f64 {
    let total = gained + lost;
    let smaller = gained.min(lost);
    // Sum of binomial terms with share one half, in logarithms to hold for large counts.
    let mut log_term = -(total as f64) * std::f64::consts::LN_2;
    let mut tail = 0.0;
    for k in 0..=smaller {
        if k > 0 {
            log_term += ((total - k + 1) as f64).ln() - (k as f64).ln();
        }
        tail += log_term.exp();
    }
    (2.0 * tail).min(1.0)
}

/// Two-sided p for paired differences having mean 0, by random flips of their signs
/// (Fisher's permutation test); the observed signs count as one of the `flips`.
pub fn sign_flip(differences: &[f64], flips: u32, seed: u64) -> f64 {
    let observed: f64 = differences.iter().sum::<f64>().abs();
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut as_large = 1u32;
    for _ in 1..flips.max(2) {
        let sum: f64 = differences
            .iter()
            .map(|d| if random.random::<bool>() { *d } else { -d })
            .sum();
        // Equal sums must count in spite of rounding.
        as_large += u32::from(sum.abs() >= observed - 1e-9);
    }
    f64::from(as_large) / f64::from(flips.max(2))
}

/// 95 % interval of the mean of paired differences, by resampling (Efron's percentile bootstrap).
pub fn bootstrap_interval(differences: &[f64], draws: usize, seed: u64) -> (f64, f64) {
    if differences.is_empty() || draws == 0 {
        return (f64::NEG_INFINITY, f64::INFINITY);
    }
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let count = differences.len();
    let mut means: Vec<f64> = (0..draws)
        .map(|_| {
            let sum: f64 = (0..count)
                .map(|_| differences[random.random_range(0..count)])
                .sum();
            sum / count as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let at = |share: f64| means[((share * (draws - 1) as f64).round() as usize).min(draws - 1)];
    (at(0.025), at(0.975))
}

/// Holm's correction of several p-values (Holm, 1979), in the order given.
pub fn holm(p_values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*a].total_cmp(&p_values[*b]));
    let mut corrected = vec![0.0; p_values.len()];
    let mut largest: f64 = 0.0;
    for (rank, index) in order.iter().enumerate() {
        largest = largest
            .max((p_values.len() - rank) as f64 * p_values[*index])
            .min(1.0);
        corrected[*index] = largest;
    }
    corrected
}

/// The value below which `share` of the sorted values lie (nearest rank); 0 for none.
pub fn quantile(sorted: &[f64], share: f64) -> f64 {
    let rank = (share * sorted.len() as f64).ceil() as usize;
    sorted
        .get(rank.saturating_sub(1))
        .or(sorted.last())
        .copied()
        .unwrap_or(0.0)
}

/// Mean and standard deviation (of a sample); 0 where there are too few.
pub fn mean_and_deviation(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    if values.is_empty() {
        return (0.0, 0.0);
    }
    let mean = values.iter().sum::<f64>() / count;
    if values.len() < 2 {
        return (mean, 0.0);
    }
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (count - 1.0);
    (mean, variance.sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-6, "{found} beside {expected}");
    }

    #[test]
    fn values_agree_with_published_ones() {
        // statsmodels.stats.proportion.proportion_confint(81, 263, method="wilson")
        let (low, high) = wilson(81, 263);
        close(low, 0.255_288_520);
        close(high, 0.366_209_577);
        assert_eq!(wilson(0, 0), (0.0, 1.0));
        // statsmodels.stats.contingency_tables.mcnemar([[., 5], [15, .]], exact=True)
        close(mcnemar(5, 15), 0.041_389_465);
        close(mcnemar(0, 0), 1.0);
        close(mcnemar(3, 3), 1.0);
        assert!(mcnemar(2000, 2300) < 1e-5);
        // statsmodels.stats.multitest.multipletests([.01, .04, .03], method="holm")
        let corrected = holm(&[0.01, 0.04, 0.03]);
        for (found, expected) in corrected.iter().zip([0.03, 0.06, 0.06]) {
            close(*found, expected);
        }
        let (mean, deviation) = mean_and_deviation(&[1.0, 2.0, 3.0, 4.0]);
        close(mean, 2.5);
        close(deviation, 1.290_994_449);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.5), 2.0);
        assert_eq!(quantile(&[1.0, 2.0, 3.0, 4.0], 0.95), 4.0);
    }

    #[test]
    fn sign_flips_agree_with_the_exact_binomial_for_ones() {
        let differences: Vec<f64> = [1.0; 15].into_iter().chain([-1.0; 5]).collect();
        let p = sign_flip(&differences, 20_000, 1);
        assert!((p - mcnemar(15, 5)).abs() < 0.005, "{p}");
        let (low, high) = bootstrap_interval(&differences, 4000, 1);
        assert!(
            (low - 0.1).abs() < 0.06 && (high - 0.85).abs() < 0.06,
            "{low} {high}"
        );
    }

    #[test]
    fn under_no_difference_p_is_small_as_rarely_as_it_says() {
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let mut small = 0;
        for run in 0..400 {
            let differences: Vec<f64> = (0..60).map(|_| random.random::<f64>() - 0.5).collect();
            small += usize::from(sign_flip(&differences, 400, run) < 0.05);
        }
        assert!((8..=34).contains(&small), "{small} of 400 under 0.05");
    }
}
