//! Caches of answers that are found by meaning.
//!
//! [`SemanticCache`] keeps answers to texts: the same text finds its answer by a hash, a text that
//! means the same by the nearest vector, a threshold and a [`Guard`]. [`TieredCache`] puts caches behind one another.
//!
//! Answers live in memory only.

mod answer;
mod counters;
mod dedupe;
mod flight;
mod guard;
mod latency;
mod look;
mod policy;
mod semantic;
mod shelf;
mod text;
mod tiered;
mod time;
mod ttl;
#[rustfmt::skip]
mod words;

pub use answer::{Answer, Failure, Found, How};
pub use counters::Counters;
pub use dedupe::{DedupeReport, Merge};
pub use guard::{Difference, GUARD_GROUPS_MAX, Guard, Verdict};
pub use latency::Latency;
pub use policy::{CacheBuilder, NAMESPACES_MAX, Policy};
pub use semantic::{Report, SemanticCache, TEXT_BYTES_MAX};
pub use tiered::{
    Labelled, Question, Source, TIERS_MAX, Tier, TierAudit, TierStats, TieredBuilder, TieredCache,
    TieredStats,
};
pub use time::Timestamp;
pub use ttl::{Ttl, TtlClass};
