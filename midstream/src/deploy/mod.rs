//! A deployment as a file: where events come from, the rules, where what they tell goes. Feature `deploy`.
//!
//! The file is YAML; its keys are in `DEPLOYMENT.md` beside this crate's README. Rules and conditions are text of
//! the rule language and stand in values, never in keys. What is not known is an error with its line.
//!
//! ```
//! let deployment = midstream::deploy::Deployment::parse(r#"
//! sources:
//!   machines:
//!     topic: farm/+/machine
//!     fields: { machine: text, temp: float }
//! rules: |
//!   RULE overheat: PATTERN SEQUENCE(hot (temp > 85), hotter (temp > 95)) FROM machines BY machine WITHIN 30 SECONDS;
//! sinks:
//!   alerts: { topic: farm/alerts }
//! routes:
//!   - { rules: [overheat], to: [alerts] }
//! "#)?;
//! let engine = deployment.engine()?.build()?;
//! assert_eq!(deployment.sources["machines"].topic, "farm/+/machine");
//! # Ok::<(), midstream::Error>(())
//! ```

mod period;
mod route;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::backpressure::{Ladder, LadderOptions};
use crate::builder::EngineBuilder;
use crate::decode::{Decoder, Format};
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::event::{FieldType, Schema, Value};
use crate::language::parse_program;
use crate::spill::{Class, SpillOptions};
use crate::table::Table;
use crate::time::Timestamp;

pub use period::Period;
pub use route::{Entry, Router};

/// The longest deployment file.
pub const DEPLOYMENT_BYTES_MAX: usize = 1 << 20;
/// The longest name of a source or sink.
pub const NAME_BYTES_MAX: usize = 100;

/// A deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    /// The broker.
    #[serde(default)]
    pub broker: Broker,
    /// The folder of what must survive a crash; default `state`.
    #[serde(default = "default_state")]
    pub state: PathBuf,
    /// Time and duplicates.
    #[serde(default)]
    pub engine: EngineOptions,
    /// Where events come from, by name.
    pub sources: BTreeMap<String, Source>,
    /// Tables that events are enriched from and joined with, by name.
    #[serde(default)]
    pub tables: BTreeMap<String, TableOptions>,
    /// The rules, as text.
    #[serde(default)]
    pub rules: String,
    /// Where things go, by name.
    #[serde(default)]
    pub sinks: BTreeMap<String, Sink>,
    /// What goes where.
    #[serde(default)]
    pub routes: Vec<Route>,
    /// When the gateway holds back.
    #[serde(default)]
    pub backpressure: LadderOptions,
    /// How much is kept and how long.
    #[serde(default)]
    pub limits: Limits,
}

fn default_state() -> PathBuf {
    "state".into()
}

/// A broker and who connects to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Broker {
    /// Its name or address; default `localhost`.
    pub host: String,
    /// Its port; default 1883.
    pub port: u16,
    /// The client's name: the broker keeps a session for it; default `midstream`.
    pub client_id: String,
    /// The account, where there is one; its password is in the environment variable `MIDSTREAM_PASSWORD`.
    pub user: Option<String>,
}

impl Default for Broker {
    fn default() -> Self {
        Self {
            host: "localhost".to_owned(),
            port: 1883,
            client_id: "midstream".to_owned(),
            user: None,
        }
    }
}

/// Time and duplicates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineOptions {
    /// How much later than a newer event an event may come; default `2s`.
    pub disorder: Period,
    /// How long ids are remembered; default `10m`.
    pub dedup: Period,
    /// How far ahead of the others an event may be; default `1d`.
    pub future: Period,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            disorder: Period::from_secs(2),
            dedup: Period::from_secs(600),
            future: Period::from_secs(86_400),
        }
    }
}

/// Where events of one schema come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The topic filter.
    pub topic: String,
    /// What payloads look like; default `json`.
    #[serde(default)]
    pub format: Format,
    /// The field that is an event's id; default `id`.
    #[serde(default = "default_id")]
    pub id: String,
    /// The field that is an event's time, in milliseconds since 1970; default `at`.
    #[serde(default = "default_time")]
    pub time: String,
    /// The other fields: `float`, `int`, `bool` or `text`.
    pub fields: BTreeMap<String, FieldType>,
}

fn default_id() -> String {
    "id".to_owned()
}

fn default_time() -> String {
    "at".to_owned()
}

/// A table that events are enriched from and joined with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TableOptions {
    /// The field by which rows are told apart.
    pub key: String,
    /// Its fields: `float`, `int`, `bool` or `text`.
    pub fields: BTreeMap<String, FieldType>,
    /// Rows that are there from the beginning of time.
    #[serde(default)]
    pub rows: Vec<BTreeMap<String, Value>>,
    /// Each event of this source is the row of its key from its time on.
    #[serde(default)]
    pub follows: Option<String>,
    /// How long a row counts; default for ever.
    #[serde(default)]
    pub lifetime: Option<Period>,
}

impl TableOptions {
    fn table(&self, name: &str) -> Result<Table> {
        let fields = self.fields.iter();
        let schema = fields.fold(Schema::new(name), |schema, (field, kind)| {
            schema.field(field, *kind)
        });
        let mut table = Table::new(schema, &self.key)?;
        if let Some(source) = &self.follows {
            table = table.follows(source);
        }
        if let Some(lifetime) = self.lifetime {
            table = table.lifetime(lifetime.duration());
        }
        for row in &self.rows {
            let values = row
                .iter()
                .map(|(field, value)| (field.as_str(), value.clone()));
            let values: Vec<_> = values.collect();
            table.put(Timestamp::from_millis(i64::MIN), &values)?;
        }
        Ok(table)
    }
}

/// Where things go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sink {
    /// The topic to publish to, at quality of service 1.
    #[serde(default)]
    pub topic: Option<String>,
    /// Or the file to append to, a line an entry.
    #[serde(default)]
    pub file: Option<PathBuf>,
    /// How entries are put together; default each alone until the gateway holds back.
    #[serde(default)]
    pub batch: Option<BatchOptions>,
}

/// When a batch goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchOptions {
    /// With so many entries.
    pub entries: usize,
    /// Or when its first entry has waited so long.
    pub every: Period,
}

/// What goes where.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// What these rules tell; `*` is all of them.
    #[serde(default)]
    pub rules: Vec<String>,
    /// Or the events of this source.
    #[serde(default)]
    pub events: Option<String>,
    /// Only those for which this condition holds, in the rule language.
    #[serde(default, rename = "where")]
    pub condition: Option<String>,
    /// Or what is no event, with the reason.
    #[serde(default)]
    pub dead_letters: bool,
    /// The sinks.
    pub to: Vec<String>,
    /// How long it is worth keeping; default `raw` for events, `aggregate` for windows and dead letters, `critical` for
    /// all else.
    #[serde(default)]
    pub class: Option<Class>,
}

/// How much is kept and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Entries of a sink that wait in memory; further ones go to disk; default 10,000.
    pub queue_entries: usize,
    /// Bytes of each class on disk; default 256 MiB.
    pub spill_bytes: u64,
    /// How long single events are kept on disk; default `1h`.
    pub keep_raw: Period,
    /// How long windows are; default `24h`.
    pub keep_aggregate: Period,
    /// How long what is critical is; default `7d`.
    pub keep_critical: Period,
    /// Bytes of the journal of events; past them nothing is taken until a snapshot frees some; default 256 MiB.
    pub journal_bytes: u64,
    /// How often events are made durable and acknowledged; default `20ms`.
    pub sync_every: Period,
    /// How often the engine's state is saved; default `30s`.
    pub snapshot_every: Period,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_entries: 10_000,
            spill_bytes: 256 << 20,
            keep_raw: Period::from_secs(3600),
            keep_aggregate: Period::from_secs(24 * 3600),
            keep_critical: Period::from_secs(7 * 24 * 3600),
            journal_bytes: 256 << 20,
            sync_every: Period::from_millis(20),
            snapshot_every: Period::from_secs(30),
        }
    }
}

impl Limits {
    /// The bounds of what waits on disk.
    pub fn spill(&self) -> SpillOptions {
        let mut options = SpillOptions::default();
        for (log, keep) in [
            (&mut options.raw, self.keep_raw),
            (&mut options.aggregate, self.keep_aggregate),
            (&mut options.critical, self.keep_critical),
        ] {
            log.bytes_max = self.spill_bytes;
            log.age_max = Some(keep.duration());
        }
        options
    }
}

impl Deployment {
    /// Reads a deployment and checks all of it: rules, conditions, names.
    ///
    /// # Errors
    /// [`Error::Deployment`] with the line, or with the key at fault; what the rules say is wrong as it is.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > DEPLOYMENT_BYTES_MAX {
            return Err(Error::Deployment(format!(
                "{} bytes, at most {DEPLOYMENT_BYTES_MAX} are read",
                text.len()
            )));
        }
        let deployment: Self =
            serde_saphyr::from_str(text).map_err(|cause| Error::Deployment(cause.to_string()))?;
        deployment.check()?;
        Ok(deployment)
    }

    fn check(&self) -> Result<()> {
        let wrong = |cause: String| Err(Error::Deployment(cause));
        if self.sources.is_empty() {
            return wrong("sources: there is none".to_owned());
        }
        // Names are in files and in their names.
        let plain = |name: &String| {
            (1..=NAME_BYTES_MAX).contains(&name.len())
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
        };
        if let Some(name) = self
            .sources
            .keys()
            .chain(self.sinks.keys())
            .find(|n| !plain(n))
        {
            return wrong(format!(
                "`{name}`: a source or sink is named by 1 to {NAME_BYTES_MAX} letters, digits, `-` and `_`"
            ));
        }
        for (name, sink) in &self.sinks {
            if sink.topic.is_some() == sink.file.is_some() {
                return wrong(format!("sinks.{name}: give either `topic` or `file`"));
            }
            if sink.batch.is_some_and(|batch| batch.entries == 0) {
                return wrong(format!("sinks.{name}.batch.entries: 1 or more"));
            }
        }
        if self.limits.queue_entries == 0 || self.limits.sync_every.duration() == Duration::ZERO {
            return wrong("limits: `queue_entries` and `sync_every` are above 0".to_owned());
        }
        Ladder::new(self.backpressure)?;
        // A rule whose state cannot be saved could not go on after a crash.
        self.engine()?.build()?.snapshot(std::io::sink())?;
        self.router().map(|_| ())
    }

    /// The schemas of its sources.
    pub fn schemas(&self) -> BTreeMap<&str, Schema> {
        let schema = |(name, source): (&'_ String, &Source)| {
            let fields = source.fields.iter();
            fields.fold(Schema::new(name), |schema, (field, kind)| {
                schema.field(field, *kind)
            })
        };
        let schemas = self.sources.iter();
        schemas
            .map(|pair| (pair.0.as_str(), schema(pair)))
            .collect()
    }

    /// A reader of each source's payloads.
    pub fn decoders(&self) -> Vec<Decoder> {
        let mut schemas = self.schemas();
        let pairs = self.sources.iter();
        pairs
            .filter_map(|(name, source)| {
                let schema = schemas.remove(name.as_str())?;
                Some(Decoder::new(
                    schema,
                    source.format,
                    &source.id,
                    &source.time,
                ))
            })
            .collect()
    }

    /// The engine's plan. Rules that name no source are over the first one by name.
    ///
    /// # Errors
    /// What is wrong with the rules.
    pub fn engine(&self) -> Result<EngineBuilder> {
        let mut builder = Engine::builder()
            .disorder(self.engine.disorder.duration())
            .dedup(self.engine.dedup.duration())
            .future(self.engine.future.duration());
        for schema in self.schemas().into_values() {
            builder = builder.source(schema);
        }
        for (name, options) in &self.tables {
            builder = builder.table(options.table(name)?);
        }
        let first = self.sources.keys().next().map_or("", String::as_str);
        let program = parse_program(&self.rules, first, None)?;
        for statement in program.standardize {
            builder = builder.standardize(first, statement, None);
        }
        for enrich in &program.enrich {
            builder = builder.enrich(&enrich.source, &enrich.table, &enrich.on);
        }
        for rule in program.rules {
            builder = builder.rule(rule);
        }
        Ok(builder)
    }

    /// What goes where.
    ///
    /// # Errors
    /// [`Error::Deployment`] for a route to or from something that there is not, and what is wrong with a
    /// condition.
    pub fn router(&self) -> Result<Router> {
        Router::new(self)
    }
}
