//! Behaviour of the crate, one file a promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "tests"
)]

mod admission;
mod command;
mod control;
mod control_of_runs;
mod drivers;
mod faults;
mod format;
mod journals;
mod kill;
mod leases;
mod logs;
mod plan_bytes;
#[cfg(feature = "remote")]
mod remote;
mod schema;
mod sensor;
mod versions;
mod waits;
