//! The caller's embedding model.

use std::sync::Arc;

use numpy::{PyReadonlyArray1, PyUntypedArrayMethods};
use pyo3::prelude::*;
use ruvector::BoxError;

use super::raise;
use crate::error::value;

#[pyclass(frozen, module = "edgeweave.ruvector")]
pub struct Embedder {
    pub(super) inner: Arc<ruvector::Embedder>,
}

#[pymethods]
impl Embedder {
    /// Names a model: `call(text)` returns float32 of shape (dim,).
    #[new]
    fn new(tag: String, dim: usize, call: Py<PyAny>) -> PyResult<Self> {
        let run = move |text: &str| -> Result<Vec<f32>, BoxError> {
            Python::attach(|py| {
                let answer = call.call1(py, (text,))?;
                let array = answer
                    .extract::<PyReadonlyArray1<'_, f32>>(py)
                    .map_err(|_| {
                        value(format!(
                            "the embedder must return float32 of shape ({dim},)"
                        ))
                    })?;
                let found = array.shape()[0];
                if found != dim {
                    return Err(value(format!(
                        "the embedder returned shape ({found},), wanted ({dim},)"
                    )));
                }
                Ok(array.as_array().to_vec())
            })
            .map_err(|error| Box::new(error) as BoxError)
        };
        let inner = ruvector::Embedder::new(tag, dim, run).map_err(raise)?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    #[getter]
    fn tag(&self) -> &str {
        self.inner.tag()
    }

    #[getter]
    fn dim(&self) -> usize {
        self.inner.dim()
    }

    fn __repr__(&self) -> String {
        format!(
            "<edgeweave.ruvector.Embedder {}, {} components>",
            self.inner.tag(),
            self.inner.dim()
        )
    }
}
