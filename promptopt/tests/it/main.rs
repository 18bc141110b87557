//! Behaviour of the crate, one file a contract.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

#[cfg(feature = "candle")]
mod llama;
mod selection;
mod versions;
