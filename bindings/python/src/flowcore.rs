//! `edgeweave.flowcore`: durable workflows whose actions are Python callables.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::thread::ThreadId;

use flowcore::{
    ActionError, Clock, Engine as Core, Error, Journal, MemoryJournal, RunId, Runner,
    SqliteJournal, SystemClock, Workflow,
};
use pyo3::exceptions::{PyKeyboardInterrupt, PySystemExit};
use pyo3::prelude::*;
use serde_json::Value;

use crate::error::{Error as Raised, closed, other, system, value};
use crate::json;

type Running = Runner<Box<dyn Journal>>;

fn raise(error: Error) -> PyErr {
    match &error {
        Error::Journal(_) => system(error),
        _ => value(error),
    }
}

#[pyclass(frozen, module = "edgeweave.flowcore")]
pub struct Engine {
    runner: Mutex<Option<Running>>,
    /// The thread that holds the runner: an action that calls its own engine would wait for ever.
    holder: Mutex<Option<ThreadId>>,
    /// An interrupt that came while an action ran.
    interrupt: std::sync::Arc<Mutex<Option<PyErr>>>,
}

impl Engine {
    fn with<R: Send>(
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

    fn engine<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut Core<Box<dyn Journal>>) -> flowcore::Result<R> + Send,
    ) -> PyResult<R> {
        self.with(py, |runner| {
            let runner = runner.as_mut().ok_or_else(|| closed("engine"))?;
            work(runner.engine()).map_err(raise)
        })
    }
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (journal = None))]
    fn new(py: Python<'_>, journal: Option<PathBuf>) -> PyResult<Self> {
        let journal: Box<dyn Journal> = match journal {
            None => Box::new(MemoryJournal::new()),
            Some(path) => Box::new(py.detach(|| SqliteJournal::open(path)).map_err(system)?),
        };
        Ok(Self {
            runner: Mutex::new(Some(Runner::blocking(Core::new(journal)))),
            holder: Mutex::new(None),
            interrupt: std::sync::Arc::default(),
        })
    }

    /// Registers a callable under the name that steps use: `call(params, info) -> JSON value`.
    fn action(&self, py: Python<'_>, name: String, call: Py<PyAny>) -> PyResult<()> {
        let interrupt = std::sync::Arc::clone(&self.interrupt);
        let action = move |work: &flowcore::Call| {
            Python::attach(|py| perform(py, &call, work)).map_err(|error| {
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
        };
        self.with(py, move |runner| {
            let engine = runner.take().ok_or_else(|| closed("engine"))?.into_engine();
            *runner = Some(Runner::blocking(engine.action(name, action)));
            Ok(())
        })
    }

    /// Deploys a workflow from YAML; its definition's hash.
    fn deploy(&self, py: Python<'_>, text: &str) -> PyResult<String> {
        let workflow = Workflow::from_yaml(text).map_err(raise)?;
        self.engine(py, |engine| engine.deploy(workflow))
            .map(|hash| hash.to_string())
    }

    /// Starts every workflow that the event triggers; the last run's number.
    fn trigger(&self, py: Python<'_>, event: &str, input: &Bound<'_, PyAny>) -> PyResult<u64> {
        let input = json::from_python(input)?;
        self.engine(py, |engine| engine.trigger(event, input, SystemClock.now()))
            .map(RunId::as_u64)
    }

    #[pyo3(signature = (workflow, input, *, key = None))]
    fn start(
        &self,
        py: Python<'_>,
        workflow: &str,
        input: &Bound<'_, PyAny>,
        key: Option<&str>,
    ) -> PyResult<u64> {
        let input = json::from_python(input)?;
        self.engine(py, |engine| {
            engine.start(workflow, key, input, SystemClock.now())
        })
        .map(RunId::as_u64)
    }

    /// Hands an event to the runs that wait for it now; how many did.
    #[pyo3(signature = (event, payload, *, key = None))]
    fn publish(
        &self,
        py: Python<'_>,
        event: &str,
        payload: &Bound<'_, PyAny>,
        key: Option<&str>,
    ) -> PyResult<usize> {
        let payload = json::from_python(payload)?;
        self.engine(py, |engine| {
            engine.publish(event, key, payload, SystemClock.now())
        })
    }

    fn cancel(&self, py: Python<'_>, run: u64, reason: &str) -> PyResult<()> {
        self.engine(py, |engine| {
            engine
                .cancel(RunId::new(run), reason, SystemClock.now())
                .map(|_| ())
        })
    }

    /// Runs until nothing can go on without time passing or an event; how many actions ran.
    fn run_until_idle(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, |runner| {
            let runner = runner.as_mut().ok_or_else(|| closed("engine"))?;
            runner.run_until_idle().map_err(raise)
        })
    }

    /// Runs, sleeping through pauses, until the run ended or waits for an event; its description.
    fn run_until_ended<'py>(&self, py: Python<'py>, run: u64) -> PyResult<Bound<'py, PyAny>> {
        let info = self.with(py, |runner| {
            let runner = runner.as_mut().ok_or_else(|| closed("engine"))?;
            runner.run_until_ended(RunId::new(run)).map_err(raise)
        })?;
        described(py, &info)
    }

    fn status<'py>(&self, py: Python<'py>, run: u64) -> PyResult<Bound<'py, PyAny>> {
        let info = self.engine(py, |engine| engine.status(RunId::new(run)))?;
        described(py, &info)
    }

    fn live_runs<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let runs = self.engine(py, |engine| Ok(engine.live_runs()))?;
        described(py, &runs)
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        let closed = self.with(py, |runner| {
            *runner = None;
            Ok(())
        });
        match closed {
            Err(error) if error.is_instance_of::<crate::error::ClosedError>(py) => Ok(()),
            other => other,
        }
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    fn __exit__(
        &self,
        py: Python<'_>,
        _kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _trace: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.close(py)
    }
}

fn perform(py: Python<'_>, call: &Py<PyAny>, work: &flowcore::Call) -> PyResult<Value> {
    let info = serde_json::json!({
        "input": work.input(),
        "run": work.run().as_u64(),
        "workflow": work.workflow(),
        "step": work.step(),
        "attempt": work.attempt(),
        "idempotency_key": work.idempotency_key(),
    });
    let params = json::to_python(py, work.params())?;
    let answer = call.call1(py, (params, json::to_python(py, &info)?))?;
    json::from_python(answer.bind(py))
}

fn described<'py>(py: Python<'py>, what: &impl serde::Serialize) -> PyResult<Bound<'py, PyAny>> {
    let value = serde_json::to_value(what).map_err(|error| Raised::new_err(error.to_string()))?;
    json::to_python(py, &value)
}
