//! Offline-first CRDT state store.
//!
//! # What it is
//! [`AgentDb`] keeps documents that merge with their copies on other devices, and an append-only event log
//! that is the offline buffer. State and events of a transaction are kept together or not at all; so are
//! opaque records, for the journal of another library. Each field of a [`Schema`] says how it merges: see
//! [`Field`]. [`Document::delta`] is exactly what a copy lacks; it joins by [`Document::merge`] in any order.
//!
//! # What it is not
//! It opens no connection, reads no clock and starts no thread: time is a parameter, and [`sync`] is a state
//! machine that is given frames and asked for frames (features `tcp` and `mqtt` carry them, on threads of the
//! caller).
//!
//! # One replica, one store
//! A [`ReplicaId`] belongs to one store. The store raises its incarnation when it was not closed, when its
//! file is another one than before, and when a peer knows writes of it that are not here, so that no write is
//! ever named twice. What is beyond [`AgentDb::durable`] must not be sent.
//!
//! # On disk
//! A SQLite file by default, whose tables the `sqlite3` shell reads: `agent_state`, `agent_events`, `sync_log`;
//! WAL mode. FORMAT.md tells them. [`storage`] has other backends.
//!
//! # Limits
//! A field of 1 MiB, an event of 1 MiB, a record of 16 MiB, ids of 512 bytes, queries of 4 KiB, documents of
//! 64 MiB; a copy's clock may be an hour ahead. One transaction at a time: others wait, a second process up to
//! five seconds.
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
pub mod inspect;
mod leaf;
pub mod list;
pub mod offline;
mod path;
mod query;
mod schema;
mod series;
pub mod storage;
pub mod sync;
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
pub use schema::{Field, MAP_DEPTH_MAX, NAME_BYTES_MAX, SCHEMA_BYTES_MAX, Schema, Wins};
pub use series::{BUCKETS_MAX, Bucket, Retained, Retention, Series};
pub use time::Timestamp;
