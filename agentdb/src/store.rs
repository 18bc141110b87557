//! The file: three tables that the `sqlite3` shell reads, one for opaque records, and their version.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};

use crate::error::{Error, Result};

/// The format that this release writes; kept in SQLite's `user_version`.
const FORMAT: i64 = 1;
/// "EWad", in SQLite's `application_id`: tells our files from those of other programs.
const APPLICATION: i64 = 0x4557_6164;
const BUSY: Duration = Duration::from_secs(5);

const TABLES: &str = "
CREATE TABLE agent_state (
    agent_id TEXT PRIMARY KEY,
    schema TEXT NOT NULL,
    state_json TEXT NOT NULL,
    crdt BLOB NOT NULL,
    version INTEGER NOT NULL,
    timestamp INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE agent_events (
    event_id INTEGER PRIMARY KEY AUTOINCREMENT,
    agent_id TEXT NOT NULL,
    event_type TEXT NOT NULL,
    payload TEXT NOT NULL,
    priority INTEGER NOT NULL,
    timestamp INTEGER NOT NULL
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

/// When a commit is on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it returns: a power cut loses nothing that was committed.
    #[default]
    Immediate,
    /// Some time later: a crash of the process loses nothing, a power cut may lose the last commits, and
    /// never a part of one.
    Buffered,
}

fn number(connection: &Connection, pragma: &str) -> rusqlite::Result<i64> {
    connection.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get(0))
}

/// Makes the tables in an empty file; leaves any other as it is, and the one that another process has made
/// meanwhile.
fn make(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let objects: i64 =
        transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if objects == 0 {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", FORMAT)?;
    }
    transaction.commit()
}

/// Opens or makes a file, or a database in memory without a path.
pub(crate) fn open(path: Option<&Path>, durability: Durability) -> Result<Connection> {
    let failed = |cause| Error::Open {
        path: path.unwrap_or(Path::new(":memory:")).to_owned(),
        cause,
    };
    let mut connection = match path {
        Some(path) => Connection::open(path),
        None => Connection::open_in_memory(),
    }
    .map_err(failed)?;
    connection.busy_timeout(BUSY).map_err(failed)?;
    if number(&connection, "user_version").map_err(failed)? == 0 {
        make(&mut connection).map_err(failed)?;
    }
    if number(&connection, "application_id").map_err(failed)? != APPLICATION {
        return Err(Error::Foreign {
            path: path.unwrap_or(Path::new(":memory:")).to_owned(),
        });
    }
    let found = number(&connection, "user_version").map_err(failed)?;
    if found > FORMAT {
        return Err(Error::Format {
            found,
            known: FORMAT,
        });
    }
    // The pragma answers with the mode that it set; in memory there is no log.
    connection
        .query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))
        .map_err(failed)?;
    let level = match durability {
        Durability::Immediate => "FULL",
        Durability::Buffered => "NORMAL",
    };
    connection
        .pragma_update(None, "synchronous", level)
        .map_err(failed)?;
    Ok(connection)
}

pub(crate) fn get_record(
    connection: &Connection,
    namespace: &str,
    key: &str,
) -> Result<Option<Vec<u8>>> {
    let mut statement =
        connection.prepare_cached("SELECT value FROM record WHERE namespace = ?1 AND key = ?2")?;
    Ok(statement
        .query_row(params![namespace, key], |row| row.get(0))
        .optional()?)
}

pub(crate) fn scan_records(
    connection: &Connection,
    namespace: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<(String, Vec<u8>)>> {
    let mut statement = connection.prepare_cached(
        "SELECT key, value FROM record WHERE namespace = ?1 AND key > ?2 ORDER BY key LIMIT ?3",
    )?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![namespace, after, limit], |row| {
        Ok((row.get(0)?, row.get(1)?))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}
