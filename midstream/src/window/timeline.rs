//! The panes of all keys of a rule, in order of time. What is kept of a pane lies together for all keys that have
//! events in it, and is written once, in order, and read twice, in order: a slide of a second or a tenth of one waits
//! for no memory, and a key that is silent costs none.
//!
//! The algorithm is that of the two stacks (K. Tangwongsan et al., *Low-latency sliding-window aggregation in
//! worst-case constant time*, DEBS 2017, section 2), turned by a quarter: the stacks are of panes, their aggregates
//! of keys. A key holds one aggregate of the older panes and one of the newer ones. A share of an older pane is the
//! key's aggregate of the older panes after it, which is what the key holds when the pane is gone; when no older pane is
//! left the newer become the older, from the last to the first. Amortised constant time a share.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::key::KeyTable;
use crate::window::summary::Summary;

/// The panes with what is held by key beside them.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Timeline<S> {
    /// The begin of the pane that is filled.
    start: i64,
    /// The keys with events in it.
    filled: Vec<u32>,
    /// All other panes, the oldest first.
    panes: VecDeque<Pane<S>>,
    /// How many of them are older ones.
    older: usize,
    /// The keys whose window may have changed since they were last taken.
    #[serde(skip)]
    changed: Vec<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Pane<S> {
    start: i64,
    /// Of a newer pane its own, of an older one what comes after it.
    shares: Vec<(u32, S)>,
}

/// What is held of a key.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Held<S> {
    /// The begin of its newest pane; the begin of time where it has none.
    newest: i64,
    /// Of the pane that is filled.
    filling: S,
    newer: S,
    older: S,
    /// Whether the conditions held in the last window.
    pub held: bool,
    /// Whether it is among those that changed.
    #[serde(skip)]
    changed: bool,
}

impl<S: Default> Default for Held<S> {
    fn default() -> Self {
        Self {
            newest: i64::MIN,
            filling: S::default(),
            newer: S::default(),
            older: S::default(),
            held: false,
            changed: false,
        }
    }
}

impl<S: Summary> Held<S> {
    /// Notes that its window may have changed.
    #[inline]
    fn change(&mut self, place: u32, changed: &mut Vec<u32>) {
        if !std::mem::replace(&mut self.changed, true) {
            changed.push(place);
        }
    }

    /// Whether it has no event at or after a time.
    #[inline]
    pub fn is_before(&self, begin: i64) -> bool {
        self.newest < begin
    }

    /// The window of all panes that were sealed.
    pub fn all(&self) -> S {
        let mut all = self.older.clone();
        all.merge(&self.newer);
        all
    }

    /// Its outline.
    #[inline]
    pub fn outline(&self) -> S {
        let mut all = self.older.clone();
        all.merge_outline(&self.newer);
        all
    }
}

impl<S> Default for Timeline<S> {
    fn default() -> Self {
        Self {
            start: i64::MIN,
            filled: Vec::new(),
            panes: VecDeque::new(),
            older: 0,
            changed: Vec::new(),
        }
    }
}

impl<S: Summary> Timeline<S> {
    /// Adds a value to a key's share of the pane that begins then, which is the newest or a newer one.
    #[inline]
    pub fn push(
        &mut self,
        keys: &mut KeyTable<Held<S>>,
        place: u32,
        start: i64,
        input: S::Input<'_>,
    ) {
        if self.start < start {
            self.seal(keys);
            self.start = start;
        }
        let key = keys.at_mut(place);
        if key.newest < start {
            key.newest = start;
            self.filled.push(place);
        }
        key.filling.take(input);
    }

    /// Ends the newest pane: no event comes into it any more.
    pub fn seal(&mut self, keys: &mut KeyTable<Held<S>>) {
        if self.filled.is_empty() {
            return;
        }
        let changed = &mut self.changed;
        let shares = self.filled.drain(..).map(|place| {
            let key = keys.at_mut(place);
            key.change(place, changed);
            key.newer.merge(&key.filling);
            (place, std::mem::take(&mut key.filling))
        });
        self.panes.push_back(Pane {
            start: self.start,
            shares: shares.collect(),
        });
    }

    /// Forgets the panes that begin before.
    pub fn drop_before(&mut self, keys: &mut KeyTable<Held<S>>, begin: i64) {
        while self.panes.front().is_some_and(|pane| pane.start < begin) {
            if self.older == 0 {
                self.turn(keys);
            }
            let gone = self.panes.pop_front();
            self.older -= 1;
            for (place, rest) in gone.into_iter().flat_map(|pane| pane.shares) {
                let key = keys.at_mut(place);
                key.change(place, &mut self.changed);
                key.older = rest;
            }
        }
    }

    /// Makes the newer panes the older ones.
    fn turn(&mut self, keys: &mut KeyTable<Held<S>>) {
        self.older = self.panes.len();
        for pane in self.panes.iter_mut().rev() {
            for (place, share) in &mut pane.shares {
                let key = keys.at_mut(*place);
                // Sums in another order may differ in their last digit.
                key.change(*place, &mut self.changed);
                key.newer = S::default();
                // The older first, so that equal panes give equal aggregates.
                share.merge(&key.older);
                std::mem::swap(share, &mut key.older);
            }
        }
    }

    /// The keys whose window may have changed since the last call, in no order, into an empty list.
    pub fn take_changed(&mut self, keys: &mut KeyTable<Held<S>>, into: &mut Vec<u32>) {
        std::mem::swap(&mut self.changed, into);
        for place in &*into {
            keys.at_mut(*place).changed = false;
        }
    }

    /// The begin of the oldest pane.
    pub fn oldest(&self) -> Option<i64> {
        let oldest = self.panes.front().map(|pane| pane.start);
        oldest.or((!self.filled.is_empty()).then_some(self.start))
    }

    /// Whether it can belong to these keys.
    pub fn is_of(&self, keys: &KeyTable<Held<S>>) -> bool {
        let mut sealed = self.panes.iter().flat_map(|pane| &pane.shares);
        self.older <= self.panes.len()
            && self.panes.iter().is_sorted_by(|a, b| a.start < b.start)
            && self.filled.iter().all(|place| keys.has(*place))
            && sealed.all(|(place, _)| keys.has(*place))
    }
}
