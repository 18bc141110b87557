//! The time that the engine goes by.

use std::sync::Arc;

use flowcore::{Clock, SystemClock, Timestamp};
use pyo3::prelude::*;

/// The caller's clock, or the system's.
#[derive(Clone)]
pub(super) struct Watch(pub(super) Option<Arc<Py<PyAny>>>);

impl Clock for Watch {
    fn now(&self) -> Timestamp {
        let told = self
            .0
            .as_ref()
            .and_then(|clock| Python::attach(|py| clock.call0(py)?.extract::<i64>(py)).ok());
        told.map_or_else(|| SystemClock.now(), Timestamp::from_millis)
    }
}
