//! Each distinct condition of all pattern rules is evaluated once an event; its outcome goes to the rules
//! that ask for it.

use std::ops::Range;
use std::sync::Arc;

use crate::batch::{Batch, Row};
use crate::error::Result;
use crate::event::{Event, Schema};
use crate::pattern::automaton::Mask;
use crate::predicate::{Compiled, Predicate};

#[derive(Debug, Default)]
pub(crate) struct Conditions {
    sources: Vec<Source>,
    /// What holds, by rule; nothing between events.
    masks: Vec<Mask>,
    /// The rules that the event in hand concerns.
    touched: Vec<usize>,
    /// The rows in hand: their source, the first, and for which any condition holds.
    batch_source: Option<usize>,
    batch_start: usize,
    any: Vec<u64>,
    /// The rows in hand for which one condition holds.
    rows: Vec<u64>,
    /// The conditions that hold, by row: as many words a row as the source's conditions need.
    hits: Vec<u64>,
}

#[derive(Debug)]
struct Source {
    name: Arc<str>,
    tests: Vec<Test>,
    /// The rules for which each of its events matters.
    always: Vec<usize>,
}

#[derive(Debug)]
struct Test {
    predicate: Predicate,
    compiled: Compiled,
    /// Rule and bit.
    readers: Vec<(usize, u8)>,
}

impl Conditions {
    pub fn new(schemas: &[Schema]) -> Self {
        Self {
            sources: schemas
                .iter()
                .map(|schema| Source {
                    name: schema.shared_name().clone(),
                    tests: Vec::new(),
                    always: Vec::new(),
                })
                .collect(),
            masks: Vec::new(),
            touched: Vec::new(),
            batch_source: None,
            batch_start: 0,
            any: Vec::new(),
            rows: Vec::new(),
            hits: Vec::new(),
        }
    }

    /// Adds the conditions of the next rule; with `needs_all`, each event of its sources matters to it.
    pub fn add(
        &mut self,
        tests: &[(String, Predicate)],
        schemas: &[Schema],
        needs_all: bool,
    ) -> Result<()> {
        let rule = self.masks.len();
        self.masks.push(0);
        for (bit, (source, predicate)) in tests.iter().enumerate() {
            let Some(place) = schemas.iter().position(|schema| schema.name() == source) else {
                continue;
            };
            let reader = (rule, bit as u8);
            let source = &mut self.sources[place];
            if needs_all && !source.always.contains(&rule) {
                source.always.push(rule);
            }
            match source
                .tests
                .iter_mut()
                .find(|test| test.predicate == *predicate)
            {
                Some(test) => test.readers.push(reader),
                None => source.tests.push(Test {
                    predicate: predicate.clone(),
                    compiled: predicate.compile(&schemas[place])?,
                    readers: vec![reader],
                }),
            }
        }
        Ok(())
    }

    /// Calls `each` with the event's source and each rule that the event concerns, in their order, with the
    /// rule's conditions that hold. Linear in the source's distinct conditions and the rules concerned.
    pub fn look(&mut self, event: &Event, mut each: impl FnMut(usize, usize, Mask)) {
        let place = self.place(&event.source);
        let Some(place) = place else { return };
        let source = &self.sources[place];
        self.touched.clear();
        self.touched.extend(&source.always);
        for test in &source.tests {
            if test.compiled.holds(Row::Event(event)) {
                for (rule, bit) in &test.readers {
                    self.touched.push(*rule);
                    self.masks[*rule] |= 1 << bit;
                }
            }
        }
        self.touched.sort_unstable();
        self.touched.dedup();
        for rule in &self.touched {
            let mask = std::mem::take(&mut self.masks[*rule]);
            each(place, *rule, mask);
        }
    }

    fn place(&self, source: &Arc<str>) -> Option<usize> {
        let same = |known: &Source| Arc::ptr_eq(&known.name, source);
        let place = self.sources.iter().position(same);
        place.or_else(|| self.sources.iter().position(|known| known.name == *source))
    }

    /// Evaluates the conditions on a part of a batch: what [`Conditions::look_at_row`] finds.
    pub fn evaluate(&mut self, batch: &Batch, rows: Range<usize>) {
        self.batch_source = self.place(&batch.source);
        let words = rows.len().div_ceil(64);
        self.batch_start = rows.start;
        self.any.clear();
        self.any.resize(words, 0);
        let Some(source) = self.batch_source.and_then(|place| self.sources.get(place)) else {
            return;
        };
        if !source.always.is_empty() {
            self.any.fill(u64::MAX);
        }
        // Few hold for many rows, so that those that hold are noted row by row.
        let words_a_row = source.tests.len().div_ceil(64);
        self.hits.clear();
        self.hits.resize(rows.len() * words_a_row, 0);
        for (number, test) in source.tests.iter().enumerate() {
            test.compiled.rows(batch, rows.clone(), &mut self.rows);
            let (word_of_row, bit) = (number / 64, 1 << (number % 64));
            for (word, hold) in self.rows.iter().enumerate() {
                self.any[word] |= hold;
                let mut bits = *hold;
                while bits != 0 {
                    let row = word * 64 + bits.trailing_zeros() as usize;
                    bits &= bits - 1;
                    self.hits[row * words_a_row + word_of_row] |= bit;
                }
            }
        }
    }

    /// The next row from `row` on that concerns any rule.
    pub fn next_row(&self, row: usize) -> Option<usize> {
        let place = row - self.batch_start;
        let mut word = place / 64;
        let mut bits = self.any.get(word)? & (u64::MAX << (place % 64));
        while bits == 0 {
            word += 1;
            bits = *self.any.get(word)?;
        }
        Some(self.batch_start + word * 64 + bits.trailing_zeros() as usize)
    }

    /// Calls `each` with the source and the rules that a row concerns; with some more than once.
    pub fn rules_of_row(&self, row: usize, mut each: impl FnMut(usize, usize)) {
        let Some(place) = self.batch_source else {
            return;
        };
        let tests = &self.sources[place].tests;
        for test in hits(self.hits_of(row)) {
            for (rule, _) in &tests[test].readers {
                each(place, *rule);
            }
        }
    }

    /// Which conditions hold for a row, a bit each.
    fn hits_of(&self, row: usize) -> &[u64] {
        let tests = self
            .batch_source
            .map_or(0, |place| self.sources[place].tests.len());
        let words_a_row = tests.div_ceil(64);
        let begin = (row - self.batch_start) * words_a_row;
        &self.hits[begin..begin + words_a_row]
    }

    /// As [`Conditions::look`], for a row that was evaluated.
    pub fn look_at_row(&mut self, row: usize, mut each: impl FnMut(usize, usize, Mask)) {
        let Some(place) = self.batch_source else {
            return;
        };
        let mut touched = std::mem::take(&mut self.touched);
        let mut masks = std::mem::take(&mut self.masks);
        let source = &self.sources[place];
        touched.clear();
        touched.extend(&source.always);
        for test in hits(self.hits_of(row)) {
            for (rule, bit) in &source.tests[test].readers {
                touched.push(*rule);
                masks[*rule] |= 1 << bit;
            }
        }
        self.touched = touched;
        self.masks = masks;
        self.touched.sort_unstable();
        self.touched.dedup();
        for rule in &self.touched {
            let mask = std::mem::take(&mut self.masks[*rule]);
            each(place, *rule, mask);
        }
    }
}

/// The places of the bits that are set.
fn hits(words: &[u64]) -> impl Iterator<Item = usize> + '_ {
    words.iter().enumerate().flat_map(|(word, bits)| {
        let next = |bits: &u64| Some(bits & (bits - 1)).filter(|bits| *bits != 0);
        let first = Some(*bits).filter(|bits| *bits != 0);
        std::iter::successors(first, next)
            .map(move |bits| word * 64 + bits.trailing_zeros() as usize)
    })
}
