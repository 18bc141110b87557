//! Behaviour of the store, one file a contract.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests"
)]

mod causal;
mod crash;
mod durability;
mod files;
mod import;
mod list;
mod list_model;
mod log;
mod merge;
mod oracle;
mod queries;
mod refusals;
mod series;
mod sim;
mod storage;
mod sync;
mod transactions;
mod watching;

use agentdb::{AgentDb, Field, Options, ReplicaId, Schema, Stamp, Timestamp};

/// The schema of the tests: one field of each kind.
fn robot() -> Schema {
    Schema::new("robot")
        .field("battery", Field::Lww)
        .field("place", Field::Lww)
        .field("counter", Field::Max)
        .field("odometer", Field::PnCounter)
        .field(
            "task",
            Field::status(&["queued", "assigned", "active", "done"]),
        )
}

fn options(replica: u64) -> Options {
    Options::new(ReplicaId::new(replica)).schema(robot())
}

fn store(replica: u64) -> AgentDb {
    AgentDb::in_memory(options(replica)).unwrap()
}

fn stamp(millis: i64) -> Stamp {
    Stamp::at(at(millis))
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}
