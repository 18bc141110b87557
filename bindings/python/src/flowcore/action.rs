//! Actions that are Python callables.

use std::sync::{Arc, Mutex, PoisonError};

use flowcore::{ActionError, Output};
use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit};
use pyo3::prelude::*;
use serde_json::Value;

use crate::json;

/// An action that is a Python callable.
pub(super) fn performed_by(
    call: Py<PyAny>,
    interrupt: Arc<Mutex<Option<PyErr>>>,
) -> impl Fn(&flowcore::Call) -> Result<Output, ActionError> + Send + Sync + 'static {
    move |work| {
        let answer = Python::attach(|py| perform(py, &call, work));
        answer.map(Output::new).map_err(|error| {
            Python::attach(|py| {
                let name = error
                    .get_type(py)
                    .name()
                    .map_or_else(|_| "Exception".to_owned(), |name| name.to_string());
                let message = error.value(py).to_string();
                let stops = error.is_instance_of::<PyKeyboardInterrupt>(py)
                    || error.is_instance_of::<PySystemExit>(py);
                if stops {
                    let mut slot = interrupt.lock().unwrap_or_else(PoisonError::into_inner);
                    *slot = Some(error);
                }
                ActionError::new(name, message)
            })
        })
    }
}

fn perform(py: Python<'_>, call: &Py<PyAny>, work: &flowcore::Call) -> PyResult<Value> {
    let info = forms::flowcore::call(work);
    let params = json::to_python(py, work.params())?;
    let answer = call.call1(py, (params, json::to_python(py, &info)?))?;
    json::from_python(answer.bind(py))
}
