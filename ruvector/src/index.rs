//! The index that users hold: one writer at a time, readers beside it.
//!
//! Two locks. The writer's lock is held for a whole change, file writes included; the state's lock
//! is held exclusively only while rows change in memory. So a search never waits for the disk.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde_json::Value;

use crate::builder::{Config, IndexBuilder, Limits};
use crate::error::{Error, Result};
use crate::file::Store;
use crate::metric::Metric;
use crate::payload::Encoded;
use crate::search::{Hit, Search};
use crate::state::{Found, Row, State, Want};
use crate::stats::Stats;

/// A vector index. Shared by reference (or [`Arc`](std::sync::Arc)) between threads.
pub struct Index {
    config: Config,
    limits: Limits,
    state: RwLock<State>,
    writer: Mutex<Writer>,
}

/// What only the writer touches.
struct Writer {
    store: Option<Store>,
    poisoned: bool,
}

/// A stored vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The vector; under cosine the normalised one.
    pub vector: Vec<f32>,
    /// Its payload, if any.
    pub payload: Option<Value>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index")
            .field("dim", &self.config.dim)
            .field("metric", &self.config.metric)
            .finish_non_exhaustive()
    }
}

impl Index {
    /// Options of an index of vectors with `dim` components.
    pub fn builder(dim: usize) -> IndexBuilder {
        IndexBuilder::new(dim)
    }

    /// Opens an index's file with the options that it was built with and default limits.
    ///
    /// The file is locked until the index is dropped. What was appended since the last snapshot is
    /// applied; a torn last record (a write that a crash cut short) is cut off.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::NotAnIndex`], [`Error::Version`], [`Error::Corrupt`],
    /// [`Error::Locked`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let (store, state) = Store::open(path.as_ref())?;
        Ok(Self::of(state, Limits::default(), Some(store)))
    }

    /// Checks every byte of an index's file against its checksums, the vectors included, which
    /// [`Index::open`] leaves for their first read. A torn last record of the log is no error.
    ///
    /// # Errors
    /// As [`Index::open`], without [`Error::Locked`].
    pub fn verify(path: impl AsRef<Path>) -> Result<()> {
        Store::verify(path.as_ref())
    }

    pub(crate) fn in_memory(config: Config, limits: Limits) -> Self {
        Self::of(State::new(config), limits, None)
    }

    pub(crate) fn open_or_create(path: &Path, config: Config, limits: Limits) -> Result<Self> {
        let (store, state) = Store::open_or_create(path, config)?;
        Ok(Self::of(state, limits, Some(store)))
    }

    fn of(state: State, limits: Limits, store: Option<Store>) -> Self {
        Self {
            config: state.config,
            limits,
            state: RwLock::new(state),
            writer: Mutex::new(Writer {
                store,
                poisoned: false,
            }),
        }
    }

    // A panic while a lock was held (there is none by design) must not turn into more of them.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn writer(&self) -> Result<MutexGuard<'_, Writer>> {
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        if writer.poisoned {
            return Err(Error::Poisoned);
        }
        Ok(writer)
    }

    /// Checks a vector and brings it to the form in which it is stored.
    fn admit(&self, vector: &[f32]) -> Result<Box<[f32]>> {
        if vector.len() != self.config.dim {
            return Err(Error::Dimension {
                got: vector.len(),
                want: self.config.dim,
            });
        }
        if let Some(at) = vector.iter().position(|x| !x.is_finite()) {
            return Err(Error::NotFinite {
                at,
                value: vector[at],
            });
        }
        if self.config.metric != Metric::Cosine {
            return Ok(vector.into());
        }
        let square: f64 = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        // Below this the normalised components would be rounding noise.
        if square.sqrt() < 1e-30 {
            return Err(Error::ZeroVector);
        }
        let inverse = 1.0 / square.sqrt();
        Ok(vector
            .iter()
            .map(|x| (f64::from(*x) * inverse) as f32)
            .collect())
    }

    /// Stores a vector with its payload (an object, or null for none), replacing what the id had.
    ///
    /// It is seen by searches that start after the call. With a file it survives a crash of the
    /// process from then on, and a power cut after [`Index::flush`].
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::NotFinite`], [`Error::ZeroVector`], the payload errors,
    /// [`Error::Full`]; with a file also [`Error::Io`] and [`Error::Poisoned`]. Nothing was stored.
    pub fn upsert(&self, id: u64, vector: &[f32], payload: Value) -> Result<()> {
        let row = Row {
            id,
            vector: self.admit(vector)?,
            payload: Encoded::new(payload)?,
        };
        self.store_rows(vec![row])
    }

    /// Stores many vectors: `vectors` is row-major, `payloads` is empty or has one for each id.
    /// Where an id comes twice the later one stays.
    ///
    /// # Errors
    /// As [`Index::upsert`], and [`Error::BatchShape`]. Nothing was stored.
    pub fn upsert_batch(&self, ids: &[u64], vectors: &[f32], payloads: Vec<Value>) -> Result<()> {
        let dim = self.config.dim;
        let fits = ids.len().checked_mul(dim) == Some(vectors.len())
            && (payloads.is_empty() || payloads.len() == ids.len());
        if !fits {
            return Err(Error::BatchShape {
                ids: ids.len(),
                vectors: vectors.len() / dim,
                payloads: payloads.len(),
            });
        }
        let payloads = payloads.into_iter().chain(std::iter::repeat(Value::Null));
        let rows = ids.iter().zip(vectors.chunks_exact(dim)).zip(payloads);
        let rows = rows.map(|((id, vector), payload)| {
            Ok(Row {
                id: *id,
                vector: self.admit(vector)?,
                payload: Encoded::new(payload)?,
            })
        });
        self.store_rows(rows.collect::<Result<_>>()?)
    }

    fn store_rows(&self, rows: Vec<Row>) -> Result<()> {
        let mut writer = self.writer()?;
        {
            let state = self.read();
            let slots = state.slots() + rows.len();
            let limit = self.limits.vectors_max;
            if slots > limit {
                return Err(full("vectors", slots, limit));
            }
            let payloads: usize = rows.iter().map(|row| row.payload.text.len()).sum();
            let bytes = state.heap_bytes() + rows.len() * state.row_bytes() + payloads;
            if bytes > self.limits.bytes_max {
                return Err(full("bytes", bytes, self.limits.bytes_max));
            }
            for row in &rows {
                state.payloads.check(&row.payload)?;
            }
        }
        writer.append(|store| store.append_rows(&rows))?;
        let mut state = self.write();
        for row in &rows {
            state.upsert(row);
        }
        Ok(())
    }

    /// Removes a vector; whether there was one. Its memory is given back by [`Index::compact`].
    ///
    /// # Errors
    /// With a file [`Error::Io`] and [`Error::Poisoned`].
    pub fn delete(&self, id: u64) -> Result<bool> {
        let mut writer = self.writer()?;
        if !self.read().by_id.contains_key(&id) {
            return Ok(false);
        }
        writer.append(|store| store.append_delete(id))?;
        Ok(self.write().delete(id) == Found::Yes)
    }

    /// What an id holds.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the mapped vector does not match its checksum.
    pub fn get(&self, id: u64) -> Result<Option<Entry>> {
        let state = self.read();
        let Some(slot) = state.by_id.get(&id).copied() else {
            return Ok(None);
        };
        Ok(Some(Entry {
            vector: state.original(slot)?[..self.config.dim].to_vec(),
            payload: state.payload(slot),
        }))
    }

    /// Describes a search for the `k` nearest of `query`.
    pub fn search<'a>(&'a self, query: &'a [f32], k: usize) -> Search<'a> {
        Search {
            index: self,
            query,
            k,
            filter: None,
            rerank: None,
            min_score: f32::NEG_INFINITY,
        }
    }

    /// Searches for many queries, row-major; the hits of each, in order.
    ///
    /// # Errors
    /// As [`Search::run`]; [`Error::Dimension`] if `queries` is not made of whole vectors.
    pub fn search_batch(&self, queries: &[f32], k: usize) -> Result<Vec<Vec<Hit>>> {
        let dim = self.config.dim;
        if !queries.len().is_multiple_of(dim) {
            return Err(Error::Dimension {
                got: queries.len() % dim,
                want: dim,
            });
        }
        queries
            .chunks_exact(dim)
            .map(|query| self.search(query, k).run())
            .collect()
    }

    pub(crate) fn find(&self, query: &[f32], want: &Want<'_>) -> Result<Vec<Hit>> {
        let query = self.admit(query)?;
        let state = self.read();
        let found = state.nearest(&query, want)?;
        Ok(found
            .into_iter()
            .map(|(slot, score)| Hit {
                id: state.ids[slot as usize],
                score,
                payload: state.payload(slot),
            })
            .collect())
    }

    /// Makes every change so far survive a power cut. When the file's log has outgrown its limit,
    /// the file is replaced by a snapshot.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Poisoned`]. Without a file it does nothing.
    pub fn flush(&self) -> Result<()> {
        let mut writer = self.writer()?;
        let long = writer
            .store
            .as_ref()
            .is_some_and(|store| store.log_bytes() > self.limits.log_bytes_max);
        if long {
            return self.snapshot_with(&mut writer);
        }
        writer.append(Store::flush)
    }

    /// Replaces the file by one without a log, so that it opens fast, and maps the vectors from it.
    /// A crash at any moment leaves either the old file or the new one.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Poisoned`], [`Error::NoFile`].
    pub fn snapshot(&self) -> Result<()> {
        let mut writer = self.writer()?;
        if writer.store.is_none() {
            return Err(Error::NoFile);
        }
        self.snapshot_with(&mut writer)
    }

    fn snapshot_with(&self, writer: &mut Writer) -> Result<()> {
        let Some(store) = &mut writer.store else {
            return Ok(());
        };
        let mapped = {
            let state = self.read();
            store.replace(&state)?
        };
        mapped.attach(&mut self.write());
        Ok(())
    }

    /// Writes a copy of the index to another file, which then holds a snapshot.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        Store::save(path.as_ref(), &self.read())
    }

    /// Removes deleted rows for good, gives their memory back, and writes a snapshot if there is a file.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Poisoned`], [`Error::Corrupt`].
    pub fn compact(&self) -> Result<()> {
        let mut writer = self.writer()?;
        let fresh = {
            let state = self.read();
            let mut fresh = State::new(state.config);
            for slot in 0..state.slots() as u32 {
                if !state.deleted.get(slot) {
                    fresh.upsert(&Row {
                        id: state.ids[slot as usize],
                        vector: state.original(slot)?[..self.config.dim].into(),
                        payload: Encoded::parse(state.payloads.text(slot)).unwrap_or_default(),
                    });
                }
            }
            fresh.shrink();
            fresh
        };
        let mapped = match &mut writer.store {
            Some(store) => Some(store.replace(&fresh)?),
            None => None,
        };
        let mut fresh = fresh;
        if let Some(mapped) = mapped {
            mapped.attach(&mut fresh);
        }
        *self.write() = fresh;
        Ok(())
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.read().live()
    }

    /// Whether there is no vector.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Components of each vector.
    pub fn dim(&self) -> usize {
        self.config.dim
    }

    /// How near is measured.
    pub fn metric(&self) -> Metric {
        self.config.metric
    }

    /// Sizes and choices, as they are now.
    pub fn stats(&self) -> Stats {
        let (log_bytes, file_bytes) = {
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            writer
                .store
                .as_ref()
                .map_or((0, 0), |store| (store.log_bytes(), store.file_bytes()))
        };
        Stats::of(&self.read(), log_bytes, file_bytes)
    }
}

impl Writer {
    /// Runs a write to the file, if there is one. A write that fails and cannot be undone stops all later ones.
    fn append(&mut self, write: impl FnOnce(&mut Store) -> Result<()>) -> Result<()> {
        let Some(store) = &mut self.store else {
            return Ok(());
        };
        let result = write(store);
        self.poisoned = store.is_broken();
        result
    }
}

fn full(what: &'static str, needed: usize, limit: usize) -> Error {
    Error::Full {
        what,
        needed: needed as u64,
        limit: limit as u64,
    }
}
