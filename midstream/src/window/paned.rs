//! Windows of event time from panes: each event goes into one pane, as long as the greatest time that divides
//! size and slide, and a window is the merge of its panes (J. Li et al., *No pane, no gain*, SIGMOD Record 34,
//! 2005).
//!
//! Windows begin at multiples of the slide since the epoch. A window is told when time reaches its end.
//! Constant time an event; a slide costs constant time a key, however many panes a window has ([`Timeline`]), and only
//! for the keys with events that came or went, where a rule tells no window twice.

use std::ops::Range;
use std::sync::Arc;

use crate::batch::{Batch, Row};
use crate::event::ValueRef;
use crate::key::KeyTable;
use crate::operator::{Operator, loaded, saved};
use crate::output::Output;
use crate::time::Timestamp;
use crate::window::plan::divisor;
use crate::window::summary::Summary;
use crate::window::timeline::{Held, Timeline};
use crate::window::{Edge, Frame, KEYS_MAX};

#[derive(Debug)]
pub(super) struct Paned<S: Summary> {
    frame: Frame<S>,
    clock: Clock,
    keys: KeyTable<Held<S>>,
    timeline: Timeline<S>,
    /// The places of the keys in order, where they are known.
    order: Vec<u32>,
    /// Whether the next window may be told of a key that has not changed.
    all_may_tell: bool,
    /// Memory that is used again: the keys that changed, what is told of them, those without events.
    changed: Vec<u32>,
    told: Vec<(u32, Edge, S)>,
    gone: Vec<u32>,
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
            timeline: Timeline::default(),
            order: Vec::new(),
            all_may_tell: false,
            changed: Vec::new(),
            told: Vec::new(),
            gone: Vec::new(),
            passing: Vec::new(),
        }
    }

    /// Tells the window that ends then; gives the begin of the oldest pane that is left.
    fn close(&mut self, end: i64, out: &mut Vec<Output>) -> Option<i64> {
        let begin = end - self.clock.times.size;
        self.timeline.seal(&mut self.keys);
        self.timeline.drop_before(&mut self.keys, begin);
        self.changed.clear();
        self.timeline
            .take_changed(&mut self.keys, &mut self.changed);
        let some = !std::mem::take(&mut self.all_may_tell)
            && self.frame.tells_changes_only()
            && self.changed.len() < self.keys.len() / 2;
        if some {
            let changed = std::mem::take(&mut self.changed);
            self.tell(&changed, (begin, end), out);
            self.changed = changed;
        } else {
            if self.order.len() != self.keys.len() {
                self.order = self.keys.ordered();
            }
            let order = std::mem::take(&mut self.order);
            self.tell(&order, (begin, end), out);
            if order.len() == self.keys.len() {
                self.order = order;
            }
        }
        self.timeline.oldest()
    }

    /// Tells the window of some keys, in the order of the keys, and forgets those that have no events any more.
    fn tell(&mut self, places: &[u32], (begin, end): (i64, i64), out: &mut Vec<Output>) {
        for place in places {
            let state = self.keys.at_mut(*place);
            // A key stays until a window without it, in which what is asked does not hold.
            if state.is_before(begin) {
                self.gone.push(*place);
            }
            let mut held = state.held;
            let told = self
                .frame
                .tells_merged(|| state.outline(), || state.all(), &mut held);
            state.held = held;
            if let Some((edge, all)) = told {
                self.told.push((*place, edge, all));
            }
        }
        let keys = &self.keys;
        if !self.told.is_empty() {
            self.told
                .sort_unstable_by(|a, b| keys.key(a.0).cmp(keys.key(b.0)));
            let name = end.to_string();
            for (place, edge, all) in self.told.drain(..) {
                let key = keys.key(place);
                out.push(self.frame.output(&all, key, (begin, end), &name, edge));
            }
        }
        if !self.gone.is_empty() {
            self.gone
                .sort_unstable_by(|a, b| keys.key(*a).cmp(keys.key(*b)));
            self.order.clear();
            for place in self.gone.drain(..) {
                *self.keys.at_mut(place) = Held::default();
                self.keys.remove(place);
            }
        }
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
            self.timeline.push(&mut self.keys, place, start, input);
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
                    self.timeline.push(&mut self.keys, place, start, input);
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
            &self.timeline,
            self.clock.next_end,
            self.clock.pane,
            self.frame.dropped,
        ))
    }

    fn restore(&mut self, bytes: &[u8]) -> bool {
        let Some((keys, timeline, next_end, pane, dropped)) = loaded(bytes) else {
            return false;
        };
        let timeline: Timeline<S> = timeline;
        if !timeline.is_of(&keys) {
            return false;
        }
        self.keys = keys;
        self.timeline = timeline;
        self.all_may_tell = true;
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
