//! A window for each event: the events of its key that are at most a time older, and itself. It is told with the
//! event, so that a threshold is told by the event that passes it. Amortised constant time an event.
//!
//! What is asked of the window is looked at with each event; where none came for the window's time it held no more.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::batch::Row;
use crate::key::KeyTable;
use crate::operator::{Operator, loaded, saved};
use crate::output::Output;
use crate::predicate::Compiled;
use crate::time::Timestamp;
use crate::window::Frame;
use crate::window::paned::place_of;
use crate::window::panes::Panes;
use crate::window::summary::Summary;

#[derive(Debug)]
pub(super) struct Each<S: Summary> {
    frame: Frame<S>,
    size: i64,
    /// Only events for which this holds are told with their window.
    when: Compiled,
    keys: KeyTable<State<S>>,
    /// When each key may have no events any more.
    due: BinaryHeap<Reverse<(i64, u32)>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct State<S> {
    panes: Panes<S>,
    last: i64,
    held: bool,
    queued: bool,
}

impl<S: Summary> Each<S> {
    pub fn new(frame: Frame<S>, size: i64, when: Compiled) -> Self {
        Self {
            frame,
            size,
            when,
            keys: KeyTable::default(),
            due: BinaryHeap::new(),
        }
    }
}

impl<S: Summary> Operator for Each<S> {
    fn push(&mut self, row: Row<'_>, out: &mut Vec<Output>) {
        let Some((key, input)) = self.frame.read(row) else {
            return;
        };
        let mut dropped = 0;
        let place = place_of(&mut self.keys, key, &mut dropped);
        if let Some(place) = place {
            let at = row.at().as_millis();
            let begin = at.saturating_sub(self.size);
            let (key, state) = self.keys.entry_mut(place);
            state.panes.drop_before(begin);
            if state.held && state.panes.oldest().is_none() {
                // In between there was nothing in the window.
                let nothing = S::default();
                let over = state.last.saturating_add(self.size);
                if let Some(edge) = self.frame.tells(&nothing, &mut state.held) {
                    let (times, name) = ((state.last, over), over.to_string());
                    out.push(self.frame.output(&nothing, key, times, &name, edge));
                }
            }
            state.panes.push(at, input);
            state.last = at;
            if self.when.holds(row)
                && let Some((edge, all)) = self.frame.tells_panes(&state.panes, &mut state.held)
            {
                let first = state.panes.oldest().unwrap_or(at);
                out.push(self.frame.output(&all, key, (first, at), &row.id(), edge));
            }
            if !std::mem::replace(&mut state.queued, true) {
                self.due
                    .push(Reverse((at.saturating_add(self.size), place)));
            }
        }
        self.frame.dropped += dropped;
    }

    fn advance_to(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let now = now.as_millis();
        while let Some(Reverse((due, place))) = self.due.peek().copied() {
            if due >= now {
                return;
            }
            self.due.pop();
            let (key, state) = self.keys.entry_mut(place);
            let over = state.last.saturating_add(self.size);
            if over >= now {
                self.due.push(Reverse((over, place)));
                continue;
            }
            let nothing = S::default();
            if let Some(edge) = self.frame.tells(&nothing, &mut state.held) {
                let name = over.to_string();
                let times = (state.last, over);
                out.push(self.frame.output(&nothing, key, times, &name, edge));
            }
            state.panes.clear();
            state.held = false;
            state.queued = false;
            self.keys.remove(place);
        }
    }

    fn name(&self) -> &str {
        &self.frame.name
    }

    fn keys(&self) -> usize {
        self.keys.len()
    }

    fn save(&self) -> Option<Vec<u8>> {
        saved(&(&self.keys, &self.due, self.frame.dropped))
    }

    fn restore(&mut self, bytes: &[u8]) -> bool {
        let Some((keys, due, dropped)) = loaded(bytes) else {
            return false;
        };
        let due: BinaryHeap<Reverse<(i64, u32)>> = due;
        let keys: KeyTable<State<S>> = keys;
        if !due.iter().all(|Reverse((_, place))| keys.has(*place)) {
            return false;
        }
        self.keys = keys;
        self.due = due;
        self.frame.dropped = dropped;
        true
    }

    fn reads(&self, source: &Arc<str>) -> bool {
        self.frame.source == *source
    }

    fn dropped(&self) -> u64 {
        self.frame.dropped
    }
}
