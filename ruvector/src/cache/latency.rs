//! How long calls took, in constant memory.

use std::time::Duration;

/// Powers of two of microseconds: the last bucket begins at 2^39 us, six days.
const BUCKETS: usize = 41;

/// A histogram of durations with buckets that double.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latency {
    buckets: [u64; BUCKETS],
    count: u64,
    total: Duration,
    longest: Duration,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            buckets: [0; BUCKETS],
            count: 0,
            total: Duration::ZERO,
            longest: Duration::ZERO,
        }
    }
}

impl Latency {
    pub(super) fn add(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        // 0 for less than a microsecond, n for less than 2^n of them.
        let bucket = (u64::BITS - micros.leading_zeros()) as usize;
        self.buckets[bucket.min(BUCKETS - 1)] += 1;
        self.count += 1;
        self.total = self.total.saturating_add(took);
        self.longest = self.longest.max(took);
    }

    /// Number of calls.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest call.
    pub fn longest(&self) -> Duration {
        self.longest
    }

    /// The mean; none before the first call.
    pub fn mean(&self) -> Option<Duration> {
        (self.count > 0).then(|| self.total.div_f64(self.count as f64))
    }

    /// A duration that this share of the calls (0 to 1) did not exceed, and that is at most twice the exact
    /// one; none before the first call.
    pub fn quantile(&self, share: f64) -> Option<Duration> {
        let wanted = (share.clamp(0.0, 1.0) * self.count as f64).ceil().max(1.0) as u64;
        let mut sum = 0;
        self.buckets.iter().enumerate().find_map(|(bucket, calls)| {
            sum += calls;
            (sum >= wanted && self.count > 0)
                .then(|| Duration::from_micros(1 << bucket).min(self.longest))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_at_most_twice_too_long() {
        let mut latency = Latency::default();
        assert_eq!(latency.quantile(0.5), None);
        for micros in 1..=1000 {
            latency.add(Duration::from_micros(micros));
        }
        for share in [0.01_f64, 0.5, 0.99, 1.0] {
            let exact = Duration::from_secs_f64(share * 1e-3);
            let found = latency.quantile(share).unwrap();
            assert!(
                found >= exact && found <= 2 * exact + Duration::from_micros(1),
                "{share}: {found:?}"
            );
        }
        latency.add(Duration::MAX);
        assert_eq!(latency.longest(), Duration::MAX);
    }
}
