//! Finds the preferred match of a row pattern in each partition, row by row.
//!
//! One match is looked for at a time, from one row on. The ways in which its rows can be taken are held in order of
//! preference; one that is complete makes those behind it void, and when none before it is left it is the match.
//! Where no condition looks back at what was taken, two ways that wait for the same are one, and a row costs at most
//! the length of the program; else a row costs the ways that are left, up to a limit.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use hashbrown::HashMap;

use super::navigate::{Held, Sight, Slot};
use super::program::{Instruction, compile};
use super::{Navigation, RecognizeRule, RowsPerMatch, Skip, Variable};
use crate::batch::Row;
use crate::error::{Error, Result};
use crate::event::{Schema, Value};
use crate::expression::{Place, Term, Values};
use crate::key::Key;
use crate::operator::Operator;
use crate::output::{Found, MatchId, Output, Record};
use crate::predicate::Compiled;
use crate::time::{Timestamp, millis};
use crate::window::KEYS_MAX;

/// The most rows that a partition holds; past it the match in hand is given up, and counted.
pub(crate) const ROWS_MAX: usize = 100_000;
/// The most ways in which the rows of a match in hand may be taken; the least preferred give way, and are counted.
const WAYS_MAX: usize = 10_000;

/// A row pattern at work.
#[derive(Debug)]
pub(crate) struct Recognizer {
    plan: Plan,
    partitions: HashMap<Vec<Key>, Partition>,
    /// When the match in hand of a partition may be over by time.
    due: BinaryHeap<Reverse<(i64, Vec<Key>)>>,
    /// Matches given up and ways let go.
    dropped: u64,
}

#[derive(Debug)]
struct Plan {
    name: Arc<str>,
    source: Arc<str>,
    partition: Vec<usize>,
    variables: Vec<Arc<str>>,
    program: Vec<Instruction>,
    define: Vec<Option<Compiled>>,
    slots: Vec<Slot>,
    measures: Vec<(Arc<str>, Term<Place>)>,
    /// The columns told beside the measures.
    columns: Vec<(Arc<str>, usize)>,
    /// What is told, where it is not all columns and measures.
    select: Option<Vec<(Arc<str>, Term<Place>)>>,
    rows: RowsPerMatch,
    skip: Skip,
    within: Option<i64>,
    /// How many rows before and after the row in hand are asked for.
    back: i64,
    ahead: i64,
    /// No condition asks what was taken before.
    forgetful: bool,
}

/// The rows of a partition from `first` on, and the match in hand.
#[derive(Debug, Default)]
struct Partition {
    rows: VecDeque<Held>,
    /// The place of the first row that is held.
    first: i64,
    /// The place of the row from which a match is looked for, and of the next row it takes.
    start: i64,
    next: i64,
    /// In order of preference. Empty before the first row was looked at.
    ways: Vec<Way>,
    begun: bool,
    /// The variables of the best match so far.
    best: Option<Vec<Variable>>,
    number: u64,
    /// All rows before are told or part of a match.
    covered: i64,
    /// Its place in the queue is still to come.
    queued: bool,
    /// The taken rows of all ways: the one before, and the variable.
    taken: Vec<(u32, Variable)>,
}

/// A way to take the rows: where it waits in the program, and what it took last.
#[derive(Clone, Copy, Debug)]
struct Way {
    at: usize,
    last: u32,
}

const NOTHING: u32 = u32::MAX;

impl Recognizer {
    pub fn build(rule: &RecognizeRule, schemas: &[Schema]) -> Result<Self> {
        let bad = |cause| Error::Rule {
            rule: rule.name.clone(),
            cause,
        };
        let schema = crate::engine::schema(schemas, &rule.source)?;
        let program = compile(&rule.regex).ok_or_else(|| {
            bad("the pattern is too long; make its counts and its PERMUTE smaller")
        })?;
        let mut slots = SlotBook {
            schema,
            slots: Vec::new(),
            forgetful: true,
            back: 0,
            ahead: 0,
        };
        let mut define = Vec::new();
        for (variable, condition) in rule.define.iter().enumerate() {
            let condition = condition.as_ref().map(|condition| {
                condition.map(&mut |leaf| slots.place(leaf, Some(variable as Variable)))
            });
            define.push(condition.transpose()?.map(Compiled));
        }
        let mut measures = Vec::new();
        for (name, value) in &rule.measures {
            let term = value.map(&mut |leaf| slots.place(leaf, None))?;
            measures.push((Arc::from(name.as_str()), term));
        }
        let partition: Vec<usize> = rule
            .partition
            .iter()
            .map(|name| schema.index(name))
            .collect::<Result<_>>()?;
        let all = schema.fields().enumerate();
        let columns: Vec<(Arc<str>, usize)> = match rule.rows {
            RowsPerMatch::One => all
                .filter(|(at, _)| partition.contains(at))
                .collect::<Vec<_>>(),
            RowsPerMatch::All { .. } => all.collect(),
        }
        .into_iter()
        .map(|(at, (name, _))| (Arc::from(name), at))
        .collect();
        let names: Vec<&Arc<str>> = columns
            .iter()
            .map(|(name, _)| name)
            .chain(measures.iter().map(|(name, _)| name))
            .collect();
        let select = rule.select.as_ref().map(|select| {
            let known = |name: &String| {
                let place = names.iter().position(|known| ***known == **name);
                place.map(Place::Field).ok_or_else(|| Error::UnknownField {
                    source_name: rule.name.clone(),
                    field: name.clone(),
                    known: names
                        .iter()
                        .map(|name| &***name)
                        .collect::<Vec<_>>()
                        .join(", "),
                })
            };
            select
                .iter()
                .map(|(name, term)| {
                    Ok((Arc::from(name.as_str()), term.map(&mut |leaf| known(leaf))?))
                })
                .collect::<Result<Vec<_>>>()
        });
        let select = select.transpose()?;
        Ok(Self {
            plan: Plan {
                name: rule.name.as_str().into(),
                source: schema.shared_name().clone(),
                partition,
                variables: rule
                    .variables
                    .iter()
                    .map(|name| name.as_str().into())
                    .collect(),
                program,
                define,
                measures,
                columns,
                select,
                rows: rule.rows,
                skip: rule.skip.clone(),
                within: rule.within.map(millis),
                back: slots.back,
                ahead: slots.ahead,
                forgetful: slots.forgetful,
                slots: slots.slots,
            },
            partitions: HashMap::new(),
            due: BinaryHeap::new(),
            dropped: 0,
        })
    }
}

/// Collects what conditions and measures ask for.
struct SlotBook<'a> {
    schema: &'a Schema,
    slots: Vec<Slot>,
    forgetful: bool,
    back: i64,
    ahead: i64,
}

impl SlotBook<'_> {
    /// The place of a value; `own` is the variable whose condition asks.
    fn place(&mut self, leaf: &Navigation, own: Option<Variable>) -> Result<Place> {
        let schema = self.schema;
        let slot = match leaf {
            Navigation::Pick(pick) => {
                self.reach(pick, own);
                Slot::Pick(pick.clone(), Some(schema.index(&pick.column)?))
            }
            Navigation::Classifier(pick) => {
                self.reach(pick, own);
                self.forgetful &= own.is_none() || pick.offset == 0;
                Slot::Classifier(pick.clone())
            }
            Navigation::MatchNumber => Slot::MatchNumber,
            Navigation::RowTime => Slot::RowTime,
            Navigation::Aggregate {
                kind,
                variables,
                of,
                semantics,
            } => {
                self.forgetful &= own.is_none();
                let of = of.as_ref().map(|of| {
                    of.map(&mut |column: &String| Ok(Place::Field(schema.index(column)?)))
                });
                Slot::Aggregate {
                    kind: *kind,
                    variables: variables.clone(),
                    of: of.transpose()?,
                    semantics: *semantics,
                }
            }
        };
        self.slots.push(slot);
        Ok(Place::Slot(self.slots.len() - 1))
    }

    fn reach(&mut self, pick: &super::Pick, own: Option<Variable>) {
        self.back = self.back.max(-pick.offset);
        self.ahead = self.ahead.max(pick.offset);
        // The row in hand is the last one of its own variable, and of all.
        let current = pick.reach == super::Reach::Last(0)
            && own.is_none_or(|own| pick.variables.is_empty() || pick.variables.contains(&own));
        self.forgetful &= own.is_none() || current;
    }
}

impl Recognizer {
    /// Notes when the match in hand of a partition may be over.
    fn queue(&mut self, key: Vec<Key>) {
        let Some(within) = self.plan.within else {
            return;
        };
        let Some(partition) = self.partitions.get_mut(&key) else {
            return;
        };
        let start = partition.held(partition.start).map(|row| row.at);
        if let Some(start) = start.filter(|_| !partition.queued) {
            partition.queued = true;
            self.due.push(Reverse((start.saturating_add(within), key)));
        }
    }
}

impl Plan {
    /// Goes on with the match in hand, and with those after it, as far as the rows allow. `last`: none come any
    /// more; `now`: none come before.
    fn advance(
        &self,
        key: &[Key],
        partition: &mut Partition,
        now: i64,
        last: bool,
        out: &mut Vec<Output>,
    ) -> u64 {
        let mut dropped = 0;
        loop {
            let end = partition.first + partition.rows.len() as i64;
            if partition.start >= end {
                break;
            }
            if !partition.begun {
                partition.begun = true;
                partition.next = partition.start;
                partition.taken.clear();
                dropped += self.go_on(
                    partition,
                    vec![Way {
                        at: 0,
                        last: NOTHING,
                    }],
                    0,
                );
            }
            let over = self.within.and_then(|within| {
                let start = partition.held(partition.start)?;
                Some(start.at.saturating_add(within))
            });
            while !partition.ways.is_empty() && partition.next < end {
                if partition.next + self.ahead >= end && !last {
                    return dropped;
                }
                let too_late = partition
                    .held(partition.next)
                    .is_some_and(|row| over.is_some_and(|over| row.at > over));
                if too_late {
                    partition.ways.clear();
                    break;
                }
                dropped += self.step(partition);
            }
            if over.is_some_and(|over| now > over) || last {
                partition.ways.clear();
            }
            if !partition.ways.is_empty() && partition.rows.len() >= ROWS_MAX {
                partition.ways.clear();
                dropped += 1;
            }
            if !partition.ways.is_empty() {
                break;
            }
            // A measure may ask for rows behind the match.
            let taken = partition.best.as_ref().map_or(0, Vec::len) as i64;
            if partition.best.is_some()
                && partition.start + taken + self.ahead > end
                && !last
                && over.is_none_or(|over| now <= over)
            {
                break;
            }
            self.decide(key, partition, out);
        }
        dropped
    }

    /// Takes the next row in every way that it can be taken.
    fn step(&self, partition: &mut Partition) -> u64 {
        let ways = std::mem::take(&mut partition.ways);
        let mut next = Vec::with_capacity(ways.len());
        let mut path = Vec::new();
        for way in ways {
            let Instruction::Take(variable) = self.program[way.at] else {
                continue;
            };
            let holds = match self
                .define
                .get(usize::from(variable))
                .and_then(Option::as_ref)
            {
                None => true,
                Some(condition) => {
                    path.clear();
                    if self.forgetful {
                        // Only how many there are matters.
                        path.resize((partition.next - partition.start) as usize, variable);
                    } else {
                        partition.path(way.last, &mut path);
                    }
                    path.push(variable);
                    condition.holds_with(&self.sight(partition, &path, path.len()))
                }
            };
            if holds {
                partition.taken.push((way.last, variable));
                next.push(Way {
                    at: way.at + 1,
                    last: (partition.taken.len() - 1) as u32,
                });
            }
        }
        partition.next += 1;
        let depth = (partition.next - partition.start) as usize;
        self.go_on(partition, next, depth)
    }

    /// Follows the ways to where they take a row, in order of preference, up to one that is complete.
    fn go_on(&self, partition: &mut Partition, ways: Vec<Way>, depth: usize) -> u64 {
        let mut seen = vec![u32::MAX; self.program.len()];
        let mut dropped = 0;
        for (number, way) in ways.into_iter().enumerate() {
            // Ways that wait for the same are one where nothing looks back.
            let mark = if self.forgetful { 0 } else { number as u32 };
            let mut stack = vec![way.at];
            while let Some(at) = stack.pop() {
                if std::mem::replace(&mut seen[at], mark) == mark {
                    continue;
                }
                match self.program[at] {
                    Instruction::Take(_) if partition.ways.len() < WAYS_MAX => {
                        partition.ways.push(Way { at, last: way.last });
                    }
                    Instruction::Take(_) => dropped += 1,
                    Instruction::Fork(preferred, other) => stack.extend([other, preferred]),
                    Instruction::Jump(to) => stack.push(to),
                    Instruction::Match => {
                        let mut path = Vec::with_capacity(depth);
                        partition.path(way.last, &mut path);
                        partition.best = Some(path);
                        return dropped;
                    }
                }
            }
        }
        dropped
    }

    fn sight<'a>(
        &'a self,
        partition: &'a Partition,
        taken: &'a [Variable],
        current: usize,
    ) -> Sight<'a, impl Fn(i64) -> Option<&'a Held>> {
        Sight {
            slots: &self.slots,
            row: |place| partition.held(place),
            start: partition.start,
            taken,
            current,
            names: &self.variables,
            number: partition.number,
        }
    }

    /// Tells the match in hand, or that there is none, and says where the next one is looked for.
    fn decide(&self, key: &[Key], partition: &mut Partition, out: &mut Vec<Output>) {
        partition.begun = false;
        let start = partition.start;
        let Some(taken) = partition.best.take() else {
            let told = start >= partition.covered
                && matches!(
                    self.rows,
                    RowsPerMatch::All {
                        unmatched: true,
                        ..
                    }
                );
            if told {
                out.extend(self.tell_row(key, partition, &[], None));
            }
            partition.covered = partition.covered.max(start + 1);
            partition.go_to(start + 1, self.back);
            return;
        };
        partition.number += 1;
        let end = start + taken.len() as i64;
        match self.rows {
            RowsPerMatch::One => {
                let sight = self.sight(partition, &taken, taken.len());
                let measures = self
                    .measures
                    .iter()
                    .map(|(name, term)| (name.clone(), term.value(&sight)));
                let measures = measures.collect();
                out.extend(self.tell(key, partition, &taken, None, measures));
            }
            RowsPerMatch::All { empty, .. } if taken.is_empty() => {
                if empty {
                    out.extend(self.tell_row(key, partition, &[], Some(0)));
                }
            }
            RowsPerMatch::All { .. } => {
                for place in 0..taken.len() {
                    out.extend(self.tell_row(key, partition, &taken, Some(place)));
                }
            }
        }
        partition.covered = partition.covered.max(end).max(start + 1);
        let of = |variables: &[Variable], first: bool| {
            let mut places = (0..taken.len()).filter(|place| variables.contains(&taken[*place]));
            let found = if first {
                places.next()
            } else {
                places.next_back()
            };
            found.map_or(start + 1, |place| start + place as i64)
        };
        let next = match &self.skip {
            Skip::PastLast => end,
            Skip::ToNext => start + 1,
            Skip::ToFirst(variables) => of(variables, true),
            Skip::ToLast(variables) => of(variables, false),
        };
        // A match never begins again where the one before began.
        partition.go_to(next.max(start + 1), self.back);
    }

    /// A row of `ALL ROWS PER MATCH`; without a place in the match it was matched by none.
    fn tell_row(
        &self,
        key: &[Key],
        partition: &Partition,
        taken: &[Variable],
        place: Option<usize>,
    ) -> Option<Output> {
        let current = place.map_or(0, |place| (place + 1).min(taken.len()));
        let sight = self.sight(partition, taken, current);
        let measures = self.measures.iter().map(|(name, term)| {
            let value = place.and_then(|_| term.value(&sight));
            (name.clone(), value)
        });
        let measures = measures.collect();
        self.tell(key, partition, taken, Some(place.unwrap_or(0)), measures)
    }

    fn tell(
        &self,
        key: &[Key],
        partition: &Partition,
        taken: &[Variable],
        row: Option<usize>,
        measures: Vec<(Arc<str>, Option<Value>)>,
    ) -> Option<Output> {
        let first = partition.held(partition.start)?;
        let length = taken.len().max(1) as i64;
        let last = partition.held(partition.start + length - 1)?;
        let shown = match row {
            Some(row) => partition.held(partition.start + row as i64)?,
            None => first,
        };
        let columns = self
            .columns
            .iter()
            .map(|(name, at)| (name.clone(), shown.values.get(*at).cloned().flatten()));
        let mut columns: Vec<(Arc<str>, Option<Value>)> = columns.chain(measures).collect();
        if let Some(select) = &self.select {
            let all = Named(columns);
            columns = select
                .iter()
                .map(|(name, term)| (name.clone(), term.value(&all)))
                .collect();
        }
        let events: Vec<Arc<str>> = match row {
            Some(_) => vec![shown.id.clone()],
            None => (0..taken.len() as i64)
                .filter_map(|at| Some(partition.held(partition.start + at)?.id.clone()))
                .collect(),
        };
        let key_text: Vec<String> = key
            .iter()
            .map(|key| {
                key.value()
                    .map(|value| value.to_string())
                    .unwrap_or_default()
            })
            .collect();
        let key_text = key_text.join("\u{1f}");
        let row_text = row.map(|row| row.to_string()).unwrap_or_default();
        Some(Output {
            rule: self.name.clone(),
            id: MatchId::of(&[&self.name, &key_text, &first.id, &row_text]),
            key: match key {
                [] => None,
                [only] => only.value(),
                _ => Some(key_text.replace('\u{1f}', ", ").as_str().into()),
            },
            first: Timestamp::from_millis(if row.is_some() { shown.at } else { first.at }),
            last: Timestamp::from_millis(if row.is_some() { shown.at } else { last.at }),
            found: Found::Row(Record { events, columns }),
        })
    }
}

/// Columns by their place.
struct Named(Vec<(Arc<str>, Option<Value>)>);

impl Values for Named {
    fn value(&self, place: Place) -> Option<Value> {
        match place {
            Place::Field(field) => self.0.get(field)?.1.clone(),
            Place::Slot(_) => None,
        }
    }
}

impl Partition {
    fn held(&self, place: i64) -> Option<&Held> {
        self.rows.get(usize::try_from(place - self.first).ok()?)
    }

    /// The variables of a way, in order.
    fn path(&self, mut last: u32, path: &mut Vec<Variable>) {
        while let Some((before, variable)) = self.taken.get(last as usize) {
            path.push(*variable);
            last = *before;
        }
        path.reverse();
    }

    /// Looks for the next match from a row on; rows that none can ask for are let go.
    fn go_to(&mut self, start: i64, back: i64) {
        self.start = start;
        while self.first < start - back && !self.rows.is_empty() {
            self.rows.pop_front();
            self.first += 1;
        }
    }
}

impl Operator for Recognizer {
    fn push(&mut self, row: Row<'_>, out: &mut Vec<Output>) {
        let key: Vec<Key> = self
            .plan
            .partition
            .iter()
            .map(|field| row.value(*field).map_or(Key::None, Key::of))
            .collect();
        if self.partitions.len() >= KEYS_MAX && !self.partitions.contains_key(&key) {
            self.dropped += 1;
            return;
        }
        let fields = match row {
            Row::Event(event) => event.values.len(),
            Row::Batch(batch, _) => batch.columns.len(),
        };
        let held = Held {
            id: row.id(),
            at: row.at().as_millis(),
            values: (0..fields)
                .map(|at| row.value(at).map(Value::from))
                .collect(),
        };
        let now = held.at;
        let partition = self.partitions.entry(key.clone()).or_default();
        partition.rows.push_back(held);
        self.dropped += self.plan.advance(&key, partition, now, false, out);
        self.queue(key);
    }

    fn advance_to(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let now = now.as_millis();
        if now == i64::MAX {
            return self.finish(out);
        }
        while let Some(Reverse((due, _))) = self.due.peek() {
            if *due >= now {
                return;
            }
            let Some(Reverse((_, key))) = self.due.pop() else {
                return;
            };
            if let Some(partition) = self.partitions.get_mut(&key) {
                partition.queued = false;
                self.dropped += self.plan.advance(&key, partition, now, false, out);
                self.queue(key);
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<Output>) {
        let mut keys: Vec<Vec<Key>> = self.partitions.keys().cloned().collect();
        keys.sort();
        for key in keys {
            if let Some(partition) = self.partitions.get_mut(&key) {
                self.dropped += self.plan.advance(&key, partition, i64::MAX, true, out);
            }
        }
    }

    fn reads(&self, source: &Arc<str>) -> bool {
        self.plan.source == *source
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }
}
