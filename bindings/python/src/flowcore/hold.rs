//! Holding the runner: one thread at a time, while other Python threads run.

use std::sync::PoisonError;

use flowcore::{Engine as Core, Runner};
use forms::flowcore::Kept;
use pyo3::prelude::*;

use super::{Engine, Running, raise};
use crate::error::{closed, other};

impl Engine {
    pub(super) fn with<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Option<Running>) -> PyResult<R> + Send,
    ) -> PyResult<R> {
        let here = std::thread::current().id();
        let held = *self.holder.lock().unwrap_or_else(PoisonError::into_inner);
        if held == Some(here) {
            return Err(other("an action must not use its own engine"));
        }
        let done = py.detach(|| {
            let mut runner = self.runner.lock().unwrap_or_else(PoisonError::into_inner);
            let hold = |by| *self.holder.lock().unwrap_or_else(PoisonError::into_inner) = by;
            hold(Some(here));
            let done = match *runner {
                Some(_) => work(&mut runner),
                None => Err(closed("engine")),
            };
            hold(None);
            done
        });
        let interrupt = self
            .interrupt
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match interrupt {
            Some(interrupt) => Err(interrupt),
            None => done,
        }
    }

    /// Gives the engine something more to call.
    pub(super) fn change(
        &self,
        py: Python<'_>,
        add: impl FnOnce(Core<Kept>) -> Core<Kept> + Send,
    ) -> PyResult<()> {
        self.with(py, |runner| {
            let engine = runner.take().ok_or_else(|| closed("engine"))?.into_engine();
            *runner = Some(Runner::with_clock(add(engine), self.watch.clone()));
            Ok(())
        })
    }

    pub(super) fn engine<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Core<Kept>) -> flowcore::Result<R> + Send,
    ) -> PyResult<R> {
        self.with(py, |runner| {
            let runner = runner.as_mut().ok_or_else(|| closed("engine"))?;
            work(runner.engine()).map_err(raise)
        })
    }
}
