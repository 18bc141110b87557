//! Rows in a SQLite file, for any program that reads such. FORMAT.md tells the tables.

mod rows;
mod write;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::migrate;
use super::{Batch, Rows, Storage, Sync};
use crate::error::{Error, Result};
use crate::schema::Schema;

/// How long another process may keep the file.
const BUSY: Duration = Duration::from_secs(5);
const BUSY_STEP: Duration = Duration::from_millis(5);
/// Statements that are kept ready.
const STATEMENTS: usize = 64;
/// How much of the file the writer reads by mapping it, in bytes.
const MAPPED: i64 = 256 << 20;
/// Pages that a reader keeps. It maps nothing: what it has mapped or kept is given up at its first look after each commit
/// of another connection, and for a large file that takes longer than to read a few pages.
const READER_PAGES: u32 = 256;

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
    Ok(())
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
        connection
            .pragma_update(None, "mmap_size", MAPPED)
            .map_err(&failed)?;
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
        connection
            .pragma_update(None, "mmap_size", 0)
            .and_then(|()| connection.pragma_update(None, "cache_size", READER_PAGES))
            .map_err(&failed)?;
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
