//! Passages of documents.

use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use ruvector::Filter;
use ruvector::retriever::Chunking;
use serde_json::Value;

use super::{Embedder, Index, raise};
use crate::error::value;
use crate::json;

#[pyclass(frozen, module = "edgeweave.ruvector")]
pub struct Retriever {
    inner: ruvector::retriever::Retriever,
}

#[pymethods]
impl Retriever {
    /// Takes the index over, which is closed for others from then on.
    #[new]
    #[pyo3(signature = (index, embedder, *, chunking = "sentences", chars = 800, overlap = 0))]
    fn new(
        py: Python<'_>,
        index: &Index,
        embedder: &Embedder,
        chunking: &str,
        chars: usize,
        overlap: usize,
    ) -> PyResult<Self> {
        let chunking = match chunking {
            "sentences" => Chunking::Sentences { chars, overlap },
            "characters" => Chunking::Characters { chars, overlap },
            _ => {
                return Err(value(format!(
                    "chunking {chunking:?}: wanted sentences or characters"
                )));
            }
        };
        let inner =
            ruvector::retriever::Retriever::new(index.take(py)?, embedder.inner.clone(), chunking);
        Ok(Self {
            inner: inner.map_err(raise)?,
        })
    }

    #[pyo3(signature = (document, text, metadata = None))]
    fn add(
        &self,
        py: Python<'_>,
        document: u64,
        text: &str,
        metadata: Option<&Bound<'_, PyDict>>,
    ) -> PyResult<usize> {
        let metadata = metadata.map_or(Ok(Value::Null), |dict| json::from_python(dict.as_any()))?;
        py.detach(|| self.inner.add(document, text, metadata))
            .map_err(raise)
    }

    fn remove(&self, py: Python<'_>, document: u64) -> PyResult<bool> {
        py.detach(|| self.inner.remove(document)).map_err(raise)
    }

    #[pyo3(signature = (question, k = 5, *, filter = None, relevance = 1.0, pool = None, min_score = None))]
    #[allow(clippy::too_many_arguments, reason = "keywords of Python")]
    fn retrieve<'py>(
        &self,
        py: Python<'py>,
        question: &str,
        k: usize,
        filter: Option<&str>,
        relevance: f32,
        pool: Option<usize>,
        min_score: Option<f32>,
    ) -> PyResult<Bound<'py, PyList>> {
        let passages = py
            .detach(|| {
                let mut search = self.inner.retrieve(question, k).relevance(relevance);
                if let Some(filter) = filter {
                    search = search.filter(Filter::parse(filter)?);
                }
                if let Some(pool) = pool {
                    search = search.pool(pool);
                }
                if let Some(score) = min_score {
                    search = search.min_score(score);
                }
                search.run()
            })
            .map_err(raise)?;
        let list = PyList::empty(py);
        for passage in &passages {
            list.append(json::to_python(py, &forms::ruvector::passage(passage))?)?;
        }
        Ok(list)
    }

    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| self.inner.index().flush()).map_err(raise)
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        py.detach(|| self.inner.index().len())
    }
}
