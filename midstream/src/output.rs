//! What a rule tells.

use std::fmt;
use std::sync::Arc;

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use crate::aggregate::Aggregates;
use crate::event::Value;
use crate::time::Timestamp;

/// Names a match: the same rule over the same events gives the same id, also in a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MatchId(u128);

impl MatchId {
    /// Of the rule's name, the key and what the match begins with.
    pub(crate) fn of(parts: &[&str]) -> Self {
        parts.iter().fold(Self::begin(), |id, part| id.with(part))
    }

    /// Of nothing yet.
    pub(crate) fn begin() -> Self {
        Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d)
    }

    /// Of one more part: FNV-1a, 128 bits. Parts are separated so that no two lists of parts read alike.
    #[must_use]
    pub(crate) fn with(self, part: &str) -> Self {
        let length = (part.len() as u64).to_le_bytes();
        let bytes = length.iter().chain(part.as_bytes());
        Self(bytes.fold(self.0, |hash, byte| {
            (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
        }))
    }

    /// 64 bits of it, mixed once more.
    pub(crate) fn fold(self) -> u64 {
        let mut hash = (self.0 >> 64) as u64 ^ self.0 as u64;
        hash ^= hash >> 30;
        hash = hash.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash ^= hash >> 27;
        hash = hash.wrapping_mul(0x94d0_49bb_1331_11eb);
        hash ^ hash >> 31
    }
}

impl fmt::Display for MatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl Serialize for MatchId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a rule tells.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Output {
    /// The rule's name.
    pub rule: Arc<str>,
    /// The match.
    pub id: MatchId,
    /// The key's value; none without a key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Value>,
    /// The first event, or the window's begin.
    pub first: Timestamp,
    /// The last event, or the window's end (exclusive).
    pub last: Timestamp,
    /// What was found.
    pub found: Found,
}

/// The events that a step of a pattern took.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MatchedStep {
    /// The step's name.
    pub name: Arc<str>,
    /// The events' ids, in order.
    pub events: Vec<Arc<str>>,
}

/// Named values, and the events that they come from where a rule tells of single events.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Record {
    /// The events' ids, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Arc<str>>,
    /// The columns in order; none where a value is missing.
    #[serde(serialize_with = "as_map")]
    pub columns: Vec<(Arc<str>, Option<Value>)>,
}

impl Record {
    /// The value of a column; none where it is missing.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let mut columns = self.columns.iter();
        columns.find(|(known, _)| **known == *name)?.1.as_ref()
    }
}

fn as_map<S: Serializer>(
    columns: &[(Arc<str>, Option<Value>)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(columns.len()))?;
    for (name, value) in columns {
        map.serialize_entry(name, value)?;
    }
    map.end()
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Found {
    /// The ids of a sequence's events, in order.
    Sequence(Vec<Arc<str>>),
    /// A pattern's events.
    Pattern(Vec<MatchedStep>),
    /// The events of a partial match whose time was over.
    Timeout(Vec<MatchedStep>),
    /// A window's aggregates.
    Window(Aggregates),
    /// Named values: of a window, of joined events, of a row.
    Row(Record),
    /// What a rule with [`Emit::Changes`](crate::Emit::Changes) told holds no more.
    Over(Record),
}
