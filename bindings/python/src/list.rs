//! `edgeweave.agentdb.List`: a text that merges.

use std::sync::{Mutex, MutexGuard, PoisonError};

use agentdb::ReplicaId;
use agentdb::list::{ListError, Merged};
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::{CorruptError, value};

fn raise(error: ListError) -> PyErr {
    match error {
        ListError::Malformed { .. } => CorruptError::new_err(error.to_string()),
        _ => value(error),
    }
}

#[pyclass(frozen, module = "edgeweave.agentdb")]
pub struct List {
    inner: Mutex<agentdb::list::List>,
}

impl List {
    fn lock(&self) -> MutexGuard<'_, agentdb::list::List> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[pymethods]
impl List {
    #[new]
    fn new(replica: u64) -> Self {
        let list = agentdb::list::List::new(ReplicaId::new(replica));
        Self {
            inner: Mutex::new(list),
        }
    }

    #[staticmethod]
    fn decode(py: Python<'_>, replica: u64, bytes: &[u8]) -> PyResult<Self> {
        let list = py.detach(|| agentdb::list::List::decode(ReplicaId::new(replica), bytes));
        Ok(Self {
            inner: Mutex::new(list.map_err(raise)?),
        })
    }

    fn insert(&self, py: Python<'_>, position: usize, text: &str) -> PyResult<()> {
        py.detach(|| self.lock().insert(position, text).map(|_| ()))
            .map_err(raise)
    }

    fn delete(&self, py: Python<'_>, position: usize, count: usize) -> PyResult<()> {
        py.detach(|| self.lock().delete(position, count).map(|_| ()))
            .map_err(raise)
    }

    fn merge(&self, py: Python<'_>, delta: &[u8]) -> PyResult<&'static str> {
        let merged = py.detach(|| self.lock().merge(delta)).map_err(raise)?;
        Ok(match merged {
            Merged::New => "new",
            Merged::Known => "known",
            Merged::Waits => "waits",
        })
    }

    #[pyo3(signature = (version = None))]
    fn delta_since<'py>(&self, py: Python<'py>, version: Option<&Version>) -> Bound<'py, PyBytes> {
        let all = agentdb::list::Version::new();
        let version = version.map_or(&all, |version| &version.inner);
        let bytes = py.detach(|| self.lock().delta_since(version));
        PyBytes::new(py, &bytes)
    }

    fn encode<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyBytes>> {
        let bytes = py.detach(|| self.lock().encode()).map_err(raise)?;
        Ok(PyBytes::new(py, &bytes))
    }

    fn version(&self, py: Python<'_>) -> Version {
        Version {
            inner: py.detach(|| self.lock().version()),
        }
    }

    /// Deltas that wait for one that comes before them, and their bytes.
    fn waiting(&self, py: Python<'_>) -> (usize, usize) {
        py.detach(|| self.lock().waiting())
    }

    #[getter]
    fn replica(&self, py: Python<'_>) -> u64 {
        py.detach(|| self.lock().replica().get())
    }

    fn __str__(&self, py: Python<'_>) -> String {
        py.detach(|| self.lock().text())
    }

    fn __len__(&self, py: Python<'_>) -> usize {
        py.detach(|| self.lock().len())
    }
}

#[pyclass(frozen, eq, module = "edgeweave.agentdb")]
#[derive(PartialEq)]
pub struct Version {
    inner: agentdb::list::Version,
}

#[pymethods]
impl Version {
    #[new]
    fn new() -> Self {
        Self {
            inner: agentdb::list::Version::new(),
        }
    }

    fn seen(&self, replica: u64) -> (u32, u32) {
        self.inner.seen(ReplicaId::new(replica))
    }

    fn join(&self, other: &Self) -> Self {
        let mut inner = self.inner.clone();
        inner.join(&other.inner);
        Self { inner }
    }

    fn covers(&self, other: &Self) -> bool {
        self.inner.covers(&other.inner)
    }
}
