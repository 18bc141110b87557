//! What an incident is: a pattern that was found, once, in a place or on an animal.

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The kinds of incident that the gateway looks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum IncidentKind {
    /// A person in a pen at night.
    PersonInPenAtNight,
    /// An animal that lies far longer than usual and hardly moves, told by its leg sensor.
    AnimalDown,
    /// Too many animals at a trough for a while.
    Crowding,
}

impl IncidentKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::PersonInPenAtNight, Self::AnimalDown, Self::Crowding];

    /// The name in reports, rules and topics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PersonInPenAtNight => "person_in_pen_at_night",
            Self::AnimalDown => "animal_down",
            Self::Crowding => "crowding",
        }
    }

    /// The kind with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// A pattern that was found and that nobody was told of before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Incident {
    /// Derived from the pattern, its key and its first event: the same input gives the same id.
    pub id: String,
    /// What was found.
    pub kind: IncidentKind,
    /// The zone, or the animal's name for [`IncidentKind::AnimalDown`].
    pub place: String,
    /// The camera that saw it; none for a leg sensor's.
    pub camera: Option<String>,
    /// The animal, for [`IncidentKind::AnimalDown`].
    pub animal: Option<String>,
    /// The first event of the pattern.
    pub first: Timestamp,
    /// The event that completed it.
    pub last: Timestamp,
    /// How many events the pattern is made of.
    pub events: u64,
}
