//! The vector index with numpy rows in and out.

use std::path::PathBuf;
use std::sync::{PoisonError, RwLock};

use numpy::{PyArray1, PyArray2, PyReadonlyArray1, PyReadonlyArray2, PyUntypedArrayMethods};
use pyo3::prelude::*;
use pyo3::types::PyList;
use ruvector::{Error, Filter, IndexKind, Metric, Quantization, Storage};
use serde_json::Value;

use super::raise;
use crate::error::{closed, other, value};
use crate::json;

/// Ids and scores.
type Neighbours<'py> = (Bound<'py, PyArray1<u64>>, Bound<'py, PyArray1<f32>>);
/// Ids and scores of many queries.
type NeighbourRows<'py> = (Bound<'py, PyArray2<u64>>, Bound<'py, PyArray2<f32>>);
/// A vector and its payload.
type Entry<'py> = (Bound<'py, PyArray1<f32>>, Bound<'py, PyAny>);

/// Queries between two looks at Ctrl-C.
const QUERIES_AT_ONCE: usize = 256;

#[pyclass(frozen, module = "edgeweave.ruvector")]
pub struct Index {
    inner: RwLock<Option<ruvector::Index>>,
    dim: usize,
}

impl Index {
    /// Takes the index out, which closes this object.
    pub(super) fn take(&self, py: Python<'_>) -> PyResult<ruvector::Index> {
        py.detach(|| {
            let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
            inner.take()
        })
        .ok_or_else(|| closed("index"))
    }

    pub(super) fn of(index: ruvector::Index) -> Self {
        Self {
            dim: index.dim(),
            inner: RwLock::new(Some(index)),
        }
    }

    /// Runs `work` without the interpreter.
    fn with<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&ruvector::Index) -> ruvector::Result<R> + Send,
    ) -> PyResult<R> {
        py.detach(|| {
            let inner = self.inner.read().unwrap_or_else(PoisonError::into_inner);
            inner.as_ref().map(work)
        })
        .ok_or_else(|| closed("index"))?
        .map_err(raise)
    }

    /// The numbers of an array of rows, where they lie.
    fn rows<'a>(&self, rows: &'a PyReadonlyArray2<'_, f32>) -> PyResult<&'a [f32]> {
        let shape = rows.shape();
        if shape[1] != self.dim {
            return Err(value(format!(
                "rows of shape {shape:?}, wanted (n, {})",
                self.dim
            )));
        }
        let message = "rows must lie one after the other: use numpy.ascontiguousarray(rows)";
        // Columns that lie one after the other make a slice too, of another matrix.
        if !rows.is_c_contiguous() {
            return Err(value(message));
        }
        rows.as_slice().map_err(|_| value(message))
    }
}

#[pymethods]
impl Index {
    #[new]
    #[pyo3(signature = (dim, *, metric = "cosine", kind = "auto", quantization = "int8", path = None,
        links = 16, build_effort = 128, seed = None, threads = 1, max_vectors = None, max_bytes = None,
        max_log_bytes = None, subspaces = None))]
    #[allow(clippy::too_many_arguments, reason = "keywords of Python")]
    fn new(
        py: Python<'_>,
        dim: usize,
        metric: &str,
        kind: &str,
        quantization: &str,
        path: Option<PathBuf>,
        links: usize,
        build_effort: usize,
        seed: Option<u64>,
        threads: usize,
        max_vectors: Option<usize>,
        max_bytes: Option<usize>,
        max_log_bytes: Option<u64>,
        subspaces: Option<u16>,
    ) -> PyResult<Self> {
        let metric = match metric {
            "cosine" => Metric::Cosine,
            "dot" => Metric::Dot,
            "l2" => Metric::L2,
            "hamming" => Metric::Hamming,
            _ => {
                return Err(value(format!(
                    "metric {metric:?}: wanted cosine, dot, l2 or hamming"
                )));
            }
        };
        let kind = match kind {
            "auto" => IndexKind::Auto,
            "exact" => IndexKind::Exact,
            "hnsw" => IndexKind::Hnsw,
            "ivf" => IndexKind::Ivf,
            "ivfpq" => IndexKind::IvfPq,
            _ => {
                return Err(value(format!(
                    "kind {kind:?}: wanted auto, exact, hnsw, ivf or ivfpq"
                )));
            }
        };
        let quantization = match quantization {
            "none" => Quantization::None,
            "f16" => Quantization::F16,
            "int8" => Quantization::Int8,
            "pq" => Quantization::Pq {
                subspaces: subspaces
                    .unwrap_or_else(|| u16::try_from(dim.div_ceil(4)).unwrap_or(u16::MAX)),
            },
            "binary" => Quantization::Binary,
            _ => {
                return Err(value(format!(
                    "quantization {quantization:?}: wanted none, f16, int8, pq or binary"
                )));
            }
        };
        let mut builder = ruvector::Index::builder(dim)
            .metric(metric)
            .kind(kind)
            .quantization(quantization)
            .links(links)
            .build_effort(build_effort)
            .threads(threads);
        if let Some(seed) = seed {
            builder = builder.seed(seed);
        }
        if let Some(vectors) = max_vectors {
            builder = builder.max_vectors(vectors);
        }
        if let Some(bytes) = max_bytes {
            builder = builder.max_bytes(bytes);
        }
        if let Some(bytes) = max_log_bytes {
            builder = builder.max_log_bytes(bytes);
        }
        if let Some(path) = path {
            builder = builder.storage(Storage::File(path));
        }
        py.detach(|| builder.build()).map(Self::of).map_err(raise)
    }

    #[staticmethod]
    fn open(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        py.detach(|| ruvector::Index::open(path))
            .map(Self::of)
            .map_err(raise)
    }

    #[staticmethod]
    fn verify(py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| ruvector::Index::verify(path)).map_err(raise)
    }

    #[pyo3(signature = (id, vector, payload = None))]
    fn upsert(
        &self,
        py: Python<'_>,
        id: u64,
        vector: PyReadonlyArray1<'_, f32>,
        payload: Option<&Bound<'_, PyAny>>,
    ) -> PyResult<()> {
        let payload = payload.map_or(Ok(Value::Null), json::from_python)?;
        let vector = vector.as_slice()?;
        self.with(py, |index| index.upsert(id, vector, payload))
    }

    #[pyo3(signature = (ids, vectors, payloads = None))]
    fn upsert_batch(
        &self,
        py: Python<'_>,
        ids: PyReadonlyArray1<'_, u64>,
        vectors: PyReadonlyArray2<'_, f32>,
        payloads: Option<Vec<Bound<'_, PyAny>>>,
    ) -> PyResult<()> {
        let payloads: Vec<Value> = payloads
            .unwrap_or_default()
            .iter()
            .map(json::from_python)
            .collect::<PyResult<_>>()?;
        let (ids, rows) = (ids.as_slice()?, self.rows(&vectors)?);
        self.with(py, |index| index.upsert_batch(ids, rows, payloads))
    }

    #[pyo3(signature = (query, k = 10, *, filter = None, effort = None, rerank = None, min_score = None))]
    #[allow(clippy::too_many_arguments, reason = "keywords of Python")]
    fn search<'py>(
        &self,
        py: Python<'py>,
        query: PyReadonlyArray1<'_, f32>,
        k: usize,
        filter: Option<&str>,
        effort: Option<usize>,
        rerank: Option<usize>,
        min_score: Option<f32>,
    ) -> PyResult<Neighbours<'py>> {
        let query = query.as_slice()?;
        let hits = self.with(py, |index| {
            let search = index.search(query, k);
            options(search, filter, effort, rerank, min_score)?.run()
        })?;
        Ok(neighbours(py, &hits))
    }

    /// As `search`, with payloads: a list of (id, score, payload).
    #[pyo3(signature = (query, k = 10, *, filter = None, effort = None, rerank = None, min_score = None))]
    #[allow(clippy::too_many_arguments, reason = "keywords of Python")]
    fn hits<'py>(
        &self,
        py: Python<'py>,
        query: PyReadonlyArray1<'_, f32>,
        k: usize,
        filter: Option<&str>,
        effort: Option<usize>,
        rerank: Option<usize>,
        min_score: Option<f32>,
    ) -> PyResult<Bound<'py, PyList>> {
        let query = query.as_slice()?;
        let hits = self.with(py, |index| {
            let search = index.search(query, k);
            options(search, filter, effort, rerank, min_score)?.run()
        })?;
        let list = PyList::empty(py);
        for hit in hits {
            let payload = json::to_python(py, &hit.payload.unwrap_or(Value::Null))?;
            list.append((hit.id, hit.score, payload))?;
        }
        Ok(list)
    }

    #[pyo3(signature = (queries, k = 10, *, filter = None, effort = None, rerank = None))]
    fn search_batch<'py>(
        &self,
        py: Python<'py>,
        queries: PyReadonlyArray2<'_, f32>,
        k: usize,
        filter: Option<&str>,
        effort: Option<usize>,
        rerank: Option<usize>,
    ) -> PyResult<NeighbourRows<'py>> {
        let rows = self.rows(&queries)?;
        let count = queries.shape()[0];
        let cells = count
            .checked_mul(k)
            .filter(|cells| *cells <= isize::MAX as usize / 8)
            .ok_or_else(|| value("too many neighbours"))?;
        let (mut ids, mut scores) = (vec![u64::MAX; cells], vec![f32::NAN; cells]);
        let parts = ids
            .chunks_mut((QUERIES_AT_ONCE * k).max(1))
            .zip(scores.chunks_mut((QUERIES_AT_ONCE * k).max(1)))
            .zip(rows.chunks(QUERIES_AT_ONCE * self.dim));
        for ((ids, scores), rows) in parts {
            py.check_signals()?;
            self.with(py, |index| {
                for (at, query) in rows.chunks_exact(self.dim).enumerate() {
                    let search = index.search(query, k);
                    let hits = options(search, filter, effort, rerank, None)?.run()?;
                    for (place, hit) in hits.iter().enumerate() {
                        ids[at * k + place] = hit.id;
                        scores[at * k + place] = hit.score;
                    }
                }
                Ok(())
            })?;
        }
        if k == 0 {
            return Err(raise(Error::ZeroK));
        }
        let shaped = |error: numpy::ndarray::ShapeError| other(error);
        let ids = numpy::ndarray::Array2::from_shape_vec((count, k), ids).map_err(shaped)?;
        let scores = numpy::ndarray::Array2::from_shape_vec((count, k), scores).map_err(shaped)?;
        Ok((
            PyArray2::from_owned_array(py, ids),
            PyArray2::from_owned_array(py, scores),
        ))
    }

    #[pyo3(signature = (query, min_score, *, filter = None))]
    fn search_range<'py>(
        &self,
        py: Python<'py>,
        query: PyReadonlyArray1<'_, f32>,
        min_score: f32,
        filter: Option<&str>,
    ) -> PyResult<Neighbours<'py>> {
        let query = query.as_slice()?;
        let hits = self.with(py, |index| {
            let filter = filter.map(Filter::parse).transpose()?;
            index.search_range(query, min_score, filter.as_ref())
        })?;
        Ok(neighbours(py, &hits))
    }

    /// Stores rows of bits, uint8 of shape (n, bytes) as of `numpy.packbits(bitorder="little")`, under the Hamming metric.
    #[pyo3(signature = (ids, bits, payloads = None))]
    fn upsert_bits(
        &self,
        py: Python<'_>,
        ids: PyReadonlyArray1<'_, u64>,
        bits: PyReadonlyArray2<'_, u8>,
        payloads: Option<Vec<Bound<'_, PyAny>>>,
    ) -> PyResult<()> {
        let payloads: Vec<Value> = payloads
            .unwrap_or_default()
            .iter()
            .map(json::from_python)
            .collect::<PyResult<_>>()?;
        let (shape, bytes) = (bits.shape(), self.dim.div_ceil(8));
        if shape[1] != bytes {
            return Err(value(format!(
                "bits of shape {shape:?}, wanted (n, {bytes})"
            )));
        }
        let message = "bits must lie one after the other: use numpy.ascontiguousarray(bits)";
        if !bits.is_c_contiguous() {
            return Err(value(message));
        }
        let (ids, rows) = (ids.as_slice()?, bits.as_slice()?);
        self.with(py, |index| index.upsert_bits_batch(ids, rows, payloads))
    }

    /// `search` for bits, uint8 of shape (bytes,).
    #[pyo3(signature = (query, k = 10, *, filter = None, effort = None, min_score = None))]
    fn search_bits<'py>(
        &self,
        py: Python<'py>,
        query: PyReadonlyArray1<'_, u8>,
        k: usize,
        filter: Option<&str>,
        effort: Option<usize>,
        min_score: Option<f32>,
    ) -> PyResult<Neighbours<'py>> {
        let query = query.as_slice()?;
        let hits = self.with(py, |index| {
            let search = index.search_bits(query, k);
            options(search, filter, effort, None, min_score)?.run()
        })?;
        Ok(neighbours(py, &hits))
    }

    /// `search_range` for bits.
    #[pyo3(signature = (query, min_score, *, filter = None))]
    fn search_range_bits<'py>(
        &self,
        py: Python<'py>,
        query: PyReadonlyArray1<'_, u8>,
        min_score: f32,
        filter: Option<&str>,
    ) -> PyResult<Neighbours<'py>> {
        let query = query.as_slice()?;
        let hits = self.with(py, |index| {
            let filter = filter.map(Filter::parse).transpose()?;
            index.search_range_bits(query, min_score, filter.as_ref())
        })?;
        Ok(neighbours(py, &hits))
    }

    fn get<'py>(&self, py: Python<'py>, id: u64) -> PyResult<Option<Entry<'py>>> {
        let Some(entry) = self.with(py, |index| index.get(id))? else {
            return Ok(None);
        };
        let payload = json::to_python(py, &entry.payload.unwrap_or(Value::Null))?;
        Ok(Some((PyArray1::from_vec(py, entry.vector), payload)))
    }

    fn delete(&self, py: Python<'_>, id: u64) -> PyResult<bool> {
        self.with(py, |index| index.delete(id))
    }

    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, ruvector::Index::flush)
    }

    fn snapshot(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, ruvector::Index::snapshot)
    }

    fn compact(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, ruvector::Index::compact)
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        self.with(py, |index| index.save(path))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let stats = self.with(py, |index| Ok(index.stats()))?;
        json::to_python(py, &forms::ruvector::stats(&stats))
    }

    #[getter]
    fn dim(&self) -> usize {
        self.dim
    }

    fn __len__(&self, py: Python<'_>) -> PyResult<usize> {
        self.with(py, |index| Ok(index.len()))
    }

    fn __contains__(&self, py: Python<'_>, id: u64) -> PyResult<bool> {
        Ok(self.with(py, |index| index.get(id))?.is_some())
    }

    fn __repr__(&self, py: Python<'_>) -> String {
        match self.with(py, |index| Ok(index.stats())) {
            Ok(stats) => format!(
                "<edgeweave.ruvector.Index {} vectors of {} components, {}, {} over {}>",
                stats.vectors,
                stats.dim,
                stats.metric.name(),
                stats.search,
                stats.quantization.name()
            ),
            Err(_) => "<edgeweave.ruvector.Index, closed>".to_owned(),
        }
    }

    /// Makes changes durable and lets the file go.
    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| {
            let mut inner = self.inner.write().unwrap_or_else(PoisonError::into_inner);
            match inner.take() {
                Some(index) => index.flush(),
                None => Ok(()),
            }
        })
        .map_err(raise)
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _trace: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.close(py)
    }
}

fn neighbours<'py>(py: Python<'py>, hits: &[ruvector::Hit]) -> Neighbours<'py> {
    (
        PyArray1::from_iter(py, hits.iter().map(|hit| hit.id)),
        PyArray1::from_iter(py, hits.iter().map(|hit| hit.score)),
    )
}

fn options<'a>(
    mut search: ruvector::Search<'a>,
    filter: Option<&str>,
    effort: Option<usize>,
    rerank: Option<usize>,
    min_score: Option<f32>,
) -> ruvector::Result<ruvector::Search<'a>> {
    if let Some(filter) = filter {
        search = search.filter(Filter::parse(filter)?);
    }
    if let Some(effort) = effort {
        search = search.effort(effort);
    }
    if let Some(rerank) = rerank {
        search = search.rerank(rerank);
    }
    if let Some(score) = min_score {
        search = search.min_score(score);
    }
    Ok(search)
}
