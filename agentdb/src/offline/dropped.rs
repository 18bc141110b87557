//! The record of what was given up.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::event::{Priority, Sequence};
use crate::time::Timestamp;

/// The type of the events that tell of dropped ones; their payload is a [`Dropped`].
pub const DROPPED: &str = "events_dropped";

/// Why events were given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// More waited than the policy allows.
    Overflow,
    /// They were older than the policy allows.
    Expired,
}

/// Which events were given up, at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Of which lane.
    pub lane: Priority,
    /// How many.
    pub count: u64,
    /// The place of the first.
    pub first: Sequence,
    /// The place of the last. Events between them may have been kept.
    pub last: Sequence,
    /// When the first was appended.
    pub from: Timestamp,
    /// When the last was appended.
    pub to: Timestamp,
    /// Why.
    pub why: Why,
    /// The first and the last place of the records that this one takes the place of: whoever has got one of
    /// them already counts it no more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub includes: Option<(Sequence, Sequence)>,
}

impl Dropped {
    /// Takes the place of an earlier record of the same lane.
    pub(crate) fn include(&mut self, told: &Self, at: Sequence) {
        self.count += told.count;
        self.first = self.first.min(told.first);
        self.last = self.last.max(told.last);
        self.from = self.from.min(told.from);
        self.to = self.to.max(told.to);
        let (first, last) = told.includes.unwrap_or((at, at));
        let (from, to) = self.includes.unwrap_or((at, at));
        self.includes = Some((from.min(first), to.max(last).max(at)));
    }

    /// The payload of the event.
    pub(crate) fn to_json(self) -> Value {
        json!(self)
    }
}
