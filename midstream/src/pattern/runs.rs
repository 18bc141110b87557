//! The partial matches of one key, by what they wait for and in the order in which they began.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::pattern::automaton::WaitId;
use crate::pattern::buffer::NodeId;

/// A partial match.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Run {
    /// The last event it took.
    pub node: NodeId,
    /// The place of its first event in the order of the rule's events, and that event's time.
    pub start: u64,
    pub start_at: i64,
    /// When it began to wait.
    pub since: i64,
}

/// A match that is complete.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Complete {
    pub node: NodeId,
    pub start: u64,
    pub start_at: i64,
    pub end_at: i64,
    /// Which of the key's steps in time completed it.
    pub turn: u64,
}

/// Partial matches that wait for the same, oldest first.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Bucket {
    pub wait: WaitId,
    pub runs: VecDeque<Run>,
}

/// A key's partial matches.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct KeyRuns {
    pub buckets: Vec<Bucket>,
    /// Partial matches in all buckets.
    pub count: usize,
    /// Matches that wait for an older partial match to come to its end.
    pub complete: Vec<Complete>,
    /// The time of its timer.
    pub timer: Option<i64>,
    /// When what must not come first came last.
    pub absent_since: i64,
}

impl KeyRuns {
    /// Adds a partial match in its order. With `joins`, one that is there already is not added; whether it
    /// was added.
    pub fn insert(&mut self, wait: WaitId, run: Run, joins: bool) -> bool {
        let bucket = match self.buckets.iter().position(|bucket| bucket.wait == wait) {
            Some(place) => &mut self.buckets[place],
            None => {
                self.buckets.push(Bucket {
                    wait,
                    runs: VecDeque::new(),
                });
                let last = self.buckets.len() - 1;
                &mut self.buckets[last]
            }
        };
        let runs = &mut bucket.runs;
        if joins {
            let same = runs.partition_point(|other| other.start < run.start);
            let mut others = runs
                .range(same..)
                .take_while(|other| other.start == run.start);
            if others.any(|other| other.node == run.node) {
                return false;
            }
        }
        if runs.back().is_none_or(|last| last.start <= run.start) {
            runs.push_back(run);
        } else {
            let place = runs.partition_point(|other| other.start <= run.start);
            runs.insert(place, run);
        }
        self.count += 1;
        true
    }

    /// When the oldest partial match began. Linear in the buckets.
    pub fn oldest(&self) -> Option<u64> {
        self.buckets
            .iter()
            .filter_map(|bucket| bucket.runs.front())
            .map(|run| run.start)
            .min()
    }

    /// Takes out the oldest partial match. Linear in the buckets.
    pub fn pop_oldest(&mut self) -> Option<Run> {
        let bucket = self
            .buckets
            .iter_mut()
            .filter(|bucket| !bucket.runs.is_empty())
            .min_by_key(|bucket| bucket.runs.front().map(|run| run.start))?;
        self.count -= 1;
        bucket.runs.pop_front()
    }

    /// Takes out the partial matches that began before a place, one at a time.
    pub fn pop_before(&mut self, place: u64) -> Option<Run> {
        for bucket in &mut self.buckets {
            if bucket.runs.front().is_some_and(|run| run.start < place) {
                self.count -= 1;
                return bucket.runs.pop_front();
            }
        }
        None
    }

    /// Every chain that it holds.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + '_ {
        let runs = self.buckets.iter().flat_map(|bucket| &bucket.runs);
        let runs = runs.map(|run| run.node);
        runs.chain(self.complete.iter().map(|complete| complete.node))
    }

    pub fn is_empty(&self) -> bool {
        self.count == 0 && self.complete.is_empty()
    }
}
