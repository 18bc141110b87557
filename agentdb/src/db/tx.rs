//! Changes that are kept together or not at all.

use std::collections::BTreeMap;
use std::sync::MutexGuard;

use serde_json::Value;

use super::open::note_incarnation;
use super::writer::{Group, Writer};
use super::{AgentDb, Change, RECORD_BYTES_MAX, check_id, decode};
use crate::causal::{Context, ReplicaId, Stamp};
use crate::document::{DOCUMENT_BYTES_MAX, Document, Edit, Joined};
use crate::error::{Error, Result};
use crate::event::{EVENT_BYTES_MAX, Origin, Priority, Sequence, StoredEvent, SyncStatus};
use crate::offline::Account;
use crate::query::key;
use crate::schema::Schema;
use crate::storage::{Batch, DocumentRow, EventFilter, IndexEntry, MarkRow};
use crate::time::Timestamp;

/// A page of a scan.
const PAGE: usize = 1_000;

/// A document that this transaction has looked at.
struct Open {
    document: Document,
    version: i64,
    /// The values of its indexed fields before.
    indexed: Vec<(String, Vec<u8>)>,
    /// What it had seen before.
    before: Context,
    /// Whether a join has told anything.
    joined: bool,
}

/// Changes that are kept together or not at all.
pub struct Tx<'db> {
    db: &'db AgentDb,
    writer: Option<MutexGuard<'db, Writer>>,
    now: Timestamp,
    stamp: Stamp,
    documents: BTreeMap<String, Open>,
    batch: Batch,
    next_event: i64,
}

/// A commit that will be kept soon.
#[derive(Clone, Debug)]
pub struct Submitted {
    group: Group,
}

impl Submitted {
    /// The last change of a document when it was submitted.
    pub fn change(&self) -> Change {
        Change(self.group.sequence)
    }
}

impl AgentDb {
    /// Returns when what was [submitted](Tx::submit) is kept.
    ///
    /// # Errors
    /// [`Error::GroupLost`] where it was lost; [`Error::Store`], [`Error::DiskFull`] where this handle kept
    /// the group.
    pub fn wait(&self, submitted: &Submitted) -> Result<()> {
        self.inner.shared.wait(&submitted.group, self.handles())
    }
}

fn index_of(schema: &Schema, state: &Value) -> Vec<(String, Vec<u8>)> {
    let values = schema.indexes().filter_map(|field| {
        let key = key::of(state.get(field)?)?;
        Some((field.to_owned(), key))
    });
    values.collect()
}

impl<'db> Tx<'db> {
    pub(super) fn new(
        db: &'db AgentDb,
        mut writer: MutexGuard<'db, Writer>,
        now: Timestamp,
    ) -> Self {
        let stamp = writer.clock.stamp(now);
        Self {
            db,
            next_event: writer.last.event,
            writer: Some(writer),
            now,
            stamp,
            documents: BTreeMap::new(),
            batch: Batch::default(),
        }
    }

    fn writer(&self) -> Result<&Writer> {
        self.writer.as_deref().ok_or_else(closed)
    }

    fn schema_of(&self, name: &str) -> Result<&'db Schema> {
        let db = self.db;
        db.schema(name)
            .ok_or_else(|| Error::UnknownSchema(name.to_owned()))
    }

    /// The document `id` of this schema, made when it is not there and something is changed.
    ///
    /// # Errors
    /// [`Error::UnknownSchema`], [`Error::OtherSchema`], [`Error::Limit`], [`Error::Store`],
    /// [`Error::Damaged`].
    pub fn agent(&mut self, schema: &str, id: &str) -> Result<Edit<'_>> {
        let (replica, stamp) = (self.writer()?.replica, self.stamp);
        let schema = self.schema_of(schema)?;
        let open = self.open(schema, id)?;
        Ok(open.document.edit(schema, replica, stamp))
    }

    /// A document as this transaction sees it; none when it is not there.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Damaged`].
    pub fn document(&self, id: &str) -> Result<Option<Document>> {
        if let Some(open) = self.documents.get(id) {
            return Ok(
                Some(open.document.clone()).filter(|document| !document.context().is_empty())
            );
        }
        let row = self.writer()?.storage.document(id)?;
        row.map(|row| decode(id, &row.crdt)).transpose()
    }

    fn open(&mut self, schema: &Schema, id: &str) -> Result<&mut Open> {
        check_id(id)?;
        if !self.documents.contains_key(id) {
            let open = match self.writer()?.storage.document(id)? {
                Some(row) => {
                    let document = decode(id, &row.crdt)?;
                    let indexed = match schema.indexes().next() {
                        Some(_) => index_of(schema, &super::parse(id, &row.state)?),
                        None => Vec::new(),
                    };
                    Open {
                        before: document.context().clone(),
                        joined: false,
                        document,
                        version: row.version,
                        indexed,
                    }
                }
                None => Open {
                    document: Document::new(schema),
                    before: Context::new(),
                    joined: false,
                    version: 0,
                    indexed: Vec::new(),
                },
            };
            self.documents.insert(id.to_owned(), open);
        }
        let Some(open) = self.documents.get_mut(id) else {
            return Err(closed());
        };
        if open.document.schema() != schema.name() {
            return Err(Error::OtherSchema {
                agent: id.to_owned(),
                is: open.document.schema().to_owned(),
                asked: schema.name().to_owned(),
            });
        }
        Ok(open)
    }

    /// Joins a document with a copy, or a delta, from another replica. One that is refused changes nothing.
    ///
    /// Stamps that are further ahead than [`clock_drift_max`](crate::Options::clock_drift_max) are marked. A copy that
    /// knows writes of this replica that are not here tells that this file is an older one: the replica goes
    /// on under a new incarnation.
    ///
    /// # Errors
    /// As [`agent`](Self::agent); [`Error::Refused`] for a copy that does not fit its schema,
    /// [`Error::ClockAhead`].
    pub fn merge(&mut self, id: &str, copy: &Document) -> Result<Joined> {
        let limit = self.db.inner.options.clock_ahead_max;
        let stamp = copy.stamp();
        let ahead = Timestamp::from_millis(stamp.millis).since(self.now);
        if ahead > limit {
            return Err(Error::ClockAhead {
                agent: id.to_owned(),
                ahead,
                limit,
            });
        }
        let schema = self.schema_of(copy.schema())?;
        copy.check(schema).map_err(|cause| Error::Refused {
            agent: id.to_owned(),
            cause,
        })?;
        let latest = self.now.after(self.db.inner.options.clock_drift_max);
        let now = self.now;
        let replica = self.writer()?.replica;
        let open = self.open(schema, id)?;
        let renewed = renewed(replica, copy, &open.document);
        let joined = open.document.merge(copy)?;
        let marked = open.document.mark_after(latest);
        open.joined |= joined == Joined::New || marked > 0;
        open.document.adopt(replica);
        if let Some(writer) = &mut self.writer {
            writer.clock.observe(stamp, now);
            if let Some(replica) = renewed {
                writer.replica = replica;
                note_incarnation(&mut self.batch, replica, self.next_event);
            }
        }
        Ok(joined)
    }

    /// Appends an event; it waits for its receiver until [`mark`](Self::mark) says otherwise.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn append_event(
        &mut self,
        agent: &str,
        event_type: &str,
        payload: &Value,
        priority: Priority,
    ) -> Result<Sequence> {
        self.push_event(agent, event_type, payload, priority, self.now, None)
    }

    /// Appends an event that another replica has appended; none when it is here already.
    ///
    /// # Errors
    /// [`Error::Limit`], [`Error::Store`].
    pub fn receive_event(
        &mut self,
        origin: Origin,
        event: &StoredEvent,
    ) -> Result<Option<Sequence>> {
        let pending = self
            .batch
            .events
            .iter()
            .any(|known| known.origin == Some(origin));
        if pending || self.writer()?.storage.received(origin)?.is_some() {
            return Ok(None);
        }
        let StoredEvent {
            agent,
            event_type,
            payload,
            priority,
            at,
            ..
        } = event;
        self.push_event(agent, event_type, payload, *priority, *at, Some(origin))
            .map(Some)
    }

    fn push_event(
        &mut self,
        agent: &str,
        event_type: &str,
        payload: &Value,
        priority: Priority,
        at: Timestamp,
        origin: Option<Origin>,
    ) -> Result<Sequence> {
        check_id(agent)?;
        check_id(event_type)?;
        let found = payload.to_string().len();
        if found > EVENT_BYTES_MAX {
            return Err(Error::Limit {
                what: "length of an event in bytes",
                found,
                limit: EVENT_BYTES_MAX,
            });
        }
        self.next_event += 1;
        let sequence = Sequence::new(self.next_event);
        self.batch.events.push(StoredEvent {
            sequence,
            agent: agent.to_owned(),
            event_type: event_type.to_owned(),
            payload: payload.clone(),
            priority,
            at,
            origin,
        });
        Ok(sequence)
    }

    /// Notes what became of an event, with a word for people.
    ///
    /// # Errors
    /// None that is known.
    pub fn mark(
        &mut self,
        sequence: Sequence,
        status: SyncStatus,
        note: Option<&str>,
    ) -> Result<()> {
        self.batch.marks.push(MarkRow {
            sequence,
            status,
            note: note.map(str::to_owned),
        });
        Ok(())
    }

    /// The time at which the transaction began.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Appends an event of another time.
    pub(crate) fn append_at(
        &mut self,
        agent: &str,
        event_type: &str,
        payload: &Value,
        priority: Priority,
        at: Timestamp,
    ) -> Result<Sequence> {
        self.push_event(agent, event_type, payload, priority, at, None)
    }

    /// Takes out events of a type that are older than a time and no longer wait: at most so many, oldest
    /// first. Returns them; those that stand for many stay.
    pub(crate) fn expire(
        &mut self,
        event_type: &str,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<StoredEvent>> {
        let filter = EventFilter {
            event_type: Some(event_type),
            before: Some(before),
            ..EventFilter::default()
        };
        let mut after = Sequence::new(0);
        let mut expired = Vec::new();
        while expired.len() < limit {
            let events = self.writer()?.storage.events(&filter, after, PAGE)?;
            let Some(last) = events.last() else { break };
            after = last.sequence;
            for event in events {
                let mark = self.writer()?.storage.mark(event.sequence)?;
                let waits = mark.is_some_and(|mark| mark.status == SyncStatus::Waiting);
                let rolled_up = event.payload.get("rolled_up").is_some();
                if expired.len() < limit && !waits && !rolled_up {
                    self.batch.expired.push(event.sequence);
                    expired.push(event);
                }
            }
        }
        Ok(expired)
    }

    /// Sets an opaque record: the journal of another library, say, in the transaction of the state it is
    /// about.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn put_record(&mut self, namespace: &str, key: &str, value: &[u8]) -> Result<()> {
        check_id(namespace)?;
        check_id(key)?;
        if value.len() > RECORD_BYTES_MAX {
            return Err(Error::Limit {
                what: "length of a record in bytes",
                found: value.len(),
                limit: RECORD_BYTES_MAX,
            });
        }
        self.set_record(namespace, key, Some(value.to_vec()));
        Ok(())
    }

    fn set_record(&mut self, namespace: &str, key: &str, value: Option<Vec<u8>>) {
        let key = (namespace.to_owned(), key.to_owned());
        self.batch.records.insert(key, value);
    }

    /// A record as this transaction sees it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn get_record(&self, namespace: &str, key: &str) -> Result<Option<Vec<u8>>> {
        let pending = self
            .batch
            .records
            .get(&(namespace.to_owned(), key.to_owned()));
        match pending {
            Some(value) => Ok(value.clone()),
            None => self.writer()?.storage.record(namespace, key),
        }
    }

    /// Removes the records from `from` up to, but not including, `below`; returns how many.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn delete_records(&mut self, namespace: &str, from: &str, below: &str) -> Result<usize> {
        let mut keys = std::collections::BTreeSet::new();
        if from < below && self.writer()?.storage.record(namespace, from)?.is_some() {
            keys.insert(from.to_owned());
        }
        let mut after = from.to_owned();
        'pages: loop {
            let page = self.writer()?.storage.records(namespace, &after, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after = last.clone();
            for (key, _) in page {
                if key.as_str() >= below {
                    break 'pages;
                }
                keys.insert(key);
            }
        }
        for ((of, key), value) in &self.batch.records {
            if of == namespace && key.as_str() >= from && key.as_str() < below {
                match value {
                    Some(_) => keys.insert(key.clone()),
                    None => keys.remove(key),
                };
            }
        }
        for key in &keys {
            self.set_record(namespace, key, None);
        }
        Ok(keys.len())
    }

    /// Removes a record; absent is fine.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn delete_record(&mut self, namespace: &str, key: &str) -> Result<()> {
        check_id(namespace)?;
        self.set_record(namespace, key, None);
        Ok(())
    }

    /// Keeps everything; returns the last change that is kept. When it is on disk the store's
    /// [`Durability`](crate::Durability) tells.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::DiskFull`], [`Error::GroupLost`], [`Error::DocumentTooLarge`]: nothing was kept;
    /// [`Error::Poisoned`].
    pub fn commit(self) -> Result<Change> {
        let db = self.db;
        let submitted = self.submit()?;
        db.wait(&submitted)?;
        Ok(submitted.change())
    }

    /// Hands everything over to be kept soon, in the order of submissions: with [`Durability::Group`] when
    /// someone [waits](AgentDb::wait) or commits, or a transaction begins after the window. One thread may so
    /// have many commits under way. Reads see it once it is kept.
    ///
    /// [`Durability::Group`]: crate::Durability::Group
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn submit(mut self) -> Result<Submitted> {
        let mut batch = std::mem::take(&mut self.batch);
        let mut changed = self.writer()?.last.changed;
        for (id, open) in std::mem::take(&mut self.documents) {
            if !open.joined && *open.document.context() == open.before {
                continue;
            }
            let schema = self.schema_of(open.document.schema())?;
            let state = open.document.to_json(schema);
            let entry = |(field, key)| IndexEntry {
                schema: schema.name().to_owned(),
                field,
                key,
                id: id.clone(),
            };
            let now = index_of(schema, &state);
            let (gone, new): (Vec<_>, Vec<_>) = (
                open.indexed
                    .iter()
                    .filter(|pair| !now.contains(pair))
                    .cloned()
                    .collect(),
                now.iter()
                    .filter(|pair| !open.indexed.contains(pair))
                    .cloned()
                    .collect(),
            );
            batch.unindexed.extend(gone.into_iter().map(entry));
            batch.indexed.extend(new.into_iter().map(entry));
            changed += 1;
            let crdt = open.document.encode_stored();
            if crdt.len() > DOCUMENT_BYTES_MAX {
                return Err(Error::DocumentTooLarge {
                    agent: id,
                    found: crdt.len(),
                    limit: DOCUMENT_BYTES_MAX,
                });
            }
            batch.documents.push(DocumentRow {
                schema: schema.name().to_owned(),
                state: state.to_string(),
                crdt,
                version: open.version + 1,
                at: self.now,
                changed,
                id,
            });
        }
        let writer = self.writer.take().ok_or_else(closed)?;
        let account = Account {
            rows: &*writer.storage,
            batch: &mut batch,
            policy: &self.db.inner.options.offline,
            last_event: &mut self.next_event,
            now: self.now,
        };
        if let Err(cause) = account.settle() {
            self.writer = Some(writer);
            return Err(cause);
        }
        let group = self.db.inner.shared.submit(writer, batch)?;
        Ok(Submitted { group })
    }
}

/// Lets others write.
impl Drop for Tx<'_> {
    fn drop(&mut self) {
        if let Some(writer) = &mut self.writer {
            writer.end();
        }
    }
}

/// The replica under a new incarnation, where a copy knows writes of it that are not here.
fn renewed(replica: ReplicaId, copy: &Document, own: &Document) -> Option<ReplicaId> {
    let mine = copy
        .context()
        .replicas()
        .filter(|known| known.get() == replica.get());
    let unknown = mine.filter(|known| {
        // Old documents have incarnations of their own, far above any device's.
        *known >= replica
            && known.incarnation() < 1 << 31
            && own.context().last(*known) < copy.context().last(*known)
    });
    let latest = unknown.max()?;
    Some(latest.with_incarnation(latest.incarnation() + 1))
}

fn closed() -> Error {
    Error::Store("the transaction has ended".into())
}
