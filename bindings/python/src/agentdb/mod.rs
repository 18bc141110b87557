//! `edgeweave.agentdb`: documents that merge, and events, in one file.

mod sync;
mod transaction;
mod watch;

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::error::{CorruptError, closed, other, system, value};
use crate::json;
use agentdb::offline::Policy;
use agentdb::{
    Direction, Durability, Error, Options, Query, ReplicaId, Sequence, Series, Timestamp,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};

pub use sync::{Endpoint, Session};
pub use transaction::Transaction;
pub use watch::Watch;

/// Most events of one call.
const EVENTS_MAX: usize = 100_000;

fn raise(error: Error) -> PyErr {
    match &error {
        Error::Store { .. } | Error::Open { .. } | Error::DiskFull | Error::GroupLost { .. } => {
            system(error)
        }
        Error::Damaged { .. }
        | Error::Malformed { .. }
        | Error::Foreign { .. }
        | Error::Format { .. } => CorruptError::new_err(error.to_string()),
        Error::Poisoned { .. } => other(error),
        _ => value(error),
    }
}

fn seconds(number: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(number).map_err(|error| value(format!("{number} seconds: {error}")))
}

/// A query over a store.
fn query<'db>(
    db: &'db agentdb::AgentDb,
    schema: &str,
    text: Option<&str>,
    order_by: Option<&str>,
    direction: Direction,
    limit: Option<usize>,
) -> agentdb::Result<Query<'db>> {
    let mut query = match text {
        Some(text) => db.find(schema, text)?,
        None => db.all(schema),
    };
    if let Some(field) = order_by {
        query = query.ordered(field, direction);
    }
    if let Some(limit) = limit {
        query = query.limit(limit);
    }
    Ok(query)
}

fn direction(descending: bool) -> Direction {
    match descending {
        true => Direction::Descending,
        false => Direction::Ascending,
    }
}

#[pyclass(frozen, module = "edgeweave.agentdb")]
pub struct AgentDb {
    inner: Mutex<Option<agentdb::AgentDb>>,
}

impl AgentDb {
    /// Another handle of the same store.
    fn handle(&self, py: Python<'_>) -> PyResult<agentdb::AgentDb> {
        self.with(py, |db| Ok(db.clone()))
    }

    fn with<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut agentdb::AgentDb) -> agentdb::Result<R> + Send,
    ) -> PyResult<R> {
        py.detach(|| {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.as_mut().map(work)
        })
        .ok_or_else(|| closed("database"))?
        .map_err(raise)
    }
}

#[pymethods]
impl AgentDb {
    #[new]
    #[pyo3(signature = (path, *, replica, schemas, durability = "immediate", clock_ahead_max = None,
        clock_drift_max = None, waiting_events_max = None, waiting_bytes_max = None, waiting_age_max = None,
        restored = false))]
    #[allow(clippy::too_many_arguments, reason = "keywords of Python")]
    fn new(
        py: Python<'_>,
        path: Option<PathBuf>,
        replica: u64,
        schemas: &Bound<'_, PyDict>,
        durability: &str,
        clock_ahead_max: Option<f64>,
        clock_drift_max: Option<f64>,
        waiting_events_max: Option<u64>,
        waiting_bytes_max: Option<u64>,
        waiting_age_max: Option<f64>,
        restored: bool,
    ) -> PyResult<Self> {
        let durability = match durability {
            "immediate" => Durability::Immediate,
            "buffered" => Durability::Buffered,
            _ => {
                return Err(value(format!(
                    "durability {durability:?}: wanted immediate or buffered"
                )));
            }
        };
        let mut options = Options::new(ReplicaId::new(replica)).durability(durability);
        let schemas = json::from_python(schemas.as_any())?;
        for schema in forms::agentdb::schemas(&schemas).map_err(value)? {
            options = options.schema(schema);
        }
        if let Some(limit) = clock_ahead_max {
            options = options.clock_ahead_max(seconds(limit)?);
        }
        if let Some(limit) = clock_drift_max {
            options = options.clock_drift_max(seconds(limit)?);
        }
        let mut waiting = Policy::default();
        waiting.events_max = waiting_events_max.unwrap_or(waiting.events_max);
        waiting.bytes_max = waiting_bytes_max.unwrap_or(waiting.bytes_max);
        waiting.age_max = waiting_age_max.map_or(Ok(waiting.age_max), seconds)?;
        options = options.offline(waiting);
        if restored {
            options = options.restored();
        }
        let opened = py.detach(|| match path {
            Some(path) => agentdb::AgentDb::open(path, options),
            None => agentdb::AgentDb::in_memory(options),
        });
        let inner = Mutex::new(Some(opened.map_err(raise)?));
        Ok(Self { inner })
    }

    /// Begins a transaction at a time in milliseconds since the Unix epoch.
    fn begin(slf: Py<Self>, now: i64) -> Transaction {
        Transaction {
            db: slf,
            now,
            changes: Mutex::new(Some(Vec::new())),
        }
    }

    fn get<'py>(&self, py: Python<'py>, id: &str) -> PyResult<Option<Bound<'py, PyAny>>> {
        let agent = self.with(py, |db| db.get(id))?;
        agent
            .map(|agent| json::to_python(py, &forms::agentdb::agent(&agent)))
            .transpose()
    }

    /// A document as another copy takes it with `Transaction.merge`.
    fn document<'py>(&self, py: Python<'py>, id: &str) -> PyResult<Option<Bound<'py, PyBytes>>> {
        let document = self.with(py, |db| db.document(id))?;
        Ok(document.map(|document| PyBytes::new(py, &document.encode())))
    }

    /// Concurrent writes of a document's registers.
    fn conflicts<'py>(&self, py: Python<'py>, id: &str) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for conflict in self.with(py, |db| db.conflicts(id))? {
            list.append(json::to_python(py, &forms::agentdb::conflict(&conflict))?)?;
        }
        Ok(list)
    }

    /// Documents that changed after a change of this store, with their last change.
    #[pyo3(signature = (after = 0, limit = 1000))]
    fn changes(&self, py: Python<'_>, after: i64, limit: usize) -> PyResult<Vec<(String, i64)>> {
        let after = agentdb::Change::new(after);
        let changes = self.with(py, |db| db.changes_after(after, limit))?;
        Ok(changes
            .into_iter()
            .map(|(id, change)| (id, change.get()))
            .collect())
    }

    /// Checks everything that is stored; what is wrong.
    fn verify(&self, py: Python<'_>) -> PyResult<Vec<String>> {
        self.with(py, |db| db.verify())
    }

    /// Gives the room of what was deleted back.
    fn compact(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |db| db.compact())
    }

    fn query<'py>(
        &self,
        py: Python<'py>,
        schema: &str,
        text: &str,
    ) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for agent in self.with(py, |db| db.query(schema, text))? {
            list.append(json::to_python(py, &forms::agentdb::agent(&agent))?)?;
        }
        Ok(list)
    }

    /// Documents for which an expression holds (None: all) in an order, at most so many.
    #[pyo3(signature = (schema, text = None, *, order_by = None, descending = false, limit = None))]
    fn find<'py>(
        &self,
        py: Python<'py>,
        schema: &str,
        text: Option<&str>,
        order_by: Option<&str>,
        descending: bool,
        limit: Option<usize>,
    ) -> PyResult<Bound<'py, PyList>> {
        let direction = direction(descending);
        let found = self.with(py, |db| {
            query(db, schema, text, order_by, direction, limit)?.run()
        })?;
        let list = PyList::empty(py);
        for agent in found {
            list.append(json::to_python(py, &forms::agentdb::agent(&agent))?)?;
        }
        Ok(list)
    }

    /// How many documents `find` would find.
    #[pyo3(signature = (schema, text = None, *, limit = None))]
    fn count(
        &self,
        py: Python<'_>,
        schema: &str,
        text: Option<&str>,
        limit: Option<usize>,
    ) -> PyResult<usize> {
        self.with(py, |db| {
            query(db, schema, text, None, Direction::Ascending, limit)?.count()
        })
    }

    /// How `find` would find them, for people.
    #[pyo3(signature = (schema, text = None, *, order_by = None, descending = false, limit = None))]
    fn explain(
        &self,
        py: Python<'_>,
        schema: &str,
        text: Option<&str>,
        order_by: Option<&str>,
        descending: bool,
        limit: Option<usize>,
    ) -> PyResult<String> {
        let direction = direction(descending);
        self.with(py, |db| {
            Ok(query(db, schema, text, order_by, direction, limit)?.explain())
        })
    }

    /// Ids of documents above one, in order.
    #[pyo3(signature = (after = "", limit = 1000))]
    fn ids(&self, py: Python<'_>, after: &str, limit: usize) -> PyResult<Vec<String>> {
        self.with(py, |db| db.ids_after(after, limit))
    }

    /// What is committed from now on; see `Watch`.
    #[pyo3(signature = (filter = None))]
    fn watch(&self, py: Python<'_>, filter: Option<&Bound<'_, PyAny>>) -> PyResult<Watch> {
        let filter = filter.map_or(Ok(serde_json::Value::Null), json::from_python)?;
        let filter = forms::agentdb::watch_filter(&filter).map_err(value)?;
        self.with(py, |db| Ok(Watch::of(db.watch(filter))))
    }

    /// The number at `field` of the events of one type about a document, in buckets of so many seconds.
    #[pyo3(signature = (id, event_type, field, width, *, from_ = i64::MIN, before = i64::MAX))]
    #[allow(clippy::too_many_arguments, reason = "keywords of Python")]
    fn series<'py>(
        &self,
        py: Python<'py>,
        id: &str,
        event_type: &str,
        field: &str,
        width: f64,
        from_: i64,
        before: i64,
    ) -> PyResult<Bound<'py, PyList>> {
        let width = seconds(width)?;
        let (from, before) = (
            Timestamp::from_millis(from_),
            Timestamp::from_millis(before),
        );
        let series = Series::new(id, event_type, field).between(from, before);
        let list = PyList::empty(py);
        for bucket in self.with(py, |db| db.series(&series, width))? {
            list.append(json::to_python(py, &forms::agentdb::bucket(&bucket))?)?;
        }
        Ok(list)
    }

    /// What became of the events of each priority: appended = held + sent + dropped.
    fn tally<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let tally = self.with(py, |db| db.tally())?;
        json::to_python(py, &forms::agentdb::tally(&tally))
    }

    /// Lets the file grow to so many pages of 4 KiB.
    fn limit_file(&self, py: Python<'_>, pages: u32) -> PyResult<()> {
        self.with(py, |db| db.limit_file(pages))
    }

    /// The last change that a power cut would not lose.
    fn durable(&self, py: Python<'_>) -> PyResult<i64> {
        self.with(py, |db| Ok(db.durable().get()))
    }

    /// The replica's number, and its present incarnation.
    #[getter]
    fn replica(&self, py: Python<'_>) -> PyResult<(u64, u32)> {
        let replica = self.with(py, |db| Ok(db.replica()))?;
        Ok((replica.get(), replica.incarnation()))
    }

    #[pyo3(signature = (after = 0, limit = 1000, *, waiting = false, event_type = None))]
    fn events<'py>(
        &self,
        py: Python<'py>,
        after: i64,
        limit: usize,
        waiting: bool,
        event_type: Option<&str>,
    ) -> PyResult<Bound<'py, PyList>> {
        if limit > EVENTS_MAX {
            return Err(value(format!("limit {limit}: at most {EVENTS_MAX}")));
        }
        if waiting && event_type.is_some() {
            return Err(value("waiting events are not told apart by type"));
        }
        let after = Sequence::new(after);
        let events = self.with(py, |db| match (waiting, event_type) {
            (true, _) => db.waiting_after(after, limit),
            (false, Some(kind)) => db.events_of_type_after(kind, after, limit),
            (false, None) => db.events_after(after, limit),
        })?;
        let list = PyList::empty(py);
        for event in &events {
            list.append(json::to_python(py, &forms::agentdb::event(event))?)?;
        }
        Ok(list)
    }

    /// The place of the last event; 0 before the first.
    fn last_event(&self, py: Python<'_>) -> PyResult<i64> {
        self.with(py, |db| db.last_event().map(Sequence::get))
    }

    /// Records of a namespace behind a key, in order.
    #[pyo3(signature = (namespace, after = "", limit = 1000))]
    fn scan_records(
        &self,
        py: Python<'_>,
        namespace: &str,
        after: &str,
        limit: usize,
    ) -> PyResult<Vec<(String, Vec<u8>)>> {
        self.with(py, |db| db.scan_records(namespace, after, limit))
    }

    fn waiting(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, |db| db.waiting())
    }

    fn get_record(&self, py: Python<'_>, namespace: &str, key: &str) -> PyResult<Option<Vec<u8>>> {
        self.with(py, |db| db.get_record(namespace, key))
    }

    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |db| db.flush().map(|_| ()))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.take().map_or(Ok(()), |db| db.flush().map(|_| ()))
        })
        .map_err(raise)
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
