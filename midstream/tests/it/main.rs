//! What the engine promises, one file a promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    missing_docs,
    reason = "tests"
)]

mod batches;
#[cfg(feature = "cli")]
mod command;
mod conservation;
mod language;
mod nexmark;
mod patterns_oracle;
mod sequences;
#[cfg(feature = "sql")]
mod sql;
mod vectors;
mod window_kinds;
mod windows;

use midstream::{Event, FieldType, Schema, Timestamp, Value};

/// A source with a key and a value.
pub fn schema() -> Schema {
    Schema::new("s")
        .field("key", FieldType::Text)
        .field("value", FieldType::Float)
}

/// An event of that source.
pub fn event(id: &str, millis: i64, key: &str, value: f64) -> Event {
    schema()
        .event(
            id,
            Timestamp::from_millis(millis),
            &[("key", Value::from(key)), ("value", value.into())],
        )
        .unwrap()
}
