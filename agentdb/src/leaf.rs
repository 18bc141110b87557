//! The mergeable values of fields.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::clock::{Context, Dot, ReplicaId};

/// When a write was made: physical time, and a count for writes within one millisecond or of a clock that
/// went back (S. Kulkarni et al., *Logical physical clocks*, 2014).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Stamp {
    /// Milliseconds since the Unix epoch.
    pub millis: i64,
    /// Tells writes of one millisecond apart.
    pub count: u32,
}

impl Stamp {
    /// The next stamp at `millis`, above this one whatever the clock says.
    #[must_use]
    pub fn next(self, millis: i64) -> Self {
        if millis > self.millis {
            Self { millis, count: 0 }
        } else {
            Self {
                millis: self.millis,
                count: self.count.saturating_add(1),
            }
        }
    }
}

/// A mergeable value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Leaf {
    /// The last write.
    Lww {
        /// What was written.
        value: Value,
        /// The write.
        dot: Dot,
        /// When.
        stamp: Stamp,
    },
    /// The largest number.
    Max {
        /// The number.
        value: f64,
    },
    /// A place in the declared order.
    Status {
        /// Counted from 0.
        rank: u32,
    },
    /// What each replica has added and taken.
    PnCounter {
        /// By replica.
        totals: BTreeMap<ReplicaId, (u64, u64)>,
    },
}

impl Leaf {
    /// Joins two values of one field with the contexts of their documents. Commutative, associative,
    /// idempotent. Values of different kinds, which one schema never gives, keep the first.
    pub(crate) fn join(&mut self, mine: &Context, other: &Self, theirs: &Context) {
        match (self, other) {
            (
                Self::Lww { value, dot, stamp },
                Self::Lww {
                    value: v,
                    dot: d,
                    stamp: s,
                },
            ) => {
                let replaced = theirs.contains(*dot) && dot != d;
                let known = mine.contains(*d);
                // Causality first, the clock between concurrents, the dot when even those agree.
                let take = if replaced {
                    !known || (*s, *d) > (*stamp, *dot)
                } else {
                    !known && (*s, *d) > (*stamp, *dot)
                };
                if take {
                    (*value, *dot, *stamp) = (v.clone(), *d, *s);
                }
            }
            (Self::Max { value }, Self::Max { value: v }) => *value = value.max(*v),
            (Self::Status { rank }, Self::Status { rank: r }) => *rank = (*rank).max(*r),
            (Self::PnCounter { totals }, Self::PnCounter { totals: t }) => {
                for (replica, (up, down)) in t {
                    let mine = totals.entry(*replica).or_default();
                    *mine = (mine.0.max(*up), mine.1.max(*down));
                }
            }
            _ => {}
        }
    }
}
