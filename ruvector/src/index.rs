//! The index that users hold: one writer at a time, readers beside it.
//!
//! Two locks. The writer's lock is held for a whole change, file writes included; the state's lock
//! is held exclusively only while rows change in memory. So a search never waits for the disk.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde_json::Value;

use crate::builder::{Config, IndexBuilder, Limits, Quantization};
use crate::error::{Error, Result};
use crate::file::{CHUNK, Mapped, Store};
use crate::filter::Filter;
use crate::graph::Scratch;
use crate::lookup::Want;
use crate::metric::Metric;
use crate::payload::Encoded;
use crate::search::{EFFORT_DEFAULT, Hit, Search};
use crate::state::{Found, More, Row, State};
use crate::stats::Stats;

/// A vector index. Shared by reference (or [`Arc`](std::sync::Arc)) between threads.
pub struct Index {
    config: Config,
    limits: Limits,
    state: RwLock<State>,
    writer: Mutex<Writer>,
    /// Memory of searches that are over, for those to come: as many as ever ran at once.
    scratches: Mutex<Vec<Scratch>>,
}

/// What only the writer touches.
struct Writer {
    store: Option<Store>,
    poisoned: bool,
}

/// A stored vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The vector; under cosine the normalised one, under Hamming zeros and ones.
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
            scratches: Mutex::default(),
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

    /// Checks a vector; its length in the sense of geometry.
    fn check(&self, vector: &[f32]) -> Result<f64> {
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
        let square: f64 = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        // Below this the normalised components would be rounding noise.
        if self.config.metric == Metric::Cosine && square.sqrt() < 1e-30 {
            return Err(Error::ZeroVector);
        }
        Ok(square.sqrt())
    }

    /// Checks a vector and brings it to the form in which it is stored.
    fn admit(&self, vector: &[f32]) -> Result<Box<[f32]>> {
        let length = self.check(vector)?;
        Ok(match self.config.metric {
            Metric::Cosine => {
                let inverse = 1.0 / length;
                let scaled = vector.iter().map(|x| (f64::from(*x) * inverse) as f32);
                scaled.collect()
            }
            Metric::Hamming => vector
                .iter()
                .map(|x| f32::from(u8::from(*x > 0.0)))
                .collect(),
            Metric::Dot | Metric::L2 => vector.into(),
        })
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
        let mut writer = self.writer()?;
        let rows = [row];
        self.admit_rows(1, rows[0].payload.text.len(), [&rows[0].payload])?;
        self.store_rows(&mut writer, &rows)
    }

    /// Stores many vectors: `vectors` is row-major, `payloads` is empty or has one for each id.
    /// Where an id comes twice the later one stays. Searches see the vectors in portions.
    ///
    /// # Errors
    /// As [`Index::upsert`], and [`Error::BatchShape`]. Nothing was stored, except after
    /// [`Error::Io`], when a first part of the batch may have been.
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
        for vector in vectors.chunks_exact(dim) {
            self.check(vector)?;
        }
        let payloads: Vec<Encoded> = payloads
            .into_iter()
            .map(Encoded::new)
            .collect::<Result<_>>()?;
        let mut writer = self.writer()?;
        let bytes = payloads.iter().map(|payload| payload.text.len()).sum();
        self.admit_rows(ids.len(), bytes, &payloads)?;
        let mut payloads = payloads.into_iter();
        let portions = ids.chunks(CHUNK).zip(vectors.chunks(CHUNK * dim));
        for (ids, vectors) in portions {
            let rows = ids.iter().zip(vectors.chunks_exact(dim));
            let rows: Vec<Row> = rows
                .map(|(id, vector)| {
                    Ok(Row {
                        id: *id,
                        vector: self.admit(vector)?,
                        payload: payloads.next().unwrap_or_default(),
                    })
                })
                .collect::<Result<_>>()?;
            self.store_rows(&mut writer, &rows)?;
        }
        Ok(())
    }

    /// Checks that so many more rows fit the limits.
    fn admit_rows<'p>(
        &self,
        rows: usize,
        payload_bytes: usize,
        payloads: impl IntoIterator<Item = &'p Encoded>,
    ) -> Result<()> {
        let state = self.read();
        let slots = state.slots() + rows;
        if slots > self.limits.vectors_max {
            return Err(full("vectors", slots, self.limits.vectors_max));
        }
        let bytes = state.heap_bytes() + rows * state.row_bytes() + payload_bytes;
        if bytes > self.limits.bytes_max {
            return Err(full("bytes", bytes, self.limits.bytes_max));
        }
        state.payloads.check(payloads)
    }

    fn store_rows(&self, writer: &mut Writer, rows: &[Row]) -> Result<()> {
        writer.append(|store| store.append_rows(rows))?;
        let first = self.write().stage(rows);
        loop {
            // Planning takes long and only reads, so searches go on beside it.
            let plan = self.read().plan(self.limits.threads);
            if self.write().apply(plan) == More::No {
                break;
            }
        }
        self.write().publish(first, rows);
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
            effort: EFFORT_DEFAULT,
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
        let mut scratch = self.scratches().pop().unwrap_or_default();
        let state = self.read();
        let found = state.nearest(&query, want, &mut scratch);
        self.scratches().push(scratch);
        Ok(hits(&state, found?))
    }

    /// All vectors that score at least `min_score`, the nearest first, and among those only the ones
    /// that meet `filter`. Exact for every kind of index; it looks at all rows.
    ///
    /// # Errors
    /// As [`Search::run`].
    pub fn search_range(
        &self,
        query: &[f32],
        min_score: f32,
        filter: Option<&Filter>,
    ) -> Result<Vec<Hit>> {
        let query = self.admit(query)?;
        let state = self.read();
        Ok(hits(&state, state.within(&query, min_score, filter)?))
    }

    fn scratches(&self) -> MutexGuard<'_, Vec<Scratch>> {
        self.scratches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
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
        let state = self.read();
        let mapped = writer.replace(&state)?;
        drop(state);
        if let Some(mapped) = mapped {
            mapped.attach(&mut self.write())?;
        }
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
        let mut fresh = self.read().compacted(self.limits.threads)?;
        if let Some(mapped) = writer.replace(&fresh)? {
            mapped.attach(&mut fresh)?;
        }
        let old = std::mem::replace(&mut *self.write(), fresh);
        // Freed without the lock.
        drop(old);
        Ok(())
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Whether there is no vector.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Components of each vector.
    pub fn dim(&self) -> usize {
        self.config.dim
    }

    /// How rows are kept for the search.
    pub fn quantization(&self) -> Quantization {
        self.config.quantization
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

    /// Replaces the file, if there is one, by a snapshot.
    fn replace(&mut self, state: &State) -> Result<Option<Mapped>> {
        let Some(store) = &mut self.store else {
            return Ok(None);
        };
        let mapped = store.replace(state);
        self.poisoned = store.is_broken();
        mapped.map(Some)
    }
}

fn hits(state: &State, found: Vec<(u32, f32)>) -> Vec<Hit> {
    found
        .into_iter()
        .map(|(slot, score)| Hit {
            id: state.ids[slot as usize],
            score,
            payload: state.payload(slot),
        })
        .collect()
}

fn full(what: &'static str, needed: usize, limit: usize) -> Error {
    Error::Full {
        what,
        needed: needed as u64,
        limit: limit as u64,
    }
}
