//! How long an answer is right.

/// How fast answers of a kind grow old.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum TtlClass {
    /// Facts: 7 days, adaptive within 1 to 28 days.
    Static,
    /// Things that change: 1 hour, adaptive within 4 minutes to 16 hours.
    #[default]
    Dynamic,
    /// Answers about one user: 15 minutes, adaptive within 1 minute to 4 hours. Give each user a
    /// namespace of their own.
    UserSpecific,
    /// Never cached.
    Realtime,
}

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

impl TtlClass {
    /// Lifetime in milliseconds; none for [`TtlClass::Realtime`].
    pub fn millis(self) -> Option<i64> {
        match self {
            Self::Static => Some(7 * DAY),
            Self::Dynamic => Some(HOUR),
            Self::UserSpecific => Some(15 * MINUTE),
            Self::Realtime => None,
        }
    }

    /// Shortest and longest lifetime that [`Ttl::Adaptive`] chooses, in milliseconds.
    pub fn range_millis(self) -> Option<(i64, i64)> {
        match self {
            Self::Static => Some((DAY, 28 * DAY)),
            Self::Dynamic => Some((4 * MINUTE, 16 * HOUR)),
            Self::UserSpecific => Some((MINUTE, 4 * HOUR)),
            Self::Realtime => None,
        }
    }
}

/// The rule by which an answer expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ttl {
    /// The lifetime of the class.
    Fixed(TtlClass),
    /// So many milliseconds; not cached if not positive.
    Millis(i64),
    /// Begins with the lifetime of the class. An answer that was computed again and is the same
    /// lives longer from then on, one that changed or was reported stale lives shorter.
    Adaptive(TtlClass),
}

impl Default for Ttl {
    fn default() -> Self {
        Self::Fixed(TtlClass::default())
    }
}

/// What was seen of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// Asked again, and the answer is the same.
    Unchanged,
    /// The answer is another.
    Changed,
}

impl Ttl {
    /// Lifetime of a new answer; none if it must not be cached.
    pub(super) fn first(self) -> Option<i64> {
        match self {
            Self::Fixed(class) | Self::Adaptive(class) => class.millis(),
            Self::Millis(millis) => (millis > 0).then_some(millis),
        }
    }

    /// The lifetime after `ttl`, given what was seen. Growth by a half and halving balance where
    /// an answer changes about once in 1.7 lifetimes.
    pub(super) fn adapted(self, ttl: i64, seen: Seen) -> i64 {
        let Self::Adaptive(class) = self else {
            return ttl;
        };
        let Some((shortest, longest)) = class.range_millis() else {
            return ttl;
        };
        let next = match seen {
            Seen::Unchanged => ttl.saturating_add(ttl / 2),
            Seen::Changed => ttl / 2,
        };
        next.clamp(shortest, longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_stays_within_its_class() {
        let ttl = Ttl::Adaptive(TtlClass::Dynamic);
        let mut life = HOUR;
        for _ in 0..50 {
            life = ttl.adapted(life, Seen::Unchanged);
        }
        assert_eq!(life, 16 * HOUR);
        for _ in 0..50 {
            life = ttl.adapted(life, Seen::Changed);
        }
        assert_eq!(life, 4 * MINUTE);
        assert_eq!(Ttl::Fixed(TtlClass::Static).adapted(5, Seen::Changed), 5);
        assert_eq!(Ttl::Fixed(TtlClass::Realtime).first(), None);
    }
}
