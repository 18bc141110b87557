//! What became of the events.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Why an event was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DropReason {
    /// Its id was seen before.
    Duplicate,
    /// It is older than the watermark.
    Late,
    /// It is too far ahead of the newest event.
    Future,
    /// Too many events wait for the watermark.
    Full,
    /// Its source is not known.
    UnknownSource,
}

impl DropReason {
    /// The reason's name in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Duplicate => "duplicate",
            Self::Late => "late",
            Self::Future => "future",
            Self::Full => "full",
            Self::UnknownSource => "unknown_source",
        }
    }
}

/// Counters: `events_in = events_out + sum(dropped) + held`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metrics {
    /// Events given to the engine.
    pub events_in: u64,
    /// Events that went through the rules.
    pub events_out: u64,
    /// Events that did not, by reason.
    pub dropped: BTreeMap<DropReason, u64>,
    /// Events that wait for the watermark.
    pub held: u64,
    /// What the rules told.
    pub outputs: u64,
    /// Partial matches that are held now.
    #[serde(default)]
    pub partial_matches: u64,
    /// Bytes of partial matches, of the events they hold, and of their keys.
    #[serde(default)]
    pub partial_match_bytes: u64,
    /// Partial matches dropped because a rule or a key had too many.
    pub partial_matches_dropped: u64,
    /// Partial matches whose time was over.
    pub partial_matches_expired: u64,
    /// Events that a window rule left out because it had too many keys.
    pub window_events_dropped: u64,
    /// Events that a join let go because it held too many.
    #[serde(default)]
    pub join_events_dropped: u64,
    /// Rows that tables let go because they had too many.
    #[serde(default)]
    pub table_rows_dropped: u64,
    /// Ids forgotten before their time; a duplicate of one would be taken.
    pub ids_forgotten: u64,
}

impl Metrics {
    pub(crate) fn drop(&mut self, reason: DropReason) {
        *self.dropped.entry(reason).or_default() += 1;
    }
}
