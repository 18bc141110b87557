//! Joins of streams: one event of each source, all within a time of one another, and rows of tables.
//!
//! Each event is combined with the events of the other sources that are at most the rule's time older: linear in
//! the combinations that are told and in the events of its key.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::batch::Row;
use crate::error::{Error, Result};
use crate::event::{Event, Schema, Value};
use crate::expression::{Expr, Leaf, Place, Term, Values};
use crate::key::KeyTable;
use crate::operator::{loaded, saved};
use crate::output::{Found, MatchId, Output, Record};
use crate::predicate::{Compiled, Predicate, always};
use crate::rule::Rule;
use crate::table::Table;
use crate::time::{Timestamp, millis};
use crate::window::place_of;

/// The most events of one key and source that a join holds; the oldest gives way and is counted.
pub const JOINED_MAX: usize = 4096;
/// The most sources of one join.
const SOURCES_MAX: usize = 8;

/// One event of each of several sources, in any order, all within a time of one another and with one key.
///
/// Fields are named `source.field` in conditions and in what is told; a field's name alone stands for the first
/// source that has it. A row of a [`Table`] is joined by a field: where there is none its fields are missing.
#[derive(Clone, Debug, PartialEq)]
pub struct JoinRule {
    pub(crate) name: String,
    pub(crate) sources: Vec<String>,
    pub(crate) key: Option<String>,
    pub(crate) filter: Predicate,
    pub(crate) within: Option<Duration>,
    pub(crate) tables: Vec<(String, String)>,
    pub(crate) select: Vec<(String, Expr)>,
}

impl JoinRule {
    pub(crate) fn new(name: &str, source: &str) -> Self {
        Self {
            name: name.to_owned(),
            sources: vec![source.to_owned()],
            key: None,
            filter: always(),
            within: None,
            tables: Vec::new(),
            select: Vec::new(),
        }
    }

    /// And an event of this source.
    #[must_use]
    pub fn with(mut self, source: &str) -> Self {
        self.sources.push(source.to_owned());
        self
    }

    /// The field that all sources share, and whose values must be equal. Without it, sources that all have the
    /// field by which a table is joined must agree in that one; without either, all events meet.
    #[must_use]
    pub fn key(mut self, field: &str) -> Self {
        self.key = Some(field.to_owned());
        self
    }

    /// Several fields by whose values together the events are told apart; a key is told as `north, 3`.
    #[must_use]
    pub fn keys(mut self, fields: &[&str]) -> Self {
        self.key = Some(crate::key::key_name(fields));
        self
    }

    /// Only if this holds for the events together.
    #[must_use]
    pub fn filter(mut self, predicate: Predicate) -> Self {
        self.filter = predicate;
        self
    }

    /// The longest time from the first event to the last, inclusive.
    #[must_use]
    pub fn within(mut self, limit: Duration) -> Self {
        self.within = Some(limit);
        self
    }

    /// And the row of a table whose key is the value of this field, as of the last event's time.
    #[must_use]
    pub fn table(mut self, table: &str, on: &str) -> Self {
        self.tables.push((table.to_owned(), on.to_owned()));
        self
    }

    /// A column of what is told; without any, all fields are.
    #[must_use]
    pub fn select(mut self, name: &str, value: impl Into<Expr>) -> Self {
        self.select.push((name.to_owned(), value.into()));
        self
    }
}

impl From<JoinRule> for Rule {
    fn from(rule: JoinRule) -> Self {
        Self::Join(rule)
    }
}

/// A join at work.
#[derive(Debug)]
pub(crate) struct Join {
    name: Arc<str>,
    sources: Vec<Side>,
    keyed: bool,
    filter: Compiled,
    within: i64,
    tables: Vec<Lookup>,
    columns: Vec<(Arc<str>, Term<Place>)>,
    keys: KeyTable<State>,
    /// When each key may have no events any more.
    due: std::collections::BinaryHeap<std::cmp::Reverse<(i64, u32)>>,
    dropped: u64,
}

#[derive(Debug)]
struct Side {
    source: Arc<str>,
    key: Option<usize>,
    /// Where its fields begin among those of all.
    begin: usize,
}

/// A table that is joined.
#[derive(Debug)]
struct Lookup {
    table: String,
    on: usize,
    begin: usize,
    fields: usize,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    sides: Vec<VecDeque<Event>>,
    last: i64,
    queued: bool,
}

/// The names of all fields of a join, in order.
struct Names(Vec<String>);

impl Names {
    fn place(&self, leaf: &Leaf) -> Result<Place> {
        let Leaf::Field(name) = leaf else {
            return Err(Error::Misplaced(
                "a join's conditions and columns are of fields, without aggregates and earlier steps",
            ));
        };
        let ends = |known: &&String| {
            known
                .split_once('.')
                .is_some_and(|(_, field)| field == name)
        };
        let exact = self.0.iter().position(|known| known == name);
        let found = exact.or_else(|| {
            let short = self.0.iter().find(ends)?;
            self.0.iter().position(|known| known == short)
        });
        found.map(Place::Field).ok_or_else(|| Error::UnknownField {
            source_name: "join".to_owned(),
            field: name.clone(),
            known: self.0.join(", "),
        })
    }
}

/// The fields of the events and rows in hand, one after the other.
struct Together<'a>(&'a [Option<Value>]);

impl Values for Together<'_> {
    fn value(&self, place: Place) -> Option<Value> {
        match place {
            Place::Field(field) => self.0.get(field)?.clone(),
            Place::Slot(_) => None,
        }
    }
}

impl Join {
    pub fn build(
        rule: &JoinRule,
        schemas: &[Schema],
        tables: &HashMap<String, Table>,
    ) -> Result<Self> {
        let bad = |cause| Error::Rule {
            rule: rule.name.clone(),
            cause,
        };
        let found: Vec<&Schema> = rule
            .sources
            .iter()
            .map(|name| crate::engine::schema(schemas, name))
            .collect::<Result<_>>()?;
        let mut distinct: Vec<&String> = rule.sources.iter().collect();
        distinct.sort();
        distinct.dedup();
        if distinct.len() != found.len() || found.len() > SOURCES_MAX {
            return Err(bad("a join is of one to eight different sources"));
        }
        let within = match rule.within {
            Some(within) => millis(within),
            None if found.len() == 1 => 0,
            None => return Err(bad("a join of streams needs a time: .within(…)")),
        };
        let shared = rule
            .tables
            .iter()
            .map(|(_, on)| on)
            .find(|on| found.len() > 1 && found.iter().all(|schema| schema.index(on).is_ok()));
        let key = rule.key.as_ref().or(shared);
        let mut names = Names(Vec::new());
        let mut sources = Vec::new();
        for schema in &found {
            sources.push(Side {
                source: schema.shared_name().clone(),
                key: key.map(|key| schema.index(key)).transpose()?,
                begin: names.0.len(),
            });
            let fields = schema
                .fields()
                .map(|(field, _)| format!("{}.{field}", schema.name()));
            names.0.extend(fields);
        }
        let mut lookups = Vec::new();
        for (name, on) in &rule.tables {
            let table = tables
                .get(name)
                .ok_or_else(|| Error::UnknownTable(name.clone()))?;
            let Place::Field(on) = names.place(&Leaf::Field(on.clone()))? else {
                continue;
            };
            lookups.push(Lookup {
                table: name.clone(),
                on,
                begin: names.0.len(),
                fields: table.schema().fields().count(),
            });
            let fields = table
                .schema()
                .fields()
                .map(|(field, _)| format!("{name}.{field}"));
            names.0.extend(fields);
        }
        let mut columns: Vec<(Arc<str>, Term<Place>)> = Vec::new();
        for (name, value) in &rule.select {
            let term = value.0.map(&mut |leaf| names.place(leaf))?;
            columns.push((name.as_str().into(), term));
        }
        if columns.is_empty() {
            let all = names.0.iter().enumerate();
            columns
                .extend(all.map(|(at, name)| (name.as_str().into(), Term::Leaf(Place::Field(at)))));
        }
        Ok(Self {
            name: rule.name.as_str().into(),
            keyed: key.is_some(),
            sources,
            filter: rule.filter.compile_with(&mut |leaf| names.place(leaf))?,
            within,
            tables: lookups,
            columns,
            keys: KeyTable::default(),
            due: std::collections::BinaryHeap::new(),
            dropped: 0,
        })
    }

    /// The rule's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Keys that it holds.
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// What it keeps between events, as bytes.
    pub fn save(&self) -> Option<Vec<u8>> {
        saved(&(&self.keys, &self.due, self.dropped))
    }

    /// Goes on from what the same rule has kept; whether the bytes are that.
    pub fn restore(&mut self, bytes: &[u8]) -> bool {
        let Some((keys, due, dropped)) = loaded(bytes) else {
            return false;
        };
        let due: std::collections::BinaryHeap<std::cmp::Reverse<(i64, u32)>> = due;
        let keys: KeyTable<State> = keys;
        let placed = due.iter().all(|due| keys.has(due.0.1));
        let sides = |state: &State| {
            let count = state.sides.len();
            count == self.sources.len() || (count == 0 && !state.queued)
        };
        if !placed || !keys.all().all(|(_, state)| sides(state)) {
            return false;
        }
        self.keys = keys;
        self.due = due;
        self.dropped = dropped;
        true
    }

    /// Takes the next event in order of time.
    pub fn push(&mut self, row: Row<'_>, tables: &HashMap<String, Table>, out: &mut Vec<Output>) {
        let own = self
            .sources
            .iter()
            .position(|side| side.source == *row.source());
        let Some(own) = own else { return };
        let key = match self.sources[own].key {
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
        let oldest = at.saturating_sub(self.within);
        let state = self.keys.at_mut(place);
        state.sides.resize_with(self.sources.len(), VecDeque::new);
        for side in &mut state.sides {
            while side
                .front()
                .is_some_and(|event| event.at().as_millis() < oldest)
            {
                side.pop_front();
            }
        }
        let event = match row {
            Row::Event(event) => event.clone(),
            Row::Batch(batch, row) => batch.event(row),
        };
        let state = self.keys.at(place);
        let mut chosen = vec![&event; self.sources.len()];
        self.combine(0, own, &state.sides, &mut chosen, tables, out);
        let state = self.keys.at_mut(place);
        state.last = at;
        if self.sources.len() > 1 {
            state.sides[own].push_back(event);
            if state.sides[own].len() > JOINED_MAX {
                state.sides[own].pop_front();
                self.dropped += 1;
            }
        }
        if !std::mem::replace(&mut state.queued, true) {
            let due = at.saturating_add(self.within);
            self.due.push(std::cmp::Reverse((due, place)));
        }
    }

    /// Chooses an event of each side but `own` in turn, and tells each choice.
    fn combine<'a>(
        &self,
        side: usize,
        own: usize,
        sides: &'a [VecDeque<Event>],
        chosen: &mut Vec<&'a Event>,
        tables: &HashMap<String, Table>,
        out: &mut Vec<Output>,
    ) {
        if side == self.sources.len() {
            out.extend(self.tell(chosen, tables));
        } else if side == own {
            self.combine(side + 1, own, sides, chosen, tables, out);
        } else {
            for event in &sides[side] {
                chosen[side] = event;
                self.combine(side + 1, own, sides, chosen, tables, out);
            }
        }
    }

    fn tell(&self, chosen: &[&Event], tables: &HashMap<String, Table>) -> Option<Output> {
        let times = || chosen.iter().map(|event| event.at());
        let (first, last) = (times().min()?, times().max()?);
        let mut values: Vec<Option<Value>> = Vec::new();
        for (side, event) in self.sources.iter().zip(chosen) {
            values.resize(side.begin, None);
            values.extend(event.values.iter().cloned());
        }
        for lookup in &self.tables {
            values.resize(lookup.begin, None);
            let on = values.get(lookup.on).cloned().flatten();
            let row = on.and_then(|on| {
                let table = tables.get(&lookup.table)?;
                table.get(on.as_value_ref(), last.as_millis()).cloned()
            });
            values.extend(row.iter().flat_map(|row| row.iter().cloned()));
            values.resize(lookup.begin + lookup.fields, None);
        }
        let together = Together(&values);
        if !self.filter.holds_with(&together) {
            return None;
        }
        let key = self
            .keyed
            .then(|| chosen[0].value(self.sources[0].key?).cloned());
        let key = key.flatten();
        let text = key.as_ref().map(Value::to_string).unwrap_or_default();
        let ids: Vec<Arc<str>> = chosen.iter().map(|event| event.id.clone()).collect();
        let mut parts: Vec<&str> = vec![&self.name, &text];
        parts.extend(ids.iter().map(|id| &**id));
        Some(Output {
            rule: self.name.clone(),
            id: MatchId::of(&parts),
            key,
            first,
            last,
            found: Found::Row(Record {
                columns: self
                    .columns
                    .iter()
                    .map(|(name, term)| (name.clone(), term.value(&together)))
                    .collect(),
                events: ids,
            }),
        })
    }

    /// Lets go the keys whose events are all too old.
    pub fn advance_to(&mut self, now: Timestamp) {
        let now = now.as_millis();
        while let Some(std::cmp::Reverse((due, place))) = self.due.peek().copied() {
            if due >= now {
                return;
            }
            self.due.pop();
            let state = self.keys.at_mut(place);
            let over = state.last.saturating_add(self.within);
            if over >= now {
                self.due.push(std::cmp::Reverse((over, place)));
                continue;
            }
            state.queued = false;
            state.sides.iter_mut().for_each(VecDeque::clear);
            self.keys.remove(place);
        }
    }

    /// Whether it reads a source.
    pub fn reads(&self, source: &Arc<str>) -> bool {
        self.sources.iter().any(|side| side.source == *source)
    }

    /// Events that gave way because there were too many.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }
}
