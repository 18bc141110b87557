//! A journal in one SQLite file: write-ahead log, `synchronous=FULL`, one `fsync` per commit.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde_json::Value;

use super::{Batch, Journal, JournalError, LeaseRequest, Op, StateWrites};
use crate::run::RunId;
use crate::time::Timestamp;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS log (run INTEGER NOT NULL, seq INTEGER NOT NULL, record BLOB NOT NULL,
        PRIMARY KEY (run, seq)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS value (space TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (space, key)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS state (collection TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (collection, key)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS lease (one INTEGER PRIMARY KEY CHECK (one = 1), owner TEXT NOT NULL,
        until_ms INTEGER NOT NULL, epoch INTEGER NOT NULL);
";

/// A journal in a SQLite file that any SQLite tool can read.
#[derive(Debug)]
pub struct SqliteJournal {
    connection: Connection,
}

impl From<rusqlite::Error> for JournalError {
    fn from(error: rusqlite::Error) -> Self {
        JournalError::store(error)
    }
}

impl SqliteJournal {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// A path that cannot be opened, or a file that is no SQLite database.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, JournalError> {
        Self::over(Connection::open(path)?)
    }

    fn over(connection: Connection) -> Result<Self, JournalError> {
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(SCHEMA)?;
        connection.set_prepared_statement_cache_capacity(32);
        Ok(Self { connection })
    }

    /// The application state that steps wrote at `key` of `collection`.
    ///
    /// # Errors
    /// A store that failed, or a body that is no JSON.
    pub fn state(&self, collection: &str, key: &str) -> Result<Option<Value>, JournalError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT body FROM state WHERE collection = ?1 AND key = ?2")?;
        let body: Option<String> = statement
            .query_row(params![collection, key], |row| row.get(0))
            .optional()?;
        body.map(|text| serde_json::from_str(&text).map_err(JournalError::store))
            .transpose()
    }
}

/// SQLite integers have a sign; run numbers and sequence numbers never come near it.
fn signed(number: u64) -> Result<i64, JournalError> {
    i64::try_from(number).map_err(JournalError::store)
}

fn apply(transaction: &Connection, op: &Op) -> Result<(), JournalError> {
    match op {
        Op::Append { run, seq, record } => {
            let mut statement = transaction.prepare_cached(
                "INSERT OR IGNORE INTO log (run, seq, record) VALUES (?1, ?2, ?3)",
            )?;
            statement.execute(params![signed(run.as_u64())?, signed(*seq)?, record])?;
        }
        Op::Truncate { run, before } => {
            let mut statement =
                transaction.prepare_cached("DELETE FROM log WHERE run = ?1 AND seq < ?2")?;
            statement.execute(params![signed(run.as_u64())?, signed(*before)?])?;
        }
        Op::Put { space, key, value } => {
            let mut statement = transaction.prepare_cached(
                "INSERT OR REPLACE INTO value (space, key, value) VALUES (?1, ?2, ?3)",
            )?;
            statement.execute(params![space, key, value])?;
        }
        Op::Delete { space, key } => {
            let mut statement =
                transaction.prepare_cached("DELETE FROM value WHERE space = ?1 AND key = ?2")?;
            statement.execute(params![space, key])?;
        }
        Op::State(write) if write.body.is_null() => {
            let mut statement = transaction
                .prepare_cached("DELETE FROM state WHERE collection = ?1 AND key = ?2")?;
            statement.execute(params![write.collection, write.key])?;
        }
        Op::State(write) => {
            let mut statement = transaction.prepare_cached(
                "INSERT OR REPLACE INTO state (collection, key, body) VALUES (?1, ?2, ?3)",
            )?;
            statement.execute(params![write.collection, write.key, write.body.to_string()])?;
        }
    }
    Ok(())
}

fn current_lease(
    connection: &Connection,
) -> Result<Option<(String, Timestamp, u64)>, JournalError> {
    let mut statement = connection.prepare_cached("SELECT owner, until_ms, epoch FROM lease")?;
    let row = statement.query_row([], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, i64>(1)?,
            row.get::<_, i64>(2)?,
        ))
    });
    Ok(row.optional()?.map(|(owner, until, epoch)| {
        (
            owner,
            Timestamp::from_millis(until),
            u64::try_from(epoch).unwrap_or_default(),
        )
    }))
}

impl Journal for SqliteJournal {
    fn commit(&mut self, batch: &Batch) -> Result<(), JournalError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let current = current_lease(&transaction)?.map_or(0, |(_, _, epoch)| epoch);
        if batch.epoch < current {
            return Err(JournalError::Fenced {
                ours: batch.epoch,
                current,
            });
        }
        for op in &batch.ops {
            apply(&transaction, op)?;
        }
        Ok(transaction.commit()?)
    }

    fn log(&self, run: RunId) -> Result<Vec<(u64, Vec<u8>)>, JournalError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT seq, record FROM log WHERE run = ?1 ORDER BY seq")?;
        let rows = statement.query_map(params![signed(run.as_u64())?], |row| {
            Ok((row.get::<_, i64>(0)?.unsigned_abs(), row.get(1)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn get(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT value FROM value WHERE space = ?1 AND key = ?2")?;
        Ok(statement
            .query_row(params![space, key], |row| row.get(0))
            .optional()?)
    }

    fn scan(
        &self,
        space: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, JournalError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT key, value FROM value WHERE space = ?1 AND key > ?2 ORDER BY key LIMIT ?3",
        )?;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let rows = statement.query_map(params![space, after, limit], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn state_writes(&self) -> StateWrites {
        StateWrites::Atomic
    }

    fn lease(&mut self, request: &LeaseRequest) -> Result<u64, JournalError> {
        let transaction = self
            .connection
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        let until = request.now.after(request.ttl);
        let epoch = match current_lease(&transaction)? {
            Some((owner, _, epoch)) if owner == request.owner => epoch,
            Some((owner, end, _)) if end > request.now => {
                return Err(JournalError::Held { owner, until: end });
            }
            Some((_, _, epoch)) => epoch + 1,
            None => 1,
        };
        transaction.execute(
            "INSERT OR REPLACE INTO lease (one, owner, until_ms, epoch) VALUES (1, ?1, ?2, ?3)",
            params![request.owner, until.as_millis(), signed(epoch)?],
        )?;
        transaction.commit()?;
        Ok(epoch)
    }
}
