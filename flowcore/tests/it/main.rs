//! Behaviour of the crate, one file a promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

mod command;
mod control;
mod format;
mod journals;
mod kill;
mod schema;
mod sensor;
mod triggers;
mod waits;
