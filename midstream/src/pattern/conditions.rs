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
    masks: Vec<Mask>,
}

#[derive(Debug)]
struct Source {
    name: Arc<str>,
    tests: Vec<Test>,
    /// The rules that read it.
    rules: Vec<usize>,
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
                    name: schema.name().into(),
                    tests: Vec::new(),
                    rules: Vec::new(),
                })
                .collect(),
            masks: Vec::new(),
        }
    }

    /// Adds the conditions of the next rule.
    pub fn add(&mut self, tests: &[(String, Predicate)], schemas: &[Schema]) -> Result<()> {
        let rule = self.masks.len();
        self.masks.push(0);
        for (bit, (source, predicate)) in tests.iter().enumerate() {
            let Some(place) = schemas.iter().position(|schema| schema.name() == source) else {
                continue;
            };
            let reader = (rule, bit as u8);
            let source = &mut self.sources[place];
            if source.rules.last() != Some(&rule) && !source.rules.contains(&rule) {
                source.rules.push(rule);
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

    /// The event's source, and each rule that reads it with what holds there.
    pub fn look<'a>(
        &'a mut self,
        event: &Event,
    ) -> Option<(usize, impl Iterator<Item = (usize, Mask)> + 'a)> {
        let place = self
            .sources
            .iter()
            .position(|source| Arc::ptr_eq(&source.name, &event.source))
            .or_else(|| {
                self.sources
                    .iter()
                    .position(|source| source.name == event.source)
            })?;
        let source = &self.sources[place];
        for rule in &source.rules {
            self.masks[*rule] = 0;
        }
        for test in &source.tests {
            if test.compiled.holds(event) {
                for (rule, bit) in &test.readers {
                    self.masks[*rule] |= 1 << bit;
                }
            }
        }
        let masks = &self.masks;
        Some((
            place,
            source.rules.iter().map(move |rule| (*rule, masks[*rule])),
        ))
    }
}
