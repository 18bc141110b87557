//! Windows of so many events of a key, one every so many. A key's events are never forgotten before others
//! come, so that a rule holds as much as it has keys.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::batch::Row;
use crate::key::KeyTable;
use crate::operator::{Operator, loaded, saved};
use crate::output::Output;
use crate::rule::Fill;
use crate::window::Frame;
use crate::window::paned::place_of;
use crate::window::panes::Panes;
use crate::window::summary::Summary;

#[derive(Debug)]
pub(super) struct Counted<S: Summary> {
    frame: Frame<S>,
    size: i64,
    slide: i64,
    pane: i64,
    fill: Fill,
    keys: KeyTable<State<S>>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct State<S> {
    count: i64,
    panes: Panes<S>,
    /// The time of the first event of each pane.
    times: VecDeque<(i64, i64)>,
    held: bool,
}

impl<S: Summary> Counted<S> {
    pub fn new(frame: Frame<S>, size: i64, slide: i64, pane: i64, fill: Fill) -> Self {
        Self {
            frame,
            size,
            slide,
            pane,
            fill,
            keys: KeyTable::default(),
        }
    }
}

impl<S: Summary> Operator for Counted<S> {
    fn push(&mut self, row: Row<'_>, out: &mut Vec<Output>) {
        let Some((key, input)) = self.frame.read(row) else {
            return;
        };
        let mut dropped = 0;
        let place = place_of(&mut self.keys, key, &mut dropped);
        if let Some(place) = place {
            let (key, state) = self.keys.entry_mut(place);
            let at = row.at().as_millis();
            let pane = state.count / self.pane * self.pane;
            if pane == state.count {
                state.times.push_back((pane, at));
            }
            state.panes.push(pane, input);
            state.count += 1;
            // What the next window has no more.
            let next = state.count - state.count % self.slide + self.slide - self.size;
            if state.count % self.slide == 0 {
                let begin = state.count - self.size;
                state.panes.drop_before(begin);
                while state.times.front().is_some_and(|(pane, _)| *pane < begin) {
                    state.times.pop_front();
                }
                if (state.count >= self.size || self.fill == Fill::Partial)
                    && let Some((edge, all)) = self.frame.tells_panes(&state.panes, &mut state.held)
                {
                    let first = state.times.front().map_or(at, |(_, first)| *first);
                    let name = state.count.to_string();
                    out.push(self.frame.output(&all, key, (first, at), &name, edge));
                }
            }
            state.panes.drop_before(next.min(state.count));
            while state.times.front().is_some_and(|(pane, _)| *pane < next) {
                state.times.pop_front();
            }
        }
        self.frame.dropped += dropped;
    }

    fn name(&self) -> &str {
        &self.frame.name
    }

    fn keys(&self) -> usize {
        self.keys.len()
    }

    fn save(&self) -> Option<Vec<u8>> {
        saved(&(&self.keys, self.frame.dropped))
    }

    fn restore(&mut self, bytes: &[u8]) -> bool {
        let Some((keys, dropped)) = loaded::<(KeyTable<State<S>>, u64)>(bytes) else {
            return false;
        };
        let counts = |state: &State<S>| (0..i64::MAX / 2).contains(&state.count);
        if !keys.all().all(|(_, state)| counts(state)) {
            return false;
        }
        self.keys = keys;
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
