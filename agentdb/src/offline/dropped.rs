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
}

impl Dropped {
    /// The payload of the event.
    pub(crate) fn to_json(self) -> Value {
        json!(self)
    }
}
