//! A token bucket: at most so many events a second, after a burst.

use crate::time::Timestamp;

/// Counts in thousandths, so that whole milliseconds fill it exactly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bucket {
    per_second: u32,
    milli_tokens: u64,
    filled: Option<Timestamp>,
}

impl Bucket {
    /// A full bucket that holds what comes in one second.
    pub(super) fn new(per_second: u32) -> Self {
        Self {
            per_second,
            milli_tokens: u64::from(per_second) * 1_000,
            filled: None,
        }
    }

    /// How many tokens there are at `now`. A clock that goes back gives none.
    pub(super) fn tokens(&mut self, now: Timestamp) -> usize {
        let full = u64::from(self.per_second) * 1_000;
        let passed = self.filled.map_or(0, |filled| now.since(filled).as_millis());
        let passed = u64::try_from(passed).unwrap_or(u64::MAX);
        let gained = passed.saturating_mul(u64::from(self.per_second));
        self.milli_tokens = self.milli_tokens.saturating_add(gained).min(full);
        self.filled = Some(now);
        usize::try_from(self.milli_tokens / 1_000).unwrap_or(usize::MAX)
    }

    /// Takes tokens that [`Self::tokens`] has promised.
    pub(super) fn take(&mut self, tokens: usize) {
        self.milli_tokens = self.milli_tokens.saturating_sub(tokens as u64 * 1_000);
    }
}

#[cfg(test)]
mod tests {
    use super::Bucket;
    use crate::time::Timestamp;

    #[test]
    fn no_second_gives_more_than_its_rate_after_the_burst() {
        let mut bucket = Bucket::new(100);
        let mut sent = 0;
        for millis in 0..=10_000 {
            let tokens = bucket.tokens(Timestamp::from_millis(millis));
            bucket.take(tokens);
            sent += tokens;
        }
        assert_eq!(sent, 100 + 1_000);
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_twice() {
        let mut bucket = Bucket::new(10);
        bucket.tokens(Timestamp::from_millis(5_000));
        bucket.take(10);
        assert_eq!(bucket.tokens(Timestamp::from_millis(1_000)), 0);
        assert_eq!(bucket.tokens(Timestamp::from_millis(1_100)), 1);
    }
}
