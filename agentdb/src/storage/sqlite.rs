//! Rows in a SQLite file, for any program that reads such. FORMAT.md tells the tables.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params, params_from_iter};

use super::migrate;
use super::{Backlog, Batch, DocumentRow, EventFilter, Last, MarkRow, Rows, Storage, Sync};
use crate::causal::ReplicaId;
use crate::error::{Error, Result};
use crate::event::{Origin, Priority, Sequence, StoredEvent, SyncStatus};
use crate::schema::Schema;
use crate::time::Timestamp;

/// How long another process may keep the file.
const BUSY: Duration = Duration::from_secs(5);
const BUSY_STEP: Duration = Duration::from_millis(5);
/// Statements that are kept ready.
const STATEMENTS: usize = 64;
/// How much of the file is read by mapping it, in bytes.
const MAPPED: i64 = 256 << 20;

/// Rows in a SQLite file: WAL mode.
///
/// A commit with [`Sync::Disk`] ends in an fsync of the log (`synchronous = FULL`); one with [`Sync::System`]
/// does not, and a power cut may then lose the last commits, never a part of one.
#[derive(Debug)]
pub struct Sqlite {
    connection: Connection,
    path: PathBuf,
    /// Whether this one has the right to write.
    writing: bool,
    /// What `synchronous` is set to.
    level: Sync,
}

fn open_error(path: &Path) -> impl Fn(rusqlite::Error) -> Error + '_ {
    |cause| Error::Open {
        path: path.to_owned(),
        cause,
    }
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.pragma_update(None, "mmap_size", MAPPED)
}

/// Sets WAL mode. SQLite does not wait by itself for others that set it in the same new file, so this does.
fn write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let busy = |error: &rusqlite::Error| {
        error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
    };
    connection.busy_timeout(Duration::ZERO)?;
    let mut waited = Duration::ZERO;
    let set = loop {
        // The pragma answers with the mode that it set.
        match connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())) {
            Err(error) if busy(&error) && waited < BUSY => {
                std::thread::sleep(BUSY_STEP);
                waited += BUSY_STEP;
            }
            done => break done,
        }
    };
    connection.busy_timeout(BUSY)?;
    set
}

impl Sqlite {
    /// Opens a file, or makes it; one of an earlier release is brought to this one's format, for which the
    /// schemas of its documents are needed.
    ///
    /// # Errors
    /// [`Error::Open`]; [`Error::Format`] for a file of a newer release; [`Error::Foreign`] for one of
    /// another program, which is left as it is.
    pub fn open(path: impl AsRef<Path>, schemas: &[Schema]) -> Result<Self> {
        let path = path.as_ref();
        let failed = open_error(path);
        let mut connection = Connection::open(path).map_err(&failed)?;
        prepare(&connection).map_err(&failed)?;
        migrate::to_current(&mut connection, path, schemas)?;
        write_ahead(&connection).map_err(&failed)?;
        connection
            .pragma_update(None, "synchronous", "FULL")
            .map_err(&failed)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            writing: false,
            level: Sync::Disk,
        })
    }

    /// All numbers of the store.
    pub(crate) fn numbers(&self) -> Result<Vec<(String, i64)>> {
        let mut statement = self
            .connection
            .prepare("SELECT key, value FROM meta ORDER BY key")?;
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// The namespaces that have records.
    pub(crate) fn namespaces(&self) -> Result<Vec<String>> {
        let sql = "SELECT DISTINCT namespace FROM record ORDER BY namespace";
        let mut statement = self.connection.prepare(sql)?;
        let rows = statement.query_map([], |row| row.get(0))?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    /// Opens a file for reading alone; nothing in it is changed.
    ///
    /// # Errors
    /// [`Error::Open`], [`Error::Foreign`], [`Error::Format`], [`Error::OldFormat`].
    pub fn read_only(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let read = Self::reading(path)?;
        migrate::check(&read.connection, path)?;
        Ok(read)
    }

    fn reading(path: &Path) -> Result<Self> {
        let failed = open_error(path);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).map_err(&failed)?;
        prepare(&connection).map_err(&failed)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
            writing: false,
            level: Sync::Disk,
        })
    }

    /// Sets how commits from now on end.
    fn set_level(&mut self, sync: Sync) -> Result<()> {
        let level = match sync {
            Sync::Disk => "FULL",
            Sync::System => "NORMAL",
        };
        self.connection.pragma_update(None, "synchronous", level)?;
        self.level = sync;
        Ok(())
    }

    fn write(&self, batch: &Batch) -> Result<()> {
        let run = |sql: &str| self.connection.prepare_cached(sql);
        for row in &batch.documents {
            run("INSERT INTO agent_state (agent_id, schema, state_json, crdt, version, timestamp, changed)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                 ON CONFLICT (agent_id) DO UPDATE SET schema = ?2, state_json = ?3, crdt = ?4, version = ?5, timestamp = ?6, changed = ?7")?
                .execute(params![row.id, row.schema, row.state, row.crdt, row.version, row.at.as_millis(), row.changed])?;
        }
        for entry in &batch.unindexed {
            run("DELETE FROM agent_index WHERE schema = ?1 AND field = ?2 AND key = ?3 AND agent_id = ?4")?
                .execute(params![entry.schema, entry.field, entry.key, entry.id])?;
        }
        for entry in &batch.indexed {
            run("INSERT OR IGNORE INTO agent_index (schema, field, key, agent_id) VALUES (?1, ?2, ?3, ?4)")?
                .execute(params![entry.schema, entry.field, entry.key, entry.id])?;
        }
        for event in &batch.events {
            let origin = event.origin.map(|origin| origin.replica.to_string());
            let origin_seq = event.origin.map(|origin| origin.sequence.get());
            run("INSERT INTO agent_events (event_id, agent_id, event_type, payload, priority, timestamp, origin, origin_seq)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?
                .execute(params![
                    event.sequence.get(),
                    event.agent,
                    event.event_type,
                    event.payload.to_string(),
                    event.priority as i64,
                    event.at.as_millis(),
                    origin,
                    origin_seq,
                ])?;
            run("INSERT INTO sync_log (local_seq, sync_status) VALUES (?1, 'waiting')")?
                .execute(params![event.sequence.get()])?;
        }
        for mark in &batch.marks {
            run("UPDATE sync_log SET sync_status = ?2, note = ?3 WHERE local_seq = ?1")?.execute(
                params![mark.sequence.get(), mark.status.as_str(), mark.note],
            )?;
        }
        for sequence in &batch.expired {
            run("DELETE FROM agent_events WHERE event_id = ?1")?
                .execute(params![sequence.get()])?;
            run("DELETE FROM sync_log WHERE local_seq = ?1")?.execute(params![sequence.get()])?;
        }
        for ((namespace, key), value) in &batch.records {
            match value {
                Some(value) => run(
                    "INSERT OR REPLACE INTO record (namespace, key, value) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![namespace, key, value])?,
                None => run("DELETE FROM record WHERE namespace = ?1 AND key = ?2")?
                    .execute(params![namespace, key])?,
            };
        }
        for (key, value) in &batch.meta {
            run("INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)")?
                .execute(params![key, value])?;
        }
        Ok(())
    }
}

const DOCUMENT: &str = "agent_id, schema, state_json, crdt, version, timestamp, changed";

fn document(row: &Row<'_>) -> rusqlite::Result<DocumentRow> {
    Ok(DocumentRow {
        id: row.get(0)?,
        schema: row.get(1)?,
        state: row.get(2)?,
        crdt: row.get(3)?,
        version: row.get(4)?,
        at: Timestamp::from_millis(row.get(5)?),
        changed: row.get(6)?,
    })
}

fn event(row: &Row<'_>) -> Result<StoredEvent> {
    let agent: String = row.get(1)?;
    let payload: String = row.get(3)?;
    let damaged = |cause: String| Error::Damaged {
        agent: agent.clone(),
        cause,
    };
    let payload = serde_json::from_str(&payload).map_err(|cause| damaged(cause.to_string()))?;
    let number: i64 = row.get(4)?;
    let priority = Priority::from_number(number)
        .ok_or_else(|| damaged(format!("no priority has number {number}")))?;
    let origin: Option<String> = row.get(6)?;
    let origin = match origin {
        None => None,
        Some(word) => Some(Origin {
            replica: ReplicaId::from_word(&word)
                .ok_or_else(|| damaged(format!("`{word}` is no replica")))?,
            sequence: Sequence::new(row.get(7)?),
        }),
    };
    Ok(StoredEvent {
        sequence: Sequence::new(row.get(0)?),
        event_type: row.get(2)?,
        payload,
        priority,
        at: Timestamp::from_millis(row.get(5)?),
        origin,
        agent,
    })
}

/// A count as SQLite takes it.
fn rows_max(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

impl Rows for Sqlite {
    fn document(&self, id: &str) -> Result<Option<DocumentRow>> {
        let sql = format!("SELECT {DOCUMENT} FROM agent_state WHERE agent_id = ?1");
        let mut statement = self.connection.prepare_cached(&sql)?;
        Ok(statement.query_row(params![id], document).optional()?)
    }

    fn documents(
        &self,
        schema: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DocumentRow>> {
        let sql = format!(
            "SELECT {DOCUMENT} FROM agent_state WHERE (?1 IS NULL OR schema = ?1)
             AND agent_id {} coalesce(?2, '') ORDER BY agent_id LIMIT ?3",
            if after.is_some() { ">" } else { ">=" }
        );
        let mut statement = self.connection.prepare_cached(&sql)?;
        let rows = statement.query_map(params![schema, after, rows_max(limit)], document)?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn changes(&self, after: i64, limit: usize) -> Result<Vec<(String, i64)>> {
        let sql = "SELECT agent_id, changed FROM agent_state WHERE changed > ?1 ORDER BY changed LIMIT ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params![after, rows_max(limit)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
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
        let sql = "SELECT key, agent_id FROM agent_index
             WHERE schema = ?1 AND field = ?2 AND key <= ?3 AND (key, agent_id) > (?4, ?5)
             ORDER BY key, agent_id LIMIT ?6";
        let sql_from = "SELECT key, agent_id FROM agent_index
             WHERE schema = ?1 AND field = ?2 AND key <= ?3 AND key >= ?4
             ORDER BY key, agent_id LIMIT ?5";
        let read = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
        let limit = rows_max(limit);
        match after {
            Some((key, id)) => {
                let mut statement = self.connection.prepare_cached(sql)?;
                let rows = statement.query_map(params![schema, field, to, key, id, limit], read)?;
                Ok(rows.collect::<rusqlite::Result<_>>()?)
            }
            None => {
                let mut statement = self.connection.prepare_cached(sql_from)?;
                let rows = statement.query_map(params![schema, field, to, from, limit], read)?;
                Ok(rows.collect::<rusqlite::Result<_>>()?)
            }
        }
    }

    fn events(
        &self,
        filter: &EventFilter<'_>,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<StoredEvent>> {
        let mut sql = String::from(
            "SELECT event_id, agent_id, event_type, payload, priority, timestamp, origin, origin_seq FROM ",
        );
        // The log of what waits is short where the log of all is long.
        sql.push_str(match filter.status {
            Some(_) => "sync_log JOIN agent_events ON event_id = local_seq WHERE local_seq > ?1",
            None => "agent_events WHERE event_id > ?1",
        });
        let mut values = vec![Sql::Integer(after.get())];
        let mut and = |condition: &str, value: Sql| {
            values.push(value);
            sql.push_str(&format!(" AND {condition} ?{}", values.len()));
        };
        if let Some(agent) = filter.agent {
            and("agent_id =", Sql::Text(agent.to_owned()));
        }
        if let Some(kind) = filter.event_type {
            and("event_type =", Sql::Text(kind.to_owned()));
        }
        if let Some(priority) = filter.priority {
            and("priority =", Sql::Integer(priority as i64));
        }
        if let Some(from) = filter.from {
            and("timestamp >=", Sql::Integer(from.as_millis()));
        }
        if let Some(before) = filter.before {
            and("timestamp <", Sql::Integer(before.as_millis()));
        }
        match filter.status {
            // As the partial index has it.
            Some(SyncStatus::Waiting) => sql.push_str(" AND sync_status = 'waiting'"),
            Some(status) => sql.push_str(&format!(" AND sync_status = '{}'", status.as_str())),
            None => {}
        }
        values.push(Sql::Integer(rows_max(limit)));
        let order = if filter.status.is_some() {
            "local_seq"
        } else {
            "event_id"
        };
        sql.push_str(&format!(" ORDER BY {order} LIMIT ?{}", values.len()));
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query(params_from_iter(values))?;
        let mut events = Vec::new();
        while let Some(row) = rows.next()? {
            events.push(event(row)?);
        }
        Ok(events)
    }

    fn received(&self, origin: Origin) -> Result<Option<Sequence>> {
        let sql = "SELECT event_id FROM agent_events WHERE origin = ?1 AND origin_seq = ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let parameters = params![origin.replica.to_string(), origin.sequence.get()];
        let place = statement
            .query_row(parameters, |row| row.get(0))
            .optional()?;
        Ok(place.map(Sequence::new))
    }

    fn mark(&self, sequence: Sequence) -> Result<Option<MarkRow>> {
        let sql = "SELECT sync_status, note FROM sync_log WHERE local_seq = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let row: Option<(String, Option<String>)> = statement
            .query_row(params![sequence.get()], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional()?;
        let Some((word, note)) = row else {
            return Ok(None);
        };
        let status = SyncStatus::from_word(&word).ok_or_else(|| Error::Damaged {
            agent: format!("event {}", sequence.get()),
            cause: format!("`{word}` is nothing that becomes of an event"),
        })?;
        Ok(Some(MarkRow {
            sequence,
            status,
            note,
        }))
    }

    fn backlog(&self, priority: Priority) -> Result<Backlog> {
        let sql = "SELECT count(*), coalesce(sum(length(CAST(payload AS BLOB))), 0)
             FROM sync_log JOIN agent_events ON event_id = local_seq
             WHERE sync_status = 'waiting' AND priority = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row(params![priority as i64], |row| {
            let (count, bytes): (i64, i64) = (row.get(0)?, row.get(1)?);
            Ok(Backlog {
                count: count.unsigned_abs(),
                bytes: bytes.unsigned_abs(),
            })
        })?)
    }

    fn record(&self, namespace: &str, key: &str) -> Result<Option<Vec<u8>>> {
        let sql = "SELECT value FROM record WHERE namespace = ?1 AND key = ?2";
        let mut statement = self.connection.prepare_cached(sql)?;
        let value = statement.query_row(params![namespace, key], |row| row.get(0));
        Ok(value.optional()?)
    }

    fn records(
        &self,
        namespace: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>> {
        let sql =
            "SELECT key, value FROM record WHERE namespace = ?1 AND key > ?2 ORDER BY key LIMIT ?3";
        let mut statement = self.connection.prepare_cached(sql)?;
        let rows = statement.query_map(params![namespace, after, rows_max(limit)], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        Ok(rows.collect::<rusqlite::Result<_>>()?)
    }

    fn meta(&self, key: &str) -> Result<Option<i64>> {
        let sql = "SELECT value FROM meta WHERE key = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement
            .query_row(params![key], |row| row.get(0))
            .optional()?)
    }

    fn start(&self) -> Result<()> {
        self.connection.prepare_cached("BEGIN")?.execute([])?;
        Ok(())
    }

    fn end(&self) {
        // Where it fails nothing is begun.
        let ended = self.connection.prepare_cached("COMMIT");
        let _ = ended.and_then(|mut statement| statement.execute([]));
    }

    fn last(&self) -> Result<Last> {
        // The second is what AUTOINCREMENT remembers: the place of an event that expired is not given anew.
        let sql = "SELECT (SELECT coalesce(max(changed), 0) FROM agent_state),
             (SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = 'agent_events')";
        let mut statement = self.connection.prepare_cached(sql)?;
        Ok(statement.query_row([], |row| {
            Ok(Last {
                changed: row.get(0)?,
                event: row.get(1)?,
            })
        })?)
    }
}

impl Storage for Sqlite {
    fn begin(&mut self) -> Result<()> {
        if !self.writing {
            self.connection
                .prepare_cached("BEGIN IMMEDIATE")?
                .execute([])?;
            self.writing = true;
        }
        Ok(())
    }

    fn apply(&mut self, batch: &Batch) -> Result<()> {
        self.connection
            .prepare_cached("SAVEPOINT batch")?
            .execute([])?;
        let written = self.write(batch);
        if let Err(cause) = &written
            && self.connection.execute_batch("ROLLBACK TO batch").is_err()
        {
            // SQLite itself has rolled everything back, as it may on a full disk.
            let cause = cause.to_string();
            self.rollback();
            return Err(Error::GroupLost { cause });
        }
        self.connection
            .prepare_cached("RELEASE batch")?
            .execute([])?;
        written
    }

    fn commit(&mut self, sync: Sync) -> Result<()> {
        if self.writing {
            self.connection.prepare_cached("COMMIT")?.execute([])?;
            self.writing = false;
        }
        if self.level == sync {
            return Ok(());
        }
        self.set_level(sync)?;
        if sync == Sync::Disk {
            // The next commit with an fsync of the log takes all earlier ones along.
            self.begin()?;
            let sql = "INSERT OR REPLACE INTO meta (key, value) VALUES ('synced', (SELECT coalesce(max(changed), 0) FROM agent_state))";
            self.connection.execute(sql, [])?;
            self.connection.prepare_cached("COMMIT")?.execute([])?;
            self.writing = false;
        }
        Ok(())
    }

    fn rollback(&mut self) {
        if self.writing {
            // Where it fails there is nothing left to roll back.
            let _ = self.connection.execute_batch("ROLLBACK");
            self.writing = false;
        }
    }

    fn reader(&self) -> Result<Option<Box<dyn Rows>>> {
        Ok(Some(Box::new(Self::reading(&self.path)?)))
    }

    fn limit(&mut self, pages: u32) -> Result<()> {
        // The pragma answers with the limit.
        Ok(self.connection.query_row(
            &format!("PRAGMA max_page_count = {pages}"),
            [],
            |_| Ok(()),
        )?)
    }

    fn compact(&mut self) -> Result<()> {
        // The pragma answers with a row, which says whether a reader was in the way; that is no error.
        Ok(self
            .connection
            .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?)
    }

    fn verify(&self) -> Result<Vec<String>> {
        let mut statement = self.connection.prepare("PRAGMA integrity_check")?;
        let lines = statement.query_map([], |row| row.get::<_, String>(0))?;
        let lines = lines.collect::<rusqlite::Result<Vec<_>>>()?;
        Ok(lines.into_iter().filter(|line| line != "ok").collect())
    }
}
