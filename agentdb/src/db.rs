//! The store: documents and events that are committed together.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::{
    Connection, OptionalExtension, Transaction, TransactionBehavior, params, params_from_iter,
};
use serde_json::Value;

use crate::causal::{Clock, Context, ReplicaId, Stamp};
use crate::document::{Document, Edit, Joined};
use crate::error::{Error, Result};
use crate::event::{self, Priority, Sequence, StoredEvent, SyncStatus, rows_max};
use crate::query;
use crate::schema::Schema;
use crate::store::{self, Durability};
use crate::time::Timestamp;

/// The longest document id, event type, namespace or key, in bytes.
pub const ID_BYTES_MAX: usize = 512;

/// The largest opaque record, in bytes.
pub const RECORD_BYTES_MAX: usize = 16 << 20;

/// How far the clock of another replica may be ahead, unless [`Options::clock_ahead_max`] says otherwise.
pub const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(60 * 60);

const EVENTS_AFTER: &str = "SELECT event_id, agent_id, event_type, payload, priority, timestamp
     FROM agent_events WHERE event_id > ?1 ORDER BY event_id LIMIT ?2";
const EVENTS_OF_TYPE_AFTER: &str =
    "SELECT event_id, agent_id, event_type, payload, priority, timestamp
     FROM agent_events WHERE event_type = ?3 AND event_id > ?1 ORDER BY event_id LIMIT ?2";
const WAITING_AFTER: &str = "SELECT event_id, agent_id, event_type, payload, priority, timestamp
     FROM sync_log JOIN agent_events ON event_id = local_seq
     WHERE sync_status = 'waiting' AND local_seq > ?1 ORDER BY local_seq LIMIT ?2";

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    replica: ReplicaId,
    durability: Durability,
    clock_ahead_max: Duration,
    schemas: Vec<Schema>,
}

impl Options {
    /// For this replica, with [`Durability::Immediate`] and no schema.
    pub fn new(replica: ReplicaId) -> Self {
        Self {
            replica,
            durability: Durability::default(),
            clock_ahead_max: CLOCK_AHEAD_MAX,
            schemas: Vec::new(),
        }
    }

    /// When commits are on disk.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How far the clock of a merged copy may be ahead of the transaction's time; [`CLOCK_AHEAD_MAX`]
    /// unless set. A copy beyond is refused, so that a wrong clock does not win for ever.
    #[must_use]
    pub fn clock_ahead_max(mut self, limit: Duration) -> Self {
        self.clock_ahead_max = limit;
        self
    }

    /// Adds a kind of document.
    #[must_use]
    pub fn schema(mut self, schema: Schema) -> Self {
        self.schemas.push(schema);
        self
    }
}

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

/// Documents that merge, and an event log, in one SQLite file. One writer; use it behind a lock.
pub struct AgentDb {
    connection: Connection,
    replica: ReplicaId,
    clock_ahead_max: Duration,
    clock: Clock,
    schemas: BTreeMap<String, Schema>,
}

impl AgentDb {
    /// Opens a file, or makes it.
    ///
    /// # Errors
    /// [`Error::Open`], or [`Error::Format`] for a file of a newer release.
    pub fn open(path: impl AsRef<Path>, options: Options) -> Result<Self> {
        Self::over(
            store::open(Some(path.as_ref()), options.durability)?,
            options,
        )
    }

    /// A store that is gone with the process.
    ///
    /// # Errors
    /// [`Error::Open`].
    pub fn in_memory(options: Options) -> Result<Self> {
        Self::over(store::open(None, options.durability)?, options)
    }

    fn over(connection: Connection, options: Options) -> Result<Self> {
        let schemas = options
            .schemas
            .into_iter()
            .map(|schema| (schema.name().to_owned(), schema))
            .collect();
        Ok(Self {
            connection,
            replica: options.replica,
            clock_ahead_max: options.clock_ahead_max,
            clock: Clock::new(Stamp::default(), options.clock_ahead_max),
            schemas,
        })
    }

    /// Begins a transaction at `now`; without [`Tx::commit`] nothing of it is kept.
    ///
    /// # Errors
    /// [`Error::Store`] when another process holds the file for longer than five seconds.
    pub fn begin(&mut self, now: Timestamp) -> Result<Tx<'_>> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        Ok(Tx {
            transaction,
            replica: self.replica,
            clock_ahead_max: self.clock_ahead_max,
            schemas: &self.schemas,
            now,
            stamp: self.clock.stamp(now),
            changed: BTreeMap::new(),
        })
    }

    /// A document; none when it is not there. One look-up.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Damaged`].
    pub fn get(&self, id: &str) -> Result<Option<Agent>> {
        let mut statement = self.connection.prepare_cached(
            "SELECT agent_id, state_json, crdt, version, timestamp FROM agent_state WHERE agent_id = ?1",
        )?;
        let row = statement.query_row(params![id], stored).optional()?;
        row.map(read).transpose()
    }

    /// The documents of a schema that satisfy a query such as `battery < 20 && status != 'charging'`, by
    /// id. Linear in the documents.
    ///
    /// # Errors
    /// [`Error::Query`] with the column, [`Error::Store`], [`Error::Damaged`].
    pub fn query(&self, schema: &str, text: &str) -> Result<Vec<Agent>> {
        let query = query::parse(text)?;
        let place = query.parameters.len() + 1;
        let sql = format!(
            "SELECT agent_id, state_json, crdt, version, timestamp FROM agent_state
             WHERE {} AND schema = ?{place} ORDER BY agent_id",
            query.sql
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let schema = rusqlite::types::Value::Text(schema.to_owned());
        let rows = statement.query_map(
            params_from_iter(query.parameters.into_iter().chain([schema])),
            stored,
        )?;
        rows.map(|row| read(row?)).collect()
    }

    /// The mergeable form of a document, to send to another replica.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Damaged`].
    pub fn document(&self, id: &str) -> Result<Option<Document>> {
        load(&self.connection, id)
    }

    /// Up to `limit` events after a place, oldest first.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Damaged`].
    pub fn events_after(&self, after: Sequence, limit: usize) -> Result<Vec<StoredEvent>> {
        event::read(
            &self.connection,
            EVENTS_AFTER,
            params![after.get(), rows_max(limit)],
        )
    }

    /// Up to `limit` events of one type after a place, oldest first. Indexed.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Damaged`].
    pub fn events_of_type_after(
        &self,
        event_type: &str,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<StoredEvent>> {
        event::read(
            &self.connection,
            EVENTS_OF_TYPE_AFTER,
            params![after.get(), rows_max(limit), event_type],
        )
    }

    /// Up to `limit` events after a place that wait for their receiver, oldest first.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Damaged`].
    pub fn waiting_after(&self, after: Sequence, limit: usize) -> Result<Vec<StoredEvent>> {
        event::read(
            &self.connection,
            WAITING_AFTER,
            params![after.get(), rows_max(limit)],
        )
    }

    /// How many events wait for their receiver.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn waiting(&self) -> Result<u64> {
        let sql = "SELECT count(*) FROM sync_log WHERE sync_status = 'waiting'";
        let count: i64 = self
            .connection
            .prepare_cached(sql)?
            .query_row([], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    /// The last event's place; 0 without any.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn last_event(&self) -> Result<Sequence> {
        let sql = "SELECT coalesce(max(event_id), 0) FROM agent_events";
        Ok(Sequence::new(
            self.connection
                .prepare_cached(sql)?
                .query_row([], |row| row.get(0))?,
        ))
    }

    /// An opaque record; none when it is not there.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn get_record(&self, namespace: &str, key: &str) -> Result<Option<Vec<u8>>> {
        store::get_record(&self.connection, namespace, key)
    }

    /// Up to `limit` records of a namespace above `after`, by key.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn scan_records(
        &self,
        namespace: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>> {
        store::scan_records(&self.connection, namespace, after, limit)
    }

    /// Brings everything that was committed to the disk itself and shortens the log.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn flush(&self) -> Result<()> {
        // The pragma answers with a row, which says whether a reader was in the way; that is no error.
        Ok(self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }
}

/// Changes that are kept together or not at all.
pub struct Tx<'db> {
    transaction: Transaction<'db>,
    replica: ReplicaId,
    clock_ahead_max: Duration,
    schemas: &'db BTreeMap<String, Schema>,
    now: Timestamp,
    stamp: Stamp,
    changed: BTreeMap<String, Document>,
}

impl<'db> Tx<'db> {
    /// The document `id` of this schema, made when it is not there.
    ///
    /// # Errors
    /// [`Error::UnknownSchema`], [`Error::OtherSchema`], [`Error::Limit`], [`Error::Store`],
    /// [`Error::Damaged`].
    pub fn agent(&mut self, schema: &str, id: &str) -> Result<Edit<'_>> {
        check_id(id)?;
        let schema = self
            .schemas
            .get(schema)
            .ok_or_else(|| Error::UnknownSchema(schema.to_owned()))?;
        if !self.changed.contains_key(id) {
            let document = load(&self.transaction, id)?.unwrap_or_else(|| Document::new(schema));
            self.changed.insert(id.to_owned(), document);
        }
        let document = self
            .changed
            .entry(id.to_owned())
            .or_insert_with(|| Document::new(schema));
        if document.schema() != schema.name() {
            return Err(Error::OtherSchema {
                agent: id.to_owned(),
                is: document.schema().to_owned(),
                asked: schema.name().to_owned(),
            });
        }
        Ok(document.edit(schema, self.replica, self.stamp))
    }

    /// Joins a document with a copy from another replica. A copy that is refused changes nothing.
    ///
    /// # Errors
    /// As [`Tx::agent`]; [`Error::Refused`] for a copy that does not fit its schema, [`Error::ClockAhead`].
    pub fn merge(&mut self, id: &str, copy: &Document) -> Result<Joined> {
        let limit = self.clock_ahead_max;
        let ahead = Timestamp::from_millis(copy.stamp().millis).since(self.now);
        if ahead > limit {
            return Err(Error::ClockAhead {
                agent: id.to_owned(),
                ahead,
                limit,
            });
        }
        if let Some(schema) = self.schemas.get(copy.schema()) {
            copy.check(schema).map_err(|cause| Error::Refused {
                agent: id.to_owned(),
                cause,
            })?;
        }
        self.agent(copy.schema(), id)?;
        let Some(document) = self.changed.get_mut(id) else {
            return Ok(Joined::Known);
        };
        let joined = document.merge(copy)?;
        document.adopt(self.replica);
        Ok(joined)
    }

    /// Appends an event; it waits for its receiver until [`Tx::mark`] says otherwise.
    ///
    /// # Errors
    /// [`Error::Limit`], [`Error::Store`].
    pub fn append_event(
        &mut self,
        agent: &str,
        event_type: &str,
        payload: &Value,
        priority: Priority,
    ) -> Result<Sequence> {
        check_id(agent)?;
        check_id(event_type)?;
        event::append(
            &self.transaction,
            agent,
            event_type,
            payload,
            priority,
            self.now,
        )
    }

    /// Notes what became of an event, with a word for people.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn mark(
        &mut self,
        sequence: Sequence,
        status: SyncStatus,
        note: Option<&str>,
    ) -> Result<()> {
        self.transaction
            .prepare_cached("UPDATE sync_log SET sync_status = ?2, note = ?3 WHERE local_seq = ?1")?
            .execute(params![sequence.get(), status.as_str(), note])?;
        Ok(())
    }

    /// Sets an opaque record: the journal of another library, say, in the transaction of the state it is
    /// about.
    ///
    /// # Errors
    /// [`Error::Limit`], [`Error::Store`].
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
        self.transaction
            .prepare_cached(
                "INSERT OR REPLACE INTO record (namespace, key, value) VALUES (?1, ?2, ?3)",
            )?
            .execute(params![namespace, key, value])?;
        Ok(())
    }

    /// A record as this transaction sees it.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn get_record(&self, namespace: &str, key: &str) -> Result<Option<Vec<u8>>> {
        store::get_record(&self.transaction, namespace, key)
    }

    /// Removes the records from `from` up to, but not including, `below`; returns how many.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn delete_records(&mut self, namespace: &str, from: &str, below: &str) -> Result<usize> {
        let sql = "DELETE FROM record WHERE namespace = ?1 AND key >= ?2 AND key < ?3";
        Ok(self
            .transaction
            .prepare_cached(sql)?
            .execute(params![namespace, from, below])?)
    }

    /// Removes a record; absent is fine.
    ///
    /// # Errors
    /// [`Error::Store`].
    pub fn delete_record(&mut self, namespace: &str, key: &str) -> Result<()> {
        let sql = "DELETE FROM record WHERE namespace = ?1 AND key = ?2";
        self.transaction
            .prepare_cached(sql)?
            .execute(params![namespace, key])?;
        Ok(())
    }

    /// Keeps everything; with [`Durability::Immediate`] it is on disk when this returns.
    ///
    /// # Errors
    /// [`Error::Store`]: nothing was kept.
    pub fn commit(self) -> Result<()> {
        for (id, document) in &self.changed {
            let schema = self
                .schemas
                .get(document.schema())
                .ok_or_else(|| Error::UnknownSchema(document.schema().to_owned()))?;
            let state = document.to_json(schema).to_string();
            let crdt = document.encode_stored();
            self.transaction
                .prepare_cached(
                    "INSERT INTO agent_state (agent_id, schema, state_json, crdt, version, timestamp)
                     VALUES (?1, ?2, ?3, ?4, 1, ?5)
                     ON CONFLICT (agent_id) DO UPDATE SET state_json = ?3, crdt = ?4, version = version + 1, timestamp = ?5",
                )?
                .execute(params![id, document.schema(), state, crdt, self.now.as_millis()])?;
        }
        Ok(self.transaction.commit()?)
    }
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

fn load(connection: &Connection, id: &str) -> Result<Option<Document>> {
    let mut statement =
        connection.prepare_cached("SELECT crdt FROM agent_state WHERE agent_id = ?1")?;
    let bytes: Option<Vec<u8>> = statement
        .query_row(params![id], |row| row.get(0))
        .optional()?;
    bytes.map(|bytes| decode(id, &bytes)).transpose()
}

fn decode(id: &str, bytes: &[u8]) -> Result<Document> {
    Document::decode_stored(bytes).map_err(|cause| Error::Damaged {
        agent: id.to_owned(),
        cause: cause.to_string(),
    })
}

fn parse<T: serde::de::DeserializeOwned>(id: &str, text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|cause| Error::Damaged {
        agent: id.to_owned(),
        cause: cause.to_string(),
    })
}

type Stored = (String, String, Vec<u8>, i64, i64);

fn stored(row: &rusqlite::Row<'_>) -> rusqlite::Result<Stored> {
    Ok((
        row.get(0)?,
        row.get(1)?,
        row.get(2)?,
        row.get(3)?,
        row.get(4)?,
    ))
}

fn read((id, state, crdt, version, at): Stored) -> Result<Agent> {
    let document = decode(&id, &crdt)?;
    let state = parse(&id, &state)?;
    Ok(Agent {
        id,
        state,
        clock: document.context().clone(),
        version,
        at: Timestamp::from_millis(at),
    })
}
