//! Finds the preferred match of a row pattern in each partition, row by row.
//!
//! One match is looked for at a time, from one row on. The ways in which its rows can be taken are held in order of
//! preference; one that is complete makes those behind it void, and when none before it is left it is the match.
//! Where no condition looks back at what was taken, two ways that wait for the same are one, and a row costs at most
//! the length of the program; else a row costs the ways that are left, up to a limit.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use hashbrown::HashMap;

use super::RecognizeRule;
use super::navigate::Held;
use super::partition::{NOTHING, Partition, Taken, Way};
use super::plan::Plan;
use super::program::Instruction;
use crate::batch::Row;
use crate::error::Result;
use crate::event::{Schema, Value};
use crate::key::Key;
use crate::operator::{Operator, loaded, saved};
use crate::output::Output;
use crate::time::Timestamp;
use crate::window::KEYS_MAX;

/// The most rows that a partition holds; past it the match in hand is given up, and counted.
pub(crate) const ROWS_MAX: usize = 100_000;
/// The most ways in which the rows of a match in hand may be taken; the least preferred give way, and are counted.
const WAYS_MAX: usize = 10_000;

/// Whether rows may follow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Behind {
    Rows,
    Nothing,
}

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

impl Recognizer {
    pub fn build(rule: &RecognizeRule, schemas: &[Schema]) -> Result<Self> {
        Ok(Self {
            plan: Plan::new(rule, schemas)?,
            partitions: HashMap::new(),
            due: BinaryHeap::new(),
            dropped: 0,
        })
    }

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
                    Behind::Rows,
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
            if last && partition.next >= end {
                let ways = std::mem::take(&mut partition.ways);
                dropped += self.go_on(partition, ways, Behind::Nothing);
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
            let taken = partition.best.as_ref().map_or(0, |best| best.told.len()) as i64;
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
            let Instruction::Take(variable, told) = self.program[way.at] else {
                // It waits for the end, and here is a row.
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
                partition.taken.push(Taken {
                    before: way.last,
                    variable,
                    told,
                });
                next.push(Way {
                    at: way.at + 1,
                    last: (partition.taken.len() - 1) as u32,
                });
            }
        }
        partition.next += 1;
        self.go_on(partition, next, Behind::Rows)
    }

    /// Follows the ways to where they wait for a row or the end, in order of preference, up to one that is complete.
    fn go_on(&self, partition: &mut Partition, ways: Vec<Way>, behind: Behind) -> u64 {
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
                    Instruction::Take(..) if behind == Behind::Nothing => {}
                    Instruction::End if behind == Behind::Nothing => stack.push(at + 1),
                    Instruction::Take(..) | Instruction::End if partition.ways.len() < WAYS_MAX => {
                        partition.ways.push(Way { at, last: way.last });
                    }
                    Instruction::Take(..) | Instruction::End => dropped += 1,
                    Instruction::Begin => {
                        if partition.start == 0 && way.last == NOTHING {
                            stack.push(at + 1);
                        }
                    }
                    Instruction::Fork(preferred, other) => stack.extend([other, preferred]),
                    Instruction::Jump(to) => stack.push(to),
                    Instruction::Match => {
                        partition.best = Some(partition.complete(way.last));
                        return dropped;
                    }
                }
            }
        }
        dropped
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

    fn name(&self) -> &str {
        &self.plan.name
    }

    fn keys(&self) -> usize {
        self.partitions.len()
    }

    fn save(&self) -> Option<Vec<u8>> {
        let mut partitions: Vec<_> = self.partitions.iter().collect();
        partitions.sort_unstable_by_key(|(key, _)| *key);
        saved(&(partitions, self.dropped))
    }

    fn restore(&mut self, bytes: &[u8]) -> bool {
        let Some((partitions, dropped)) = loaded::<(Vec<(Vec<Key>, Partition)>, u64)>(bytes) else {
            return false;
        };
        let sound = |(key, partition): &(Vec<Key>, Partition)| {
            key.len() == self.plan.partition.len() && partition.is_sound(&self.plan)
        };
        if partitions.len() > KEYS_MAX || !partitions.iter().all(sound) {
            return false;
        }
        self.partitions.clear();
        self.due.clear();
        for (key, partition) in partitions {
            self.partitions.insert(key.clone(), partition);
            self.queue(key);
        }
        self.dropped = dropped;
        true
    }

    fn reads(&self, source: &Arc<str>) -> bool {
        self.plan.source == *source
    }

    fn dropped(&self) -> u64 {
        self.dropped
    }
}
