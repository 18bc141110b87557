//! The one file of an index: a snapshot that is mapped, and behind it a log of later changes.
//!
//! `layout` and `log` describe the bytes. A snapshot never changes once the file has its name: it is
//! replaced by writing a new file, syncing it, renaming it and syncing the folder.

pub(crate) mod blocks;
mod layout;
mod load;
mod log;
#[allow(unsafe_code, reason = "mapping a file")]
mod map;
mod snapshot;

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::builder::Config;
use crate::error::{Error, Result};
use crate::state::{Row, State};
pub(crate) use load::Mapped;

/// Most rows that are published at once.
pub(crate) const CHUNK: usize = 1024;

/// The file of an open index, locked.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    file: File,
    /// Where the log starts.
    start: u64,
    /// Bytes of the log, all of them whole records.
    length: u64,
    /// How much of the log a power cut leaves in place.
    durable: u64,
    /// Whether changes were appended since.
    dirty: bool,
    broken: bool,
    buffer: Vec<u8>,
}

impl Store {
    /// Opens the file if it exists and holds what `config` asks for; creates it otherwise.
    pub fn open_or_create(path: &Path, config: Config) -> Result<(Self, State)> {
        match Self::open(path) {
            Ok((store, state)) => {
                agree(path, state.config, config)?;
                Ok((store, state))
            }
            Err(Error::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                let state = State::new(config);
                Self::save(path, &state)?;
                Self::open(path)
            }
            Err(error) => Err(error),
        }
    }

    pub fn open(path: &Path) -> Result<(Self, State)> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .map_err(Error::io("cannot open", path))?;
        lock(&file, path)?;
        let load::Loaded {
            mut state,
            header,
            log,
        } = load::load(&file, path)?;
        let replay =
            log::replay(&log, &state.config).map_err(|why| layout::corrupt(path, "log", why))?;
        redo(&mut state, replay.changes, path)?;
        if replay.valid < log.len() {
            file.set_len(header.log + replay.valid as u64)
                .map_err(Error::io("cannot cut the torn end of", path))?;
        }
        let store = Self {
            path: path.into(),
            file,
            start: header.log,
            length: replay.valid as u64,
            durable: 0,
            // Whether the log that was found is on the disk is not known: the next flush sees to it.
            dirty: replay.valid > 0,
            broken: false,
            buffer: Vec::new(),
        };
        Ok((store, state))
    }

    /// Checks every byte of a file against its checksums.
    pub fn verify(path: &Path) -> Result<()> {
        let file = File::open(path).map_err(Error::io("cannot open", path))?;
        let load::Loaded { state, header, log } = load::load(&file, path)?;
        log::replay(&log, &state.config).map_err(|why| layout::corrupt(path, "log", why))?;
        load::verify_originals(&file, &header, path)
    }

    /// Writes a snapshot under `path`, replacing what is there.
    pub fn save(path: &Path, state: &State) -> Result<()> {
        let (_file, _header) = Self::put(path, state)?;
        snapshot::sync_folder(path)
    }

    /// Writes a snapshot and gives it its name; the file comes back locked.
    fn put(path: &Path, state: &State) -> Result<(File, layout::Header)> {
        let fresh = snapshot::fresh_name(path);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&fresh)
            .map_err(Error::io("cannot create", &fresh))?;
        let written = lock(&file, &fresh).and_then(|()| {
            let header = snapshot::write(&file, &fresh, state)?;
            std::fs::rename(&fresh, path).map_err(Error::io("cannot replace", path))?;
            Ok(header)
        });
        if written.is_err() {
            // What could not be finished is of no use; the error that matters is the first one.
            let _ = std::fs::remove_file(&fresh);
        }
        Ok((file, written?))
    }

    /// Replaces the file by a snapshot of `state`, which is mapped.
    pub fn replace(&mut self, state: &State) -> Result<Mapped> {
        let (file, header) = Self::put(&self.path, state)?;
        // The new file has the name: from here on changes belong into it, come what may.
        self.file = file;
        self.start = header.log;
        (self.length, self.durable, self.dirty) = (0, 0, false);
        let mapped = snapshot::sync_folder(&self.path)
            .and_then(|()| map::shared(&self.file, header.log as usize, &self.path))
            .and_then(|map| Mapped::of(&self.file, &Arc::new(map), &header, &self.path));
        self.broken = mapped.is_err();
        mapped
    }

    pub fn append_rows(&mut self, rows: &[Row]) -> Result<()> {
        self.append(|out, durable| {
            for row in rows {
                log::upsert(out, durable, row);
            }
        })
    }

    pub fn append_delete(&mut self, id: u64) -> Result<()> {
        self.append(|out, durable| log::delete(out, durable, id))
    }

    fn append(&mut self, records: impl FnOnce(&mut Vec<u8>, u64)) -> Result<()> {
        self.buffer.clear();
        records(&mut self.buffer, self.durable);
        let end = self.start + self.length;
        let written = self
            .file
            .seek(SeekFrom::Start(end))
            .and_then(|_| self.file.write_all(&self.buffer));
        if let Err(error) = written {
            // Whole or not at all: take back what was written, or take no more changes.
            self.broken = self.file.set_len(end).is_err();
            return Err(Error::io("cannot append to", &self.path)(error));
        }
        self.length += self.buffer.len() as u64;
        self.dirty = true;
        Ok(())
    }

    /// Makes the log durable and says so in it.
    pub fn flush(&mut self) -> Result<()> {
        if !self.dirty {
            return Ok(());
        }
        if let Err(error) = self.file.sync_data() {
            // The system may have dropped the pages: nothing after this can be trusted.
            self.broken = true;
            return Err(Error::io("cannot sync", &self.path)(error));
        }
        self.durable = self.length;
        self.append(log::durable_mark)?;
        self.dirty = false;
        Ok(())
    }

    pub fn is_broken(&self) -> bool {
        self.broken
    }

    pub fn log_bytes(&self) -> u64 {
        self.length
    }

    pub fn file_bytes(&self) -> u64 {
        self.start + self.length
    }
}

/// Applies the changes of a log, neighbouring upserts together.
fn redo(state: &mut State, changes: Vec<log::Change>, path: &Path) -> Result<()> {
    let mut rows: Vec<Row> = Vec::new();
    let store = |state: &mut State, rows: &mut Vec<Row>| {
        state
            .payloads
            .check(rows.iter().map(|row| &row.payload), 0)
            .map_err(|_| layout::corrupt(path, "log", "payloads have too many fields"))?;
        state.upsert(rows, 1);
        rows.clear();
        Ok(())
    };
    for change in changes {
        match change {
            log::Change::Upsert(row) => {
                rows.push(row);
                if rows.len() == CHUNK {
                    store(state, &mut rows)?;
                }
            }
            log::Change::Delete(id) => {
                store(state, &mut rows)?;
                state.delete(id);
            }
        }
    }
    store(state, &mut rows)
}

fn lock(file: &File, path: &Path) -> Result<()> {
    match file.try_lock() {
        Ok(()) => Ok(()),
        Err(TryLockError::WouldBlock) => Err(Error::Locked { path: path.into() }),
        Err(TryLockError::Error(error)) => Err(Error::io("cannot lock", path)(error)),
    }
}

fn agree(path: &Path, found: Config, asked: Config) -> Result<()> {
    let mismatch = |what, found: String, asked: String| Error::Mismatch {
        path: path.into(),
        what,
        found,
        asked,
    };
    if found.dim != asked.dim {
        return Err(mismatch(
            "dimension",
            found.dim.to_string(),
            asked.dim.to_string(),
        ));
    }
    if found.metric != asked.metric {
        let name = |config: Config| config.metric.name().to_owned();
        return Err(mismatch("metric", name(found), name(asked)));
    }
    if found.quantization != asked.quantization {
        let name = |config: Config| config.quantization.name().to_owned();
        return Err(mismatch("quantization", name(found), name(asked)));
    }
    Ok(())
}
