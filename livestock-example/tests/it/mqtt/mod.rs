//! What the outbox's publisher promises, against real brokers.

mod broker;
pub mod publisher;
