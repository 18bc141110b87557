//! What the index promises, one file a promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "tests"
)]

mod codes;
mod common;
mod crash;
mod file;
mod graph;
mod recall;
mod refusals;
mod search;
mod threads;
