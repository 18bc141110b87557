//! What the index promises, one file a promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    missing_docs,
    reason = "tests"
)]

mod adaptive;
mod cache;
mod codes;
mod common;
mod crash;
mod embedder;
mod file;
mod graph;
mod lookalikes;
mod recall;
mod refusals;
mod retriever;
mod search;
mod threads;
mod tiers;
