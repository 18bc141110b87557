//! The index that users hold. What changes it is in `changes`.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::builder::{Config, IndexBuilder, Limits, Quantization};
use crate::changes::Writer;
use crate::error::{Error, Result};
use crate::file::Store;
use crate::filter::Filter;
use crate::graph::Scratch;
use crate::lookup::Want;
use crate::metric::Metric;
use crate::search::{EFFORT_DEFAULT, Hit, Query, Search};
use crate::shared::Shared;
use crate::state::State;
use crate::stats::Stats;
use crate::vector::Vector;

/// A vector index. Shared by reference (or [`Arc`](std::sync::Arc)) between threads.
pub struct Index {
    pub(crate) config: Config,
    pub(crate) limits: Limits,
    pub(crate) shared: Shared<State, Writer>,
    /// Memory of searches that are over, for those to come: as many as ever ran at once.
    scratches: Mutex<Vec<Scratch>>,
}

/// Greatest length of a vector under inner product and squared distance: the sums of `f32` that they take stay
/// far from infinity.
pub const LENGTH_MAX: f64 = 1e18;

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

    /// Options of an index of vectors of `bits` bits, compared by [`Metric::Hamming`] and stored as bits:
    /// eight bytes for every 64.
    ///
    /// ```
    /// # fn main() -> ruvector::Result<()> {
    /// let index = ruvector::Index::bits(16).build()?;
    /// index.upsert_bits(1, &[0b0000_1111, 0], serde_json::Value::Null)?;
    /// index.upsert_bits(2, &[0b1111_1111, 1], serde_json::Value::Null)?;
    /// let hits = index.search_bits(&[0b0001_1111, 0], 2).run()?;
    /// assert_eq!((hits[0].id, hits[0].score), (1, -1.0));
    /// assert_eq!((hits[1].id, hits[1].score), (2, -4.0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn bits(bits: usize) -> IndexBuilder {
        Self::builder(bits).metric(Metric::Hamming)
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
            shared: Shared::new(state, Writer::new(store)),
            scratches: Mutex::default(),
        }
    }

    /// Checks a vector; its length in the sense of geometry.
    pub(crate) fn check(&self, vector: &[f32]) -> Result<f64> {
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
        if square.sqrt() > LENGTH_MAX && matches!(self.config.metric, Metric::Dot | Metric::L2) {
            return Err(Error::TooLong {
                length: square.sqrt(),
                limit: LENGTH_MAX,
            });
        }
        Ok(square.sqrt())
    }

    /// Checks a vector that is to be stored: its codes must hold it.
    pub(crate) fn check_row(&self, vector: &[f32]) -> Result<f64> {
        let length = self.check(vector)?;
        let as_they_are = matches!(self.config.metric, Metric::Dot | Metric::L2);
        if as_they_are && self.config.quantization == Quantization::F16 {
            let beyond = |x: &f32| x.abs() > half::f16::MAX.to_f32();
            if let Some(at) = vector.iter().position(beyond) {
                return Err(Error::BeyondHalf {
                    at,
                    value: vector[at],
                });
            }
        }
        Ok(length)
    }

    /// Checks a query and brings it to the form in which vectors are stored.
    pub(crate) fn admit(&self, query: &[f32]) -> Result<Vector> {
        Ok(self.stored(query, self.check(query)?))
    }

    /// Checks a vector and brings it to the form in which it is stored.
    pub(crate) fn admit_row(&self, vector: &[f32]) -> Result<Vector> {
        Ok(self.stored(vector, self.check_row(vector)?))
    }

    fn stored(&self, vector: &[f32], length: f64) -> Vector {
        match self.config.metric {
            Metric::Cosine => {
                let inverse = 1.0 / length;
                let scaled = vector.iter().map(|x| (f64::from(*x) * inverse) as f32);
                Vector::Floats(scaled.collect())
            }
            Metric::Hamming => Vector::above_zero(vector),
            Metric::Dot | Metric::L2 => Vector::Floats(vector.into()),
        }
    }

    /// Checks bits as bytes hold them.
    pub(crate) fn admit_bits(&self, bytes: &[u8]) -> Result<Vector> {
        if self.config.metric != Metric::Hamming {
            return Err(Error::Unsupported(
                "packed bits are compared under Metric::Hamming only: build with Index::bits, or pass floats",
            ));
        }
        Vector::packed(bytes, self.config.dim)
    }

    /// What an id holds.
    ///
    /// # Errors
    /// [`Error::Corrupt`] if the mapped vector does not match its checksum.
    pub fn get(&self, id: u64) -> Result<Option<Entry>> {
        let state = self.shared.read();
        let Some(slot) = state.by_id.get(&id).copied() else {
            return Ok(None);
        };
        Ok(Some(Entry {
            vector: state.vector(slot)?.into_floats(self.config.dim),
            payload: state.payload(slot),
        }))
    }

    /// Describes a search for the `k` nearest of `query`.
    pub fn search<'a>(&'a self, query: &'a [f32], k: usize) -> Search<'a> {
        self.search_for(Query::Floats(query), k)
    }

    /// Describes a search for the `k` nearest of bits, packed as for [`Index::upsert_bits`].
    pub fn search_bits<'a>(&'a self, query: &'a [u8], k: usize) -> Search<'a> {
        self.search_for(Query::Bits(query), k)
    }

    fn search_for<'a>(&'a self, query: Query<'a>, k: usize) -> Search<'a> {
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

    pub(crate) fn find(&self, query: Query<'_>, want: &Want<'_>) -> Result<Vec<Hit>> {
        let query = match query {
            Query::Floats(vector) => self.admit(vector)?,
            Query::Bits(bytes) => self.admit_bits(bytes)?,
        };
        let mut scratch = self.scratches().pop().unwrap_or_default();
        let state = self.shared.read();
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
        self.within(&self.admit(query)?, min_score, filter)
    }

    /// [`Index::search_range`] for bits: all that differ from `query` in at most `-min_score` of them.
    ///
    /// # Errors
    /// As [`Search::run`].
    pub fn search_range_bits(
        &self,
        query: &[u8],
        min_score: f32,
        filter: Option<&Filter>,
    ) -> Result<Vec<Hit>> {
        self.within(&self.admit_bits(query)?, min_score, filter)
    }

    fn within(&self, query: &Vector, min_score: f32, filter: Option<&Filter>) -> Result<Vec<Hit>> {
        let state = self.shared.read();
        Ok(hits(&state, state.within(query, min_score, filter)?))
    }

    fn scratches(&self) -> MutexGuard<'_, Vec<Scratch>> {
        self.scratches
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a copy of the index to another file, which then holds a snapshot.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        Store::save(path.as_ref(), &self.shared.read())
    }

    /// Number of vectors.
    pub fn len(&self) -> usize {
        self.shared.read().len()
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
        let (log_bytes, file_bytes) = self.shared.writing().own.file_bytes();
        Stats::of(&self.shared.read(), log_bytes, file_bytes)
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
