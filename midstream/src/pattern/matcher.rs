//! Runs a pattern rule: per key, by event and by time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::batch::Row;
use crate::error::{Error, Result};
use crate::event::{Schema, ValueRef};
use crate::key::KeyTable;
use crate::output::Output;
use crate::pattern::advance::Look;
use crate::pattern::automaton::{Automaton, Ignore, Mask, Move, Over, Wait, WaitId};
use crate::pattern::buffer::Buffer;
use crate::pattern::compile::compile;
use crate::pattern::conditions::Conditions;
use crate::pattern::plan::{AfterMatch, Overflow, PartialLimits, PatternRule, Timeouts};
use crate::pattern::runs::{Complete, KeyRuns, Run};
use crate::pattern::tell::{Form, Teller};
use crate::rule::SequenceRule;
use crate::time::millis;

/// Keys without partial matches are kept for their next one up to this many.
const IDLE_KEYS_MAX: usize = 65_536;

/// A pattern rule and its partial matches.
#[derive(Debug)]
pub(crate) struct Matcher {
    pub(super) automaton: Automaton,
    /// By the engine's source: the key's field and the fields that are kept; none of sources not read.
    pub(super) sources: Vec<Option<SourceUse>>,
    pub(super) within: Option<i64>,
    pub(super) after_match: AfterMatch,
    pub(super) timeouts: Timeouts,
    pub(super) limits: PartialLimits,
    pub(super) teller: Teller,
    /// Some wait is for the end of an absence.
    pub(super) timed: bool,
    /// The conditions with which a match can begin.
    pub(super) begins: Mask,
    /// The time of the first event or watermark.
    pub(super) beginning: Option<i64>,
    pub(super) keys: KeyTable<KeyRuns>,
    pub(super) timers: BinaryHeap<Reverse<(i64, u32)>>,
    pub(super) buffer: Buffer,
    pub(super) sequence: u64,
    pub(super) turn: u64,
    /// Partial matches of all keys.
    pub(super) count: usize,
    /// Partial matches dropped because there were too many.
    pub dropped: u64,
    /// Partial matches whose time was over.
    pub expired: u64,
    /// Events for which some condition held.
    pub events: u64,
    pub(super) moves: Vec<Move>,
    pub(super) fresh: Vec<(WaitId, Run)>,
    pub(super) complete: Vec<Complete>,
    pub(super) over: Vec<Run>,
}

#[derive(Debug)]
pub(super) struct SourceUse {
    key: Option<usize>,
    pub(super) kept: Vec<usize>,
}

impl Matcher {
    pub fn build(
        rule: &PatternRule,
        schemas: &[Schema],
        conditions: &mut Conditions,
    ) -> Result<Self> {
        let program = compile(rule, schemas)?;
        let mut sources = Vec::with_capacity(schemas.len());
        for schema in schemas {
            let read = program
                .tests
                .iter()
                .any(|(source, _)| source == schema.name());
            sources.push(if read {
                let key = rule.key.as_deref().map(|key| schema.index(key));
                Some(SourceUse {
                    key: key.transpose()?,
                    kept: program.kept.get(schema.name()).cloned().unwrap_or_default(),
                })
            } else {
                None
            });
        }
        let automaton = program.automaton;
        let needs_all = automaton
            .waits
            .iter()
            .any(|wait| wait.ignore == Ignore::Nothing || wait.leave.is_some());
        conditions.add(&program.tests, schemas, needs_all)?;
        let after = |wait: &Wait| matches!(wait.over, Some((Over::After(_), _)));
        let timed = automaton.waits.iter().any(after);
        let start = &automaton.closures[automaton.start as usize];
        let begins = start.waits.iter().fold(0, |mask, wait| {
            mask | automaton.waits[*wait as usize].looks_at
        });
        Ok(Self {
            teller: Teller::new(rule, &automaton),
            automaton,
            sources,
            within: rule.within.map(millis),
            after_match: rule.after_match.clone(),
            timeouts: rule.timeouts,
            limits: rule.limits,
            timed,
            begins,
            beginning: None,
            keys: KeyTable::default(),
            timers: BinaryHeap::new(),
            buffer: Buffer::default(),
            sequence: 0,
            turn: 0,
            count: 0,
            dropped: 0,
            expired: 0,
            events: 0,
            moves: Vec::new(),
            fresh: Vec::new(),
            complete: Vec::new(),
            over: Vec::new(),
        })
    }

    /// A sequence, told as a list of events.
    pub fn sequence(
        rule: &SequenceRule,
        schemas: &[Schema],
        conditions: &mut Conditions,
    ) -> Result<Self> {
        if rule.within.is_none() && rule.steps.len() > 1 {
            return Err(Error::Rule {
                rule: rule.name.clone(),
                cause: "a sequence needs a time: .within(…)",
            });
        }
        let mut matcher = Self::build(&rule.to_pattern(), schemas, conditions)?;
        matcher.teller.form = Form::Sequence;
        Ok(matcher)
    }

    /// The rule's name.
    pub fn name(&self) -> &str {
        self.teller.rule()
    }

    /// Bytes of partial matches, the events they hold, and keys.
    pub fn bytes(&self) -> usize {
        self.buffer.bytes + self.count * size_of::<Run>() + self.keys.len() * size_of::<KeyRuns>()
    }

    /// Keys that have partial matches, or are kept for their next one.
    pub fn keys(&self) -> usize {
        self.keys.len()
    }

    /// Partial matches.
    pub fn held(&self) -> usize {
        self.count
    }

    /// Takes the next event in order of time, with the rule's conditions that hold for it. Linear in what the
    /// key's partial matches wait for, and in the partial matches that move.
    pub fn push(&mut self, source: usize, row: Row<'_>, mask: Mask, out: &mut Vec<Output>) {
        let now = row.at().as_millis();
        self.events += 1;
        let Some(Some(used)) = self.sources.get(source) else {
            return;
        };
        let value = match used.key {
            None => None,
            Some(field) => match row.value(field) {
                Some(value) => Some(value),
                None => return,
            },
        };
        let known = match used.key.and_then(|field| row.code(field)) {
            Some((text, code)) => self.keys.find_code(text, code),
            None => self.keys.find(value, self.keys.hash(value)),
        };
        let absent = self.automaton.absent_first;
        let begins = self.begins & mask != 0 || (absent.is_some() && mask != 0);
        let place = match known {
            Some(place) => place,
            None if !begins => return,
            None if self.keys.len() >= self.limits.per_rule => {
                self.dropped += 1;
                return;
            }
            None => self.add_key(value),
        };
        self.sequence += 1;
        let mut look = Look {
            row,
            mask,
            source,
            kept: None,
        };
        self.step(place, &mut look);
        if begins {
            self.begin(place, &mut look);
        }
        if let Some(kept) = look.kept {
            self.buffer.settle(kept);
        }
        self.insert(place);
        self.finish(place, now, out);
    }

    /// Reads what [`Matcher::push`] will read for a row of a batch, so that it is near then: with many rules and keys
    /// each lies elsewhere, and waiting for one after the other is most of the time. Changes nothing.
    pub fn read_ahead(&mut self, source: usize, row: Row<'_>) {
        let Some(Some(used)) = self.sources.get(source) else {
            return;
        };
        let coded = used.key.and_then(|field| row.code(field));
        let place = coded.and_then(|(text, code)| self.keys.find_code(text, code));
        let Some(place) = place else { return };
        for bucket in &self.keys.at(place).buckets {
            if let Some(run) = bucket.runs.front() {
                self.buffer.read_ahead(run.node);
            }
        }
    }

    /// Adds the partial matches that came about, within the limits.
    pub(super) fn insert(&mut self, place: u32) {
        let key = self.keys.at_mut(place);
        for at in 0..self.fresh.len() {
            let (wait, run) = self.fresh[at];
            let full = key.count >= self.limits.per_key
                || self.count >= self.limits.per_rule
                || self.buffer.bytes + (self.count + 1) * size_of::<Run>() > self.limits.bytes;
            if full {
                self.dropped += 1;
                let oldest = (self.limits.overflow == Overflow::DropOldest)
                    .then(|| key.pop_oldest())
                    .flatten();
                match oldest {
                    Some(oldest) => {
                        self.count -= 1;
                        self.buffer.release(oldest.node);
                    }
                    None => {
                        self.buffer.release(run.node);
                        continue;
                    }
                }
            }
            if key.insert(wait, run, self.automaton.joins) {
                self.count += 1;
            } else {
                self.buffer.release(run.node);
            }
        }
        self.fresh.clear();
    }

    /// Tells what is complete, lets go what an output makes void, and sets the key's timer.
    pub(super) fn finish(&mut self, place: u32, now: i64, out: &mut Vec<Output>) {
        let key = self.keys.at_mut(place);
        if !self.complete.is_empty() || !key.complete.is_empty() {
            self.turn += 1;
            for complete in self.complete.drain(..) {
                // A greedy step can be left twice with the same events.
                if !self.buffer.end(complete.node) {
                    self.buffer.release(complete.node);
                    continue;
                }
                key.complete.push(Complete {
                    turn: self.turn,
                    ..complete
                });
            }
            let (name, key) = self.keys.entry_mut(place);
            self.count -= self.teller.tell(
                name,
                key,
                &self.after_match,
                self.limits.per_key,
                &mut self.buffer,
                out,
            );
        }
        let key = self.keys.at_mut(place);
        if key.timer.is_some() && !self.timed && self.keys.len() <= IDLE_KEYS_MAX {
            // What began later is due later.
            return;
        }
        let due = self.due(place);
        let few = self.keys.len() <= IDLE_KEYS_MAX;
        let key = self.keys.at_mut(place);
        match due {
            Some(due) if key.timer.is_none_or(|timer| timer > due) => {
                key.timer = Some(due);
                self.timers.push(Reverse((due, place)));
            }
            None if key.is_empty() => {
                let kept = key.absent_since.max(self.beginning.unwrap_or(now));
                let absent = self.automaton.absent_first;
                let matters = absent.is_some_and(|(_, time)| now <= kept.saturating_add(time));
                if matters || (key.timer.is_some() && few) {
                    if key.timer.is_none() {
                        let (_, time) = absent.unwrap_or_default();
                        let due = kept.saturating_add(time);
                        key.timer = Some(due);
                        self.timers.push(Reverse((due, place)));
                    }
                } else {
                    self.remove_key(place);
                }
            }
            Some(_) | None => {}
        }
    }

    fn add_key(&mut self, value: Option<ValueRef<'_>>) -> u32 {
        let hash = self.keys.hash(value);
        let place = self.keys.insert(value, hash);
        let key = self.keys.at_mut(place);
        key.timer = None;
        key.absent_since = i64::MIN;
        place
    }

    fn remove_key(&mut self, place: u32) {
        let key = self.keys.at_mut(place);
        key.timer = None;
        key.buckets.truncate(8);
        self.keys.remove(place);
    }
}
