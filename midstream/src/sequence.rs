//! Sequences with anything in between (`FOLLOWED BY`): partial matches of each key by the step they wait
//! for. After a match the key begins anew past the match's last event.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::event::{Event, Schema, Value};
use crate::key::Key;
use crate::output::{Found, MatchId, Output};
use crate::predicate::Compiled;
use crate::rule::SequenceRule;
use crate::time::Timestamp;

/// The most partial matches of one key; past it the oldest is dropped and counted.
pub const PARTIAL_MATCHES_MAX: usize = 64;

/// A sequence rule and its partial matches.
#[derive(Debug)]
pub(crate) struct Sequence {
    name: Arc<str>,
    steps: Vec<Step>,
    within: Option<Duration>,
    keys: HashMap<Key, VecDeque<Partial>>,
    /// Partial matches dropped because a key had too many.
    pub dropped: u64,
    /// Partial matches whose time was over.
    pub expired: u64,
}

#[derive(Debug)]
struct Step {
    source: Arc<str>,
    key: Option<usize>,
    predicate: Compiled,
}

#[derive(Debug)]
struct Partial {
    first: Timestamp,
    ids: Vec<Arc<str>>,
}

impl Sequence {
    pub fn build(rule: &SequenceRule, schemas: &[Schema]) -> Result<Self> {
        let bad = |cause| {
            Err(Error::Rule {
                rule: rule.name.clone(),
                cause,
            })
        };
        if rule.steps.is_empty() {
            return bad("a sequence needs at least one step");
        }
        if rule.within.is_none() && rule.steps.len() > 1 {
            return bad("a sequence needs a time: .within(…)");
        }
        let steps = rule
            .steps
            .iter()
            .map(|step| {
                let schema = crate::engine::schema(schemas, &step.source)?;
                Ok(Step {
                    source: schema.name().into(),
                    key: rule
                        .key
                        .as_deref()
                        .map(|key| schema.index(key))
                        .transpose()?,
                    predicate: step.predicate.compile(schema)?,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            name: rule.name.as_str().into(),
            steps,
            within: rule.within,
            keys: HashMap::new(),
            dropped: 0,
            expired: 0,
        })
    }

    /// Takes the next event in order of time. Linear in the key's partial matches.
    pub fn push(&mut self, event: &Event, out: &mut Vec<Output>) {
        let wanted = |step: &Step| step.source == event.source && step.predicate.holds(event);
        let fits: Vec<bool> = self.steps.iter().map(wanted).collect();
        let Some(any) = fits.iter().position(|fit| *fit) else {
            return;
        };
        let key = match self.steps[any].key {
            None => Key::None,
            Some(index) => match event.value(index) {
                Some(value) => Key::of(value),
                None => return,
            },
        };
        let partials = self.keys.entry(key.clone()).or_default();
        if let Some(within) = self.within {
            let before = partials.len();
            partials.retain(|partial| event.at.since(partial.first) <= within);
            self.expired += (before - partials.len()) as u64;
        }
        let last = self.steps.len() - 1;
        for partial in partials.iter_mut() {
            if fits[partial.ids.len()] {
                partial.ids.push(event.id.clone());
            }
        }
        if fits[0] {
            if partials.len() == PARTIAL_MATCHES_MAX {
                partials.pop_front();
                self.dropped += 1;
            }
            partials.push_back(Partial {
                first: event.at,
                ids: vec![event.id.clone()],
            });
        }
        // The oldest complete one is the match; all others of the key overlap it.
        let complete = partials.iter().position(|partial| partial.ids.len() > last);
        if let Some(partial) = complete.and_then(|index| partials.remove(index)) {
            self.keys.remove(&key);
            let value = key.value();
            let text = value.as_ref().map(Value::to_string).unwrap_or_default();
            out.push(Output {
                rule: self.name.clone(),
                id: MatchId::of(&[&self.name, &text, partial.ids.first().map_or("", |id| id)]),
                key: value,
                first: partial.first,
                last: event.at,
                found: Found::Sequence(partial.ids),
            });
        }
    }

    /// Forgets what can no longer match. Linear in the partial matches.
    pub fn advance_to(&mut self, now: Timestamp) {
        let Some(within) = self.within else { return };
        let expired = &mut self.expired;
        self.keys.retain(|_, partials| {
            while partials
                .front()
                .is_some_and(|partial| now.since(partial.first) > within)
            {
                partials.pop_front();
                *expired += 1;
            }
            !partials.is_empty()
        });
    }
}
