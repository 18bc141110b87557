//! Behaviour of the crate, one file a contract.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests"
)]

#[cfg(feature = "optimize")]
mod dspy;
#[cfg(feature = "http")]
mod endpoint;
mod experiments;
#[cfg(feature = "candle")]
mod llama;
#[cfg(feature = "optimize")]
mod optimizing;
mod selection;
mod versions;
#[cfg(feature = "optimize")]
mod written;
