//! A journal in one SQLite file: write-ahead log, `synchronous=FULL`, one `fsync` per commit.
//!
//! Records go to the end of the table `tail` first, so a commit of many runs writes a few pages
//! next to each other instead of a page a run. When the tail is long it moves, sorted, into the
//! table `log`, where the records of a run lie together. The view `record` shows both as one.

use std::collections::HashMap;
use std::path::Path;

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde_json::Value;

use super::{Batch, Journal, JournalError, LeaseRequest, Op, StateWrites};
use crate::numbers::ByNumber;
use crate::run::RunId;
use crate::time::Timestamp;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS log (run INTEGER NOT NULL, seq INTEGER NOT NULL, record BLOB NOT NULL,
        PRIMARY KEY (run, seq)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS tail (id INTEGER PRIMARY KEY, run INTEGER NOT NULL, seq INTEGER NOT NULL,
        record BLOB NOT NULL);
    CREATE VIEW IF NOT EXISTS record AS
        SELECT run, seq, record FROM log UNION ALL SELECT run, seq, record FROM tail;
    CREATE TABLE IF NOT EXISTS value (space TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL,
        PRIMARY KEY (space, key)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS state (collection TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL,
        PRIMARY KEY (collection, key)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS lease (one INTEGER PRIMARY KEY CHECK (one = 1), owner TEXT NOT NULL,
        until_ms INTEGER NOT NULL, epoch INTEGER NOT NULL);
";

/// Records in the tail before it moves.
const TAIL_LEN_MAX: u64 = 4096;

/// A journal in a SQLite file that any SQLite tool can read.
#[derive(Debug)]
pub struct SqliteJournal {
    connection: Connection,
    tail: Tail,
}

/// What is known of the tail without looking; only as long as nobody else writes.
#[derive(Debug, Default)]
struct Tail {
    /// SQLite's count of the changes by other connections; `None` when nothing is known.
    version: Option<i64>,
    len: u64,
    /// The number that the next record of a run has, for every run with records in the tail.
    next: HashMap<RunId, u64, ByNumber>,
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
        Ok(Self {
            connection,
            tail: Tail::default(),
        })
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

impl Tail {
    /// Looks anew when another connection wrote, or when the last commit failed.
    fn refresh(&mut self, connection: &Connection) -> Result<(), JournalError> {
        let mut statement = connection.prepare_cached("PRAGMA data_version")?;
        let version = statement.query_row([], |row| row.get(0))?;
        if self.version == Some(version) {
            return Ok(());
        }
        let mut statement = connection
            .prepare_cached("SELECT run, max(seq) + 1, count(*) FROM tail GROUP BY run")?;
        let mut rows = statement.query([])?;
        *self = Self {
            version: Some(version),
            ..Self::default()
        };
        while let Some(row) = rows.next()? {
            let number = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
            self.next.insert(RunId::new(number(0)?), number(1)?);
            self.len += number(2)?;
        }
        Ok(())
    }

    fn append(
        &mut self,
        connection: &Connection,
        run: RunId,
        seq: u64,
        record: &[u8],
    ) -> Result<(), JournalError> {
        let key = (signed(run.as_u64())?, signed(seq)?);
        let there = |sql: &str| -> Result<bool, JournalError> {
            let mut statement = connection.prepare_cached(sql)?;
            Ok(statement.query_row(key, |row| row.get(0))?)
        };
        let known = match self.next.get(&run) {
            Some(next) if *next == seq => false,
            Some(_) => there("SELECT EXISTS (SELECT 1 FROM record WHERE run = ?1 AND seq = ?2)")?,
            None => there("SELECT EXISTS (SELECT 1 FROM log WHERE run = ?1 AND seq = ?2)")?,
        };
        if known {
            return Ok(());
        }
        let mut statement =
            connection.prepare_cached("INSERT INTO tail (run, seq, record) VALUES (?1, ?2, ?3)")?;
        statement.execute(params![key.0, key.1, record])?;
        let next = self.next.entry(run).or_default();
        *next = (*next).max(seq + 1);
        self.len += 1;
        Ok(())
    }

    /// Sorts the tail into the log when it is long.
    fn settle(&mut self, connection: &Connection) -> Result<(), JournalError> {
        if self.len < TAIL_LEN_MAX {
            return Ok(());
        }
        connection.execute_batch(
            "INSERT OR IGNORE INTO log (run, seq, record)
                SELECT run, seq, record FROM tail ORDER BY run, seq, id;
             DELETE FROM tail;",
        )?;
        self.len = 0;
        self.next.clear();
        Ok(())
    }
}

fn apply(transaction: &Connection, tail: &mut Tail, op: &Op) -> Result<(), JournalError> {
    match op {
        Op::Append { run, seq, record } => tail.append(transaction, *run, *seq, record)?,
        Op::Truncate { run, before } => {
            let key = (signed(run.as_u64())?, signed(*before)?);
            transaction
                .prepare_cached("DELETE FROM log WHERE run = ?1 AND seq < ?2")?
                .execute(key)?;
            let gone = transaction
                .prepare_cached("DELETE FROM tail WHERE run = ?1 AND seq < ?2")?
                .execute(key)?;
            tail.len = tail.len.saturating_sub(gone as u64);
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
        // Whatever fails, what is known of the tail is not true any more.
        let mut tail = std::mem::take(&mut self.tail);
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
        tail.refresh(&transaction)?;
        for op in &batch.ops {
            apply(&transaction, &mut tail, op)?;
        }
        tail.settle(&transaction)?;
        transaction.commit()?;
        self.tail = tail;
        Ok(())
    }

    fn log(&self, run: RunId) -> Result<Vec<(u64, Vec<u8>)>, JournalError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT seq, record FROM record WHERE run = ?1 ORDER BY seq")?;
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
