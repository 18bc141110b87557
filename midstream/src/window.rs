//! Windows of event time from panes: each event goes into one pane as long as the slide, a window is the
//! merge of its last panes (J. Li et al., *No pane, no gain*, SIGMOD Record 34, 2005).
//!
//! Window bounds are multiples of the slide since the epoch. A window is told when time reaches its end.
//! Constant time an event; keys times panes a slide.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::aggregate::Aggregates;
use crate::error::{Error, Result};
use crate::event::{Event, FieldType, Schema, Value};
use crate::key::Key;
use crate::output::{Found, MatchId, Output};
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
    keys: BTreeMap<Key, Panes>,
    /// The end of the next window; none before the first event.
    next_end: Option<i64>,
    /// Events whose key was one too many.
    pub dropped: u64,
}

#[derive(Debug, Default)]
struct Panes {
    /// By the pane's begin, oldest first.
    panes: VecDeque<(i64, Aggregates)>,
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
            source: schema.name().into(),
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
            keys: BTreeMap::new(),
            next_end: None,
            dropped: 0,
        })
    }

    /// Takes the next event in order of time, after [`Window::advance_to`] its time.
    pub fn push(&mut self, event: &Event) {
        if event.source != self.source || !self.filter.holds(event) {
            return;
        }
        let key = match self.key {
            None => Key::None,
            Some(index) => match event.value(index) {
                Some(value) => Key::of(value),
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
        let start = event.at.as_millis().div_euclid(self.slide) * self.slide;
        self.next_end.get_or_insert(start + self.slide);
        if self.keys.len() >= KEYS_MAX && !self.keys.contains_key(&key) {
            self.dropped += 1;
            return;
        }
        let panes = &mut self.keys.entry(key).or_default().panes;
        if panes.back().is_none_or(|(last, _)| *last < start) {
            panes.push_back((start, Aggregates::default()));
        }
        if let Some((_, pane)) = panes.back_mut() {
            pane.push(value);
        }
    }

    /// Tells the windows that end at or before `now`, in order of time and key.
    pub fn advance_to(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        while let Some(end) = self.next_end.filter(|end| *end <= now.as_millis()) {
            self.close(end, out);
            self.next_end = self
                .keys
                .values()
                .filter_map(|panes| panes.panes.front())
                .map(|(start, _)| *start)
                .min()
                .map(
                    // Nothing happens before the first pane that is left is inside a window.
                    |oldest| (end + self.slide).max(oldest + self.slide),
                );
        }
    }

    fn close(&mut self, end: i64, out: &mut Vec<Output>) {
        let begin = end - self.size;
        let Self {
            name,
            keys,
            having,
            emit,
            ..
        } = self;
        keys.retain(|key, state| {
            while state.panes.front().is_some_and(|(start, _)| *start < begin) {
                state.panes.pop_front();
            }
            let mut all = Aggregates::default();
            state
                .panes
                .iter()
                .filter(|(start, _)| *start < end)
                .for_each(|(_, pane)| all.merge(pane));
            let holds = all.count + all.nan > 0 && having.iter().all(|having| having.holds(&all));
            let tells = holds && (*emit == Emit::Every || !state.held);
            state.held = holds;
            if tells {
                let value = key.value();
                let text = value.as_ref().map(Value::to_string).unwrap_or_default();
                out.push(Output {
                    rule: name.clone(),
                    id: MatchId::of(&[name, &text, &end.to_string()]),
                    key: value,
                    first: Timestamp::from_millis(begin),
                    last: Timestamp::from_millis(end),
                    found: Found::Window(all),
                });
            }
            !state.panes.is_empty()
        });
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
