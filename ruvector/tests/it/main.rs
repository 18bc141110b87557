//! What the index promises, one file a promise.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    missing_docs,
    reason = "tests"
)]

mod adaptive;
mod bits;
mod cache;
mod codes;
mod common;
mod crash;
mod embedder;
mod file;
mod graph;
mod kernels;
mod lookalikes;
mod protocol;
mod recall;
mod refusals;
mod retriever;
mod search;
mod threads;
mod tiers;
