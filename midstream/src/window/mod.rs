//! Windows: what a rule keeps of which events, and when it tells.
//!
//! Each kind of window is a file of its own; what they share is [`Frame`]. What is kept of the events is a
//! [`Summary`], of one field where that is enough.

mod counted;
mod each;
mod late;
mod paned;
mod panes;
mod plan;
mod session;
mod summary;
mod timeline;

use std::sync::Arc;

use crate::batch::Row;
use crate::error::Result;
use crate::event::{Schema, Value, ValueRef};
use crate::expression::{Place, Term};
use crate::key::Key;
use crate::operator::Operator;
use crate::output::{Found, MatchId, Output, Record};
use crate::predicate::Compiled;
use crate::rule::{Emit, Having, WindowRule};
use crate::time::Timestamp;
use panes::Panes;
use summary::{Slots, Summary};

pub(crate) use paned::place_of;
pub(crate) use plan::slot_name;
pub use summary::DISTINCT_MAX;

/// The most panes of one window.
pub const PANES_MAX: i64 = 100_000;
/// The most keys of one window rule; events of further ones are dropped and counted.
pub const KEYS_MAX: usize = 1_000_000;

/// The window of a rule.
///
/// # Errors
/// [`crate::Error`] naming the rule, source or field at fault.
pub(crate) fn build(rule: &WindowRule, schemas: &[Schema]) -> Result<Box<dyn Operator>> {
    plan::build(rule, schemas)
}

/// What all windows have: which events, of which key, and what is told of them.
#[derive(Debug)]
struct Frame<S: Summary> {
    name: Arc<str>,
    source: Arc<str>,
    key: Option<usize>,
    filter: Compiled,
    plan: S::Plan,
    having: Vec<Having>,
    condition: Option<Compiled>,
    until: Option<Compiled>,
    /// Empty where the aggregates are told as they are.
    select: Vec<(Arc<str>, Selected)>,
    emit: Emit,
    /// Whether an outline is enough to say if a window is told. Most are not.
    outline_decides: bool,
    /// Events whose key was one too many.
    dropped: u64,
}

/// What is told of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Edge {
    /// What is asked holds.
    Holds,
    /// It does no more.
    Over,
}

/// A column of what is told.
#[derive(Debug)]
enum Selected {
    Key,
    Value(Term<Place>),
}

impl<S: Summary> Frame<S> {
    /// The key and the input of a row that counts.
    fn read<'a>(&'a self, row: Row<'a>) -> Option<(Option<ValueRef<'a>>, S::Input<'a>)> {
        if !self.filter.holds(row) {
            return None;
        }
        let key = match self.key {
            None => None,
            Some(field) => Some(row.value(field)?),
        };
        Some((key, S::read(&self.plan, row)?))
    }

    /// Whether what is asked of a window holds.
    #[inline]
    fn holds(&self, all: &S) -> bool {
        !all.is_empty()
            && (self.having.is_empty() || {
                let aggregates = all.aggregates();
                self.having.iter().all(|having| having.holds(&aggregates))
            })
            && self
                .condition
                .as_ref()
                .is_none_or(|condition| condition.holds_with(&Slots(all, &self.plan)))
    }

    /// What is told of a window; notes whether what is asked held.
    #[inline]
    fn tells(&self, all: &S, held: &mut bool) -> Option<Edge> {
        let holds = match &self.until {
            Some(until) if *held => !all.is_empty() && !until.holds_with(&Slots(all, &self.plan)),
            _ => self.holds(all),
        };
        let asks = !self.having.is_empty() || self.condition.is_some();
        let before = std::mem::replace(held, holds);
        if holds && (self.emit == Emit::Every || !before || !asks) {
            return Some(Edge::Holds);
        }
        (before && !holds && self.emit == Emit::Changes && asks).then_some(Edge::Over)
    }

    /// Whether a window that holds what the one before held is never told.
    fn tells_changes_only(&self) -> bool {
        let asks = !self.having.is_empty() || self.condition.is_some();
        asks && self.emit != Emit::Every
    }

    /// Says whether a window of panes is told, and then what it holds.
    fn tells_panes(&self, panes: &Panes<S>, held: &mut bool) -> Option<(Edge, S)> {
        self.tells_merged(|| panes.outline(), || panes.all(), held)
    }

    /// Says whether a window is told, and then what it holds; merges no more than it must.
    #[inline]
    fn tells_merged(
        &self,
        outline: impl FnOnce() -> S,
        all: impl FnOnce() -> S,
        held: &mut bool,
    ) -> Option<(Edge, S)> {
        let asks = !self.having.is_empty() || self.condition.is_some();
        if !(self.outline_decides && asks) {
            let all = all();
            return self.tells(&all, held).map(|edge| (edge, all));
        }
        let edge = self.tells(&outline(), held)?;
        Some((edge, all()))
    }

    fn output(
        &self,
        all: &S,
        key: &Key,
        (first, last): (i64, i64),
        name: &str,
        edge: Edge,
    ) -> Output {
        let value = key.value();
        let text = value.as_ref().map(Value::to_string).unwrap_or_default();
        let mut parts = vec![&*self.name, text.as_str(), name];
        let found = if self.select.is_empty() && edge == Edge::Holds {
            Found::Window(all.aggregates())
        } else {
            let columns = self.select.iter().map(|(name, selected)| {
                let value = match selected {
                    Selected::Key => value.clone(),
                    Selected::Value(term) => term.value(&Slots(all, &self.plan)),
                };
                (name.clone(), value)
            });
            let record = Record {
                events: Vec::new(),
                columns: columns.collect(),
            };
            match edge {
                Edge::Holds => Found::Row(record),
                Edge::Over => {
                    parts.push("over");
                    Found::Over(record)
                }
            }
        };
        Output {
            rule: self.name.clone(),
            id: MatchId::of(&parts),
            key: value,
            first: Timestamp::from_millis(first),
            last: Timestamp::from_millis(last),
            found,
        }
    }
}

impl Having {
    #[inline]
    fn holds(&self, aggregates: &crate::aggregate::Aggregates) -> bool {
        let (kind, limit, comparison) = self.parts();
        let Some(value) = aggregates.get(kind) else {
            return false;
        };
        value
            .partial_cmp(&limit)
            .is_some_and(|order| comparison.is(order))
    }
}
