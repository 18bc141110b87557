//! Windows that are told again when an event comes late, for as long as is allowed. The panes of a key are kept
//! in order of time, and a window is the merge of its panes each time it is told: linear in them.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::batch::Row;
use crate::event::Event;
use crate::key::KeyTable;
use crate::operator::Operator;
use crate::output::Output;
use crate::time::Timestamp;
use crate::window::paned::{Times, place_of};
use crate::window::summary::Summary;
use crate::window::{Edge, Frame};

#[derive(Debug)]
pub(super) struct Late<S: Summary> {
    frame: Frame<S>,
    times: Times,
    lateness: i64,
    keys: KeyTable<State<S>>,
    next_end: Option<i64>,
    /// All windows that end at or before are told.
    told: i64,
}

#[derive(Debug, Default)]
struct State<S> {
    panes: BTreeMap<i64, S>,
    held: bool,
}

impl<S: Summary> Late<S> {
    pub fn new(frame: Frame<S>, size: i64, slide: i64, lateness: i64) -> Self {
        Self {
            frame,
            times: Times::new(size, slide),
            lateness,
            keys: KeyTable::default(),
            next_end: None,
            told: i64::MIN,
        }
    }

    /// Adds a row to its pane; gives the place of its key.
    fn add(&mut self, row: Row<'_>) -> Option<u32> {
        let at = row.at().as_millis();
        let (key, input) = self.frame.read(row).filter(|_| self.times.covers(at))?;
        let mut dropped = 0;
        let place = place_of(&mut self.keys, key, &mut dropped);
        if let Some(place) = place {
            let panes = &mut self.keys.at_mut(place).panes;
            panes.entry(self.times.pane_of(at)).or_default().take(input);
        }
        self.frame.dropped += dropped;
        place
    }

    fn window(state: &State<S>, begin: i64, end: i64) -> S {
        let mut all = S::default();
        for (_, pane) in state.panes.range(begin..end) {
            all.merge(pane);
        }
        all
    }

    /// Lets go what no event can change any more.
    fn forget(&mut self) {
        let kept = self
            .told
            .saturating_sub(self.lateness)
            .saturating_sub(self.times.size);
        for place in self.keys.ordered() {
            let state = self.keys.at_mut(place);
            state.panes = state.panes.split_off(&kept);
            if state.panes.is_empty() {
                state.held = false;
                self.keys.remove(place);
            }
        }
    }

    fn close(&mut self, end: i64, out: &mut Vec<Output>) {
        let begin = end - self.times.size;
        for place in self.keys.ordered() {
            let (key, state) = self.keys.entry_mut(place);
            let all = Self::window(state, begin, end);
            if let Some(edge) = self.frame.tells(&all, &mut state.held) {
                let name = end.to_string();
                out.push(self.frame.output(&all, key, (begin, end), &name, edge));
            }
        }
    }
}

impl<S: Summary> Operator for Late<S> {
    fn push(&mut self, row: Row<'_>, _out: &mut Vec<Output>) {
        if self.add(row).is_some() {
            let end = self.times.end_after(row.at().as_millis());
            self.next_end = Some(self.next_end.map_or(end, |next| next.min(end)));
        }
    }

    fn allows(&self, event: &Event) -> bool {
        // The last window that has the event must still be allowed to change.
        let last = event.at().as_millis().saturating_add(self.times.size);
        event.source == self.frame.source && last > self.told.saturating_sub(self.lateness)
    }

    fn push_late(&mut self, row: Row<'_>, out: &mut Vec<Output>) -> bool {
        let at = row.at().as_millis();
        let first = self.times.end_after(at);
        let Some(place) = self.add(row) else {
            return false;
        };
        let mut end = first;
        while end <= self.told && end - self.times.size <= at {
            if end > self.told.saturating_sub(self.lateness) {
                let (key, state) = self.keys.entry_mut(place);
                let begin = end - self.times.size;
                let all = Self::window(state, begin, end);
                if self.frame.holds(&all) {
                    let edge = Edge::Holds;
                    let name = end.to_string();
                    out.push(self.frame.output(&all, key, (begin, end), &name, edge));
                }
            }
            end += self.times.slide;
        }
        self.next_end = Some(self.next_end.map_or(end, |next| next.min(end)));
        true
    }

    fn next_end_after(&self, at: Timestamp) -> i64 {
        self.next_end
            .unwrap_or_else(|| self.times.end_after(self.times.pane_of(at.as_millis())))
    }

    fn advance_to(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let now = now.as_millis();
        if now != i64::MIN {
            self.told = self.told.max(now);
        }
        let mut closed = false;
        while let Some(end) = self.next_end.filter(|end| *end <= now) {
            self.close(end, out);
            closed = true;
            let begin = end.saturating_add(self.times.slide) - self.times.size;
            let mut later = i64::MAX;
            for place in self.keys.ordered() {
                let mut panes = self.keys.at(place).panes.range(begin..);
                later = panes.next().map_or(later, |(start, _)| later.min(*start));
            }
            let next = end.saturating_add(self.times.slide);
            self.next_end = (later != i64::MAX).then(|| next.max(self.times.end_after(later)));
            if self.next_end != Some(next) {
                // In the windows between there is nothing.
                for place in self.keys.ordered() {
                    self.keys.at_mut(place).held = false;
                }
            }
        }
        if closed {
            self.forget();
        }
    }

    fn reads(&self, source: &Arc<str>) -> bool {
        self.frame.source == *source
    }

    fn dropped(&self) -> u64 {
        self.frame.dropped
    }
}
