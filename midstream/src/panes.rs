//! The panes of one key: a queue whose aggregate is always known, from two stacks (the older panes with the
//! aggregates of all that follow them, the newer ones with one aggregate of all; K. Tangwongsan et al.,
//! *Low-latency sliding-window aggregation in worst-case constant time*, DEBS 2017, section 2). Amortised
//! constant time a pane.

use serde::{Deserialize, Serialize};

use crate::aggregate::Aggregates;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Panes {
    /// Older panes, the oldest last: its begin, and the aggregate of it and the older panes after it.
    older: Vec<(i64, Aggregates)>,
    /// Newer panes, the newest last.
    newer: Vec<(i64, Aggregates)>,
    /// All newer panes but the last.
    before_last: Aggregates,
}

impl Panes {
    /// Adds a value to the pane that begins then, which is the newest or a newer one.
    pub fn push(&mut self, start: i64, value: f64) {
        match self.newer.last_mut() {
            Some((last, pane)) if *last >= start => pane.push(value),
            _ => {
                if let Some((_, last)) = self.newer.last() {
                    self.before_last.merge(last);
                }
                let mut pane = Aggregates::default();
                pane.push(value);
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
        let mut all = Aggregates::default();
        for (start, pane) in self.newer.drain(..).rev() {
            // The older first, so that equal panes give equal aggregates.
            let mut with = pane;
            with.merge(&all);
            all = with;
            self.older.push((start, all));
        }
        self.before_last = Aggregates::default();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.older.len() + self.newer.len()
    }

    /// The begin of the oldest pane.
    pub fn oldest(&self) -> Option<i64> {
        let oldest = self.older.last().or_else(|| self.newer.first());
        oldest.map(|(start, _)| *start)
    }

    /// All panes that begin before `end`; at most the newest does not.
    pub fn merge_until(&self, end: i64) -> Aggregates {
        let mut all = self
            .older
            .last()
            .map_or_else(Aggregates::default, |(_, all)| *all);
        all.merge(&self.before_last);
        if let Some((_, last)) = self.newer.last().filter(|(start, _)| *start < end) {
            all.merge(last);
        }
        all
    }
}
