//! The detector as a process of its own: it may crash, hang or answer rubbish without taking the gateway
//! with it.
//!
//! [`serve`] is the detector's side, [`Runner`] the gateway's. They speak gRPC on a Unix socket in a
//! private folder; `proto/detector.proto` is the protocol.

mod answer;
mod child;
mod client;
mod error;
#[allow(
    missing_docs,
    clippy::all,
    clippy::pedantic,
    unused_qualifications,
    reason = "generated from proto/detector.proto"
)]
mod proto;
mod serve;

pub use client::{Inference, Launch, Runner, RunnerCounters, RunnerLimits};
pub use error::RunnerError;
pub use serve::serve;

/// The version of the protocol that this program speaks.
pub const PROTOCOL: u32 = 1;

/// What a detector says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Name and version, for people.
    pub name: String,
    /// Numbers in each embedding; 0 when it makes none.
    pub embedding_length: usize,
}
