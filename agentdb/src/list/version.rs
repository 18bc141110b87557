//! How much of a list a copy has seen.

use std::collections::BTreeMap;

use crate::ReplicaId;

/// How much of one replica's work was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) inserted: u32,
    pub(super) deleted: u32,
}

/// How much of a list a copy has seen: of each replica, how many of its insertions and deletions.
///
/// Taken from [`List::version`](super::List::version) and given to
/// [`List::delta_since`](super::List::delta_since). Versions form a lattice: [`join`](Self::join) is what two
/// copies know together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    pub(super) seen: BTreeMap<ReplicaId, Seen>,
}

impl Version {
    /// The version of a new list: nothing seen.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many letters of a replica were seen, and how many of its deletions.
    pub fn seen(&self, replica: ReplicaId) -> (u32, u32) {
        let seen = self.of(replica);
        (seen.inserted, seen.deleted)
    }

    /// Sees what the other has seen. Commutative, associative, idempotent.
    pub fn join(&mut self, other: &Self) {
        for (replica, theirs) in &other.seen {
            let mine = self.seen.entry(*replica).or_default();
            mine.inserted = mine.inserted.max(theirs.inserted);
            mine.deleted = mine.deleted.max(theirs.deleted);
        }
    }

    /// Whether everything that the other has seen was seen.
    pub fn covers(&self, other: &Self) -> bool {
        other.seen.iter().all(|(replica, theirs)| {
            let mine = self.of(*replica);
            mine.inserted >= theirs.inserted && mine.deleted >= theirs.deleted
        })
    }

    /// Sees so many letters and deletions of a replica.
    pub(crate) fn see(&mut self, replica: ReplicaId, inserted: u32, deleted: u32) {
        self.seen.insert(replica, Seen { inserted, deleted });
    }

    pub(super) fn of(&self, replica: ReplicaId) -> Seen {
        self.seen.get(&replica).copied().unwrap_or_default()
    }
}
