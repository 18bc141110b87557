//! Who has seen what: dots, and the causal context of a document.
//!
//! A dot names one write: a replica and its count. A context is the set of dots that a document has seen,
//! kept as a version vector (all counts up to one) and the exceptions above it (P. Almeida, A. Shoker,
//! C. Baquero, *Delta state replicated data types*, 2018).

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// A replica of the store: a device. Unique among all that ever sync with one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReplicaId(u64);

impl ReplicaId {
    /// The replica with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// Its number.
    pub const fn get(self) -> u64 {
        self.0
    }
}

/// One write of one replica; counts begin at 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Dot {
    /// Who wrote.
    pub replica: ReplicaId,
    /// Its how-manieth write of the document.
    pub count: u64,
}

/// A thousand writes a second for nine million years.
const COUNT_MAX: u64 = 1 << 58;

/// The writes that a document has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    vector: BTreeMap<ReplicaId, u64>,
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    exceptions: BTreeSet<Dot>,
}

impl Context {
    /// A context that has seen all writes of each replica up to a count.
    pub fn from_vector(vector: impl IntoIterator<Item = (ReplicaId, u64)>) -> Self {
        Self {
            vector: vector.into_iter().filter(|(_, count)| *count > 0).collect(),
            exceptions: BTreeSet::new(),
        }
    }

    /// Whether a write was seen.
    pub fn contains(&self, dot: Dot) -> bool {
        self.seen(dot.replica) >= dot.count || self.exceptions.contains(&dot)
    }

    /// Up to which count all writes of a replica were seen.
    pub fn seen(&self, replica: ReplicaId) -> u64 {
        self.vector.get(&replica).copied().unwrap_or(0)
    }

    /// Each replica with the count up to which all its writes were seen.
    pub fn vector(&self) -> impl Iterator<Item = (ReplicaId, u64)> + '_ {
        self.vector
            .iter()
            .map(|(replica, count)| (*replica, *count))
    }

    /// Whether the counts are such as replicas make: from 1, and far from their end.
    pub(crate) fn check(&self) -> Result<(), String> {
        let counts = self
            .vector
            .values()
            .copied()
            .chain(self.exceptions.iter().map(|dot| dot.count));
        for count in counts {
            if count == 0 || count > COUNT_MAX {
                return Err(format!(
                    "its clock has count {count}, counts are from 1 to {COUNT_MAX}"
                ));
            }
        }
        Ok(())
    }

    /// The next dot of a replica, which is then seen.
    pub fn next(&mut self, replica: ReplicaId) -> Dot {
        let above = self
            .exceptions
            .iter()
            .filter(|dot| dot.replica == replica)
            .map(|dot| dot.count)
            .max();
        let count = self.seen(replica).max(above.unwrap_or(0)) + 1;
        let dot = Dot { replica, count };
        self.insert(dot);
        dot
    }

    /// Notes a write as seen.
    pub fn insert(&mut self, dot: Dot) {
        if !self.contains(dot) {
            self.exceptions.insert(dot);
            self.compact();
        }
    }

    /// Sees what the other has seen. Commutative, associative, idempotent.
    pub fn join(&mut self, other: &Self) {
        for (replica, count) in &other.vector {
            let mine = self.vector.entry(*replica).or_default();
            *mine = (*mine).max(*count);
        }
        self.exceptions.extend(&other.exceptions);
        self.compact();
    }

    /// Moves exceptions that are next in line into the vector.
    fn compact(&mut self) {
        let Self { vector, exceptions } = self;
        // In order of replica and count, so that one pass takes whole runs.
        exceptions.retain(|dot| {
            let seen = vector.get(&dot.replica).copied().unwrap_or(0);
            if dot.count == seen + 1 {
                vector.insert(dot.replica, dot.count);
            }
            dot.count > seen + 1
        });
    }
}
