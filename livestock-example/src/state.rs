//! State, journal and outbox: one `agentdb` file.
//!
//! The incident workflow's journal lives in the same file as the incidents and the outbox, so that a
//! step's checkpoint and what it wrote are one transaction: [`AgentJournal`].

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use agentdb::offline::Policy;
use agentdb::{
    AgentDb, Durability, Field, Options, Priority, ReplicaId, Schema, Sequence, StoredEvent,
    SyncStatus,
};
use flowcore::journal::{Batch, Op};
use flowcore::{Journal, JournalError, RunId, StateWrite, StateWrites};
use serde_json::Value;

use crate::incident::IncidentKind;
use crate::time::Timestamp;
use crate::workflow::{Alert, Cases, INCIDENTS, OUTBOX};

const FILE: &str = "gateway.db";
/// The gateway does not sync with others, so that every one may be the first replica.
const REPLICA: ReplicaId = ReplicaId::new(1);
const LOG: &str = "flow.log";

/// Why the state cannot be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The folder cannot be made.
    #[error("cannot make the state's folder {}: {cause}; name another with --state DIR", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The store refused.
    #[error("state: {0}")]
    Store(#[from] agentdb::Error),
    /// The outbox holds what is no alert.
    #[error("state: event {sequence} of the outbox is no alert: {cause}")]
    Damaged {
        /// The event's place.
        sequence: i64,
        /// What is wrong.
        cause: String,
    },
}

/// An alert and its place in the outbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Grows from alert to alert.
    pub sequence: u64,
    /// The alert.
    pub alert: Alert,
}

/// The gateway's state, shared between the workflow and the outbox.
pub struct State {
    db: Arc<Mutex<AgentDb>>,
}

impl State {
    /// Opens the state in a folder, or makes it.
    ///
    /// # Errors
    /// [`StateError`] when the folder or the file cannot be had.
    pub fn open(folder: &Path) -> Result<Self, StateError> {
        std::fs::create_dir_all(folder).map_err(|cause| StateError::Folder {
            path: folder.to_owned(),
            cause,
        })?;
        let incident = Schema::new(INCIDENTS)
            .field(
                "status",
                Field::status(&["open", "escalated", "acknowledged"]),
            )
            .field("kind", Field::Lww)
            .field("place", Field::Lww)
            .field("camera", Field::Lww)
            .field("animal", Field::Lww)
            .field("first", Field::Lww)
            .field("last", Field::Max)
            .field("raised", Field::Lww)
            .field("by", Field::Lww);
        let options = Options::new(REPLICA)
            .durability(Durability::Immediate)
            // Every event is an alert and none may give way to another; incidents are rare.
            .offline(Policy::unbounded())
            .schema(incident);
        let db = AgentDb::open(folder.join(FILE), options)?;
        Ok(Self {
            db: Arc::new(Mutex::new(db)),
        })
    }

    /// The workflow's journal over this state.
    pub fn journal(&self) -> AgentJournal {
        AgentJournal {
            db: self.db.clone(),
        }
    }

    /// Up to `limit` alerts after a place, oldest first.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn alerts_after(&self, sequence: u64, limit: usize) -> Result<Vec<Entry>, StateError> {
        entries(self.db().events_after(place(sequence), limit)?)
    }

    /// Up to `limit` alerts after a place that no broker has taken, oldest first.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn waiting_after(&self, sequence: u64, limit: usize) -> Result<Vec<Entry>, StateError> {
        entries(self.db().waiting_after(place(sequence), limit)?)
    }

    /// How many alerts no broker has taken.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn waiting(&self) -> Result<u64, StateError> {
        Ok(self.db().waiting()?)
    }

    /// The place of the last alert; 0 without any.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn last_alert(&self) -> Result<u64, StateError> {
        Ok(u64::try_from(self.db().last_event()?.get()).unwrap_or(0))
    }

    /// Notes that a broker has an alert.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn mark_delivered(&self, sequence: u64) -> Result<(), StateError> {
        self.mark(sequence, SyncStatus::Delivered, None)
    }

    /// Notes that a broker will not have an alert, and why.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn mark_refused(&self, sequence: u64, cause: &str) -> Result<(), StateError> {
        self.mark(sequence, SyncStatus::Refused, Some(cause))
    }

    fn mark(
        &self,
        sequence: u64,
        status: SyncStatus,
        note: Option<&str>,
    ) -> Result<(), StateError> {
        let mut db = self.db();
        // The time of a mark is not kept.
        let mut tx = db.begin(agentdb::Timestamp::from_millis(0))?;
        tx.mark(place(sequence), status, note)?;
        tx.commit()?;
        Ok(())
    }

    /// Brings everything to the disk itself and shortens the log.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn flush(&self) -> Result<(), StateError> {
        self.db().flush()?;
        Ok(())
    }

    fn db(&self) -> MutexGuard<'_, AgentDb> {
        lock(&self.db)
    }
}

/// A thread that panicked within a transaction left none of it: the store is whole.
fn lock(db: &Mutex<AgentDb>) -> MutexGuard<'_, AgentDb> {
    db.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

fn place(sequence: u64) -> Sequence {
    Sequence::new(i64::try_from(sequence).unwrap_or(i64::MAX))
}

fn entries(events: Vec<StoredEvent>) -> Result<Vec<Entry>, StateError> {
    events
        .into_iter()
        .map(|event| {
            let sequence = event.sequence.get();
            let alert =
                serde_json::from_value(event.payload).map_err(|cause| StateError::Damaged {
                    sequence,
                    cause: cause.to_string(),
                })?;
            Ok(Entry {
                sequence: u64::try_from(sequence).unwrap_or(0),
                alert,
            })
        })
        .collect()
}

impl Cases for State {
    fn told_since(
        &self,
        kind: IncidentKind,
        place: &str,
        id: &str,
        since: Timestamp,
    ) -> Result<bool, String> {
        let query = format!(
            "kind == '{}' && place == '{}' && last >= {}",
            kind.as_str(),
            place.replace('\'', ""),
            since.as_millis()
        );
        let told = self
            .db()
            .query(INCIDENTS, &query)
            .map_err(|cause| cause.to_string())?;
        Ok(told.iter().any(|incident| incident.id != id))
    }
}

/// `flowcore`'s journal in the gateway's state: a step's checkpoint and its state writes are one transaction.
pub struct AgentJournal {
    db: Arc<Mutex<AgentDb>>,
}

impl AgentJournal {
    fn apply(&self, batch: &Batch) -> agentdb::Result<()> {
        let mut db = lock(&self.db);
        let mut tx = db.begin(agentdb::Timestamp::from_millis(newest(batch)))?;
        for op in &batch.ops {
            match op {
                Op::Append { run, seq, record } => {
                    let key = log_key(*run, *seq);
                    if tx.get_record(LOG, &key)?.is_none() {
                        tx.put_record(LOG, &key, record)?;
                    }
                }
                Op::Truncate { run, before } => {
                    tx.delete_records(LOG, &log_key(*run, 0), &log_key(*run, *before))?;
                }
                Op::Put { space, key, value } => tx.put_record(&namespace(space), key, value)?,
                Op::Delete { space, key } => tx.delete_record(&namespace(space), key)?,
                Op::State(write) => apply_state(&mut tx, write)?,
            }
        }
        tx.commit()?;
        Ok(())
    }
}

/// The time of a batch is that of the newest state that it writes.
fn newest(batch: &Batch) -> i64 {
    let raised = |op: &Op| match op {
        Op::State(write) => write.body["raised"].as_i64(),
        _ => None,
    };
    batch.ops.iter().filter_map(raised).max().unwrap_or(0)
}

fn apply_state(tx: &mut agentdb::Tx<'_>, write: &StateWrite) -> agentdb::Result<()> {
    if write.collection == OUTBOX {
        let kind = write.body["message"].as_str().unwrap_or("alert");
        tx.append_event(&write.key, kind, &write.body, Priority::SafetyCritical)?;
        return Ok(());
    }
    let Value::Object(fields) = &write.body else {
        return Ok(());
    };
    let mut incident = tx.agent(&write.collection, &write.key)?;
    for (field, value) in fields {
        match (field.as_str(), value) {
            ("status", Value::String(status)) => incident.status(field, status)?,
            ("last", Value::Number(last)) => incident.max(field, last.as_f64().unwrap_or(0.0))?,
            _ => incident.set(field, value.clone())?,
        };
    }
    Ok(())
}

fn namespace(space: &str) -> String {
    format!("flow.{space}")
}

/// Keys sort as numbers do.
fn log_key(run: RunId, seq: u64) -> String {
    format!("{:020}/{seq:020}", run.as_u64())
}

impl Journal for AgentJournal {
    fn commit(&mut self, batch: &Batch) -> Result<(), JournalError> {
        self.apply(batch).map_err(JournalError::store)
    }

    fn log(&self, run: RunId) -> Result<Vec<(u64, Vec<u8>)>, JournalError> {
        const PAGE: usize = 1000;
        let db = lock(&self.db);
        let prefix = format!("{:020}/", run.as_u64());
        let mut records = Vec::new();
        let mut after = prefix.clone();
        loop {
            let page = db
                .scan_records(LOG, &after, PAGE)
                .map_err(JournalError::store)?;
            let whole = page.len() == PAGE;
            for (key, record) in page {
                let Some(seq) = key.strip_prefix(&prefix) else {
                    return Ok(records);
                };
                records.push((seq.parse().map_err(JournalError::store)?, record));
                after = key;
            }
            if !whole {
                return Ok(records);
            }
        }
    }

    fn get(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        lock(&self.db)
            .get_record(&namespace(space), key)
            .map_err(JournalError::store)
    }

    fn scan(
        &self,
        space: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, JournalError> {
        lock(&self.db)
            .scan_records(&namespace(space), after, limit)
            .map_err(JournalError::store)
    }

    fn state_writes(&self) -> StateWrites {
        StateWrites::Atomic
    }
}
