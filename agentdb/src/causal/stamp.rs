//! When a write was made.

use std::time::Duration;

use crate::time::Timestamp;

/// When a write was made: physical time, and a count for writes within one millisecond or of a clock that
/// went back (S. Kulkarni et al., *Logical physical clocks*, 2014).
///
/// A stamp decides between concurrent writes only; which write saw which is told by their dots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// Milliseconds since the Unix epoch.
    pub millis: i64,
    /// Tells writes of one millisecond apart.
    pub count: u32,
}

impl Stamp {
    /// The first stamp of a millisecond.
    pub const fn at(time: Timestamp) -> Self {
        Self {
            millis: time.as_millis(),
            count: 0,
        }
    }

    /// The next stamp at `now`, above this one whatever the clock says.
    #[must_use]
    pub fn next(self, now: Timestamp) -> Self {
        if now.as_millis() > self.millis {
            Self::at(now)
        } else {
            Self {
                millis: self.millis,
                count: self.count.saturating_add(1),
            }
        }
    }
}

/// A store's hybrid logical clock: never behind what it has stamped or seen, unless that was itself the
/// product of a wrong clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Clock {
    last: Stamp,
    /// How far it may run ahead of the time that it is given.
    ahead_max: Duration,
}

impl Clock {
    pub(crate) fn new(last: Stamp, ahead_max: Duration) -> Self {
        Self { last, ahead_max }
    }

    /// A stamp for a write at `now`. A clock that is found to have been too far ahead starts again at `now`:
    /// otherwise every later stamp of this device would be refused by the others.
    pub(crate) fn stamp(&mut self, now: Timestamp) -> Stamp {
        let last = Timestamp::from_millis(self.last.millis);
        self.last = if last.since(now) > self.ahead_max {
            Stamp::at(now)
        } else {
            self.last.next(now)
        };
        self.last
    }

    /// Goes on from a stamp that was seen, unless it is too far ahead.
    pub(crate) fn observe(&mut self, stamp: Stamp, now: Timestamp) {
        if Timestamp::from_millis(stamp.millis).since(now) <= self.ahead_max {
            self.last = self.last.max(stamp);
        }
    }

    pub(crate) fn last(&self) -> Stamp {
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn stamps_grow_when_the_clock_stands_or_goes_back() {
        let mut clock = Clock::new(Stamp::default(), HOUR);
        let stamps = [10_000, 10_000, 9_000, 10_001].map(|now| clock.stamp(at(now)));
        assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn a_clock_that_was_years_ahead_is_forgotten_once_it_is_right_again() {
        let mut clock = Clock::new(Stamp::default(), HOUR);
        clock.stamp(at(10 * 365 * 86_400_000));
        assert_eq!(clock.stamp(at(5_000)), Stamp::at(at(5_000)));
        clock.observe(Stamp::at(at(10 * 365 * 86_400_000)), at(5_000));
        assert_eq!(clock.last(), Stamp::at(at(5_000)));
    }
}
