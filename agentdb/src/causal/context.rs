//! Which writes a document has seen.
//!
//! A context is a set of dots: for most replicas all counts up to one (a version vector), and exceptions
//! above it where writes came out of order (P. Almeida, A. Shoker, C. Baquero, *Delta state replicated data
//! types*, 2018). Both are kept as runs of counts, so that what one document knows beyond another is a
//! context too.

use std::collections::BTreeMap;

use super::replica::{Dot, ReplicaId};
use super::runs::Runs;

/// A thousand writes a second for nine million years.
pub(crate) const COUNT_MAX: u64 = 1 << 58;

/// A set of writes: what a document has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context {
    /// None of them empty.
    runs: BTreeMap<ReplicaId, Runs>,
}

impl Context {
    /// A context that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// A context that has seen all writes of each replica up to a count.
    pub fn from_vector(vector: impl IntoIterator<Item = (ReplicaId, u64)>) -> Self {
        let mut context = Self::default();
        for (replica, count) in vector {
            if count > 0 {
                context.add(replica, 1, count);
            }
        }
        context
    }

    /// Whether nothing was seen.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Whether a write was seen. O(log n).
    pub fn contains(&self, dot: Dot) -> bool {
        let runs = self.runs.get(&dot.replica);
        runs.is_some_and(|runs| runs.contains(dot.count))
    }

    /// Up to which count all writes of a replica were seen.
    pub fn seen(&self, replica: ReplicaId) -> u64 {
        self.runs.get(&replica).map_or(0, Runs::prefix)
    }

    /// The highest write of a replica that was seen; 0 without any.
    pub fn last(&self, replica: ReplicaId) -> u64 {
        self.runs.get(&replica).map_or(0, Runs::last)
    }

    /// Each replica with the count up to which all its writes were seen, where that is not 0.
    pub fn vector(&self) -> impl Iterator<Item = (ReplicaId, u64)> + '_ {
        let prefixes = self.runs.iter().map(|(id, runs)| (*id, runs.prefix()));
        prefixes.filter(|(_, count)| *count > 0)
    }

    /// Each replica of which anything was seen.
    pub fn replicas(&self) -> impl Iterator<Item = ReplicaId> + '_ {
        self.runs.keys().copied()
    }

    /// Runs of writes that were seen: replica, first and last count; in order.
    pub fn runs(&self) -> impl Iterator<Item = (ReplicaId, u64, u64)> + '_ {
        let each = |(id, runs): (&ReplicaId, &Runs)| {
            let id = *id;
            let pairs: Vec<_> = runs.iter().collect();
            pairs
                .into_iter()
                .map(move |(first, last)| (id, first, last))
        };
        self.runs.iter().flat_map(each)
    }

    pub(crate) fn of(&self, replica: ReplicaId) -> Option<&Runs> {
        self.runs.get(&replica)
    }

    /// How many runs there are.
    pub(crate) fn len(&self) -> usize {
        self.runs.values().map(Runs::len).sum()
    }

    /// Notes all writes of a replica from `first` to `last` as seen.
    pub(crate) fn add(&mut self, replica: ReplicaId, first: u64, last: u64) {
        self.runs.entry(replica).or_default().add(first, last);
    }

    /// The next dot of a replica, which is then seen.
    pub(crate) fn next(&mut self, replica: ReplicaId) -> Dot {
        let count = self.last(replica) + 1;
        self.add(replica, count, count);
        Dot { replica, count }
    }

    /// Notes a write as seen.
    pub fn insert(&mut self, dot: Dot) {
        self.add(dot.replica, dot.count, dot.count);
    }

    /// Sees what the other has seen. Commutative, associative, idempotent. O(runs of both).
    pub fn join(&mut self, other: &Self) {
        for (replica, runs) in &other.runs {
            self.runs.entry(*replica).or_default().join(runs);
        }
    }

    /// The writes that this one has seen and the other has not. O(runs of both).
    #[must_use]
    pub fn without(&self, other: &Self) -> Self {
        let mut runs = BTreeMap::new();
        for (replica, mine) in &self.runs {
            let left = match other.runs.get(replica) {
                Some(theirs) => mine.without(theirs),
                None => mine.clone(),
            };
            if !left.is_empty() {
                runs.insert(*replica, left);
            }
        }
        Self { runs }
    }

    /// Whether everything that the other has seen was seen. O(runs of the other · log n).
    pub fn covers(&self, other: &Self) -> bool {
        other.runs.iter().all(|(replica, theirs)| {
            let mine = self.runs.get(replica);
            mine.is_some_and(|mine| mine.covers(theirs))
        })
    }
}
