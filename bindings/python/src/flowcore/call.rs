//! Calls that Python performs itself.

use flowcore::Token;
use pyo3::prelude::*;

use crate::json;

/// A call that is performed outside of the engine; equal to others of the same call.
#[pyclass(frozen, eq, module = "edgeweave.flowcore")]
pub struct Call {
    pub(super) token: Token,
    told: Py<PyAny>,
}

impl PartialEq for Call {
    fn eq(&self, other: &Self) -> bool {
        self.token == other.token
    }
}

impl Call {
    pub(super) fn of(py: Python<'_>, call: &flowcore::Call) -> PyResult<Self> {
        let told = json::to_python(py, &forms::flowcore::call(call))?;
        Ok(Self {
            token: call.token(),
            told: told.unbind(),
        })
    }

    /// A call whose result nobody waits for any more.
    pub(super) fn cancelled(py: Python<'_>, token: Token) -> PyResult<Self> {
        let told = json::to_python(py, &serde_json::json!({"run": token.run().as_u64()}))?;
        Ok(Self {
            token,
            told: told.unbind(),
        })
    }
}

#[pymethods]
impl Call {
    /// What an action would be called with: action, params, input, run, workflow, step, path, attempt, deadline,
    /// idempotency_key; only the run for a call that is cancelled.
    #[getter]
    fn info(&self, py: Python<'_>) -> Py<PyAny> {
        self.told.clone_ref(py)
    }
}
