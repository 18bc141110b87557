//! Rows that fit a condition, and conditions on the latest values of several sensors.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::batch::Row;
use crate::error::{Error, Result};
use crate::event::{Schema, Value};
use crate::expression::{Expr, Place, Term, Values, field};
use crate::key::KeyTable;
use crate::operator::{Operator, loaded, saved};
use crate::output::{Found, MatchId, Output, Record};
use crate::predicate::{Compiled, Predicate, always, place};
use crate::rule::{Emit, Rule};
use crate::time::{Timestamp, millis};
use crate::window::place_of;

/// Events of a source for which a condition holds, one by one; or, with [`SelectRule::within`], a condition on
/// the latest values of all fields, each from whichever event brought it last.
///
/// Sensors that send one field each are so looked at together: `temp > 80 AND vibration > 0.5` within five
/// seconds holds when the last temperature and the last vibration are such and neither is older than five
/// seconds. It is told when it begins to hold ([`Emit`]).
#[derive(Clone, Debug, PartialEq)]
pub struct SelectRule {
    pub(crate) name: String,
    pub(crate) source: String,
    pub(crate) key: Option<String>,
    pub(crate) filter: Predicate,
    pub(crate) select: Vec<(String, Expr)>,
    pub(crate) within: Option<Duration>,
    pub(crate) emit: Emit,
}

impl SelectRule {
    pub(crate) fn new(name: &str, source: &str) -> Self {
        Self {
            name: name.to_owned(),
            source: source.to_owned(),
            key: None,
            filter: always(),
            select: Vec::new(),
            within: None,
            emit: Emit::default(),
        }
    }

    /// The field by whose values latest values are told apart.
    #[must_use]
    pub fn key(mut self, field: &str) -> Self {
        self.key = Some(field.to_owned());
        self
    }

    /// Several fields by whose values together the latest values are told apart; a key is told as `north, 3`.
    #[must_use]
    pub fn keys(mut self, fields: &[&str]) -> Self {
        self.key = Some(crate::key::key_name(fields));
        self
    }

    /// Only if this holds.
    #[must_use]
    pub fn filter(mut self, predicate: Predicate) -> Self {
        self.filter = predicate;
        self
    }

    /// A column of what is told; without any, all fields are.
    #[must_use]
    pub fn select(mut self, name: &str, value: impl Into<Expr>) -> Self {
        self.select.push((name.to_owned(), value.into()));
        self
    }

    /// The condition is on the latest values that are at most this old, inclusive.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = Some(limit);
        self
    }

    /// When a rule on latest values tells: on the rising edge, or with every event for which it holds.
    #[must_use]
    pub fn emit(mut self, emit: Emit) -> Self {
        self.emit = emit;
        self
    }
}

impl From<SelectRule> for Rule {
    fn from(rule: SelectRule) -> Self {
        Self::Select(rule)
    }
}

/// Compiled columns: of all of a schema's fields where none are named.
pub(crate) fn columns(
    select: &[(String, Expr)],
    schema: &Schema,
) -> Result<Vec<(Arc<str>, Term<Place>)>> {
    let all: Vec<(String, Expr)> = match select.is_empty() {
        true => schema
            .fields()
            .map(|(name, _)| (name.to_owned(), field(name)))
            .collect(),
        false => select.to_vec(),
    };
    all.iter()
        .map(|(name, value)| {
            let term = value.0.map(&mut |leaf| place(schema, leaf))?;
            Ok((name.as_str().into(), term))
        })
        .collect()
}

/// A select rule at work.
#[derive(Debug)]
pub(crate) struct Select {
    name: Arc<str>,
    source: Arc<str>,
    key: Option<usize>,
    fields: usize,
    filter: Compiled,
    columns: Vec<(Arc<str>, Term<Place>)>,
    within: Option<i64>,
    emit: Emit,
    keys: KeyTable<Latest>,
    dropped: u64,
}

/// The latest values of a key.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Latest {
    values: Vec<Option<(Value, i64)>>,
    held: bool,
}

/// Values that are not older than a time.
struct Fresh<'a>(&'a Latest, i64);

impl Values for Fresh<'_> {
    fn value(&self, place: Place) -> Option<Value> {
        let Place::Field(field) = place else {
            return None;
        };
        let (value, at) = self.0.values.get(field)?.as_ref()?;
        (*at >= self.1).then(|| value.clone())
    }
}

impl Select {
    pub fn build(rule: &SelectRule, schemas: &[Schema]) -> Result<Self> {
        let schema = crate::engine::schema(schemas, &rule.source)?;
        if rule.within.is_some_and(|within| millis(within) <= 0) {
            return Err(Error::Rule {
                rule: rule.name.clone(),
                cause: "the time of latest values is at least a millisecond",
            });
        }
        let key = rule.key.as_deref().map(|key| schema.index(key));
        Ok(Self {
            name: rule.name.as_str().into(),
            source: schema.shared_name().clone(),
            key: key.transpose()?,
            fields: schema.fields().count(),
            filter: rule.filter.compile(schema)?,
            columns: columns(&rule.select, schema)?,
            within: rule.within.map(millis),
            emit: rule.emit,
            keys: KeyTable::default(),
            dropped: 0,
        })
    }

    fn output(&self, row: Row<'_>, first: Timestamp, values: &impl Values) -> Output {
        let key = self.key.and_then(|key| row.value(key)).map(Value::from);
        let text = key.as_ref().map(Value::to_string).unwrap_or_default();
        let id = row.id();
        let columns = self.columns.iter();
        Output {
            rule: self.name.clone(),
            id: MatchId::of(&[&self.name, &text, &id]),
            key,
            first,
            last: row.at(),
            found: Found::Row(Record {
                events: vec![id],
                columns: columns
                    .map(|(name, term)| (name.clone(), term.value(values)))
                    .collect(),
            }),
        }
    }
}

impl Operator for Select {
    fn push(&mut self, row: Row<'_>, out: &mut Vec<Output>) {
        let Some(within) = self.within else {
            if self.filter.holds(row) {
                out.push(self.output(row, row.at(), &row));
            }
            return;
        };
        let key = match self.key {
            None => None,
            Some(field) => match row.value(field) {
                Some(value) => Some(value),
                None => return,
            },
        };
        let Some(place) = place_of(&mut self.keys, key, &mut self.dropped) else {
            return;
        };
        let at = row.at().as_millis();
        let oldest = at.saturating_sub(within);
        let latest = self.keys.at_mut(place);
        latest.values.resize(self.fields, None);
        if latest.held {
            // What is too old by now may have ended it since the event before.
            latest.held = self.filter.holds_with(&Fresh(latest, oldest));
        }
        for (field, latest) in latest.values.iter_mut().enumerate() {
            if let Some(value) = row.value(field) {
                *latest = Some((value.into(), at));
            }
        }
        let holds = self.filter.holds_with(&Fresh(latest, oldest));
        let before = std::mem::replace(&mut latest.held, holds);
        let over = before && !holds && self.emit == Emit::Changes;
        let tells = over || (holds && (!before || self.emit == Emit::Every));
        if tells {
            let latest = self.keys.at(place);
            let times = latest.values.iter().flatten().map(|(_, at)| *at);
            let first = times.filter(|time| *time >= oldest).min().unwrap_or(at);
            let mut output =
                self.output(row, Timestamp::from_millis(first), &Fresh(latest, oldest));
            if let (true, Found::Row(record)) = (over, &mut output.found) {
                output.found = Found::Over(std::mem::take(record));
            }
            out.push(output);
        }
    }

    fn next_end_after(&self, at: Timestamp) -> i64 {
        at.as_millis()
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn keys(&self) -> usize {
        self.keys.len()
    }

    fn save(&self) -> Option<Vec<u8>> {
        saved(&(&self.keys, self.dropped))
    }

    fn restore(&mut self, bytes: &[u8]) -> bool {
        let Some((keys, dropped)) = loaded(bytes) else {
            return false;
        };
        self.keys = keys;
        self.dropped = dropped;
        true
    }

    fn reads(&self, source: &Arc<str>) -> bool {
        self.source == *source
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }
}
