//! The engine's state as bytes, and back: what is told after a restore is what would have been told without it,
//! match ids included. The layout is in `FORMAT.md`.
//!
//! A rule's state goes back to the rule of the same name and definition. State of rules that the plan no longer
//! has is left out; a rule that the snapshot does not know begins anew.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use serde::de::{DeserializeSeed, SeqAccess, Visitor};
use serde::ser::SerializeTuple;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::builder::EngineBuilder;
use crate::dedup::Dedup;
use crate::derive::Derive;
use crate::engine::{Engine, HELD_MAX};
use crate::error::{Error, Result};
use crate::event::{EVENT_ID_BYTES_MAX, Event, Value};
use crate::key::Key;
use crate::metrics::Metrics;
use crate::output::MatchId;
use crate::pattern::Matcher;
use crate::rule::Rule;
use crate::standardize::Standardizer;
use crate::table::SavedTable;
use crate::time::Timestamp;
use crate::watermark::SavedClocks;

/// Magic and version.
const MAGIC: [u8; 8] = *b"MSSNAP\0\x03";
const SUM_BYTES: usize = 4;

/// What is kept besides ids.
#[derive(Debug, Serialize, Deserialize)]
struct Saved<H> {
    newest: Option<Timestamp>,
    watermark: Timestamp,
    arrived: u64,
    metrics: Metrics,
    ids_forgotten: u64,
    held: H,
    rules: BTreeMap<String, SavedRule>,
    clocks: SavedClocks,
    tables: BTreeMap<String, SavedTable>,
    /// What derived fields were learnt from, in the order of the plan.
    learnt: Vec<Vec<(Key, Standardizer)>>,
    late: Vec<Event>,
    taken: Vec<u64>,
    told: BTreeMap<Arc<str>, u64>,
}

/// An event that waits for the watermark: with references to write it, with values to read it.
#[derive(Debug, Serialize, Deserialize)]
struct Held<T, V> {
    arrived: u64,
    source: T,
    id: T,
    at: Timestamp,
    values: V,
}

type SavedHeld = Held<Arc<str>, Vec<Option<Value>>>;

/// Events that wait, written as they lie, without a copy.
struct Waiting<'a>(&'a BTreeMap<(Timestamp, u64), Event>);

impl Serialize for Waiting<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|((_, arrived), event)| Held {
            arrived: *arrived,
            source: &*event.source,
            id: &*event.id,
            at: event.at,
            values: &event.values,
        }))
    }
}

/// A rule's state, which it alone can read.
#[derive(Debug, Serialize, Deserialize)]
struct SavedRule {
    definition: u64,
    state: Vec<u8>,
}

fn corrupt(cause: &'static str) -> Error {
    Error::Corrupt {
        what: "a snapshot of the engine",
        cause,
    }
}

/// Tells whether a rule is still what it was.
fn definition(rule: &Rule) -> u64 {
    MatchId::of(&[&format!("{rule:?}")]).fold()
}

/// Passes bytes on and keeps their checksum.
struct Summing<W> {
    out: W,
    sum: u32,
    failed: Option<std::io::Error>,
}

impl<W: Write> Write for Summing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.out.write(bytes) {
            Ok(count) => {
                self.sum = crc32c::crc32c_append(self.sum, &bytes[..count]);
                Ok(count)
            }
            Err(cause) => {
                let kind = cause.kind();
                self.failed = Some(cause);
                Err(kind.into())
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// The ids, then the rest: ids are written as they lie, without a copy.
struct Whole<'a>(&'a Dedup, &'a Saved<Waiting<'a>>);

struct Ids<'a>(&'a Dedup);

impl Serialize for Ids<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        self.0.serialize_ids(serializer)
    }
}

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut parts = serializer.serialize_tuple(2)?;
        parts.serialize_element(&Ids(self.0))?;
        parts.serialize_element(self.1)?;
        parts.end()
    }
}

/// Reads ids into where they stay, then the rest.
struct Reading<'a>(&'a mut Dedup);

struct ReadingIds<'a>(&'a mut Dedup);

impl<'de> DeserializeSeed<'de> for ReadingIds<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> std::result::Result<(), D::Error> {
        self.0.deserialize_ids(from)
    }
}

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = Saved<Vec<SavedHeld>>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ids and state")
    }

    fn visit_seq<A: SeqAccess<'de>>(
        self,
        mut seq: A,
    ) -> std::result::Result<Self::Value, A::Error> {
        use serde::de::Error as _;
        let torn = || A::Error::custom("it is torn");
        seq.next_element_seed(ReadingIds(self.0))?
            .ok_or_else(torn)?;
        seq.next_element()?.ok_or_else(torn)
    }
}

impl Engine {
    /// Writes all that the engine holds. Linear in it; ids are not copied.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Full`] where it cannot be written.
    pub fn snapshot(&self, out: impl Write) -> Result<()> {
        let mut rules = BTreeMap::new();
        // Other tables are the plan's.
        let tables = self.tables.iter();
        let tables = tables.filter(|(_, table)| table.follows.is_some());
        for rule in &self.plan.rules {
            let state = self.save_rule(rule.name()).ok_or_else(|| Error::Rule {
                rule: rule.name().to_owned(),
                cause: "what it holds cannot be part of a snapshot",
            })?;
            let definition = definition(rule);
            let saved = SavedRule { definition, state };
            rules.insert(rule.name().to_owned(), saved);
        }
        let saved = Saved {
            newest: self.newest,
            watermark: self.watermark,
            arrived: self.arrived,
            metrics: self.metrics.clone(),
            ids_forgotten: self.dedup.forgotten,
            held: Waiting(&self.held),
            rules,
            clocks: self.clocks.save(),
            tables: tables
                .map(|(name, table)| (name.clone(), table.save()))
                .collect(),
            learnt: self.derives.iter().map(Derive::save).collect(),
            late: self.late.iter().cloned().collect(),
            taken: self.taken.clone(),
            told: self.told.clone(),
        };
        let mut out = Summing {
            out,
            sum: 0,
            failed: None,
        };
        let whole = Whole(&self.dedup, &saved);
        let written = out.write_all(&MAGIC).and_then(|()| {
            rmp_serde::encode::write(&mut out, &whole).map_err(std::io::Error::other)?;
            let sum = out.sum.to_le_bytes();
            out.write_all(&sum)?;
            out.flush()
        });
        written.map_err(|cause| {
            let cause = out.failed.unwrap_or(cause);
            match cause.kind() {
                std::io::ErrorKind::StorageFull => Error::Full {
                    path: "a snapshot of the engine".to_owned(),
                    needed: 0,
                },
                _ => Error::Io {
                    action: "write",
                    path: "a snapshot of the engine".to_owned(),
                    cause: cause.to_string(),
                },
            }
        })
    }
}

impl Engine {
    /// What a rule keeps between events.
    pub(crate) fn save_rule(&self, name: &str) -> Option<Vec<u8>> {
        if let Some(rule) = self.windows.iter().find(|rule| rule.name() == name) {
            return rule.save();
        }
        if let Some(rule) = self.joins.iter().find(|rule| rule.name() == name) {
            return rule.save();
        }
        let pattern = self.patterns.iter().find(|rule| rule.name() == name);
        pattern.map(Matcher::save)
    }

    /// Goes on from what a rule has kept; whether the bytes are that.
    pub(crate) fn restore_rule(&mut self, name: &str, state: &[u8]) -> bool {
        if let Some(rule) = self.windows.iter_mut().find(|rule| rule.name() == name) {
            return rule.restore(state);
        }
        if let Some(rule) = self.joins.iter_mut().find(|rule| rule.name() == name) {
            return rule.restore(state);
        }
        let mut patterns = self.patterns.iter_mut();
        let pattern = patterns.find(|rule| rule.name() == name);
        pattern.is_some_and(|rule| rule.restore(state))
    }
}

impl EngineBuilder {
    /// Builds the plan and goes on from a snapshot. Linear in the snapshot.
    ///
    /// # Errors
    /// As [`EngineBuilder::build`]; [`Error::Corrupt`] for bytes that no engine has written, and for events of
    /// sources that the plan does not have, or has with other fields.
    pub fn restore(self, snapshot: &[u8]) -> Result<Engine> {
        let mut engine = self.build()?;
        let Some((body, sum)) = snapshot.split_last_chunk::<SUM_BYTES>() else {
            return Err(corrupt("it is torn"));
        };
        if !body.starts_with(&MAGIC) {
            return Err(corrupt("it is of another version"));
        }
        if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
            return Err(corrupt("its checksum is wrong"));
        }
        let mut reader = rmp_serde::Deserializer::from_read_ref(&body[MAGIC.len()..]);
        let saved = reader
            .deserialize_tuple(2, Reading(&mut engine.dedup))
            .map_err(|_| corrupt("it cannot be read"))?;
        if saved.held.len() > HELD_MAX {
            return Err(corrupt("it holds more events than an engine can"));
        }
        for held in saved.held {
            let schema = crate::engine::schema(&engine.sources, &held.source)
                .map_err(|_| corrupt("it holds events of a source that the plan does not have"))?;
            let values = schema.fields().zip(&held.values);
            let typed = values
                .filter_map(|((_, kind), value)| Some((kind, value.as_ref()?)))
                .all(|(kind, value)| value.field_type() == kind);
            if schema.fields().count() != held.values.len()
                || !typed
                || held.id.len() > EVENT_ID_BYTES_MAX
                || held.arrived > saved.arrived
            {
                return Err(corrupt("it holds events of a source with other fields"));
            }
            let event = Event {
                source: schema.shared_name().clone(),
                id: held.id,
                at: held.at,
                values: held.values,
            };
            engine.held.insert((held.at, held.arrived), event);
        }
        for rule in engine.plan.rules.clone() {
            let state = saved.rules.get(rule.name());
            let state = state.filter(|saved| saved.definition == definition(&rule));
            if let Some(saved) = state
                && !engine.restore_rule(rule.name(), &saved.state)
            {
                return Err(corrupt("a rule's state is none"));
            }
        }
        for (name, saved) in saved.tables {
            if let Some(table) = engine.tables.get_mut(&name)
                && table.follows.is_some()
                && !table.restore(saved)
            {
                return Err(corrupt("a table's rows are none"));
            }
        }
        let learnt = engine.derives.iter_mut().zip(saved.learnt);
        for (derive, learnt) in learnt {
            if !derive.restore(learnt) {
                return Err(corrupt("what was learnt of a field is none"));
            }
        }
        engine.clocks.restore(saved.clocks);
        engine.late = saved.late.into_iter().take(engine.late_kept).collect();
        for (taken, saved) in engine.taken.iter_mut().zip(saved.taken) {
            *taken = saved;
        }
        engine.told = saved.told;
        engine.newest = saved.newest;
        engine.watermark = saved.watermark;
        engine.arrived = saved.arrived;
        engine.metrics = saved.metrics;
        engine.dedup.forgotten = saved.ids_forgotten;
        Ok(engine)
    }
}
