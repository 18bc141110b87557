//! Exceptions: all below `edgeweave.Error`, and what Python expects where it expects something.

use pyo3::create_exception;
use pyo3::exceptions::PyException;
use pyo3::prelude::*;

create_exception!(edgeweave, Error, PyException, "Any failure of edgeweave.");
create_exception!(
    edgeweave,
    CorruptError,
    Error,
    "Stored bytes do not match their checksums or make no sense."
);
create_exception!(edgeweave, ClosedError, Error, "The object was closed.");

pub fn add(module: &Bound<'_, PyModule>) -> PyResult<()> {
    let py = module.py();
    module.add("Error", py.get_type::<Error>())?;
    module.add("CorruptError", py.get_type::<CorruptError>())?;
    module.add("ClosedError", py.get_type::<ClosedError>())
}

/// An error of a crate as an exception that is an `edgeweave.Error` and a builtin one.
fn mixed(name: &str, error: &dyn std::fmt::Display) -> PyErr {
    let text = error.to_string();
    Python::attach(|py| {
        let raised = py
            .import("edgeweave")
            .and_then(|package| package.getattr(name))
            .and_then(|class| class.call1((text.clone(),)));
        match raised {
            Ok(raised) => PyErr::from_value(raised),
            // While the package itself is still being imported.
            Err(_) => Error::new_err(text),
        }
    })
}

/// Bad input: also a `ValueError`.
pub fn value(error: impl std::fmt::Display) -> PyErr {
    mixed("InvalidError", &error)
}

/// The system failed: also an `OSError`.
pub fn system(error: impl std::fmt::Display) -> PyErr {
    mixed("StorageError", &error)
}

pub fn other(error: impl std::fmt::Display) -> PyErr {
    Error::new_err(error.to_string())
}

pub fn closed(what: &str) -> PyErr {
    ClosedError::new_err(format!("the {what} is closed"))
}
