//! The tables of the file, and how files of earlier releases are brought to them.

use std::path::Path;

use rusqlite::{Connection, Transaction, TransactionBehavior, params};

use crate::document::Document;
use crate::error::{Error, Result};
use crate::schema::Schema;

/// The format that this release writes; kept in SQLite's `user_version`.
const FORMAT: i64 = 2;
/// "EWad", in SQLite's `application_id`: tells our files from those of other programs.
const APPLICATION: i64 = 0x4557_6164;

const STATE: &str = "
CREATE TABLE agent_state (
    agent_id TEXT PRIMARY KEY,
    schema TEXT NOT NULL,
    state_json TEXT NOT NULL,
    crdt BLOB NOT NULL,
    version INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    changed INTEGER NOT NULL
) WITHOUT ROWID;
CREATE UNIQUE INDEX agent_state_changed ON agent_state (changed);
CREATE TABLE agent_index (
    schema TEXT NOT NULL,
    field TEXT NOT NULL,
    key BLOB NOT NULL,
    agent_id TEXT NOT NULL,
    PRIMARY KEY (schema, field, key, agent_id)
) WITHOUT ROWID;
CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
";
const EVENTS: &str = "
CREATE TABLE agent_events (
    event_id INTEGER PRIMARY KEY AUTOINCREMENT,
    agent_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    payload TEXT NOT NULL,
    priority INTEGER NOT NULL,
    timestamp INTEGER NOT NULL,
    origin TEXT,
    origin_seq INTEGER
);
CREATE INDEX agent_events_type ON agent_events (event_type, event_id);
CREATE TABLE sync_log (
    local_seq INTEGER PRIMARY KEY,
    cloud_seq INTEGER,
    sync_status TEXT NOT NULL,
    note TEXT
);
CREATE INDEX sync_log_waiting ON sync_log (local_seq) WHERE sync_status = 'waiting';
CREATE TABLE record (
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (namespace, key)
) WITHOUT ROWID;
";
/// New in format 2 over the tables of format 1.
const EVENTS_2: &str = "
CREATE INDEX agent_events_series ON agent_events (agent_id, event_type, timestamp);
CREATE UNIQUE INDEX agent_events_origin ON agent_events (origin, origin_seq) WHERE origin IS NOT NULL;
";

fn number(connection: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))
}

/// Makes the tables in an empty file, brings an older one to this release's format, and leaves any other as
/// it is. Several processes may do so at the same time.
pub(super) fn to_current(
    connection: &mut Connection,
    path: &Path,
    schemas: &[Schema],
) -> Result<()> {
    let failed = |cause| Error::Open {
        path: path.to_owned(),
        cause,
    };
    let found = number(connection, "user_version").map_err(failed)?;
    let ours = number(connection, "application_id").map_err(failed)? == APPLICATION;
    if ours && found == FORMAT {
        return Ok(());
    }
    if ours && found > FORMAT {
        return Err(Error::Format {
            found,
            known: FORMAT,
        });
    }
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(failed)?;
    // Another process may have been first.
    let found = number(&transaction, "user_version").map_err(failed)?;
    let ours = number(&transaction, "application_id").map_err(failed)? == APPLICATION;
    let sql = "SELECT count(*) FROM sqlite_schema";
    let objects: i64 = transaction
        .query_row(sql, [], |row| row.get(0))
        .map_err(failed)?;
    match (ours, found, objects) {
        (true, FORMAT, _) => return Ok(()),
        (true, 1, _) => from_format_1(&transaction, schemas)?,
        (false, 0, 0) => {
            for tables in [STATE, EVENTS, EVENTS_2] {
                transaction.execute_batch(tables).map_err(failed)?;
            }
            transaction
                .pragma_update(None, "application_id", APPLICATION)
                .map_err(failed)?;
        }
        _ => {
            return Err(Error::Foreign {
                path: path.to_owned(),
            });
        }
    }
    transaction
        .pragma_update(None, "user_version", FORMAT)
        .map_err(failed)?;
    transaction.commit().map_err(failed)
}

/// Format 1 had no index, numbered no changes, and kept documents as JSON.
fn from_format_1(transaction: &Transaction<'_>, schemas: &[Schema]) -> Result<()> {
    transaction.execute_batch("ALTER TABLE agent_state RENAME TO agent_state_1")?;
    transaction.execute_batch(STATE)?;
    transaction.execute_batch(
        "ALTER TABLE agent_events ADD COLUMN origin TEXT; ALTER TABLE agent_events ADD COLUMN origin_seq INTEGER",
    )?;
    transaction.execute_batch(EVENTS_2)?;
    let mut rows = transaction.prepare(
        "SELECT agent_id, schema, state_json, crdt_json, version, timestamp FROM agent_state_1 ORDER BY agent_id",
    )?;
    let mut insert = transaction.prepare(
        "INSERT INTO agent_state (agent_id, schema, state_json, crdt, version, timestamp, changed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let mut rows = rows.query([])?;
    let mut changed = 0_i64;
    while let Some(row) = rows.next()? {
        let (id, name): (String, String) = (row.get(0)?, row.get(1)?);
        let (state, crdt): (String, String) = (row.get(2)?, row.get(3)?);
        let (version, at): (i64, i64) = (row.get(4)?, row.get(5)?);
        let schema = schemas.iter().find(|schema| schema.name() == name);
        let document = Document::from_format_1(&crdt, schema).map_err(|cause| Error::Damaged {
            agent: id.clone(),
            cause,
        })?;
        changed += 1;
        insert.execute(params![
            id,
            name,
            state,
            document.encode_stored(),
            version,
            at,
            changed
        ])?;
    }
    transaction.execute_batch("DROP TABLE agent_state_1")?;
    Ok(())
}
