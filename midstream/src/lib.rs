//! Windowed complex event processing.
//!
//! # What it is
//! An [`Engine`] takes events of declared [`Schema`]s in any order within a limit, drops duplicates, and
//! runs [`Rule`]s over them in order of event time: keyed tumbling and sliding windows with aggregates and
//! thresholds, sequences of events within a time, and patterns whose steps repeat, alternate or must not
//! happen.
//!
//! # What it is not
//! It does no I/O, reads no clock and starts no thread: time is the events' and what
//! [`Engine::advance_to`] says. Rules are built in Rust or read from text by
//! [`parse_rules`].
//!
//! # Semantics
//! - The watermark is the newest event's time less [`EngineBuilder::disorder`], or what `advance_to` said.
//!   No event before it is taken; one at it is. Ties go by arrival.
//! - `within` is inclusive. Between the steps of a sequence anything may happen. After a match its key
//!   begins anew.
//! - Windows begin at multiples of the slide since the epoch and end exclusively; they are told when the
//!   watermark reaches their end. By default a window rule tells on the rising edge.
//! - A missing field makes a condition unknown, and what is unknown does not hold.
//! - `events_in = events_out + sum(dropped) + held`, always.
//!
//! # Limits
//! A million events that wait, four million ids, 64 partial matches a key, a million keys a window rule,
//! 100,000 panes a window. What is over a limit is dropped and counted in [`Metrics`].
//!
//! # Example
//! ```
//! use std::time::Duration;
//! use midstream::{Engine, FieldType, Rule, Schema, Timestamp, gt, lt};
//!
//! let machines = Schema::new("machines")
//!     .field("machine", FieldType::Text)
//!     .field("temperature", FieldType::Float)
//!     .field("pressure", FieldType::Float);
//! let mut engine = Engine::builder()
//!     .source(machines.clone())
//!     .rule(
//!         Rule::sequence("overheat")
//!             .key("machine")
//!             .step("machines", gt("temperature", 85.0))
//!             .step("machines", lt("pressure", 50.0))
//!             .within(Duration::from_secs(30)),
//!     )
//!     .build()?;
//! let at = Timestamp::from_millis;
//! let hot = machines.event("1", at(0), &[("machine", "m-7".into()), ("temperature", 90.0.into())])?;
//! let drop = machines.event("2", at(20_000), &[("machine", "m-7".into()), ("pressure", 40.0.into())])?;
//! assert!(engine.push(hot)?.is_empty());
//! let found = engine.push(drop)?;
//! assert_eq!(&*found[0].rule, "overheat");
//! # Ok::<(), midstream::Error>(())
//! ```
#![forbid(unsafe_code)]

pub mod agent;
mod aggregate;
pub mod backpressure;
mod batch;
mod builder;
pub mod decode;
mod dedup;
#[cfg(feature = "deploy")]
pub mod deploy;
mod derive;
mod engine;
mod error;
mod event;
mod expression;
mod join;
mod key;
mod language;
#[cfg(feature = "spill")]
pub mod log;
mod metrics;
#[cfg(feature = "mqtt")]
mod mqtt;
mod operator;
mod output;
mod pattern;
mod predicate;
#[cfg(feature = "sql")]
mod recognize;
mod replan;
mod rule;
mod select;
#[cfg(feature = "mqtt")]
pub mod serve;
mod snapshot;
#[cfg(feature = "spill")]
pub mod spill;
#[cfg(feature = "sql")]
mod sql;
mod standardize;
mod table;
mod time;
mod watermark;
mod window;

pub use aggregate::{Aggregate, Aggregates};
pub use batch::{Batch, Column};
pub use builder::EngineBuilder;
pub use engine::{Engine, HELD_MAX, IDS_MAX};
pub use error::{Error, Result};
pub use event::{EVENT_ID_BYTES_MAX, Event, FieldType, Schema, Value};
pub use expression::{Expr, aggregate, avg, count, earlier, field, max, min, sum};
pub use join::{JOINED_MAX, JoinRule};
pub use language::{
    DEPTH_MAX, Enrich, Program, Standardize, TEXT_BYTES_MAX, parse_program, parse_rules,
};
pub use metrics::{DropReason, Metrics, RuleMetrics};
pub use output::{Found, MatchId, MatchedStep, Output, Record};
pub use pattern::{
    AfterMatch, Contiguity, Earlier, Element, Greed, Overflow, PartialLimits, Pattern, PatternRule,
    Step, Timeouts, all_of, any_of, group, step,
};
pub use predicate::{Comparison, Predicate, always, eq, ge, gt, le, lt, ne};
#[cfg(feature = "sql")]
pub use recognize::RecognizeRule;
pub use replan::State;
pub use rule::{Emit, Fill, Having, Rule, SequenceRule, WindowRule};
pub use select::SelectRule;
#[cfg(feature = "sql")]
pub use sql::parse_sql;
pub use standardize::{Over, Standardizer};
pub use table::{TABLE_ROWS_MAX, Table};
pub use time::Timestamp;
pub use watermark::Watermarks;
pub use window::{DISTINCT_MAX, KEYS_MAX, PANES_MAX};
