//! Where rows are kept: what a backend must do, and nothing of what they mean.
//!
//! A backend keeps rows of documents, events, what became of events, opaque records, an index and a few
//! numbers of the store. It takes a [`Batch`] whole or not at all. `tests/it/storage.rs` holds every backend
//! to the same promises.

mod memory;
mod migrate;
#[cfg(feature = "sled")]
mod sled;
mod sqlite;

use std::collections::BTreeMap;

use crate::error::Result;
use crate::event::{Origin, Priority, Sequence, StoredEvent, SyncStatus};
use crate::time::Timestamp;

pub use memory::Memory;
#[cfg(feature = "sled")]
pub use sled::Sled;
pub use sqlite::Sqlite;

/// A document as it is kept.
#[derive(Clone, Debug, PartialEq)]
pub struct DocumentRow {
    /// Its id.
    pub id: String,
    /// The name of its schema.
    pub schema: String,
    /// Its fields as JSON, for readers.
    pub state: String,
    /// Its mergeable form.
    pub crdt: Vec<u8>,
    /// How often it was committed here.
    pub version: i64,
    /// When it was last committed here.
    pub at: Timestamp,
    /// The store's how-manieth change of a document this was; no two documents have the same.
    pub changed: i64,
}

/// A value of an indexed field of a document; sorted by schema, field, key, id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexEntry {
    /// The name of the schema.
    pub schema: String,
    /// The indexed field.
    pub field: String,
    /// The value, in bytes that sort as values do.
    pub key: Vec<u8>,
    /// The document.
    pub id: String,
}

/// What became of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkRow {
    /// Which event.
    pub sequence: Sequence,
    /// What became of it.
    pub status: SyncStatus,
    /// A word for people.
    pub note: Option<String>,
}

/// Which events of the log.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventFilter<'a> {
    /// Of this document.
    pub agent: Option<&'a str>,
    /// Of this type.
    pub event_type: Option<&'a str>,
    /// Of this priority.
    pub priority: Option<Priority>,
    /// Of which this became.
    pub status: Option<SyncStatus>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub before: Option<Timestamp>,
}

/// Changes that a backend keeps together or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// Documents, which replace those of the same id.
    pub documents: Vec<DocumentRow>,
    /// Entries of the index that are gone.
    pub unindexed: Vec<IndexEntry>,
    /// Entries of the index that are new.
    pub indexed: Vec<IndexEntry>,
    /// Events, upwards; they wait.
    pub events: Vec<StoredEvent>,
    /// What became of events.
    pub marks: Vec<MarkRow>,
    /// Events that are no longer kept.
    pub expired: Vec<Sequence>,
    /// Records by namespace and key; none removes.
    pub records: BTreeMap<(String, String), Option<Vec<u8>>>,
    /// Numbers of the store.
    pub meta: BTreeMap<String, i64>,
}

impl Batch {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The last numbers that were given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Last {
    /// To a change of a document.
    pub changed: i64,
    /// To an event.
    pub event: i64,
}

/// Events that wait, of one priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// How many.
    pub count: u64,
    /// The bytes of their payloads.
    pub bytes: u64,
}

/// Reading rows. What was applied and not committed is seen by the backend that applied it, not by a
/// [`reader`](Storage::reader).
pub trait Rows: Send {
    /// A document.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store), as for all of these.
    fn document(&self, id: &str) -> Result<Option<DocumentRow>>;

    /// Up to `limit` documents of a schema, or of any, with ids above `after`, by id.
    ///
    /// # Errors
    /// As [`document`](Self::document).
    fn documents(
        &self,
        schema: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DocumentRow>>;

    /// Up to `limit` documents that were changed after a number: id and number, by number.
    ///
    /// # Errors
    /// As [`document`](Self::document).
    fn changes(&self, after: i64, limit: usize) -> Result<Vec<(String, i64)>>;

    /// Up to `limit` entries of the index of a field, with keys from `from` to `to`, both included, upwards,
    /// above `after` where it is given.
    ///
    /// # Errors
    /// As [`document`](Self::document).
    fn index(
        &self,
        schema: &str,
        field: &str,
        from: &[u8],
        to: &[u8],
        after: Option<(&[u8], &str)>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, String)>>;

    /// Up to `limit` events after a place that a filter lets through, oldest first.
    ///
    /// # Errors
    /// As [`document`](Self::document); [`Error::Damaged`](crate::Error::Damaged).
    fn events(
        &self,
        filter: &EventFilter<'_>,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<StoredEvent>>;

    /// The place here of an event that was received from elsewhere.
    ///
    /// # Errors
    /// As [`document`](Self::document).
    fn received(&self, origin: Origin) -> Result<Option<Sequence>>;

    /// What became of an event.
    ///
    /// # Errors
    /// As [`document`](Self::document).
    fn mark(&self, sequence: Sequence) -> Result<Option<MarkRow>>;

    /// The events of a priority that wait.
    ///
    /// # Errors
    /// As [`document`](Self::document).
    fn backlog(&self, priority: Priority) -> Result<Backlog>;

    /// A record.
    ///
    /// # Errors
    /// As [`document`](Self::document).
    fn record(&self, namespace: &str, key: &str) -> Result<Option<Vec<u8>>>;

    /// Up to `limit` records of a namespace above `after`, by key.
    ///
    /// # Errors
    /// As [`document`](Self::document).
    fn records(&self, namespace: &str, after: &str, limit: usize)
    -> Result<Vec<(String, Vec<u8>)>>;

    /// A number of the store.
    ///
    /// # Errors
    /// As [`document`](Self::document).
    fn meta(&self, key: &str) -> Result<Option<i64>>;

    /// The last numbers that were given.
    ///
    /// # Errors
    /// As [`document`](Self::document).
    fn last(&self) -> Result<Last>;
}

/// Whether a commit is on the disk when it returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// A power cut loses nothing of it.
    Disk,
    /// A crash of the process loses nothing of it.
    System,
}

/// A backend.
pub trait Storage: Rows {
    /// Takes the right to write, until [`commit`](Self::commit) or [`rollback`](Self::rollback); nothing
    /// where it has it. Others wait for it.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store) when another process keeps it for too long.
    fn begin(&mut self) -> Result<()>;

    /// Applies a batch after those before it, whole or not at all.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store): nothing of this batch was applied.
    fn apply(&mut self, batch: &Batch) -> Result<()>;

    /// Keeps all batches that were applied since [`begin`](Self::begin), and those of earlier commits.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store): what is kept is known only after the store is opened anew.
    fn commit(&mut self, sync: Sync) -> Result<()>;

    /// Forgets all batches that were applied since [`begin`](Self::begin).
    fn rollback(&mut self);

    /// One that reads what was committed, at the same time as this one writes; none where a backend has no
    /// such.
    ///
    /// # Errors
    /// [`Error::Open`](crate::Error::Open).
    fn reader(&self) -> Result<Option<Box<dyn Rows>>> {
        Ok(None)
    }

    /// Makes the files as small as they can be.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    fn compact(&mut self) -> Result<()> {
        Ok(())
    }

    /// Looks for damage of the files; what was found, in words.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    fn verify(&self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }
}
