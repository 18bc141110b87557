//! A watch: an iterator over what is committed from now on.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pyo3::prelude::*;

use super::seconds;
use crate::json;

/// The longest wait between two looks at Ctrl-C.
const NAP: Duration = Duration::from_millis(50);

#[pyclass(frozen, module = "edgeweave.agentdb")]
pub struct Watch {
    inner: Mutex<agentdb::Watch>,
}

impl Watch {
    pub(super) fn of(watch: agentdb::Watch) -> Self {
        Self {
            inner: Mutex::new(watch),
        }
    }
}

#[pymethods]
impl Watch {
    /// The next notice, waiting for at most so many seconds; None for none.
    #[pyo3(signature = (wait = 0.0))]
    fn next<'py>(&self, py: Python<'py>, wait: f64) -> PyResult<Option<Bound<'py, PyAny>>> {
        let mut left = seconds(wait)?;
        loop {
            let nap = left.min(NAP);
            left -= nap;
            let notice = py.detach(|| {
                let watch = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
                watch.next_within(nap)
            });
            if let Some(notice) = notice {
                return json::to_python(py, &forms::agentdb::notice(&notice)).map(Some);
            }
            py.check_signals()?;
            if left.is_zero() {
                return Ok(None);
            }
        }
    }

    /// How many notices were given up because too many waited.
    #[getter]
    fn missed(&self, py: Python<'_>) -> u64 {
        py.detach(|| {
            let watch = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            watch.missed()
        })
    }
}
