//! Writing a batch.

use rusqlite::params;

use super::Sqlite;
use crate::error::Result;
use crate::storage::Batch;

impl Sqlite {
    /// Writes the rows of a batch, in the transaction that is open.
    pub(super) fn write(&self, batch: &Batch) -> Result<()> {
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
