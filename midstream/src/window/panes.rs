//! The panes of one key: a queue whose aggregate is always known (K. Tangwongsan et al., *Low-latency sliding-window
//! aggregation in worst-case constant time*, DEBS 2017, section 2). Its two stacks are the two ends of one ring: the
//! older panes, which hold the aggregate of themselves and the older ones after them, and the newer ones, with one
//! aggregate of all. When no older one is left the newer become the older where they lie. Amortised constant time a
//! pane.
//!
//! The pane that is filled lies in the structure itself: an event that goes into it, and a look at what is told, read
//! no other memory but the oldest pane's.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::window::summary::Summary;

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Panes<S> {
    /// The begin of the oldest pane; the end of time where there is none.
    oldest: i64,
    /// The newest pane.
    last: Option<(i64, S)>,
    /// All newer panes but the last.
    before_last: S,
    /// The panes without the last, the oldest first.
    ring: VecDeque<(i64, S)>,
    /// How many of the ring are older ones.
    older: usize,
}

impl<S: Default> Default for Panes<S> {
    fn default() -> Self {
        Self {
            oldest: i64::MAX,
            last: None,
            before_last: S::default(),
            ring: VecDeque::new(),
            older: 0,
        }
    }
}

impl<S: Summary> Panes<S> {
    /// Adds a value to the pane that begins then, which is the newest or a newer one.
    pub fn push(&mut self, start: i64, input: S::Input<'_>) {
        if let Some((last, pane)) = &mut self.last {
            if *last >= start {
                return pane.take(input);
            }
            self.before_last.merge(pane);
            self.ring.extend(self.last.take());
        }
        let mut pane = S::default();
        pane.take(input);
        self.last = Some((start, pane));
        self.oldest = self.oldest.min(start);
    }

    /// Forgets the panes that begin before.
    pub fn drop_before(&mut self, begin: i64) {
        while self.oldest < begin {
            if self.older == 0 {
                self.turn();
            }
            self.ring.pop_front();
            self.older = self.older.saturating_sub(1);
            let oldest = self.ring.front().or(self.last.as_ref());
            self.oldest = oldest.map_or(i64::MAX, |(start, _)| *start);
        }
    }

    /// Makes the newer panes the older ones.
    fn turn(&mut self) {
        self.ring.extend(self.last.take());
        self.older = self.ring.len();
        self.before_last = S::default();
        let panes = self.ring.make_contiguous();
        for place in (1..panes.len()).rev() {
            // The older first, so that equal panes give equal aggregates.
            let (before, after) = panes.split_at_mut(place);
            if let (Some((_, pane)), Some((_, later))) = (before.last_mut(), after.first()) {
                pane.merge(later);
            }
        }
    }

    /// The begin of the oldest pane.
    pub fn oldest(&self) -> Option<i64> {
        (self.oldest != i64::MAX).then_some(self.oldest)
    }

    /// All panes.
    pub fn all(&self) -> S {
        self.all_by(S::merge)
    }

    /// The outline of all panes.
    pub fn outline(&self) -> S {
        self.all_by(S::merge_outline)
    }

    fn all_by(&self, merge: impl Fn(&mut S, &S)) -> S {
        let older = self.ring.front().filter(|_| self.older > 0);
        let mut all = older.map_or_else(S::default, |(_, all)| all.clone());
        merge(&mut all, &self.before_last);
        if let Some((_, last)) = &self.last {
            merge(&mut all, last);
        }
        all
    }

    /// Forgets all panes.
    pub fn clear(&mut self) {
        self.ring.clear();
        self.older = 0;
        self.before_last = S::default();
        self.last = None;
        self.oldest = i64::MAX;
    }
}
