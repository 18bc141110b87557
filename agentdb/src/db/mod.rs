//! The store: documents and events that are committed together.

mod open;
mod options;
mod read;
mod tx;
mod watch;
mod writer;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::causal::{Context, ReplicaId};
use crate::document::{Conflict, Document};
use crate::error::{Error, Result};
use crate::schema::Schema;
use crate::storage::{DocumentRow, Memory, Rows, Sqlite, Storage};
use crate::time::Timestamp;
use writer::{Handles, Shared};

pub(crate) use open::SCHEMAS;
pub use options::{CLOCK_AHEAD_MAX, CLOCK_DRIFT_MAX, Durability, Options};
pub use tx::{Submitted, Tx};
pub use watch::{Notice, WATCH_NOTICES_MAX, Watch, WatchFilter};

/// The longest document id, event type, namespace or key, in bytes.
pub const ID_BYTES_MAX: usize = 512;

/// The largest opaque record, in bytes.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// A document as it is read.
#[derive(Clone, Debug, PartialEq)]
pub struct Agent {
    /// Its id.
    pub id: String,
    /// Its fields.
    pub state: Value,
    /// What it has seen.
    pub clock: Context,
    /// How often it was committed here.
    pub version: i64,
    /// When it was last committed here.
    pub at: Timestamp,
}

/// The place of a change of a document in the order of this store's commits; grows. Not the same on other
/// replicas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Change(i64);

impl Change {
    /// The change with this number; 0 is before all.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// A handle of a store: documents that merge, and an event log.
///
/// Handles are cloned, one for each thread that writes; one transaction is open at a time, and others wait
/// for it. Reads see what was committed; where the backend can do that (SQLite) they do not wait for writes, and a
/// look-up by id does not wait for a long query.
/// A thread that holds a transaction of one handle and begins one of another waits for itself.
#[derive(Clone)]
pub struct AgentDb {
    inner: Arc<Inner>,
    handles: Handles,
}

/// Two readers beside the writer, so that a look-up waits neither for a commit nor for a long query.
struct Readers {
    lookups: Mutex<Box<dyn Rows>>,
    scans: Mutex<Box<dyn Rows>>,
}

struct Inner {
    /// Before the writer, so that they are closed first: the last one to close a SQLite file empties its log.
    readers: Option<Readers>,
    shared: Shared,
    schemas: BTreeMap<String, Schema>,
    options: Options,
    /// Whether a stop must be noted in the file.
    file: bool,
}

impl AgentDb {
    /// Opens a SQLite file, or makes it.
    ///
    /// # Errors
    /// [`Error::Open`]; [`Error::Format`] for a file of a newer release; [`Error::Foreign`].
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        let storage = Sqlite::open(path.as_ref(), &options.schemas)?;
        let file = open::file_number(path.as_ref());
        Self::over(Box::new(storage), options, Some(file))
    }

    /// Opens a file for reading alone, with the schemas that are kept in it. Nothing in it is changed, and a
    /// store that runs meanwhile is not disturbed; every commit is refused.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Foreign`], [`Error::Format`], [`Error::OldFormat`], [`Error::Schema`].
    pub fn read_only(path: impl AsRef<Path>) -> Result<Self> {
        let storage = Sqlite::read_only(path)?;
        let mut options = Options::new(ReplicaId::new(0));
        options.schemas = crate::inspect::schemas(&storage)?;
        Self::over(Box::new(storage), options, None)
    }

    /// A store that is gone with the process. Its replica id must be a new one each time.
    ///
    /// # Errors
    /// None that is known.
    pub fn in_memory(options: Options) -> Result<Self> {
        Self::over(Box::new(Memory::new()), options, None)
    }

    /// A store over any backend.
    ///
    /// # Errors
    /// What the backend says.
    pub fn with_storage(storage: Box<dyn Storage>, options: Options) -> Result<Self> {
        Self::over(storage, options, Some(0))
    }

    /// The replica that this store's writes are made by, in its present incarnation.
    pub fn replica(&self) -> ReplicaId {
        self.inner.shared.lock().replica
    }

    /// When its commits are on disk.
    pub fn durability(&self) -> Durability {
        self.inner.options.durability
    }

    /// How far the clock of another replica may be ahead.
    pub fn clock_ahead_max(&self) -> Duration {
        self.inner.options.clock_ahead_max
    }

    /// The schema with a name.
    pub fn schema(&self, name: &str) -> Option<&Schema> {
        self.inner.schemas.get(name)
    }

    /// Begins a transaction at `now`; without [`Tx::commit`] nothing of it is kept. Waits for one that is
    /// open.
    ///
    /// # Errors
    /// [`Error::Store`] when another process holds the file for longer than five seconds;
    /// [`Error::Poisoned`].
    pub fn begin(&mut self, now: Timestamp) -> Result<Tx<'_>> {
        let writer = self.inner.shared.begin(now)?;
        Ok(Tx::new(self, writer, now))
    }

    /// Brings everything that was committed to the disk itself; returns the last change that is there.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::DiskFull`], [`Error::Poisoned`].
    pub fn flush(&self) -> Result<Change> {
        self.inner.shared.flush().map(Change)
    }

    /// The last change that a power cut would not lose. Only these may be sent to others: a write that was
    /// sent, lost, and made anew with the same dot would never converge.
    pub fn durable(&self) -> Change {
        Change(self.inner.shared.durable())
    }

    /// Writes the log back into the file and shortens it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn compact(&self) -> Result<()> {
        self.flush()?;
        self.inner.shared.lock().storage.compact()
    }

    /// Lets the file grow to so many pages of 4 KiB; beyond, commits are refused with [`Error::DiskFull`].
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn limit_file(&self, pages: u32) -> Result<()> {
        self.inner.shared.lock().storage.limit(pages)
    }

    /// Looks for damage; what was found, in words. Reads everything.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn verify(&self) -> Result<Vec<String>> {
        let mut found = self.inner.shared.lock().storage.verify()?;
        let mut after: Option<String> = None;
        loop {
            let rows = self.rows(|rows| rows.documents(None, after.as_deref(), 256))?;
            let Some(last) = rows.last() else {
                return Ok(found);
            };
            after = Some(last.id.clone());
            for row in rows {
                if let Err(cause) = self.examine(&row) {
                    found.push(cause);
                }
            }
        }
    }

    /// Tells of what is committed from now on. Notices of other processes' commits are not given.
    pub fn watch(&self, filter: WatchFilter) -> Watch {
        self.inner.shared.lock().watchers.add(filter)
    }

    fn examine(&self, row: &DocumentRow) -> std::result::Result<(), String> {
        let id = &row.id;
        let document = decode(id, &row.crdt).map_err(|cause| cause.to_string())?;
        let schema = self.schema(&row.schema).ok_or_else(|| {
            format!(
                "document `{id}` is of schema `{}`, which is not known",
                row.schema
            )
        })?;
        document
            .check(schema)
            .map_err(|cause| format!("document `{id}`: {cause}"))?;
        let state = document.to_json(schema).to_string();
        if state != row.state {
            return Err(format!(
                "document `{id}`: its JSON is not what its mergeable form says"
            ));
        }
        Ok(())
    }

    /// Reads what was committed, by several statements over one state of it.
    fn rows<T>(&self, read: impl FnOnce(&dyn Rows) -> Result<T>) -> Result<T> {
        let Some(readers) = &self.inner.readers else {
            return self.lookup(read);
        };
        let reader = held(&readers.scans);
        reader.start()?;
        let result = read(&**reader);
        reader.end();
        result
    }

    /// Reads what was committed, by one statement, which is quick.
    fn lookup<T>(&self, read: impl FnOnce(&dyn Rows) -> Result<T>) -> Result<T> {
        match &self.inner.readers {
            Some(readers) => read(&**held(&readers.lookups)),
            None => read(&*self.inner.shared.lock().storage),
        }
    }

    /// How many handles there are.
    fn handles(&self) -> usize {
        Arc::strong_count(&self.handles)
    }
}

impl AgentDb {
    /// The concurrent writes of a document's registers; none when it is not there.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Damaged`], [`Error::UnknownSchema`].
    pub fn conflicts(&self, id: &str) -> Result<Vec<Conflict>> {
        let Some(document) = self.document(id)? else {
            return Ok(Vec::new());
        };
        let schema = self
            .schema(document.schema())
            .ok_or_else(|| Error::UnknownSchema(document.schema().to_owned()))?;
        Ok(document.conflicts(schema))
    }
}

/// A reader that another thread panicked with has begun nothing that lasts.
fn held(reader: &Mutex<Box<dyn Rows>>) -> MutexGuard<'_, Box<dyn Rows>> {
    reader.lock().unwrap_or_else(PoisonError::into_inner)
}

fn check_id(id: &str) -> Result<()> {
    if id.len() > ID_BYTES_MAX {
        return Err(Error::Limit {
            what: "length of an id in bytes",
            found: id.len(),
            limit: ID_BYTES_MAX,
        });
    }
    Ok(())
}

pub(crate) fn decode(id: &str, bytes: &[u8]) -> Result<Document> {
    Document::decode_stored(bytes).map_err(damaged(id))
}

fn parse(id: &str, text: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(damaged(id))
}

fn damaged<E: std::fmt::Display>(id: &str) -> impl FnOnce(E) -> Error + '_ {
    |cause| Error::Damaged {
        agent: id.to_owned(),
        cause: cause.to_string(),
    }
}

/// What is read is the JSON and the context; the leaves are left alone.
fn agent(row: DocumentRow) -> Result<Agent> {
    Ok(Agent {
        state: parse(&row.id, &row.state)?,
        clock: Document::decode_context(&row.crdt).map_err(damaged(&row.id))?,
        version: row.version,
        at: row.at,
        id: row.id,
    })
}
