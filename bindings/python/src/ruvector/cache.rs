//! The semantic cache, of answers that are Python objects.

use std::sync::{Mutex, PoisonError};

use pyo3::prelude::*;
use pyo3::types::PyDict;
use ruvector::cache::{Answer, Failure, Found, How, Report, Timestamp};
use serde_json::Value;

use super::{Embedder, raise};
use crate::error::{other, value};
use crate::json;

/// Answer, how it was come by, similarity.
type Told = (Py<PyAny>, &'static str, f32);

#[pyclass(frozen, module = "edgeweave.ruvector")]
pub struct SemanticCache {
    inner: ruvector::cache::SemanticCache<Py<PyAny>>,
    /// An exception of the verifier, which can only answer yes or no.
    raised: std::sync::Arc<Mutex<Option<PyErr>>>,
}

impl SemanticCache {
    /// An exception that came in a callback meanwhile goes before the result.
    fn ended<R>(&self, result: PyResult<R>) -> PyResult<R> {
        let raised = self
            .raised
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        raised.map_or(result, Err)
    }
}

fn tell(py: Python<'_>, found: &Found<Py<PyAny>>) -> Told {
    let (how, similarity) = match &found.how {
        How::Exact => ("exact", 1.0),
        How::Semantic { similarity, .. } => ("semantic", *similarity),
        How::Shared => ("shared", 1.0),
        _ => ("computed", 1.0),
    };
    (found.value().clone_ref(py), how, similarity)
}

/// What an answer weighs: what Python says of it, but not of what it refers to.
fn weight(answer: &Bound<'_, PyAny>) -> PyResult<usize> {
    answer
        .py()
        .import("sys")?
        .call_method1("getsizeof", (answer,))?
        .extract()
}

#[pymethods]
impl SemanticCache {
    #[new]
    #[pyo3(signature = (embedder, *, policies = None, max_bytes = None, max_entries = None, verify = None))]
    fn new(
        embedder: &Embedder,
        policies: Option<&Bound<'_, PyDict>>,
        max_bytes: Option<usize>,
        max_entries: Option<usize>,
        verify: Option<Py<PyAny>>,
    ) -> PyResult<Self> {
        let raised = std::sync::Arc::<Mutex<Option<PyErr>>>::default();
        let mut builder = ruvector::cache::SemanticCache::builder(embedder.inner.clone());
        if let Some(bytes) = max_bytes {
            builder = builder.max_bytes(bytes);
        }
        if let Some(entries) = max_entries {
            builder = builder.max_entries(entries);
        }
        let policies = policies.map_or(Ok(Value::Null), |dict| json::from_python(dict.as_any()))?;
        builder = forms::ruvector::with_policies(builder, policies).map_err(value)?;
        if let Some(verify) = verify {
            let slot = raised.clone();
            builder = builder.verify(move |asked, stored| {
                Python::attach(|py| {
                    let same = verify
                        .call1(py, (asked, stored))
                        .and_then(|same| same.is_truthy(py));
                    same.unwrap_or_else(|error| {
                        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                        false
                    })
                })
            });
        }
        // Objects that cannot be compared count as different.
        let same = |a: &Py<PyAny>, b: &Py<PyAny>| {
            Python::attach(|py| a.bind(py).eq(b.bind(py)).unwrap_or(false))
        };
        let inner = builder.same_answer(same).build().map_err(raise)?;
        Ok(Self { inner, raised })
    }

    fn get(&self, py: Python<'_>, namespace: &str, text: &str, now: i64) -> PyResult<Option<Told>> {
        let found = py.detach(|| self.inner.get(namespace, text, Timestamp(now)));
        let found = self.ended(found.map_err(raise))?;
        Ok(found.map(|found| tell(py, &found)))
    }

    /// The answer to a text; `compute()` gives one if there is none.
    #[pyo3(signature = (namespace, text, now, compute, *, cost = 1.0))]
    fn get_or_compute(
        &self,
        py: Python<'_>,
        namespace: &str,
        text: &str,
        now: i64,
        compute: Py<PyAny>,
        cost: f64,
    ) -> PyResult<Told> {
        let computed = || {
            Python::attach(|py| {
                let answer = compute.call0(py)?;
                let bytes = weight(answer.bind(py))?;
                Ok(Answer::new(answer, bytes).cost(cost))
            })
        };
        let found = py.detach(|| {
            self.inner
                .get_or_compute(namespace, text, Timestamp(now), computed)
        });
        let found = self.ended(found.map_err(|failure| match failure {
            Failure::Cache(error) => raise(error),
            // The exception of the computation goes on as it is.
            Failure::Compute(error) => error,
            _ => other("the cache failed"),
        }))?;
        Ok(tell(py, &found))
    }

    #[pyo3(signature = (namespace, text, answer, now, *, cost = 1.0))]
    fn put(
        &self,
        py: Python<'_>,
        namespace: &str,
        text: &str,
        answer: &Bound<'_, PyAny>,
        now: i64,
        cost: f64,
    ) -> PyResult<()> {
        let answer = Answer::new(answer.clone().unbind(), weight(answer)?).cost(cost);
        let done = py.detach(|| self.inner.put(namespace, text, answer, Timestamp(now)));
        self.ended(done.map_err(raise))
    }

    /// Tells that the answer to a stored text is "stale" or "still_right"; whether there is one.
    fn report(
        &self,
        py: Python<'_>,
        namespace: &str,
        text: &str,
        report: &str,
        now: i64,
    ) -> PyResult<bool> {
        let report = match report {
            "stale" => Report::Stale,
            "still_right" => Report::StillRight,
            _ => {
                return Err(value(format!(
                    "report {report:?}: wanted stale or still_right"
                )));
            }
        };
        py.detach(|| self.inner.report(namespace, text, report, Timestamp(now)))
            .map_err(raise)
    }

    fn advance_epoch(&self, py: Python<'_>, namespace: &str) -> PyResult<usize> {
        py.detach(|| self.inner.advance_epoch(namespace))
            .map_err(raise)
    }

    fn set_embedder(&self, py: Python<'_>, embedder: &Embedder) {
        py.detach(|| self.inner.set_embedder(embedder.inner.clone()));
    }

    fn dedupe<'py>(&self, py: Python<'py>, similarity: f32) -> PyResult<Bound<'py, PyAny>> {
        let report = py.detach(|| self.inner.dedupe(similarity)).map_err(raise)?;
        json::to_python(py, &forms::ruvector::dedupe(&report))
    }

    fn ttl(&self, py: Python<'_>, namespace: &str, text: &str) -> Option<i64> {
        py.detach(|| self.inner.ttl_millis(namespace, text))
    }

    fn stats<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let stats = py.detach(|| forms::ruvector::cache(&self.inner));
        json::to_python(py, &stats)
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        py.detach(|| self.inner.len())
    }
}
