//! The event log: append-only, and the offline buffer of what others must learn.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::causal::ReplicaId;
use crate::time::Timestamp;

/// The largest payload of an event, in bytes.
pub const EVENT_BYTES_MAX: usize = 1 << 20;

/// The place of an event in this store's log; grows by one or more.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Sequence(i64);

impl Sequence {
    /// The place with this number; 0 is before all events.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// How much an event matters.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Measurements.
    Telemetry,
    /// What happens.
    #[default]
    Normal,
    /// What must reach its receiver.
    SafetyCritical,
}

impl Priority {
    /// All, the least first.
    pub const ALL: [Self; 3] = [Self::Telemetry, Self::Normal, Self::SafetyCritical];

    pub(crate) fn from_number(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|known| *known as i64 == number)
    }
}

/// Whether an event has reached its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncStatus {
    /// It waits for a link.
    Waiting,
    /// The receiver has it.
    Delivered,
    /// The receiver will not have it.
    Refused,
    /// It was given up to make room, and is counted.
    Dropped,
}

impl SyncStatus {
    pub(crate) const ALL: [Self; 4] =
        [Self::Waiting, Self::Delivered, Self::Refused, Self::Dropped];

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Dropped => "dropped",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == word)
    }
}

/// Where an event was first appended: a replica and the place in its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Whose log.
    pub replica: ReplicaId,
    /// The place there.
    pub sequence: Sequence,
}

/// One event of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// Its place.
    pub sequence: Sequence,
    /// The document that it is about.
    pub agent: String,
    /// What kind of event.
    pub event_type: String,
    /// What happened.
    pub payload: Value,
    /// How much it matters.
    pub priority: Priority,
    /// When.
    pub at: Timestamp,
    /// Where it came from; none for one that was appended here.
    pub origin: Option<Origin>,
}
