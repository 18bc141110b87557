//! `edgeweave.flowcore`: durable workflows whose actions are Python callables.
//!
//! Long because all methods of a Python class stand in one block.

mod action;
mod call;
mod clock;
mod given;
mod hold;

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

use flowcore::{
    ActionError, Budget, Clock, Command, Decision, Engine as Core, Error, MemoryJournal, Output,
    Progress, Quota, RunId, RunStatus, Runner, SqliteJournal, Start, Timestamp,
};
use forms::flowcore::Kept;
use pyo3::prelude::*;

use crate::error::{Error as Raised, closed, other, system, value};
use crate::json;
use action::performed_by;
use clock::Watch;

pub use call::Call;

type Running = Runner<Kept, Watch>;

/// Longest sleep between two looks at Ctrl-C.
const NAP: Duration = Duration::from_millis(50);

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
    interrupt: Arc<Mutex<Option<PyErr>>>,
    watch: Watch,
    /// Commands that `next_call` has not handed out yet.
    commands: Mutex<VecDeque<Command>>,
}

#[pymethods]
impl Engine {
    #[new]
    #[pyo3(signature = (journal = None, *, clock = None, audit_entries = 0, measure = false, recoveries_max = 10,
        budget = None, reserved_for_safety = None))]
    #[allow(clippy::too_many_arguments, reason = "keywords of Python")]
    fn new(
        py: Python<'_>,
        journal: Option<PathBuf>,
        clock: Option<Py<PyAny>>,
        audit_entries: u64,
        measure: bool,
        recoveries_max: u32,
        budget: Option<HashMap<String, u64>>,
        reserved_for_safety: Option<HashMap<String, u64>>,
    ) -> PyResult<Self> {
        let journal = match journal {
            None => Kept::Memory(MemoryJournal::new()),
            Some(path) => Kept::Sqlite(py.detach(|| SqliteJournal::open(path)).map_err(system)?),
        };
        let watch = Watch(clock.map(Arc::new));
        let mut engine = Core::new(journal)
            .audited(audit_entries)
            .recoveries_max(recoveries_max);
        if measure {
            engine = engine.measure();
        }
        if let Some(total) = budget {
            engine = engine.budget(Budget {
                total: given::resources(&total)?,
                reserved_for_safety: given::resources(&reserved_for_safety.unwrap_or_default())?,
            });
        }
        Ok(Self {
            runner: Mutex::new(Some(Runner::with_clock(engine, watch.clone()))),
            holder: Mutex::new(None),
            interrupt: Arc::default(),
            watch,
            commands: Mutex::default(),
        })
    }

    /// Registers a callable under the name that steps use: `call(params, info) -> JSON value`.
    fn action(&self, py: Python<'_>, name: String, call: Py<PyAny>) -> PyResult<()> {
        let interrupt = Arc::clone(&self.interrupt);
        self.change(py, |engine| {
            engine.action(name, performed_by(call, interrupt))
        })
    }

    /// Registers an action whose work is done elsewhere: `next_call` hands its calls out.
    fn action_external(&self, py: Python<'_>, name: String) -> PyResult<()> {
        self.change(py, |engine| engine.action_external(name))
    }

    /// Deploys a workflow from YAML text, or from a dict of the same shape; its definition's hash.
    fn deploy(&self, py: Python<'_>, workflow: &Bound<'_, PyAny>) -> PyResult<String> {
        let workflow = given::workflow(workflow)?;
        self.engine(py, |engine| engine.deploy(workflow))
            .map(|hash| hash.to_string())
    }

    /// Starts every workflow that the event triggers; the last run's number.
    #[pyo3(signature = (event, input, *, key = None))]
    fn trigger(
        &self,
        py: Python<'_>,
        event: &str,
        input: &Bound<'_, PyAny>,
        key: Option<&str>,
    ) -> PyResult<u64> {
        let input = json::from_python(input)?;
        self.engine(py, |engine| {
            engine.trigger_with_key(event, key, input, self.watch.now())
        })
        .map(RunId::as_u64)
    }

    /// Parks a run: nothing more of it begins until `resume`.
    fn pause(&self, py: Python<'_>, run: u64, reason: &str) -> PyResult<()> {
        self.engine(py, |engine| {
            engine.pause(RunId::new(run), reason, self.watch.now())
        })
    }

    /// Lets a parked run go on.
    fn resume(&self, py: Python<'_>, run: u64) -> PyResult<()> {
        self.engine(py, |engine| {
            engine.resume(RunId::new(run), self.watch.now())
        })
    }

    /// Starts a new run that begins at a step of another, with the results before it; its number.
    fn fork(&self, py: Python<'_>, run: u64, step: &str) -> PyResult<u64> {
        self.engine(py, |engine| {
            engine.fork(RunId::new(run), step, self.watch.now())
        })
        .map(RunId::as_u64)
    }

    /// Says whether a link that steps require is "up" or "down".
    fn set_link(&self, py: Python<'_>, name: &str, link: &str) -> PyResult<()> {
        let link = given::link(link)?;
        self.engine(py, |engine| {
            engine.set_link(name, link);
            Ok(())
        })
    }

    #[pyo3(signature = (workflow, input, *, key = None, tenant = None))]
    fn start(
        &self,
        py: Python<'_>,
        workflow: &str,
        input: &Bound<'_, PyAny>,
        key: Option<&str>,
        tenant: Option<&str>,
    ) -> PyResult<u64> {
        let mut start = Start::new(workflow, json::from_python(input)?);
        if let Some(key) = key {
            start = start.key(key);
        }
        if let Some(tenant) = tenant {
            start = start.tenant(tenant);
        }
        self.engine(py, |engine| engine.start_run_of(start, self.watch.now()))
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
            engine.publish(event, key, payload, self.watch.now())
        })
    }

    fn cancel(&self, py: Python<'_>, run: u64, reason: &str) -> PyResult<()> {
        self.engine(py, |engine| {
            engine
                .cancel(RunId::new(run), reason, self.watch.now())
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

    /// Runs, sleeping through pauses, until the run ended or waits for an event; its description. Sleeps in naps, so
    /// that an interrupt is seen.
    fn run_until_ended<'py>(&self, py: Python<'py>, run: u64) -> PyResult<Bound<'py, PyAny>> {
        loop {
            self.run_until_idle(py)?;
            let (info, wake) = self.engine(py, |engine| {
                Ok((engine.status(RunId::new(run))?, engine.next_wake()))
            })?;
            let Some(wake) = wake.filter(|_| info.status == RunStatus::Running) else {
                return described(py, &info);
            };
            py.check_signals()?;
            let left = py.detach(|| wake.since(self.watch.now()));
            py.detach(|| std::thread::sleep(left.min(NAP)));
        }
    }

    /// Hands an event to one run that waits for it, now or later.
    #[pyo3(signature = (run, event, payload, *, key = None))]
    fn signal(
        &self,
        py: Python<'_>,
        run: u64,
        event: &str,
        payload: &Bound<'_, PyAny>,
        key: Option<&str>,
    ) -> PyResult<()> {
        let payload = json::from_python(payload)?;
        self.engine(py, |engine| {
            engine.signal(RunId::new(run), event, key, payload, self.watch.now())
        })
    }

    /// A person's answer to an approval step.
    #[pyo3(signature = (run, step, verdict, *, by, note = None))]
    fn decide(
        &self,
        py: Python<'_>,
        run: u64,
        step: &str,
        verdict: &str,
        by: String,
        note: Option<String>,
    ) -> PyResult<()> {
        let verdict = given::verdict(verdict)?;
        let decision = Decision { verdict, by, note };
        self.engine(py, |engine| {
            engine.decide(RunId::new(run), step, decision, self.watch.now())
        })
    }

    /// The steps of a live run.
    fn steps<'py>(&self, py: Python<'py>, run: u64) -> PyResult<Bound<'py, PyAny>> {
        let steps = self.engine(py, |engine| engine.steps(RunId::new(run)))?;
        described(py, &steps)
    }

    /// Runs that ended, with numbers above `after`.
    #[pyo3(signature = (after = 0, limit = 1000))]
    fn ended_runs<'py>(
        &self,
        py: Python<'py>,
        after: u64,
        limit: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let runs = self.engine(py, |engine| engine.ended_runs(RunId::new(after), limit))?;
        described(py, &runs)
    }

    /// When the engine wants to be run again; None for not by itself.
    fn next_wake(&self, py: Python<'_>) -> PyResult<Option<i64>> {
        self.engine(py, |engine| {
            Ok(engine.next_wake().map(Timestamp::as_millis))
        })
    }

    /// Whether something can go on now.
    fn has_work(&self, py: Python<'_>) -> PyResult<bool> {
        self.engine(py, |engine| Ok(engine.has_work()))
    }

    /// Results that came for calls that nobody waited for any more.
    fn stale_results(&self, py: Python<'_>) -> PyResult<u64> {
        self.engine(py, |engine| Ok(engine.stale_results()))
    }

    /// Takes up the runs of an earlier process. Other calls do it by themselves.
    fn recover(&self, py: Python<'_>) -> PyResult<()> {
        self.engine(py, |engine| engine.recover(self.watch.now()))
    }

    /// What actions wrote last at a key of a collection.
    fn state<'py>(
        &self,
        py: Python<'py>,
        collection: &str,
        key: &str,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let found = self.engine(py, |engine| Ok(engine.journal().state(collection, key)))?;
        let found = found.map_err(system)?;
        found.map(|body| json::to_python(py, &body)).transpose()
    }

    /// The next thing to do for whoever performs calls elsewhere: None, or ("execute" or "cancel", call).
    fn next_call(&self, py: Python<'_>) -> PyResult<Option<(&'static str, Call)>> {
        let next = self.engine(py, |engine| {
            let mut commands = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
            if commands.is_empty() {
                commands.extend(engine.step(self.watch.now())?);
            }
            Ok(commands.pop_front())
        })?;
        match next {
            None => Ok(None),
            Some(Command::Execute(call)) => Ok(Some(("execute", Call::of(py, &call)?))),
            Some(Command::Cancel(token)) => Ok(Some(("cancel", Call::cancelled(py, token)?))),
            Some(_) => Err(other(
                "the engine asks for something that this wheel does not know",
            )),
        }
    }

    /// Ends a call well.
    fn complete(&self, py: Python<'_>, call: &Call, output: &Bound<'_, PyAny>) -> PyResult<()> {
        let output = Output::new(json::from_python(output)?);
        let token = call.token;
        self.engine(py, |engine| {
            engine.complete(token, Ok(output), self.watch.now());
            Ok(())
        })
    }

    /// Ends a call with a failure.
    fn fail(&self, py: Python<'_>, call: &Call, name: String, message: String) -> PyResult<()> {
        let token = call.token;
        self.engine(py, |engine| {
            engine.complete(
                token,
                Err(ActionError::new(name, message)),
                self.watch.now(),
            );
            Ok(())
        })
    }

    /// Deploys a version without making it the active one; its definition's hash.
    fn deploy_standby(&self, py: Python<'_>, workflow: &Bound<'_, PyAny>) -> PyResult<String> {
        let workflow = given::workflow(workflow)?;
        self.engine(py, |engine| engine.deploy_standby(workflow))
            .map(|hash| hash.to_string())
    }

    /// Makes a deployed version the active one.
    fn activate(&self, py: Python<'_>, version: &str) -> PyResult<()> {
        let version = forms::flowcore::hash(version).map_err(value)?;
        self.engine(py, |engine| engine.activate(version, self.watch.now()))
    }

    /// Makes the version before the active one the active one again; its hash.
    fn rollback(&self, py: Python<'_>, workflow: &str) -> PyResult<String> {
        self.engine(py, |engine| engine.rollback(workflow, self.watch.now()))
            .map(|hash| hash.to_string())
    }

    /// The version that triggers start now; None for a workflow that was not deployed.
    fn active_version(&self, py: Python<'_>, workflow: &str) -> PyResult<Option<String>> {
        self.engine(py, |engine| Ok(engine.active_version(workflow)))
            .map(|hash| hash.map(|hash| hash.to_string()))
    }

    /// The definition of the active version.
    fn workflow<'py>(
        &self,
        py: Python<'py>,
        workflow: &str,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let found = self.engine(py, |engine| Ok(engine.workflow(workflow)))?;
        found
            .map(|workflow| described(py, workflow.definition()))
            .transpose()
    }

    /// Whether a live run could go on under another version: possible, and if not record and reason.
    fn check_upgrade<'py>(
        &self,
        py: Python<'py>,
        run: u64,
        workflow: &Bound<'_, PyAny>,
    ) -> PyResult<Bound<'py, PyAny>> {
        let version = given::workflow(workflow)?;
        let upgrade = self.engine(py, |engine| engine.check_upgrade(RunId::new(run), &version))?;
        json::to_python(py, &forms::flowcore::upgrade(&upgrade))
    }

    /// Moves a live run to another deployed version of its workflow.
    fn upgrade(&self, py: Python<'_>, run: u64, version: &str) -> PyResult<()> {
        let version = forms::flowcore::hash(version).map_err(value)?;
        self.engine(py, |engine| {
            engine.upgrade(RunId::new(run), version, self.watch.now())
        })
    }

    /// How much a tenant may use from now on; None for no limit.
    #[pyo3(signature = (tenant, *, live_runs_max = None, running_steps_max = None, starts_per_minute_max = None))]
    fn quota(
        &self,
        py: Python<'_>,
        tenant: &str,
        live_runs_max: Option<u64>,
        running_steps_max: Option<u64>,
        starts_per_minute_max: Option<u64>,
    ) -> PyResult<()> {
        let quota = Quota {
            live_runs_max: live_runs_max.unwrap_or(u64::MAX),
            running_steps_max: running_steps_max.unwrap_or(u64::MAX),
            starts_per_minute_max: starts_per_minute_max.unwrap_or(u64::MAX),
        };
        self.engine(py, |engine| {
            engine.quota(tenant, quota);
            Ok(())
        })
    }

    /// Claims the journal under the name of an owner for so many seconds; the fencing epoch.
    fn lease(&self, py: Python<'_>, owner: &str, ttl: f64) -> PyResult<u64> {
        let ttl = Duration::try_from_secs_f64(ttl).map_err(value)?;
        self.engine(py, |engine| engine.lease(owner, ttl, self.watch.now()))
    }

    /// Removes runs that ended before a time; how many.
    #[pyo3(signature = (before, limit = 1000))]
    fn forget_ended(&self, py: Python<'_>, before: i64, limit: usize) -> PyResult<usize> {
        let before = Timestamp::from_millis(before);
        self.engine(py, |engine| engine.forget_ended(before, limit))
    }

    /// Entries of the audit log from a number on.
    #[pyo3(signature = (from_ = 0, limit = 1000))]
    fn audit_log<'py>(
        &self,
        py: Python<'py>,
        from_: u64,
        limit: usize,
    ) -> PyResult<Bound<'py, PyAny>> {
        let entries = self.engine(py, |engine| engine.audit_log(from_, limit))?;
        described(py, &entries)
    }

    /// How long each step took; empty unless measured.
    fn latencies<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let latencies = self.engine(py, |engine| Ok(engine.latencies()))?;
        described(py, &latencies)
    }

    /// How many calls wait for a link, the budget, a quota.
    fn held<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let held = self.engine(py, |engine| Ok(engine.held()))?;
        json::to_python(py, &forms::flowcore::held(held))
    }

    /// Hands the calls of steps that belong on a tier to this callable instead of the action of their name.
    fn place(&self, py: Python<'_>, tier: &str, call: Py<PyAny>) -> PyResult<()> {
        let tier = given::tier(tier)?;
        let interrupt = Arc::clone(&self.interrupt);
        self.change(py, |engine| {
            engine.place(tier, performed_by(call, interrupt))
        })
    }

    /// Calls `listener(change)` for every change, in order, after the commit that made it durable. An exception of it is
    /// raised by the call that ran the engine.
    fn progress(&self, py: Python<'_>, listener: Py<PyAny>) -> PyResult<()> {
        let interrupt = Arc::clone(&self.interrupt);
        let tell = move |change: &Progress| {
            let told = Python::attach(|py| listener.call1(py, (described(py, change)?,)));
            if let Err(error) = told {
                let mut slot = interrupt.lock().unwrap_or_else(PoisonError::into_inner);
                slot.get_or_insert(error);
            }
        };
        self.change(py, |engine| engine.progress(tell))
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

fn described<'py>(py: Python<'py>, what: &impl serde::Serialize) -> PyResult<Bound<'py, PyAny>> {
    let value = serde_json::to_value(what).map_err(|error| Raised::new_err(error.to_string()))?;
    json::to_python(py, &value)
}
