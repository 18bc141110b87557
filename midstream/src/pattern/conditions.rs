//! Each distinct condition of all pattern rules is evaluated once an event; its outcome goes to the rules
//! that ask for it.

use std::sync::Arc;

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
        let same = |source: &Source| Arc::ptr_eq(&source.name, &event.source);
        let place = self.sources.iter().position(same);
        let place = place.or_else(|| {
            let mut sources = self.sources.iter();
            sources.position(|source| source.name == event.source)
        });
        let Some(place) = place else { return };
        let source = &self.sources[place];
        self.touched.clear();
        self.touched.extend(&source.always);
        for test in &source.tests {
            if test.compiled.holds(event) {
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
}
