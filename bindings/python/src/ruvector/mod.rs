//! `edgeweave.ruvector`: the vector index, the semantic cache, the retriever.

mod cache;
mod embedder;
mod index;
mod retriever;

pub use cache::SemanticCache;
pub use embedder::Embedder;
pub use index::Index;
pub use retriever::Retriever;

use pyo3::exceptions::PyException;
use pyo3::prelude::*;
use ruvector::Error;

use crate::error::{CorruptError, other, system, value};

fn raise(error: Error) -> PyErr {
    match &error {
        Error::Io { .. } | Error::Locked { .. } => system(error),
        Error::Corrupt { .. } | Error::NotAnIndex { .. } | Error::Version { .. } => {
            CorruptError::new_err(error.to_string())
        }
        Error::Embed(cause) => Python::attach(|py| raised_by_caller(py, &error, cause)),
        Error::Poisoned => other(error),
        _ => value(error),
    }
}

/// An exception of the caller's function: it is the cause, and goes on as it is where it is no plain failure (an
/// interrupt).
fn raised_by_caller(py: Python<'_>, error: &Error, cause: &ruvector::BoxError) -> PyErr {
    let Some(cause) = cause.downcast_ref::<PyErr>() else {
        return other(error);
    };
    if !cause.is_instance_of::<PyException>(py) {
        return cause.clone_ref(py);
    }
    let raised = other(error);
    raised.set_cause(py, Some(cause.clone_ref(py)));
    raised
}
