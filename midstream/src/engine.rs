//! The engine: dedup, order by event time, rules.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use crate::batch::{Batch, Row};
use crate::dedup::Dedup;
use crate::derive::Derive;
use crate::error::{Error, Result};
use crate::event::{Event, Schema};
use crate::join::Join;
use crate::language::Standardize;
use crate::metrics::{DropReason, Metrics};
use crate::operator::Operator;
use crate::output::Output;
use crate::pattern::{Conditions, Matcher};
use crate::rule::Rule;
use crate::select::Select;
use crate::table::Table;
use crate::time::Timestamp;
use crate::watermark::{Clocks, Watermarks};
use crate::window;

/// The most events that wait for the watermark; past it new ones are dropped and counted.
pub const HELD_MAX: usize = 1_000_000;
/// The most ids that are remembered against duplicates.
pub const IDS_MAX: usize = 4_000_000;

/// Collects the plan of an engine.
#[derive(Clone, Debug)]
pub struct EngineBuilder {
    schemas: Vec<Schema>,
    rules: Vec<Rule>,
    disorder: Duration,
    dedup: Duration,
    future: Duration,
    watermarks: Watermarks,
    tables: Vec<Table>,
    added: Vec<Added>,
    late_kept: usize,
}

/// What is added to the events of a source.
#[derive(Clone, Debug)]
enum Added {
    Row {
        source: String,
        table: String,
        on: String,
    },
    Standard {
        source: String,
        statement: Standardize,
        key: Option<String>,
    },
}

impl EngineBuilder {
    /// Adds a source.
    #[must_use]
    pub fn source(mut self, schema: Schema) -> Self {
        self.schemas.push(schema);
        self
    }

    /// Adds a rule.
    #[must_use]
    pub fn rule(mut self, rule: impl Into<Rule>) -> Self {
        self.rules.push(rule.into());
        self
    }

    /// How much later than a newer event an event may come and still be taken in order; default 0.
    ///
    /// The watermark is the newest event's time less this. Events wait until the watermark reaches them.
    #[must_use]
    pub fn disorder(mut self, limit: Duration) -> Self {
        self.disorder = limit;
        self
    }

    /// For how long after its first arrival an event id counts as known; default ten minutes. With zero, ids
    /// are not remembered.
    #[must_use]
    pub fn dedup(mut self, horizon: Duration) -> Self {
        self.dedup = horizon;
        self
    }

    /// An event further ahead of the newest one than this is dropped, so that one wrong clock does not make
    /// all others late; default one day.
    #[must_use]
    pub fn future(mut self, limit: Duration) -> Self {
        self.future = limit;
        self
    }

    /// Whose newest event the watermark follows; default that of all.
    #[must_use]
    pub fn watermarks(mut self, of: Watermarks) -> Self {
        self.watermarks = of;
        self
    }

    /// Adds a table, for [`EngineBuilder::enrich`] and [`JoinRule::table`](crate::JoinRule::table).
    #[must_use]
    pub fn table(mut self, table: Table) -> Self {
        self.tables.push(table);
        self
    }

    /// Adds to each event of a source the fields of a table's row, as of the event's time, whose key is the value
    /// of the field `on`: rules see them as `table.field`, missing where there is no such row.
    #[must_use]
    pub fn enrich(mut self, source: &str, table: &str, on: &str) -> Self {
        self.added.push(Added::Row {
            source: source.to_owned(),
            table: table.to_owned(),
            on: on.to_owned(),
        });
        self
    }

    /// Adds to each event of a source fields in standard deviations from what is usual, as `field_z`; what is
    /// usual is learnt for each value of `key` by itself.
    #[must_use]
    pub fn standardize(mut self, source: &str, statement: Standardize, key: Option<&str>) -> Self {
        self.added.push(Added::Standard {
            source: source.to_owned(),
            statement,
            key: key.map(str::to_owned),
        });
        self
    }

    /// Keeps this many late events for [`Engine::take_late`], the newest; default none. They are counted as
    /// dropped all the same.
    #[must_use]
    pub fn keep_late(mut self, events: usize) -> Self {
        self.late_kept = events;
        self
    }

    /// Checks the plan and makes the engine.
    ///
    /// # Errors
    /// [`Error`] naming the rule, source or field at fault.
    pub fn build(self) -> Result<Engine> {
        repeated("sources", self.schemas.iter().map(Schema::name))?;
        repeated("rules", self.rules.iter().map(Rule::name))?;
        repeated(
            "tables",
            self.tables.iter().map(|table| table.schema().name()),
        )?;
        let mut schemas = self.schemas;
        let tables: HashMap<String, Table> = self
            .tables
            .into_iter()
            .map(|table| (table.schema().name().to_owned(), table))
            .collect();
        for source in tables.values().filter_map(|table| table.follows.as_ref()) {
            schema(&schemas, source)?;
        }
        let clocks = Clocks::new(self.watermarks, &schemas)?;
        let declared = schemas.clone();
        let mut derives = Vec::new();
        for added in &self.added {
            let (Added::Row { source, .. } | Added::Standard { source, .. }) = added;
            schema(&schemas, source)?;
            let Some(wider) = schemas.iter_mut().find(|schema| schema.name() == source) else {
                continue;
            };
            derives.push(match added {
                Added::Row { table, on, .. } => {
                    let table = tables.get(table);
                    let table = table.ok_or_else(|| Error::UnknownTable(table_name(added)))?;
                    Derive::row(wider, table, on)?
                }
                Added::Standard { statement, key, .. } => {
                    Derive::standard(wider, statement, key.as_deref())?
                }
            });
        }
        let mut windows: Vec<Box<dyn Operator>> = Vec::new();
        let mut patterns = Vec::new();
        let mut joins = Vec::new();
        let mut conditions = Conditions::new(&schemas);
        for rule in &self.rules {
            match rule {
                Rule::Window(rule) => windows.push(window::build(rule, &schemas)?),
                Rule::Select(rule) => windows.push(Box::new(Select::build(rule, &schemas)?)),
                Rule::Join(rule) => joins.push(Join::build(rule, &schemas, &tables)?),
                Rule::Sequence(rule) => {
                    patterns.push(Matcher::sequence(rule, &schemas, &mut conditions)?);
                }
                Rule::Pattern(rule) => {
                    patterns.push(Matcher::build(rule, &schemas, &mut conditions)?);
                }
                #[cfg(feature = "sql")]
                Rule::Recognize(rule) => {
                    windows.push(Box::new(crate::recognize::Recognizer::build(
                        rule, &schemas,
                    )?));
                }
            }
        }
        Ok(Engine {
            by_column: derives.is_empty()
                && joins.is_empty()
                && tables.values().all(|table| table.follows.is_none()),
            sources: declared,
            windows,
            joins,
            tables,
            derives,
            patterns,
            conditions,
            patterns_due: i64::MIN,
            dedup: Dedup::new(self.dedup, IDS_MAX),
            disorder: self.disorder,
            future: self.future,
            held: BTreeMap::new(),
            arrived: 0,
            newest: None,
            clocks,
            watermark: Timestamp::from_millis(i64::MIN),
            metrics: Metrics::default(),
            late: VecDeque::new(),
            late_kept: self.late_kept,
        })
    }
}

fn table_name(added: &Added) -> String {
    match added {
        Added::Row { table, .. } => table.clone(),
        Added::Standard { .. } => String::new(),
    }
}

fn repeated<'a>(what: &'static str, names: impl Iterator<Item = &'a str>) -> Result<()> {
    let mut known = std::collections::HashSet::new();
    for name in names {
        if !known.insert(name) {
            return Err(Error::Repeated {
                what,
                name: name.to_owned(),
            });
        }
    }
    Ok(())
}

pub(crate) fn schema<'a>(schemas: &'a [Schema], name: &str) -> Result<&'a Schema> {
    schemas
        .iter()
        .find(|schema| schema.name() == name)
        .ok_or_else(|| Error::UnknownSource(name.to_owned()))
}

/// Whether an event's id is looked up among those seen before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ids {
    Check,
    Trust,
}

/// Runs rules over events in order of event time.
#[derive(Debug)]
pub struct Engine {
    /// As they were declared.
    sources: Vec<Schema>,
    /// Rules that are neither patterns nor joins.
    windows: Vec<Box<dyn Operator>>,
    joins: Vec<Join>,
    tables: HashMap<String, Table>,
    derives: Vec<Derive>,
    /// Batches can go to the rules as they are.
    by_column: bool,
    patterns: Vec<Matcher>,
    conditions: Conditions,
    /// When time alone first changes something in a pattern.
    patterns_due: i64,
    dedup: Dedup,
    disorder: Duration,
    future: Duration,
    /// Events that wait for the watermark, by time and order of arrival.
    held: BTreeMap<(Timestamp, u64), Event>,
    arrived: u64,
    newest: Option<Timestamp>,
    clocks: Clocks,
    watermark: Timestamp,
    metrics: Metrics,
    late: VecDeque<Event>,
    late_kept: usize,
}

impl Engine {
    /// An empty plan.
    pub fn builder() -> EngineBuilder {
        EngineBuilder {
            schemas: Vec::new(),
            rules: Vec::new(),
            disorder: Duration::ZERO,
            dedup: Duration::from_secs(600),
            future: Duration::from_secs(86_400),
            watermarks: Watermarks::default(),
            tables: Vec::new(),
            added: Vec::new(),
            late_kept: 0,
        }
    }

    /// Takes an event; what the rules tell because of it comes back in order.
    ///
    /// A duplicate, a late event and one from the future are dropped and counted, and are no error.
    ///
    /// # Errors
    /// [`Error::UnknownSource`] for an event of a source that the engine does not have; it is counted too.
    pub fn push(&mut self, event: Event) -> Result<Vec<Output>> {
        self.metrics.events_in += 1;
        if !self.knows(&event.source) {
            self.metrics.drop(DropReason::UnknownSource);
            return Err(Error::UnknownSource(event.source.to_string()));
        }
        let mut out = Vec::new();
        self.take(event, Ids::Check, &mut out);
        Ok(out)
    }

    fn take(&mut self, event: Event, ids: Ids, out: &mut Vec<Output>) {
        let newest = self.newest.unwrap_or(event.at);
        if event.at < self.watermark {
            return self.take_late_event(event, ids, out);
        }
        if event.at > newest.after(self.future) {
            return self.metrics.drop(DropReason::Future);
        }
        if self.held.len() >= HELD_MAX {
            return self.metrics.drop(DropReason::Full);
        }
        let newest = newest.max(event.at);
        if ids == Ids::Check && !self.dedup.insert(&event.id, newest) {
            return self.metrics.drop(DropReason::Duplicate);
        }
        self.newest = Some(newest);
        let watermark = self.clocks.see(&event, newest).before(self.disorder);
        if self.held.is_empty() && event.at <= watermark {
            // Nothing is before it.
            let before = out.len();
            self.run(event, out);
            self.metrics.outputs += (out.len() - before) as u64;
        } else {
            self.arrived += 1;
            self.held.insert((event.at, self.arrived), event);
        }
        self.release(watermark, out);
    }

    /// Takes a late event, where a rule still allows it.
    fn take_late_event(&mut self, mut event: Event, ids: Ids, out: &mut Vec<Output>) {
        let before = out.len();
        let known =
            |dedup: &mut Dedup, newest| ids == Ids::Check && !dedup.insert(&event.id, newest);
        let newest = self.newest.unwrap_or(event.at);
        let allowed = self.windows.iter().any(|rule| rule.allows(&event));
        if allowed && known(&mut self.dedup, newest) {
            return self.metrics.drop(DropReason::Duplicate);
        }
        let mut taken = false;
        if allowed {
            for derive in &mut self.derives {
                if *derive.source() == event.source {
                    derive.apply(&mut event, &self.tables);
                }
            }
            for window in &mut self.windows {
                taken |= window.reads(&event.source) && window.push_late(Row::Event(&event), out);
            }
        }
        if taken {
            self.metrics.events_out += 1;
            self.metrics.outputs += (out.len() - before) as u64;
            return;
        }
        self.metrics.drop(DropReason::Late);
        if self.late_kept > 0 {
            if self.late.len() >= self.late_kept {
                self.late.pop_front();
            }
            self.late.push_back(event);
        }
    }

    /// The late events that [`EngineBuilder::keep_late`] kept, in order of arrival.
    pub fn take_late(&mut self) -> Vec<Event> {
        self.late.drain(..).collect()
    }

    /// A table, to write rows to.
    pub fn table(&mut self, name: &str) -> Option<&mut Table> {
        self.tables.get_mut(name)
    }

    /// Takes the rows of a batch; what the rules tell because of them comes back in order, as if each row were
    /// an event. Rows in order of time, with no disorder to wait for, are taken column by column.
    ///
    /// Late rows and rows from the future are dropped and counted, and are no error.
    ///
    /// # Errors
    /// [`Error::UnknownSource`] for a batch of a source that the engine does not have; its rows are counted.
    pub fn push_batch(&mut self, batch: &Batch) -> Result<Vec<Output>> {
        let rows = batch.len();
        self.metrics.events_in += rows as u64;
        if !self.knows(&batch.source) {
            for _ in 0..rows {
                self.metrics.drop(DropReason::UnknownSource);
            }
            return Err(Error::UnknownSource(batch.source.to_string()));
        }
        let mut out = Vec::new();
        let (Some(first), Some(last)) = (batch.at.first(), batch.at.last()) else {
            return Ok(out);
        };
        let newest = self.newest.unwrap_or(*first);
        let in_order = self.disorder.is_zero()
            && self.by_column
            && self.clocks.follow_all()
            && self.held.is_empty()
            && *first >= self.watermark.max(newest)
            && *last <= newest.after(self.future)
            && batch.at.is_sorted();
        if !in_order {
            for row in 0..rows {
                self.take(batch.event(row), Ids::Trust, &mut out);
            }
            return Ok(out);
        }
        let mut begin = 0;
        while begin < rows {
            for window in &mut self.windows {
                window.advance_to(batch.at[begin], &mut out);
            }
            let end = self.rows_until_a_window_ends(batch, begin);
            for window in &mut self.windows {
                if window.reads(&batch.source) {
                    window.push_rows(batch, begin..end, &mut out);
                }
            }
            self.push_rows_to_patterns(batch, begin..end, &mut out);
            begin = end;
        }
        self.newest = Some(*last);
        self.watermark = *last;
        self.advance_patterns(*last, &mut out);
        self.metrics.events_out += rows as u64;
        self.metrics.outputs += out.len() as u64;
        Ok(out)
    }

    /// The end of the rows from `begin` on that all windows can take before any of them ends.
    fn rows_until_a_window_ends(&self, batch: &Batch, begin: usize) -> usize {
        let rows = &batch.at[begin..];
        let mut count = rows.len();
        for window in &self.windows {
            if !window.reads(&batch.source) {
                continue;
            }
            let end = window.next_end_after(rows[0]);
            count = rows[..count].partition_point(|at| at.as_millis() < end);
        }
        begin + count.max(1)
    }

    fn push_rows_to_patterns(
        &mut self,
        batch: &Batch,
        rows: std::ops::Range<usize>,
        out: &mut Vec<Output>,
    ) {
        if self.patterns.is_empty() {
            return;
        }
        self.conditions.evaluate(batch, rows.clone());
        let mut next = rows.start;
        while let Some(row) = self.conditions.next_row(next).filter(|row| *row < rows.end) {
            self.advance_patterns(batch.at[row], out);
            let Self {
                conditions,
                patterns,
                patterns_due,
                ..
            } = self;
            conditions.look_at_row(row, |source, rule, mask| {
                let pattern = &mut patterns[rule];
                pattern.push(source, Row::Batch(batch, row), mask, out);
                *patterns_due = (*patterns_due).min(pattern.next_due().unwrap_or(i64::MAX));
            });
            next = row + 1;
        }
    }

    fn knows(&self, source: &std::sync::Arc<str>) -> bool {
        let mut sources = self.sources.iter().map(Schema::shared_name);
        sources.any(|known| std::sync::Arc::ptr_eq(known, source) || known == source)
    }

    /// Says that no event before `watermark` will come: what waits for it is taken, windows that end at or
    /// before it are told. A watermark never goes back.
    pub fn advance_to(&mut self, watermark: Timestamp) -> Vec<Output> {
        let mut out = Vec::new();
        self.release(watermark, &mut out);
        out
    }

    /// Says that no event will come at all: what waits is taken, what ends at or before the newest event is told,
    /// and so is what a row pattern has found so far. Windows that reach beyond the newest event are not complete.
    pub fn finish(&mut self) -> Vec<Output> {
        let Some(newest) = self.newest else {
            return Vec::new();
        };
        let mut out = self.advance_to(newest.after(Duration::from_millis(1)));
        let before = out.len();
        for window in &mut self.windows {
            window.finish(&mut out);
        }
        self.metrics.outputs += (out.len() - before) as u64;
        out
    }

    fn release(&mut self, watermark: Timestamp, out: &mut Vec<Output>) {
        if watermark < self.watermark {
            return;
        }
        self.watermark = watermark;
        let before = out.len();
        // An event at the watermark itself may go: none before it will come, and ties go by arrival.
        while let Some(entry) = self
            .held
            .first_entry()
            .filter(|entry| entry.key().0 <= watermark)
        {
            let event = entry.remove();
            self.run(event, out);
        }
        for window in &mut self.windows {
            window.advance_to(watermark, out);
        }
        for join in &mut self.joins {
            join.advance_to(watermark);
        }
        self.advance_patterns(watermark, out);
        self.metrics.outputs += (out.len() - before) as u64;
    }

    /// Sends the next event in order of time through the rules.
    fn run(&mut self, mut event: Event, out: &mut Vec<Output>) {
        for derive in &mut self.derives {
            if *derive.source() == event.source {
                derive.apply(&mut event, &self.tables);
            }
        }
        for window in &mut self.windows {
            window.advance_to(event.at, out);
        }
        for window in &mut self.windows {
            if window.reads(&event.source) {
                window.push(Row::Event(&event), out);
            }
        }
        for join in &mut self.joins {
            if join.reads(&event.source) {
                join.advance_to(event.at);
                join.push(Row::Event(&event), &self.tables, out);
            }
        }
        for table in self.tables.values_mut() {
            if table.follows.as_deref() == Some(&*event.source)
                && let Some(schema) = self
                    .sources
                    .iter()
                    .find(|source| source.shared_name() == &event.source)
            {
                table.follow(schema, &event);
            }
        }
        self.advance_patterns(event.at, out);
        let Self {
            conditions,
            patterns,
            patterns_due,
            ..
        } = self;
        conditions.look(&event, |source, rule, mask| {
            let pattern = &mut patterns[rule];
            pattern.push(source, Row::Event(&event), mask, out);
            *patterns_due = (*patterns_due).min(pattern.next_due().unwrap_or(i64::MAX));
        });
        self.metrics.events_out += 1;
    }

    /// Does what time alone does to the patterns before `now`.
    fn advance_patterns(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        if now.as_millis() <= self.patterns_due {
            return;
        }
        self.patterns_due = i64::MAX;
        for pattern in &mut self.patterns {
            pattern.advance_to(now, out);
            let due = pattern.next_due().unwrap_or(i64::MAX);
            self.patterns_due = self.patterns_due.min(due);
        }
    }

    /// The counters: `events_in = events_out + sum(dropped) + held`.
    pub fn metrics(&self) -> Metrics {
        Metrics {
            held: self.held.len() as u64,
            partial_matches: self.patterns.iter().map(|rule| rule.held() as u64).sum(),
            partial_match_bytes: self.patterns.iter().map(|rule| rule.bytes() as u64).sum(),
            partial_matches_dropped: self.patterns.iter().map(|rule| rule.dropped).sum(),
            partial_matches_expired: self.patterns.iter().map(|rule| rule.expired).sum(),
            window_events_dropped: self.windows.iter().map(|window| window.dropped()).sum(),
            join_events_dropped: self.joins.iter().map(Join::dropped).sum(),
            table_rows_dropped: self.tables.values().map(|table| table.dropped).sum(),
            ids_forgotten: self.dedup.forgotten,
            ..self.metrics.clone()
        }
    }

    /// The time before which no event is taken.
    pub fn watermark(&self) -> Timestamp {
        self.watermark
    }
}
