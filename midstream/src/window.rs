//! Windows of event time from panes: each event goes into one pane as long as the slide, a window is the
//! merge of its last panes (J. Li et al., *No pane, no gain*, SIGMOD Record 34, 2005).
//!
//! Window bounds are multiples of the slide since the epoch. A window is told when time reaches its end.
//! Constant time an event; a slide costs constant time a key, however many panes a window has.

use std::ops::Range;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::aggregate::Aggregates;
use crate::batch::{Batch, Column, Row};
use crate::error::{Error, Result};
use crate::event::{Event, FieldType, Schema, Value, ValueRef};
use crate::key::KeyTable;
use crate::output::{Found, MatchId, Output};
use crate::panes::Panes;
use crate::predicate::Compiled;
use crate::rule::{Emit, Having, WindowRule};
use crate::time::{Timestamp, millis};

/// The most panes of one window.
pub const PANES_MAX: i64 = 100_000;
/// The most keys of one window rule; events of further ones are dropped and counted.
pub const KEYS_MAX: usize = 1_000_000;

/// A window rule and its panes.
#[derive(Debug)]
pub(crate) struct Window {
    name: Arc<str>,
    source: Arc<str>,
    key: Option<usize>,
    field: Option<usize>,
    filter: Compiled,
    size: i64,
    slide: i64,
    having: Vec<Having>,
    emit: Emit,
    keys: KeyTable<State>,
    /// The places of the keys in order, where they are known.
    order: Vec<u32>,
    /// The end of the next window; none before the first event.
    next_end: Option<i64>,
    /// The begin of the last event's pane.
    pane: i64,
    /// Events whose key was one too many.
    pub dropped: u64,
    /// Events that a window took.
    pub events: u64,
    /// Outputs.
    pub told: u64,
    passing: Vec<u32>,
    places: Vec<Option<u32>>,
}

/// What is kept: with references to write it, with values to read it.
#[derive(Debug, Serialize, Deserialize)]
struct WindowState<K> {
    keys: K,
    next_end: Option<i64>,
    pane: i64,
    counters: [u64; 3],
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    panes: Panes,
    /// Whether the conditions held in the last window.
    held: bool,
}

impl Window {
    pub fn build(rule: &WindowRule, schemas: &[Schema]) -> Result<Self> {
        let schema = crate::engine::schema(schemas, &rule.source)?;
        let (size, slide) = (millis(rule.size), millis(rule.slide));
        if size <= 0 || slide <= 0 || size % slide != 0 || size / slide > PANES_MAX {
            return Err(Error::Slide {
                rule: rule.name.clone(),
                size: rule.size,
                slide: rule.slide,
                panes_max: PANES_MAX,
            });
        }
        let field = rule
            .field
            .as_deref()
            .map(|field| schema.index(field))
            .transpose()?;
        if let Some((name, FieldType::Text)) = field.and_then(|index| schema.fields().nth(index)) {
            return Err(Error::Type {
                field: name.to_owned(),
                wanted: FieldType::Float,
                found: FieldType::Text,
            });
        }
        Ok(Self {
            name: rule.name.as_str().into(),
            source: schema.shared_name().clone(),
            key: rule
                .key
                .as_deref()
                .map(|key| schema.index(key))
                .transpose()?,
            field,
            filter: rule.filter.compile(schema)?,
            size,
            slide,
            having: rule.having.clone(),
            emit: rule.emit,
            keys: KeyTable::default(),
            order: Vec::new(),
            next_end: None,
            pane: 0,
            dropped: 0,
            events: 0,
            told: 0,
            passing: Vec::new(),
            places: Vec::new(),
        })
    }

    /// The rule's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Keys in its windows, and bytes of their panes.
    pub fn held(&self) -> (usize, usize) {
        let panes: usize = self.keys.all().map(|(_, state)| state.panes.len()).sum();
        let keys = self.keys.len() * size_of::<State>();
        (
            self.keys.len(),
            keys + panes * size_of::<(i64, Aggregates)>(),
        )
    }

    /// What is kept between events, as bytes.
    pub fn save(&self) -> Vec<u8> {
        let state = WindowState {
            keys: &self.keys,
            next_end: self.next_end,
            pane: self.pane,
            counters: [self.dropped, self.events, self.told],
        };
        rmp_serde::to_vec(&state).unwrap_or_default()
    }

    /// Goes on from what the same rule has kept; whether the bytes are that.
    pub fn restore(&mut self, bytes: &[u8]) -> bool {
        let Ok(state) = rmp_serde::from_slice::<WindowState<KeyTable<State>>>(bytes) else {
            return false;
        };
        self.keys = state.keys;
        self.order.clear();
        self.next_end = state.next_end;
        self.pane = state.pane;
        [self.dropped, self.events, self.told] = state.counters;
        true
    }

    /// Takes the next event in order of time, after [`Window::advance_to`] its time.
    pub fn push(&mut self, event: &Event) {
        if event.source != self.source || !self.filter.holds(Row::Event(event)) {
            return;
        }
        let key = match self.key {
            None => None,
            Some(index) => match event.value(index) {
                Some(value) => Some(value.as_value_ref()),
                None => return,
            },
        };
        let value = match self.field {
            None => 1.0,
            Some(index) => match event.value(index).and_then(Value::as_f64) {
                Some(value) => value,
                None => return,
            },
        };
        if let Some(place) = self.place(key) {
            self.add(place, event.at.as_millis(), value);
        }
    }

    /// The place of a key; none for one too many, which is counted.
    fn place(&mut self, key: Option<ValueRef<'_>>) -> Option<u32> {
        let hash = self.keys.hash(key);
        if let Some(place) = self.keys.find(key, hash) {
            return Some(place);
        }
        if self.keys.len() >= KEYS_MAX {
            self.dropped += 1;
            return None;
        }
        self.order.clear();
        Some(self.keys.insert(key, hash))
    }

    /// Adds a value of a key at a time.
    fn add(&mut self, place: u32, at: i64, value: f64) {
        if !(self.pane..self.pane.saturating_add(self.slide)).contains(&at) {
            self.pane = at.div_euclid(self.slide) * self.slide;
        }
        self.events += 1;
        let start = self.pane;
        self.next_end.get_or_insert(start + self.slide);
        self.keys.at_mut(place).panes.push(start, value);
    }

    /// A time before which no window ends, when the next event is at `at`.
    pub fn next_end_after(&self, at: Timestamp) -> i64 {
        let pane = at.as_millis().div_euclid(self.slide) * self.slide;
        self.next_end.unwrap_or(pane + self.slide)
    }

    /// Takes a part of a batch whose rows are in order of time and all before the end of the next window.
    pub fn push_rows(&mut self, batch: &Batch, rows: Range<usize>) {
        if batch.source != self.source {
            return;
        }
        let mut passing = std::mem::take(&mut self.passing);
        passing.clear();
        self.filter
            .each_row(batch, rows, |row| passing.push(row as u32));
        // The places of texts, looked up once each; no key goes away before the window's end.
        let mut places = std::mem::take(&mut self.places);
        places.clear();
        for row in &passing {
            let row = *row as usize;
            let column = self.key.map(|key| &batch.columns[key]);
            let place = if let Some(Column::Text { dictionary, codes }) = column {
                places.resize(dictionary.len(), None);
                let code = codes[row] as usize;
                match places[code] {
                    Some(place) => Some(place),
                    None => {
                        places[code] = self.place(Some(ValueRef::Text(&dictionary[code])));
                        places[code]
                    }
                }
            } else {
                let key = self.key.and_then(|key| Row::Batch(batch, row).value(key));
                self.place(key)
            };
            let value = match self.field.map(|field| &batch.columns[field]) {
                None => Some(1.0),
                Some(Column::Float(values)) => Some(values[row]),
                Some(_) => self
                    .field
                    .and_then(|field| Row::Batch(batch, row).value(field)?.as_f64()),
            };
            if let (Some(place), Some(value)) = (place, value) {
                self.add(place, batch.at[row].as_millis(), value);
            }
        }
        self.passing = passing;
        self.places = places;
    }

    /// Tells the windows that end at or before `now`, in order of time and key.
    pub fn advance_to(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        while let Some(end) = self.next_end.filter(|end| *end <= now.as_millis()) {
            let oldest = self.close(end, out);
            // Nothing happens before the first pane that is left is inside a window.
            self.next_end = oldest.map(|oldest| (end + self.slide).max(oldest + self.slide));
        }
    }

    /// Tells the window that ends then; gives the begin of the oldest pane that is left.
    fn close(&mut self, end: i64, out: &mut Vec<Output>) -> Option<i64> {
        let begin = end - self.size;
        if self.order.len() != self.keys.len() {
            self.order = self.keys.ordered();
        }
        let mut oldest = None;
        let order = std::mem::take(&mut self.order);
        let mut gone = false;
        for place in &order {
            let state = self.keys.at_mut(*place);
            state.panes.drop_before(begin);
            let all = state.panes.merge_until(end);
            let some = all.count + all.nan > 0;
            let holds = some && self.having.iter().all(|having| having.holds(&all));
            let tells = holds && (self.emit == Emit::Every || !state.held);
            state.held = holds;
            match state.panes.oldest() {
                Some(start) => oldest = Some(oldest.map_or(start, |other: i64| other.min(start))),
                None => gone = true,
            }
            if tells {
                self.told += 1;
                let value = self.keys.key(*place).value();
                let text = value.as_ref().map(Value::to_string).unwrap_or_default();
                out.push(Output {
                    rule: self.name.clone(),
                    id: MatchId::of(&[&self.name, &text, &end.to_string()]),
                    key: value,
                    first: Timestamp::from_millis(begin),
                    last: Timestamp::from_millis(end),
                    found: Found::Window(all),
                });
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
        oldest
    }
}

impl Having {
    fn holds(&self, aggregates: &Aggregates) -> bool {
        let (kind, compare): (_, fn(f64, f64) -> bool) = match self {
            Self::AtLeast(kind, _) => (kind, |a, b| a >= b),
            Self::AtMost(kind, _) => (kind, |a, b| a <= b),
            Self::Above(kind, _) => (kind, |a, b| a > b),
            Self::Below(kind, _) => (kind, |a, b| a < b),
        };
        let (Self::AtLeast(_, limit)
        | Self::AtMost(_, limit)
        | Self::Above(_, limit)
        | Self::Below(_, limit)) = self;
        aggregates
            .get(*kind)
            .is_some_and(|value| compare(value, *limit))
    }
}
