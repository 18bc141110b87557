//! The engine: dedup, order by event time, rules.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::batch::{Batch, Row};
use crate::builder::EngineBuilder;
use crate::dedup::Dedup;
use crate::derive::Derive;
use crate::error::{Error, Result};
use crate::event::{Event, Schema};
use crate::join::Join;
use crate::metrics::{DropReason, Metrics, RuleMetrics};
use crate::operator::Operator;
use crate::output::Output;
use crate::pattern::{Conditions, Matcher};
use crate::rule::Rule;
use crate::table::Table;
use crate::time::Timestamp;
use crate::watermark::Clocks;

/// The most events that wait for the watermark; past it new ones are dropped and counted.
pub const HELD_MAX: usize = 1_000_000;
/// The most ids that are remembered against duplicates.
pub const IDS_MAX: usize = 4_000_000;
/// How many rows that concern patterns are read ahead of the one in hand.
const ROWS_AHEAD: usize = 8;

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
    /// What it was built from.
    pub(crate) plan: EngineBuilder,
    /// As they were declared.
    pub(crate) sources: Vec<Schema>,
    /// Rules that are neither patterns nor joins.
    pub(crate) windows: Vec<Box<dyn Operator>>,
    pub(crate) joins: Vec<Join>,
    pub(crate) tables: HashMap<String, Table>,
    pub(crate) derives: Vec<Derive>,
    /// Batches can go to the rules as they are.
    pub(crate) by_column: bool,
    pub(crate) patterns: Vec<Matcher>,
    pub(crate) conditions: Conditions,
    /// When time alone first changes something in a pattern.
    pub(crate) patterns_due: i64,
    pub(crate) dedup: Dedup,
    pub(crate) disorder: Duration,
    pub(crate) future: Duration,
    /// Events that went to the rules, by source in their order.
    pub(crate) taken: Vec<u64>,
    /// What each rule told.
    pub(crate) told: BTreeMap<Arc<str>, u64>,
    /// Events that wait for the watermark, by time and order of arrival.
    pub(crate) held: BTreeMap<(Timestamp, u64), Event>,
    pub(crate) arrived: u64,
    pub(crate) newest: Option<Timestamp>,
    pub(crate) clocks: Clocks,
    pub(crate) watermark: Timestamp,
    pub(crate) metrics: Metrics,
    pub(crate) late: VecDeque<Event>,
    pub(crate) late_kept: usize,
}

impl Engine {
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
        self.note(&out);
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
            self.note(&out);
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
        self.count(&batch.source, rows as u64);
        self.note(&out);
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
        let (mut next, mut ahead) = (rows.start, rows.start);
        let mut read = 0;
        while let Some(row) = self.conditions.next_row(next).filter(|row| *row < rows.end) {
            while read < ROWS_AHEAD
                && let Some(row) = self
                    .conditions
                    .next_row(ahead)
                    .filter(|row| *row < rows.end)
            {
                let patterns = &mut self.patterns;
                self.conditions.rules_of_row(row, |source, rule| {
                    patterns[rule].read_ahead(source, Row::Batch(batch, row));
                });
                (ahead, read) = (row + 1, read + 1);
            }
            read -= 1;
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

    fn knows(&self, source: &Arc<str>) -> bool {
        let mut sources = self.sources.iter().map(Schema::shared_name);
        sources.any(|known| Arc::ptr_eq(known, source) || known == source)
    }

    /// Says that no event before `watermark` will come: what waits for it is taken, windows that end at or
    /// before it are told. A watermark never goes back.
    pub fn advance_to(&mut self, watermark: Timestamp) -> Vec<Output> {
        let mut out = Vec::new();
        self.release(watermark, &mut out);
        self.note(&out);
        out
    }

    /// Counts what each rule told.
    fn note(&mut self, out: &[Output]) {
        for output in out {
            match self.told.get_mut(&output.rule) {
                Some(count) => *count += 1,
                None => {
                    self.told.insert(output.rule.clone(), 1);
                }
            }
        }
    }

    /// Counts events of a source that go to the rules.
    fn count(&mut self, source: &Arc<str>, events: u64) {
        let same = |known: &Schema| known.shared_name() == source;
        if let Some(place) = self.sources.iter().position(same) {
            self.taken[place] += events;
        }
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
        self.note(&out[before..]);
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
        self.count(&event.source, 1);
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

    /// The counters of each rule, in their order. Writes what windows hold as a snapshot does: linear in it.
    pub fn rule_metrics(&self) -> Vec<RuleMetrics> {
        let rules = self.plan.rules.iter();
        rules.map(|rule| self.metrics_of(rule)).collect()
    }

    fn metrics_of(&self, rule: &Rule) -> RuleMetrics {
        let name = rule.name();
        let reads = rule.sources();
        let sources = self.sources.iter().zip(&self.taken);
        let read = sources.filter(|(source, _)| reads.contains(&source.name()));
        let mut metrics = RuleMetrics {
            rule: name.to_owned(),
            events: read.map(|(_, events)| events).sum(),
            outputs: self.told.get(name).copied().unwrap_or(0),
            ..RuleMetrics::default()
        };
        let bytes = |state: Option<Vec<u8>>| state.map_or(0, |state| state.len() as u64);
        if let Some(rule) = self.patterns.iter().find(|rule| rule.name() == name) {
            metrics.matched = Some(rule.events);
            metrics.keys = rule.keys() as u64;
            metrics.partial_matches = rule.held() as u64;
            metrics.state_bytes = rule.bytes() as u64;
            metrics.dropped = rule.dropped;
            metrics.expired = rule.expired;
        } else if let Some(rule) = self.joins.iter().find(|rule| rule.name() == name) {
            metrics.keys = rule.keys() as u64;
            metrics.state_bytes = bytes(rule.save());
            metrics.dropped = rule.dropped();
        } else if let Some(rule) = self.windows.iter().find(|rule| rule.name() == name) {
            metrics.keys = rule.keys() as u64;
            metrics.state_bytes = bytes(rule.save());
            metrics.dropped = rule.dropped();
        }
        metrics
    }

    /// Events dropped so far, for whatever reason.
    pub fn dropped(&self) -> u64 {
        self.metrics.dropped.values().sum()
    }

    /// The time before which no event is taken.
    pub fn watermark(&self) -> Timestamp {
        self.watermark
    }
}
