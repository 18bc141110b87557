//! Offline-first CRDT state store.
//!
//! # What it is
//! [`AgentDb`] keeps documents that merge with their copies on other devices, and an append-only event log
//! that is the offline buffer, in one SQLite file. State and events of a transaction are kept together or
//! not at all; so are opaque records, for the journal of another library. Each field of a [`Schema`] says
//! how it merges: [`Field::Lww`], [`Field::Max`], [`Field::Status`], [`Field::PnCounter`].
//!
//! # What it is not
//! It opens no connection, reads no clock and starts no thread: time is a parameter, and a copy of a
//! document travels as the [`Document`] that the caller sends and [`Tx::merge`] joins. It has no protocol
//! of its own for that, and documents have no deltas, sets, maps or lists; [`list::List`] is a text that
//! merges by deltas and stands by itself.
//!
//! # One replica, one file
//! A [`ReplicaId`] belongs to one file for ever. A file that is brought back from an older copy, or that
//! lost commits of [`Durability::Buffered`] in a power cut after they were sent, counts its writes anew and
//! needs a new id: two writes under one dot would never converge.
//!
//! # On disk
//! `agent_state(agent_id, schema, state_json, crdt_json, version, timestamp)`,
//! `agent_events(event_id, agent_id, event_type, payload, priority, timestamp)` and
//! `sync_log(local_seq, cloud_seq, sync_status, note)`, readable with the `sqlite3` shell; WAL mode.
//!
//! # Limits
//! A field of 1 MiB, an event of 1 MiB, a record of 16 MiB, ids of 512 bytes, queries of 4 KiB; a copy's
//! clock may be an hour ahead. A query reads every document of its schema. One writer at a time: a
//! second process waits up to five seconds.
//!
//! # Example
//! ```
//! use agentdb::{AgentDb, Field, Options, Priority, ReplicaId, Schema, Timestamp};
//! use serde_json::json;
//!
//! let robot = Schema::new("robot")
//!     .field("battery", Field::Lww)
//!     .field("odometer", Field::PnCounter)
//!     .field("task", Field::status(&["queued", "active", "done"]));
//! let mut db = AgentDb::in_memory(Options::new(ReplicaId::new(1)).schema(robot))?;
//!
//! let mut tx = db.begin(Timestamp::from_millis(1_000))?;
//! tx.agent("robot", "R042")?.set("battery", 17)?.add("odometer", 120)?.status("task", "active")?;
//! tx.append_event("R042", "task_started", &json!({"task": "weld"}), Priority::Normal)?;
//! tx.commit()?;
//!
//! let low = db.query("robot", "battery < 20 && task != 'done'")?;
//! assert_eq!(low[0].id, "R042");
//! assert_eq!(db.waiting()?, 1);
//! # Ok::<(), agentdb::Error>(())
//! ```
#![forbid(unsafe_code)]

mod bytes;
mod causal;
mod db;
mod document;
mod error;
mod event;
mod leaf;
pub mod list;
mod path;
mod query;
mod schema;
pub mod storage;
mod time;

pub use causal::{Context, Dot, ReplicaId, Stamp};
pub use db::{
    Agent, AgentDb, CLOCK_AHEAD_MAX, CLOCK_DRIFT_MAX, Change, Durability, ID_BYTES_MAX, Notice,
    Options, RECORD_BYTES_MAX, Submitted, Tx, WATCH_NOTICES_MAX, Watch, WatchFilter,
};
pub use document::{
    Actors, Conflict, DOCUMENT_BYTES_MAX, Document, Edit, FIELD_BYTES_MAX, Joined, KEY_BYTES_MAX,
    Write,
};
pub use error::{Error, Result};
pub use event::{EVENT_BYTES_MAX, Origin, Priority, Sequence, StoredEvent, SyncStatus};
pub use query::{Direction, QUERY_BYTES_MAX, Query};
pub use schema::{Field, MAP_DEPTH_MAX, Schema, Wins};
pub use time::Timestamp;
