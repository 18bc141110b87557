//! What changes an index: vectors that come and go, and what is written to its file.

use serde_json::Value;

use crate::error::{Error, Result};
use crate::file::{CHUNK, Mapped, Store};
use crate::index::Index;
use crate::payload::Encoded;
use crate::shared::Writing;
use crate::state::{Found, Row, State};
use crate::vector::Vector;

/// The file of an index, if there is one.
pub(crate) struct Writer {
    store: Option<Store>,
    /// A write failed and could not be undone.
    poisoned: bool,
}

/// The right to change an index.
type Change<'a> = Writing<'a, State, Writer>;

impl Index {
    /// Stores a vector with its payload (an object, or null for none), replacing what the id had.
    ///
    /// It is seen by searches that start after the call. With a file it survives a crash of the
    /// process from then on, and a power cut after [`Index::flush`].
    ///
    /// # Errors
    /// [`Error::Dimension`], [`Error::NotFinite`], [`Error::ZeroVector`], [`Error::TooLong`],
    /// [`Error::BeyondHalf`], the payload errors, [`Error::Full`]; with a file also [`Error::Io`] and [`Error::Poisoned`]. Nothing was stored.
    pub fn upsert(&self, id: u64, vector: &[f32], payload: Value) -> Result<()> {
        self.upsert_one(id, self.admit_row(vector)?, payload)
    }

    /// Stores a vector of bits, eight a byte, the lowest bit of a byte first (numpy's
    /// `packbits(bitorder="little")`); bits that the last byte has left over are 0.
    ///
    /// # Errors
    /// As [`Index::upsert`]; [`Error::BitBytes`], [`Error::BitsBeyond`], and [`Error::Unsupported`] under
    /// another metric than [`Metric::Hamming`](crate::Metric::Hamming).
    pub fn upsert_bits(&self, id: u64, bytes: &[u8], payload: Value) -> Result<()> {
        self.upsert_one(id, self.admit_bits(bytes)?, payload)
    }

    fn upsert_one(&self, id: u64, vector: Vector, payload: Value) -> Result<()> {
        let rows = [Row {
            id,
            vector,
            payload: Encoded::new(payload)?,
        }];
        let mut writing = self.writing()?;
        self.admit_rows(1, rows[0].payload.text.len(), [&rows[0].payload])?;
        self.store_rows(&mut writing, &rows)
    }

    /// Stores many vectors: `vectors` is row-major, `payloads` is empty or has one for each id.
    /// Where an id comes twice the later one stays. Searches see the vectors in portions.
    ///
    /// # Errors
    /// As [`Index::upsert`], and [`Error::BatchShape`]. Nothing was stored, except after
    /// [`Error::Io`], when a first part of the batch may have been.
    pub fn upsert_batch(&self, ids: &[u64], vectors: &[f32], payloads: Vec<Value>) -> Result<()> {
        for vector in vectors.chunks_exact(self.config.dim) {
            self.check_row(vector)?;
        }
        self.upsert_many(ids, vectors, self.config.dim, payloads, |vector| {
            self.admit_row(vector)
        })
    }

    /// Stores many vectors of bits: `rows` has those of each id one after another, each in whole bytes.
    ///
    /// # Errors
    /// As [`Index::upsert_batch`] and [`Index::upsert_bits`].
    pub fn upsert_bits_batch(&self, ids: &[u64], rows: &[u8], payloads: Vec<Value>) -> Result<()> {
        let width = self.config.dim.div_ceil(8);
        for bytes in rows.chunks_exact(width) {
            self.admit_bits(bytes)?;
        }
        self.upsert_many(ids, rows, width, payloads, |bytes| self.admit_bits(bytes))
    }

    /// Stores rows of `width` values, each of which `admit` takes.
    fn upsert_many<T>(
        &self,
        ids: &[u64],
        values: &[T],
        width: usize,
        payloads: Vec<Value>,
        admit: impl Fn(&[T]) -> Result<Vector>,
    ) -> Result<()> {
        let fits = ids.len().checked_mul(width) == Some(values.len())
            && (payloads.is_empty() || payloads.len() == ids.len());
        if !fits {
            return Err(Error::BatchShape {
                ids: ids.len(),
                vectors: values.len() / width,
                payloads: payloads.len(),
            });
        }
        let payloads: Vec<Encoded> = payloads
            .into_iter()
            .map(Encoded::new)
            .collect::<Result<_>>()?;
        let mut writing = self.writing()?;
        let bytes = payloads.iter().map(|payload| payload.text.len()).sum();
        self.admit_rows(ids.len(), bytes, &payloads)?;
        let mut payloads = payloads.into_iter();
        let portions = ids.chunks(CHUNK).zip(values.chunks(CHUNK * width));
        for (ids, values) in portions {
            let rows = ids.iter().zip(values.chunks_exact(width));
            let rows: Vec<Row> = rows
                .map(|(id, values)| {
                    Ok(Row {
                        id: *id,
                        vector: admit(values)?,
                        payload: payloads.next().unwrap_or_default(),
                    })
                })
                .collect::<Result<_>>()?;
            self.store_rows(&mut writing, &rows)?;
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
        let state = self.shared.read();
        let slots = state.slots() + rows;
        if slots > self.limits.vectors_max {
            return Err(full("vectors", slots, self.limits.vectors_max));
        }
        let columns = state.payloads.check(payloads, slots)?;
        let bytes = state.heap_bytes() + rows * state.row_bytes() + payload_bytes;
        let bytes = bytes.saturating_add(columns);
        if bytes > self.limits.bytes_max {
            return Err(full("bytes", bytes, self.limits.bytes_max));
        }
        Ok(())
    }

    fn store_rows(&self, writing: &mut Change<'_>, rows: &[Row]) -> Result<()> {
        writing.own.append(|store| store.append_rows(rows))?;
        let first = writing.change(|state| state.stage(rows));
        // Planning takes long and only reads, so searches go on beside it.
        writing.proceed(|state| state.plan(self.limits.threads), State::apply);
        writing.change(|state| state.publish(first, rows));
        Ok(())
    }

    /// Removes a vector; whether there was one. Its memory is given back by [`Index::compact`].
    ///
    /// # Errors
    /// With a file [`Error::Io`] and [`Error::Poisoned`].
    pub fn delete(&self, id: u64) -> Result<bool> {
        let mut writing = self.writing()?;
        if !writing.read().by_id.contains_key(&id) {
            return Ok(false);
        }
        writing.own.append(|store| store.append_delete(id))?;
        Ok(writing.change(|state| state.delete(id)) == Found::Yes)
    }

    /// Makes every change so far survive a power cut. When the file's log has outgrown its limit,
    /// the file is replaced by a snapshot.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Poisoned`]. Without a file it does nothing.
    pub fn flush(&self) -> Result<()> {
        let mut writing = self.writing()?;
        if writing.own.file_bytes().0 > self.limits.log_bytes_max {
            return snapshot(&mut writing);
        }
        writing.own.append(Store::flush)
    }

    /// Replaces the file by one without a log, so that it opens fast, and maps the vectors from it.
    /// A crash at any moment leaves either the old file or the new one.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Poisoned`], [`Error::NoFile`].
    pub fn snapshot(&self) -> Result<()> {
        let mut writing = self.writing()?;
        if writing.own.store.is_none() {
            return Err(Error::NoFile);
        }
        snapshot(&mut writing)
    }

    /// Removes deleted rows for good, gives their memory back, and writes a snapshot if there is a file.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Poisoned`], [`Error::Corrupt`].
    pub fn compact(&self) -> Result<()> {
        let mut writing = self.writing()?;
        let mut fresh = writing.read().compacted(self.limits.threads)?;
        if let Some(mapped) = writing.own.replace(&fresh)? {
            mapped.attach(&mut fresh)?;
        }
        writing.replace(fresh);
        Ok(())
    }

    fn writing(&self) -> Result<Change<'_>> {
        let writing = self.shared.writing();
        if writing.own.poisoned {
            return Err(Error::Poisoned);
        }
        Ok(writing)
    }
}

fn snapshot(writing: &mut Change<'_>) -> Result<()> {
    match writing.beside(|own, state| own.replace(state))? {
        Some(mapped) => writing.change(|state| mapped.attach(state)),
        None => Ok(()),
    }
}

impl Writer {
    pub fn new(store: Option<Store>) -> Self {
        Self {
            store,
            poisoned: false,
        }
    }

    /// Bytes of the log and of the whole file.
    pub fn file_bytes(&self) -> (u64, u64) {
        let bytes = |store: &Store| (store.log_bytes(), store.file_bytes());
        self.store.as_ref().map_or((0, 0), bytes)
    }

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

fn full(what: &'static str, needed: usize, limit: usize) -> Error {
    Error::Full {
        what,
        needed: needed as u64,
        limit: limit as u64,
    }
}
