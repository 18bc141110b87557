//! Reading rows.

use rusqlite::types::Value as Sql;
use rusqlite::{OptionalExtension, Row, params, params_from_iter};

use super::Sqlite;
use crate::causal::ReplicaId;
use crate::error::{Error, Result};
use crate::event::{Origin, Priority, Sequence, StoredEvent, SyncStatus};
use crate::storage::{Backlog, DocumentRow, EventFilter, Last, MarkRow, Rows};
use crate::time::Timestamp;

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
