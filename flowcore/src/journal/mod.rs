//! Where runs survive a crash.
//!
//! A journal is two tables that its owner may keep anywhere: an append-only **log** of opaque
//! records per run, and small **values** under a key in a named space. Everything that one round
//! of the engine changes arrives as one [`Batch`] and must become durable as one transaction;
//! the engine hands out no work that follows from a batch before `commit` returned. Rounds batch
//! many runs, so one `fsync` covers them all (group commit).
//!
//! # Exactly once
//! An action may return state writes beside its output ([`crate::Output::write`]). They travel in
//! the same batch as the step's record ([`Op::State`]). A journal whose store also holds the
//! application's state says so ([`Journal::state_writes`]) and commits both in one transaction:
//! after a crash either both are there, and the step never runs again, or neither is, and it
//! runs again from the same inputs with the same idempotency key. With any other journal a result
//! that carries state writes is refused as an error of that step, never dropped.
//!
//! # Writing one
//! Implement the four required methods and run [`conformance::check`] over it in a test.

pub mod conformance;
mod memory;
#[cfg(feature = "sqlite")]
mod sqlite;

pub use memory::MemoryJournal;
#[cfg(feature = "sqlite")]
pub use sqlite::SqliteJournal;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::run::RunId;
use crate::time::Timestamp;

/// Why a journal could not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The store failed (full disk, lost connection, damaged file).
    #[error("journal: {message}")]
    Store {
        /// What the store said.
        message: String,
    },
    /// Another owner took the journal over; this one must stop.
    #[error(
        "journal: epoch {ours} was fenced off by epoch {current}; another engine owns this journal now"
    )]
    Fenced {
        /// The epoch of the engine that tried.
        ours: u64,
        /// The epoch that owns the journal.
        current: u64,
    },
    /// The lease is held by somebody else for now.
    #[error("journal: held by `{owner}` until {until}")]
    Held {
        /// The holder.
        owner: String,
        /// When its lease ends.
        until: Timestamp,
    },
}

impl JournalError {
    /// A failure of the store, from whatever error it gives.
    pub fn store(error: impl std::fmt::Display) -> Self {
        JournalError::Store {
            message: error.to_string(),
        }
    }
}

/// A write to the application's own state, committed with the step that asked for it.
///
/// What it means is between the action and the store: `collection` and `key` name a place, `body`
/// says what happens there. The stores of this crate keep the latest body of each place and
/// forget the place when the body is `null`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StateWrite {
    /// Table, document kind, topic, …
    pub collection: String,
    /// Which one in the collection.
    pub key: String,
    /// The new state, or the change.
    pub body: Value,
}

impl StateWrite {
    /// A write of `body` at `key` of `collection`.
    pub fn new(collection: impl Into<String>, key: impl Into<String>, body: Value) -> Self {
        Self {
            collection: collection.into(),
            key: key.into(),
            body,
        }
    }
}

/// One change to the journal.
#[derive(Debug, Clone, PartialEq)]
pub enum Op {
    /// Add a record to the log of `run`. `seq` starts at 0 and has no gaps. A record that is
    /// already there under this number is left as it is (a commit may be repeated after an error).
    Append {
        /// The run.
        run: RunId,
        /// Position in the run's log.
        seq: u64,
        /// Opaque record.
        record: Vec<u8>,
    },
    /// Forget the records of `run` below `before`.
    Truncate {
        /// The run.
        run: RunId,
        /// First record that stays.
        before: u64,
    },
    /// Set the value of `key` in `space`.
    Put {
        /// A short fixed name such as `live`.
        space: &'static str,
        /// The key; at most a few hundred bytes.
        key: String,
        /// Opaque value.
        value: Vec<u8>,
    },
    /// Remove `key` from `space`; absent is fine.
    Delete {
        /// The space.
        space: &'static str,
        /// The key.
        key: String,
    },
    /// Apply a write to the application's state.
    State(StateWrite),
}

/// Changes that become durable together or not at all, in this order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    /// The epoch of the writing engine, from [`Journal::lease`]; 0 where leases are not used.
    pub epoch: u64,
    /// The changes.
    pub ops: Vec<Op>,
}

/// Whether a journal commits state writes in the transaction of the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StateWrites {
    /// In the same transaction: exactly once.
    Atomic,
    /// Not at all: a result with state writes is an error.
    Unsupported,
}

/// A request to own the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseRequest {
    /// Who asks; the same owner may renew at any time.
    pub owner: String,
    /// The time now.
    pub now: Timestamp,
    /// How long the lease holds unless renewed.
    pub ttl: Duration,
}

/// A durable store of runs. All methods block until done.
pub trait Journal: Send {
    /// Makes the batch durable as one transaction. When this returns, a power cut loses nothing
    /// of it; when it fails, nothing of it is visible, or the same batch can be committed again.
    ///
    /// # Errors
    /// A store that failed, or [`JournalError::Fenced`] when `batch.epoch` is older than the
    /// latest granted lease.
    fn commit(&mut self, batch: &Batch) -> Result<(), JournalError>;

    /// The records of a run that were not truncated, by ascending number.
    ///
    /// # Errors
    /// A store that failed.
    fn log(&self, run: RunId) -> Result<Vec<(u64, Vec<u8>)>, JournalError>;

    /// The value of `key` in `space`.
    ///
    /// # Errors
    /// A store that failed.
    fn get(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, JournalError>;

    /// Up to `limit` keys above `after` in `space` with their values, in ascending byte order.
    ///
    /// # Errors
    /// A store that failed.
    fn scan(
        &self,
        space: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, JournalError>;

    /// Whether [`Op::State`] is committed with the rest of its batch.
    fn state_writes(&self) -> StateWrites {
        StateWrites::Unsupported
    }

    /// Claims or renews ownership and returns the fencing epoch: greater than any granted to
    /// another owner before, the same on renewal. The default is for stores with one process.
    ///
    /// # Errors
    /// [`JournalError::Held`] while another owner's lease runs.
    fn lease(&mut self, request: &LeaseRequest) -> Result<u64, JournalError> {
        let _ = request;
        Ok(0)
    }
}

impl<J: Journal + ?Sized> Journal for Box<J> {
    fn commit(&mut self, batch: &Batch) -> Result<(), JournalError> {
        (**self).commit(batch)
    }

    fn log(&self, run: RunId) -> Result<Vec<(u64, Vec<u8>)>, JournalError> {
        (**self).log(run)
    }

    fn get(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        (**self).get(space, key)
    }

    fn scan(
        &self,
        space: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, JournalError> {
        (**self).scan(space, after, limit)
    }

    fn state_writes(&self) -> StateWrites {
        (**self).state_writes()
    }

    fn lease(&mut self, request: &LeaseRequest) -> Result<u64, JournalError> {
        (**self).lease(request)
    }
}
