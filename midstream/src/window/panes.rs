//! The panes of one key: a queue whose aggregate is always known, from two stacks (the older panes with the
//! aggregates of all that follow them, the newer ones with one aggregate of all; K. Tangwongsan et al.,
//! *Low-latency sliding-window aggregation in worst-case constant time*, DEBS 2017, section 2). Amortised
//! constant time a pane.
//!
//! The pane that is filled lies in the structure itself: an event that goes into it, and a look at what is told, read
//! no other memory but the one older pane's.

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
    /// Older panes, the oldest last: its begin, and the aggregate of it and the older panes after it.
    older: Vec<(i64, S)>,
    /// Newer panes, without the last.
    newer: Vec<(i64, S)>,
}

impl<S: Default> Default for Panes<S> {
    fn default() -> Self {
        Self {
            oldest: i64::MAX,
            last: None,
            before_last: S::default(),
            older: Vec::new(),
            newer: Vec::new(),
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
            self.newer.extend(self.last.take());
        }
        let mut pane = S::default();
        pane.take(input);
        self.last = Some((start, pane));
        self.oldest = self.oldest.min(start);
    }

    /// Forgets the panes that begin before.
    pub fn drop_before(&mut self, begin: i64) {
        while self.oldest < begin {
            if self.older.is_empty() {
                self.turn();
            }
            self.older.pop();
            let oldest = self.older.last().or(self.newer.first());
            let oldest = oldest.or(self.last.as_ref());
            self.oldest = oldest.map_or(i64::MAX, |(start, _)| *start);
        }
    }

    /// Makes the newer panes the older ones.
    fn turn(&mut self) {
        for (start, mut pane) in self.newer.drain(..).chain(self.last.take()).rev() {
            // The older first, so that equal panes give equal aggregates.
            if let Some((_, later)) = self.older.last() {
                pane.merge(later);
            }
            self.older.push((start, pane));
        }
        self.before_last = S::default();
    }

    /// The begin of the oldest pane.
    pub fn oldest(&self) -> Option<i64> {
        (self.oldest != i64::MAX).then_some(self.oldest)
    }

    /// Reads what [`Panes::all`] will read, so that it is near when it is asked for.
    pub fn read_ahead(&self) {
        std::hint::black_box(self.older.last().map(|(start, _)| *start));
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
        let mut all = self
            .older
            .last()
            .map_or_else(S::default, |(_, all)| all.clone());
        merge(&mut all, &self.before_last);
        if let Some((_, last)) = &self.last {
            merge(&mut all, last);
        }
        all
    }

    /// Forgets all panes.
    pub fn clear(&mut self) {
        self.older.clear();
        self.newer.clear();
        self.before_last = S::default();
        self.last = None;
        self.oldest = i64::MAX;
    }
}
