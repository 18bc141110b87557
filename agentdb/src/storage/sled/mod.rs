//! Rows in a `sled` database.
//!
//! # What it promises
//! Less than SQLite. A batch is applied whole or not at all, and a crash of the process loses nothing that
//! was committed. But sled 0.34 ends its log with `sync_file_range` on Linux, which writes the pages and
//! not the drive's cache nor the file's metadata: after a power cut commits of [`Sync::Disk`] may be missing. It is
//! the choice where no C compiler is to be had, and power does not fail.

mod keys;
mod rows;

use std::path::Path;

use serde::{Deserialize, Serialize};
use sled::transaction::{ConflictableTransactionError, TransactionError, Transactional as _};
use sled::{Db, Tree};

use super::{Batch, Rows as _, Storage, Sync};
use crate::error::{Error, Result};
use crate::event::{Sequence, StoredEvent, SyncStatus};
use keys::{END, escaped, names, number, received_key, record_key};
use rows::event;

/// Rows in a `sled` database.
///
/// It promises less than SQLite: a crash of the process loses nothing that was committed, but its flush does
/// not fsync on Linux, so a power cut may lose commits of [`Sync::Disk`] too.
#[derive(Debug)]
pub struct Sled {
    db: Db,
    trees: Trees,
    /// What takes back the batches since `begin`.
    undo: Vec<Vec<Change>>,
}

#[derive(Debug, Clone)]
struct Trees {
    documents: Tree,
    changes: Tree,
    index: Tree,
    events: Tree,
    marks: Tree,
    waiting: Tree,
    received: Tree,
    records: Tree,
    meta: Tree,
}

/// A tree by its place in [`Trees::all`], a key, and its value.
type Change = (usize, Vec<u8>, Option<Vec<u8>>);

const DOCUMENTS: usize = 0;
const CHANGES: usize = 1;
const INDEX: usize = 2;
const EVENTS: usize = 3;
const MARKS: usize = 4;
const WAITING: usize = 5;
const RECEIVED: usize = 6;
const RECORDS: usize = 7;
const META: usize = 8;

#[derive(Serialize, Deserialize)]
struct EventData {
    agent: String,
    event_type: String,
    payload: serde_json::Value,
    priority: i64,
    at: i64,
    origin: Option<(u64, u32, i64)>,
}

#[derive(Serialize, Deserialize)]
struct DocumentData {
    schema: String,
    state: String,
    version: i64,
    at: i64,
    changed: i64,
}

fn store(cause: impl std::error::Error + Send + std::marker::Sync + 'static) -> Error {
    Error::Store(Box::new(cause))
}

fn sled_error(cause: sled::Error) -> Error {
    match &cause {
        sled::Error::Io(io) if io.kind() == std::io::ErrorKind::StorageFull => Error::DiskFull,
        _ => store(cause),
    }
}

impl Trees {
    fn all(&self) -> [&Tree; 9] {
        [
            &self.documents,
            &self.changes,
            &self.index,
            &self.events,
            &self.marks,
            &self.waiting,
            &self.received,
            &self.records,
            &self.meta,
        ]
    }
}

impl Sled {
    /// Opens a folder, or makes it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let db = sled::Config::new()
            .path(folder)
            .flush_every_ms(None)
            .open()
            .map_err(sled_error)?;
        let tree = |name: &str| db.open_tree(name).map_err(sled_error);
        let trees = Trees {
            documents: tree("documents")?,
            changes: tree("changes")?,
            index: tree("index")?,
            events: tree("events")?,
            marks: tree("marks")?,
            waiting: tree("waiting")?,
            received: tree("received")?,
            records: tree("records")?,
            meta: tree("meta")?,
        };
        Ok(Self {
            db,
            trees,
            undo: Vec::new(),
        })
    }

    fn get(&self, tree: usize, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let value = self.trees.all()[tree].get(key).map_err(sled_error)?;
        Ok(value.map(|value| value.to_vec()))
    }

    /// What a batch puts where.
    fn changes_of(&self, batch: &Batch) -> Result<Vec<Change>> {
        let mut changes: Vec<Change> = Vec::new();
        let mut last = self.last()?;
        for row in &batch.documents {
            if let Some(before) = self.document(&row.id)? {
                changes.push((CHANGES, number(before.changed), None));
            }
            last.changed = last.changed.max(row.changed);
            let data = DocumentData {
                schema: row.schema.clone(),
                state: row.state.clone(),
                version: row.version,
                at: row.at.as_millis(),
                changed: row.changed,
            };
            let json = serde_json::to_vec(&data).map_err(store)?;
            let mut value = (json.len() as u64).to_be_bytes().to_vec();
            value.extend_from_slice(&json);
            value.extend_from_slice(&row.crdt);
            changes.push((DOCUMENTS, row.id.clone().into_bytes(), Some(value)));
            changes.push((
                CHANGES,
                number(row.changed),
                Some(row.id.clone().into_bytes()),
            ));
        }
        let index = |entry: &super::IndexEntry| {
            let head = names(&[&entry.schema, &entry.field]);
            [&head[..], &escaped(&entry.key), &END, entry.id.as_bytes()].concat()
        };
        for entry in &batch.unindexed {
            changes.push((INDEX, index(entry), None));
        }
        for entry in &batch.indexed {
            changes.push((INDEX, index(entry), Some(Vec::new())));
        }
        for event in &batch.events {
            last.event = last.event.max(event.sequence.get());
            let origin = event.origin.map(|origin| {
                let replica = origin.replica;
                (replica.get(), replica.incarnation(), origin.sequence.get())
            });
            let data = EventData {
                agent: event.agent.clone(),
                event_type: event.event_type.clone(),
                payload: event.payload.clone(),
                priority: event.priority as i64,
                at: event.at.as_millis(),
                origin,
            };
            let key = number(event.sequence.get());
            let bytes = event.payload.to_string().len() as u64;
            changes.push((
                EVENTS,
                key.clone(),
                Some(serde_json::to_vec(&data).map_err(store)?),
            ));
            changes.push((MARKS, key.clone(), Some(b"waiting".to_vec())));
            let waiting = [&[event.priority as u8][..], &bytes.to_be_bytes()].concat();
            changes.push((WAITING, key.clone(), Some(waiting)));
            if let Some(origin) = event.origin {
                changes.push((RECEIVED, received_key(origin), Some(key)));
            }
        }
        for mark in &batch.marks {
            let key = number(mark.sequence.get());
            let pending = batch
                .events
                .iter()
                .find(|event| event.sequence == mark.sequence);
            let stored = self.event(mark.sequence)?;
            let Some(event) = pending.or(stored.as_ref()) else {
                continue;
            };
            let note = mark.note.as_deref().unwrap_or_default();
            let has = if mark.note.is_some() { "+" } else { "" };
            let value = format!("{}\0{has}{note}", mark.status.as_str());
            changes.push((MARKS, key.clone(), Some(value.into_bytes())));
            let bytes = event.payload.to_string().len() as u64;
            let waiting = [&[event.priority as u8][..], &bytes.to_be_bytes()].concat();
            let waits = mark.status == SyncStatus::Waiting;
            changes.push((WAITING, key, waits.then_some(waiting)));
        }
        for sequence in &batch.expired {
            let key = number(sequence.get());
            if let Some(origin) = self.event(*sequence)?.and_then(|event| event.origin) {
                changes.push((RECEIVED, received_key(origin), None));
            }
            for tree in [EVENTS, MARKS, WAITING] {
                changes.push((tree, key.clone(), None));
            }
        }
        for ((namespace, key), value) in &batch.records {
            changes.push((RECORDS, record_key(namespace, key), value.clone()));
        }
        for (key, value) in &batch.meta {
            changes.push((META, key.clone().into_bytes(), Some(number(*value))));
        }
        changes.push((META, b"last/changed".to_vec(), Some(number(last.changed))));
        changes.push((META, b"last/event".to_vec(), Some(number(last.event))));
        Ok(changes)
    }

    /// Puts changes, all or none; returns what takes them back.
    fn put(&self, changes: &[Change]) -> Result<Vec<Change>> {
        let [
            documents,
            changed,
            index,
            events,
            marks,
            waiting,
            received,
            records,
            meta,
        ] = self.trees.all();
        let trees = (
            documents, changed, index, events, marks, waiting, received, records, meta,
        );
        let put = trees.transaction(|trees| {
            let trees = [
                &trees.0, &trees.1, &trees.2, &trees.3, &trees.4, &trees.5, &trees.6, &trees.7,
                &trees.8,
            ];
            let mut undo = Vec::with_capacity(changes.len());
            for (tree, key, value) in changes {
                let before = match value {
                    Some(value) => trees[*tree].insert(key.as_slice(), value.as_slice())?,
                    None => trees[*tree].remove(key.as_slice())?,
                };
                undo.push((*tree, key.clone(), before.map(|value| value.to_vec())));
            }
            undo.reverse();
            Ok::<_, ConflictableTransactionError<Error>>(undo)
        });
        put.map_err(|cause| match cause {
            TransactionError::Abort(cause) => cause,
            TransactionError::Storage(cause) => sled_error(cause),
        })
    }

    fn event(&self, sequence: Sequence) -> Result<Option<StoredEvent>> {
        let data = self.get(EVENTS, &number(sequence.get()))?;
        data.map(|data| event(sequence, &data)).transpose()
    }
}

impl Storage for Sled {
    fn begin(&mut self) -> Result<()> {
        Ok(())
    }

    fn apply(&mut self, batch: &Batch) -> Result<()> {
        let changes = self.changes_of(batch)?;
        let undo = self.put(&changes)?;
        self.undo.push(undo);
        Ok(())
    }

    fn commit(&mut self, sync: Sync) -> Result<()> {
        self.undo.clear();
        // Without this a crash of the process would lose what sled still holds: both levels need it.
        let _ = sync;
        self.db.flush().map_err(sled_error)?;
        Ok(())
    }

    fn rollback(&mut self) {
        while let Some(undo) = self.undo.pop() {
            if self.put(&undo).is_err() {
                return;
            }
        }
    }
}
