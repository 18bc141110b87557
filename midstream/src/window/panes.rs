//! The panes of one key: a queue whose aggregate is always known, from two stacks (the older panes with the
//! aggregates of all that follow them, the newer ones with one aggregate of all; K. Tangwongsan et al.,
//! *Low-latency sliding-window aggregation in worst-case constant time*, DEBS 2017, section 2). Amortised
//! constant time a pane.

use crate::window::summary::Summary;

#[derive(Debug, Default)]
pub(crate) struct Panes<S> {
    /// Older panes, the oldest last: its begin, and the aggregate of it and the older panes after it.
    older: Vec<(i64, S)>,
    /// Newer panes, the newest last.
    newer: Vec<(i64, S)>,
    /// All newer panes but the last.
    before_last: S,
}

impl<S: Summary> Panes<S> {
    /// Adds a value to the pane that begins then, which is the newest or a newer one.
    pub fn push(&mut self, start: i64, input: S::Input<'_>) {
        match self.newer.last_mut() {
            Some((last, pane)) if *last >= start => pane.take(input),
            _ => {
                if let Some((_, last)) = self.newer.last() {
                    self.before_last.merge(last);
                }
                let mut pane = S::default();
                pane.take(input);
                self.newer.push((start, pane));
            }
        }
    }

    /// Forgets the panes that begin before.
    pub fn drop_before(&mut self, begin: i64) {
        while self.oldest().is_some_and(|start| start < begin) {
            if self.older.is_empty() {
                self.turn();
            }
            self.older.pop();
        }
    }

    /// Makes the newer panes the older ones.
    fn turn(&mut self) {
        for (start, mut pane) in self.newer.drain(..).rev() {
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
        let oldest = self.older.last().or_else(|| self.newer.first());
        oldest.map(|(start, _)| *start)
    }

    /// All panes.
    pub fn all(&self) -> S {
        let mut all = self
            .older
            .last()
            .map_or_else(S::default, |(_, all)| all.clone());
        all.merge(&self.before_last);
        if let Some((_, last)) = self.newer.last() {
            all.merge(last);
        }
        all
    }

    /// Forgets all panes.
    pub fn clear(&mut self) {
        self.older.clear();
        self.newer.clear();
        self.before_last = S::default();
    }
}
