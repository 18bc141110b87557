//! Rows in a `sled` database.
//!
//! # What it promises
//! Less than SQLite. A batch is applied whole or not at all, and a crash of the process loses nothing that
//! was committed. But sled 0.34 ends its log with `sync_file_range` on Linux, which writes the pages and
//! not the drive's cache nor the file's metadata: after a power cut commits of [`Sync::Disk`] may be missing. It is
//! the choice where no C compiler is to be had, and power does not fail.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sled::transaction::{ConflictableTransactionError, TransactionError, Transactional as _};
use sled::{Db, Tree};

use super::{Backlog, Batch, DocumentRow, EventFilter, Last, MarkRow, Rows, Storage, Sync};
use crate::causal::ReplicaId;
use crate::error::{Error, Result};
use crate::event::{Origin, Priority, Sequence, StoredEvent, SyncStatus};
use crate::time::Timestamp;

/// Between a key of the index and the id; how long the id is stands in the value.
const BREAK: u8 = 0;

/// Rows in a `sled` database; see the [module](self) for what it promises.
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

fn number(place: i64) -> Vec<u8> {
    place.to_be_bytes().to_vec()
}

fn as_number(bytes: &[u8]) -> i64 {
    bytes
        .first_chunk::<8>()
        .map_or(0, |bytes| i64::from_be_bytes(*bytes))
}

/// Names, each with its length before it, so that none runs into the next.
fn names(names: &[&str]) -> Vec<u8> {
    let mut key = Vec::new();
    for name in names {
        key.extend_from_slice(&(name.len() as u32).to_be_bytes());
        key.extend_from_slice(name.as_bytes());
    }
    key
}

fn record_key(namespace: &str, key: &str) -> Vec<u8> {
    [&names(&[namespace])[..], key.as_bytes()].concat()
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
            [&head[..], &entry.key, &[BREAK], entry.id.as_bytes()].concat()
        };
        for entry in &batch.unindexed {
            changes.push((INDEX, index(entry), None));
        }
        for entry in &batch.indexed {
            let len = entry.id.len() as u64;
            changes.push((INDEX, index(entry), Some(len.to_be_bytes().to_vec())));
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

fn received_key(origin: Origin) -> Vec<u8> {
    let word = format!("{} {}", origin.replica, origin.sequence.get());
    word.into_bytes()
}

fn damaged(what: String, cause: impl std::fmt::Display) -> Error {
    Error::Damaged {
        agent: what,
        cause: cause.to_string(),
    }
}

fn document(id: &[u8], value: &[u8]) -> Result<DocumentRow> {
    let id = String::from_utf8_lossy(id).into_owned();
    let cut = || damaged(id.clone(), "its row ends too early");
    let (len, rest) = value.split_first_chunk::<8>().ok_or_else(cut)?;
    let len = usize::try_from(u64::from_be_bytes(*len)).map_err(|_| cut())?;
    let (json, crdt) = rest.split_at_checked(len).ok_or_else(cut)?;
    let data: DocumentData =
        serde_json::from_slice(json).map_err(|cause| damaged(id.clone(), cause))?;
    Ok(DocumentRow {
        id,
        schema: data.schema,
        state: data.state,
        crdt: crdt.to_vec(),
        version: data.version,
        at: Timestamp::from_millis(data.at),
        changed: data.changed,
    })
}

fn event(sequence: Sequence, data: &[u8]) -> Result<StoredEvent> {
    let name = || format!("event {}", sequence.get());
    let data: EventData = serde_json::from_slice(data).map_err(|cause| damaged(name(), cause))?;
    let priority = Priority::from_number(data.priority)
        .ok_or_else(|| damaged(name(), "its priority is not known"))?;
    let origin = data.origin.map(|(replica, incarnation, place)| Origin {
        replica: ReplicaId::new(replica).with_incarnation(incarnation),
        sequence: Sequence::new(place),
    });
    Ok(StoredEvent {
        sequence,
        agent: data.agent,
        event_type: data.event_type,
        payload: data.payload,
        priority,
        at: Timestamp::from_millis(data.at),
        origin,
    })
}

impl Rows for Sled {
    fn document(&self, id: &str) -> Result<Option<DocumentRow>> {
        let value = self.get(DOCUMENTS, id.as_bytes())?;
        value
            .map(|value| document(id.as_bytes(), &value))
            .transpose()
    }

    fn documents(
        &self,
        schema: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DocumentRow>> {
        let from = after.unwrap_or_default().as_bytes();
        let mut rows = Vec::new();
        for pair in self.trees.documents.range(from..) {
            let (id, value) = pair.map_err(sled_error)?;
            if after.is_some() && *id == *from {
                continue;
            }
            if rows.len() == limit {
                break;
            }
            let row = document(&id, &value)?;
            if schema.is_none_or(|schema| row.schema == schema) {
                rows.push(row);
            }
        }
        Ok(rows)
    }

    fn changes(&self, after: i64, limit: usize) -> Result<Vec<(String, i64)>> {
        let from = number(after.saturating_add(1));
        let range = self.trees.changes.range(from..).take(limit);
        range
            .map(|pair| {
                let (place, id) = pair.map_err(sled_error)?;
                Ok((String::from_utf8_lossy(&id).into_owned(), as_number(&place)))
            })
            .collect()
    }

    fn index(
        &self,
        schema: &str,
        field: &str,
        from: &[u8],
        to: &[u8],
        after: Option<(&[u8], &str)>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, String)>> {
        let head = names(&[schema, field]);
        let start = match after {
            Some((key, id)) => [&head[..], key, &[BREAK], id.as_bytes()].concat(),
            None => [&head[..], from].concat(),
        };
        let mut found = Vec::new();
        for pair in self.trees.index.range(start.clone()..) {
            let (entry, len) = pair.map_err(sled_error)?;
            let Some(rest) = entry.strip_prefix(&head[..]) else {
                break;
            };
            if found.len() == limit {
                break;
            }
            let len = usize::try_from(as_number(&len)).unwrap_or(usize::MAX);
            let Some(at) = rest.len().checked_sub(len + 1) else {
                continue;
            };
            let (key, id) = (&rest[..at], &rest[at + 1..]);
            if key > to {
                break;
            }
            let is_after = after.is_some() && *entry == *start;
            if key >= from && !is_after {
                found.push((key.to_vec(), String::from_utf8_lossy(id).into_owned()));
            }
        }
        Ok(found)
    }

    fn events(
        &self,
        filter: &EventFilter<'_>,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<StoredEvent>> {
        let from = number(after.get().saturating_add(1));
        // The log of what waits is short where the log of all is long.
        let tree = match filter.status {
            Some(SyncStatus::Waiting) => &self.trees.waiting,
            _ => &self.trees.events,
        };
        let mut events = Vec::new();
        for pair in tree.range(from..) {
            if events.len() == limit {
                break;
            }
            let (key, _) = pair.map_err(sled_error)?;
            let sequence = Sequence::new(as_number(&key));
            let Some(event) = self.event(sequence)? else {
                continue;
            };
            let status = match filter.status {
                Some(_) => self.mark(sequence)?.map(|mark| mark.status),
                None => None,
            };
            let takes = filter.agent.is_none_or(|agent| event.agent == agent)
                && filter
                    .event_type
                    .is_none_or(|kind| event.event_type == kind)
                && filter
                    .priority
                    .is_none_or(|priority| event.priority == priority)
                && filter.from.is_none_or(|from| event.at >= from)
                && filter.before.is_none_or(|before| event.at < before)
                && filter.status == status;
            if takes {
                events.push(event);
            }
        }
        Ok(events)
    }

    fn received(&self, origin: Origin) -> Result<Option<Sequence>> {
        let place = self.get(RECEIVED, &received_key(origin))?;
        Ok(place.map(|place| Sequence::new(as_number(&place))))
    }

    fn mark(&self, sequence: Sequence) -> Result<Option<MarkRow>> {
        let Some(value) = self.get(MARKS, &number(sequence.get()))? else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&value);
        let (word, note) = text.split_once('\0').unwrap_or((&text, ""));
        let status = SyncStatus::from_word(word)
            .ok_or_else(|| damaged(format!("event {}", sequence.get()), "its mark is not known"))?;
        Ok(Some(MarkRow {
            sequence,
            status,
            note: note.strip_prefix('+').map(str::to_owned),
        }))
    }

    fn backlog(&self, priority: Priority) -> Result<Backlog> {
        let mut backlog = Backlog::default();
        for value in self.trees.waiting.iter().values() {
            let value = value.map_err(sled_error)?;
            if value.first() == Some(&(priority as u8)) {
                backlog.count += 1;
                backlog.bytes += as_number(&value[1..]).unsigned_abs();
            }
        }
        Ok(backlog)
    }

    fn record(&self, namespace: &str, key: &str) -> Result<Option<Vec<u8>>> {
        self.get(RECORDS, &record_key(namespace, key))
    }

    fn records(
        &self,
        namespace: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>> {
        let head = names(&[namespace]);
        let start = record_key(namespace, after);
        let mut records = Vec::new();
        for pair in self.trees.records.range(start..) {
            let (key, value) = pair.map_err(sled_error)?;
            let Some(key) = key.strip_prefix(&head[..]) else {
                break;
            };
            if records.len() == limit {
                break;
            }
            if key != after.as_bytes() {
                records.push((String::from_utf8_lossy(key).into_owned(), value.to_vec()));
            }
        }
        Ok(records)
    }

    fn meta(&self, key: &str) -> Result<Option<i64>> {
        Ok(self
            .get(META, key.as_bytes())?
            .map(|value| as_number(&value)))
    }

    fn last(&self) -> Result<Last> {
        Ok(Last {
            changed: self.meta("last/changed")?.unwrap_or(0),
            event: self.meta("last/event")?.unwrap_or(0),
        })
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
