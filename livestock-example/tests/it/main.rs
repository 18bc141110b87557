//! What the gateway promises, one folder a promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "tests"
)]

mod collars;
mod gateway;
mod independence;
mod mqtt;
mod runner;
mod sim;
