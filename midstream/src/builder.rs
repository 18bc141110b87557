//! The plan of an engine, and the engine from it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use crate::dedup::Dedup;
use crate::derive::Derive;
use crate::engine::{Engine, IDS_MAX, schema};
use crate::error::{Error, Result};
use crate::event::Schema;
use crate::join::Join;
use crate::language::Standardize;
use crate::metrics::Metrics;
use crate::operator::Operator;
use crate::pattern::{Conditions, Matcher};
use crate::rule::Rule;
use crate::select::Select;
use crate::table::Table;
use crate::time::Timestamp;
use crate::watermark::{Clocks, Watermarks};
use crate::window;

/// Collects the plan of an engine.
#[derive(Clone, Debug)]
pub struct EngineBuilder {
    schemas: Vec<Schema>,
    pub(crate) rules: Vec<Rule>,
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

    /// The names of its rules, in order.
    pub fn rule_names(&self) -> impl Iterator<Item = &str> {
        self.rules.iter().map(Rule::name)
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
        let plan = self.clone();
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
        let declared_count = declared.len();
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
        for rule in &self.rules {
            let Some(key) = rule.key() else { continue };
            let Some(fields) = crate::key::fields_of(key) else {
                continue;
            };
            for source in rule.sources() {
                schema(&schemas, source)?;
                let wider = schemas.iter_mut().find(|schema| schema.name() == source);
                if let Some(wider) = wider.filter(|schema| schema.index(key).is_err()) {
                    derives.push(Derive::tuple(wider, key, &fields)?);
                }
            }
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
            plan,
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
            taken: vec![0; declared_count],
            told: BTreeMap::new(),
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
}
