//! Windows of event time from panes: each event goes into one pane, as long as the greatest time that divides
//! size and slide, and a window is the merge of its panes (J. Li et al., *No pane, no gain*, SIGMOD Record 34,
//! 2005).
//!
//! Windows begin at multiples of the slide since the epoch. A window is told when time reaches its end.
//! Constant time an event; a slide costs constant time a key, however many panes a window has.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::batch::{Batch, Row};
use crate::event::ValueRef;
use crate::key::KeyTable;
use crate::operator::{Operator, loaded, saved};
use crate::output::Output;
use crate::time::Timestamp;
use crate::window::panes::Panes;
use crate::window::plan::divisor;
use crate::window::summary::Summary;
use crate::window::{Frame, KEYS_MAX};

/// How many keys ahead memory is read when a window ends: each key's panes lie elsewhere, and waiting for one
/// after the other is most of the time.
const READ_AHEAD: usize = 8;

#[derive(Debug)]
pub(super) struct Paned<S: Summary> {
    frame: Frame<S>,
    clock: Clock,
    keys: KeyTable<State<S>>,
    /// The places of the keys in order, where they are known.
    order: Vec<u32>,
    passing: Vec<u64>,
}

/// Size, slide and pane of windows that begin at multiples of the slide.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    pub size: i64,
    pub slide: i64,
    pub pane: i64,
}

impl Times {
    pub fn new(size: i64, slide: i64) -> Self {
        let pane = divisor(size, slide);
        Self { size, slide, pane }
    }

    /// The end of the first window that ends after a time.
    pub fn end_after(self, at: i64) -> i64 {
        let before = at.saturating_sub(self.size).div_euclid(self.slide);
        (before + 1)
            .saturating_mul(self.slide)
            .saturating_add(self.size)
    }

    /// Whether any window has a time: none has where windows are shorter than their slide.
    pub fn covers(self, at: i64) -> bool {
        self.end_after(at) - self.size <= at
    }

    pub fn pane_of(self, at: i64) -> i64 {
        at.div_euclid(self.pane) * self.pane
    }
}

/// Where in time the windows are.
#[derive(Debug)]
struct Clock {
    times: Times,
    /// The end of the next window; none before the first event.
    next_end: Option<i64>,
    /// The begin of the last event's pane.
    pane: i64,
}

impl Clock {
    /// Notes a time at which an event counts, and gives its pane; none where no window has it.
    fn pane(&mut self, at: i64) -> Option<i64> {
        if !(self.pane..self.pane.saturating_add(self.times.pane)).contains(&at) {
            if self.times.size < self.times.slide && !self.times.covers(at) {
                return None;
            }
            self.pane = self.times.pane_of(at);
        }
        if self.next_end.is_none() {
            self.next_end = Some(self.times.end_after(self.pane));
        }
        Some(self.pane)
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct State<S> {
    panes: Panes<S>,
    /// Whether the conditions held in the last window.
    held: bool,
}

/// The place of a key; none for one too many, which is counted.
pub(crate) fn place_of<T: Default>(
    keys: &mut KeyTable<T>,
    key: Option<ValueRef<'_>>,
    dropped: &mut u64,
) -> Option<u32> {
    let hash = keys.hash(key);
    if let Some(place) = keys.find(key, hash) {
        return Some(place);
    }
    if keys.len() >= KEYS_MAX {
        *dropped += 1;
        return None;
    }
    Some(keys.insert(key, hash))
}

impl<S: Summary> Paned<S> {
    pub fn new(frame: Frame<S>, size: i64, slide: i64) -> Self {
        Self {
            frame,
            clock: Clock {
                times: Times::new(size, slide),
                next_end: None,
                pane: i64::MIN,
            },
            keys: KeyTable::default(),
            order: Vec::new(),
            passing: Vec::new(),
        }
    }

    /// Tells the window that ends then; gives the begin of the oldest pane that is left.
    fn close(&mut self, end: i64, out: &mut Vec<Output>) -> Option<i64> {
        let begin = end - self.clock.times.size;
        if self.order.len() != self.keys.len() {
            self.order = self.keys.ordered();
        }
        let mut oldest = i64::MAX;
        let order = std::mem::take(&mut self.order);
        let mut gone = false;
        for (at, place) in order.iter().enumerate() {
            if let Some(ahead) = order.get(at + READ_AHEAD) {
                self.keys.at(*ahead).panes.read_ahead();
            }
            let (key, state) = self.keys.entry_mut(*place);
            // A key stays until a window without it, in which what is asked does not hold.
            state.panes.drop_before(begin);
            if let Some((edge, all)) = self.frame.tells_panes(&state.panes, &mut state.held) {
                let name = end.to_string();
                out.push(self.frame.output(&all, key, (begin, end), &name, edge));
            }
            match state.panes.oldest() {
                Some(start) => oldest = oldest.min(start),
                None => gone = true,
            }
        }
        self.order = order;
        if gone {
            for place in std::mem::take(&mut self.order) {
                let state = self.keys.at_mut(place);
                if state.panes.oldest().is_none() {
                    state.held = false;
                    self.keys.remove(place);
                }
            }
        }
        (oldest != i64::MAX).then_some(oldest)
    }
}

impl<S: Summary> Operator for Paned<S> {
    fn push(&mut self, row: Row<'_>, _out: &mut Vec<Output>) {
        let Some((key, input)) = self.frame.read(row) else {
            return;
        };
        let Some(start) = self.clock.pane(row.at().as_millis()) else {
            return;
        };
        let known = self.keys.len();
        let mut dropped = 0;
        if let Some(place) = place_of(&mut self.keys, key, &mut dropped) {
            self.keys.at_mut(place).panes.push(start, input);
        }
        if self.keys.len() != known {
            self.order.clear();
        }
        self.frame.dropped += dropped;
    }

    fn push_rows(&mut self, batch: &Batch, rows: Range<usize>, _out: &mut Vec<Output>) {
        let mut passing = std::mem::take(&mut self.passing);
        self.frame.filter.rows(batch, rows.clone(), &mut passing);
        let known = self.keys.len();
        for (word, bits) in passing.iter().enumerate() {
            let mut bits = *bits;
            while bits != 0 {
                let row = rows.start + word * 64 + bits.trailing_zeros() as usize;
                bits &= bits - 1;
                let Some(start) = self.clock.pane(batch.at[row].as_millis()) else {
                    continue;
                };
                let row = Row::Batch(batch, row);
                let coded = self.frame.key.and_then(|key| row.code(key));
                let known = coded.and_then(|(text, code)| self.keys.find_code(text, code));
                let place = known.or_else(|| {
                    let key = self.frame.key.and_then(|key| row.value(key));
                    place_of(&mut self.keys, key, &mut self.frame.dropped)
                });
                let input = S::read(&self.frame.plan, row);
                if let (Some(place), Some(input)) = (place, input) {
                    self.keys.at_mut(place).panes.push(start, input);
                }
            }
        }
        if self.keys.len() != known {
            self.order.clear();
        }
        self.passing = passing;
    }

    fn next_end_after(&self, at: Timestamp) -> i64 {
        self.clock.next_end.unwrap_or_else(|| {
            self.clock
                .times
                .end_after(self.clock.times.pane_of(at.as_millis()))
        })
    }

    fn advance_to(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        while let Some(end) = self.clock.next_end.filter(|end| *end <= now.as_millis()) {
            let oldest = self.close(end, out);
            // Nothing happens before the first pane that is left is inside a window.
            let next = oldest.map(|oldest| self.clock.times.end_after(oldest));
            self.clock.next_end =
                next.map(|next| next.max(end.saturating_add(self.clock.times.slide)));
        }
    }

    fn name(&self) -> &str {
        &self.frame.name
    }

    fn keys(&self) -> usize {
        self.keys.len()
    }

    fn save(&self) -> Option<Vec<u8>> {
        saved(&(
            &self.keys,
            self.clock.next_end,
            self.clock.pane,
            self.frame.dropped,
        ))
    }

    fn restore(&mut self, bytes: &[u8]) -> bool {
        let Some((keys, next_end, pane, dropped)) = loaded(bytes) else {
            return false;
        };
        self.keys = keys;
        self.order.clear();
        self.clock.next_end = next_end;
        self.clock.pane = pane;
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
