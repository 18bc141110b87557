//! `edgeweave.agentdb`: documents that merge, and events, in one file.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agentdb::{
    Agent, Durability, Error, Field, Options, Priority, ReplicaId, Schema, Sequence, SyncStatus,
    Timestamp,
};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList};
use serde_json::Value;

use crate::error::{closed, system, value};
use crate::json;

/// Most events of one call.
const EVENTS_MAX: usize = 100_000;

fn raise(error: Error) -> PyErr {
    match &error {
        Error::Store { .. } => system(error),
        _ => value(error),
    }
}

/// A change that waits for its transaction's commit.
enum Change {
    Set(String, String, String, Value),
    Max(String, String, String, f64),
    Status(String, String, String, String),
    Add(String, String, String, i64),
    Event(String, String, Value, Priority),
    Mark(Sequence, SyncStatus, Option<String>),
    PutRecord(String, String, Vec<u8>),
    DeleteRecord(String, String),
}

#[pyclass(frozen, module = "edgeweave.agentdb")]
pub struct AgentDb {
    inner: Mutex<Option<agentdb::AgentDb>>,
}

impl AgentDb {
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

/// A field of a schema from its Python form: a name, or `{"status": [...]}`.
fn field(kind: &Value) -> PyResult<Field> {
    let wanted = "wanted lww, max, pn_counter, or {'status': [names in order]}";
    match kind {
        Value::String(name) => match name.as_str() {
            "lww" => Ok(Field::Lww),
            "max" => Ok(Field::Max),
            "pn_counter" => Ok(Field::PnCounter),
            _ => Err(value(format!("field {name:?}: {wanted}"))),
        },
        Value::Object(fields) => {
            let order = fields.get("status").and_then(Value::as_array);
            let order: Option<Vec<&str>> =
                order.and_then(|names| names.iter().map(Value::as_str).collect());
            match order {
                Some(order) if fields.len() == 1 => Ok(Field::status(&order)),
                _ => Err(value(format!("field {kind}: {wanted}"))),
            }
        }
        _ => Err(value(format!("field {kind}: {wanted}"))),
    }
}

fn schemas(described: &Bound<'_, PyDict>) -> PyResult<Vec<Schema>> {
    let mut schemas = Vec::new();
    for (name, fields) in described.iter() {
        let mut schema = Schema::new(&name.extract::<String>()?);
        let Value::Object(fields) = json::from_python(&fields)? else {
            return Err(value(format!("schema {name}: wanted a dict of fields")));
        };
        for (name, kind) in &fields {
            schema = schema.field(name, field(kind)?);
        }
        schemas.push(schema);
    }
    Ok(schemas)
}

#[pymethods]
impl AgentDb {
    #[new]
    #[pyo3(signature = (path, *, replica, schemas, durability = "immediate", clock_ahead_max = None))]
    fn new(
        py: Python<'_>,
        path: Option<PathBuf>,
        replica: u64,
        schemas: &Bound<'_, PyDict>,
        durability: &str,
        clock_ahead_max: Option<f64>,
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
        for schema in self::schemas(schemas)? {
            options = options.schema(schema);
        }
        if let Some(seconds) = clock_ahead_max {
            let limit = Duration::try_from_secs_f64(seconds).map_err(value)?;
            options = options.clock_ahead_max(limit);
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

    fn get<'py>(&self, py: Python<'py>, id: &str) -> PyResult<Option<Bound<'py, PyDict>>> {
        let agent = self.with(py, |db| db.get(id))?;
        agent.map(|agent| described(py, &agent)).transpose()
    }

    fn query<'py>(
        &self,
        py: Python<'py>,
        schema: &str,
        text: &str,
    ) -> PyResult<Bound<'py, PyList>> {
        let list = PyList::empty(py);
        for agent in self.with(py, |db| db.query(schema, text))? {
            list.append(described(py, &agent)?)?;
        }
        Ok(list)
    }

    #[pyo3(signature = (after = 0, limit = 1000, *, waiting = false))]
    fn events<'py>(
        &self,
        py: Python<'py>,
        after: i64,
        limit: usize,
        waiting: bool,
    ) -> PyResult<Bound<'py, PyList>> {
        if limit > EVENTS_MAX {
            return Err(value(format!("limit {limit}: at most {EVENTS_MAX}")));
        }
        let after = Sequence::new(after);
        let events = self.with(py, |db| match waiting {
            true => db.waiting_after(after, limit),
            false => db.events_after(after, limit),
        })?;
        let list = PyList::empty(py);
        for event in events {
            let dict = PyDict::new(py);
            dict.set_item("sequence", event.sequence.get())?;
            dict.set_item("agent", event.agent)?;
            dict.set_item("type", event.event_type)?;
            dict.set_item("payload", json::to_python(py, &event.payload)?)?;
            dict.set_item("at", event.at.as_millis())?;
            list.append(dict)?;
        }
        Ok(list)
    }

    fn waiting(&self, py: Python<'_>) -> PyResult<u64> {
        self.with(py, |db| db.waiting())
    }

    fn get_record(&self, py: Python<'_>, namespace: &str, key: &str) -> PyResult<Option<Vec<u8>>> {
        self.with(py, |db| db.get_record(namespace, key))
    }

    fn flush(&self, py: Python<'_>) -> PyResult<()> {
        self.with(py, |db| db.flush().map(drop))
    }

    fn close(&self, py: Python<'_>) -> PyResult<()> {
        py.detach(|| {
            let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
            inner.take().map_or(Ok(()), |db| db.flush().map(drop))
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

fn described<'py>(py: Python<'py>, agent: &Agent) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("id", &agent.id)?;
    dict.set_item("state", json::to_python(py, &agent.state)?)?;
    dict.set_item("version", agent.version)?;
    dict.set_item("at", agent.at.as_millis())?;
    Ok(dict)
}

/// Changes that are applied together by `commit`, or not at all.
#[pyclass(frozen, module = "edgeweave.agentdb")]
pub struct Transaction {
    db: Py<AgentDb>,
    now: i64,
    /// None once it was committed or given up.
    changes: Mutex<Option<Vec<Change>>>,
}

impl Transaction {
    fn push(&self, change: Change) -> PyResult<()> {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes
            .as_mut()
            .ok_or_else(|| closed("transaction"))?
            .push(change);
        Ok(())
    }

    fn take(&self) -> Option<Vec<Change>> {
        let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
        changes.take()
    }
}

#[pymethods]
impl Transaction {
    fn set(
        &self,
        schema: String,
        agent: String,
        field: String,
        to: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.push(Change::Set(schema, agent, field, json::from_python(to)?))
    }

    fn max(&self, schema: String, agent: String, field: String, to: f64) -> PyResult<()> {
        self.push(Change::Max(schema, agent, field, to))
    }

    fn status(&self, schema: String, agent: String, field: String, to: String) -> PyResult<()> {
        self.push(Change::Status(schema, agent, field, to))
    }

    fn add(&self, schema: String, agent: String, field: String, by: i64) -> PyResult<()> {
        self.push(Change::Add(schema, agent, field, by))
    }

    #[pyo3(signature = (agent, event_type, payload, *, priority = "normal"))]
    fn append_event(
        &self,
        agent: String,
        event_type: String,
        payload: &Bound<'_, PyAny>,
        priority: &str,
    ) -> PyResult<()> {
        let priority = match priority {
            "telemetry" => Priority::Telemetry,
            "normal" => Priority::Normal,
            "safety_critical" => Priority::SafetyCritical,
            _ => {
                return Err(value(format!(
                    "priority {priority:?}: wanted telemetry, normal or safety_critical"
                )));
            }
        };
        let payload = json::from_python(payload)?;
        self.push(Change::Event(agent, event_type, payload, priority))
    }

    #[pyo3(signature = (sequence, status, note = None))]
    fn mark(&self, sequence: i64, status: &str, note: Option<String>) -> PyResult<()> {
        let status = match status {
            "waiting" => SyncStatus::Waiting,
            "delivered" => SyncStatus::Delivered,
            "refused" => SyncStatus::Refused,
            _ => {
                return Err(value(format!(
                    "status {status:?}: wanted waiting, delivered or refused"
                )));
            }
        };
        self.push(Change::Mark(Sequence::new(sequence), status, note))
    }

    fn put_record(&self, namespace: String, key: String, bytes: Vec<u8>) -> PyResult<()> {
        self.push(Change::PutRecord(namespace, key, bytes))
    }

    fn delete_record(&self, namespace: String, key: String) -> PyResult<()> {
        self.push(Change::DeleteRecord(namespace, key))
    }

    /// Applies all changes; the places of the events that were appended.
    fn commit(&self, py: Python<'_>) -> PyResult<Vec<i64>> {
        let changes = self.take().ok_or_else(|| closed("transaction"))?;
        let now = Timestamp::from_millis(self.now);
        self.db.get().with(py, |db| {
            let mut tx = db.begin(now)?;
            let mut sequences = Vec::new();
            for change in changes {
                match change {
                    Change::Set(schema, agent, field, to) => {
                        tx.agent(&schema, &agent)?.set(&field, to)?;
                    }
                    Change::Max(schema, agent, field, to) => {
                        tx.agent(&schema, &agent)?.max(&field, to)?;
                    }
                    Change::Status(schema, agent, field, to) => {
                        tx.agent(&schema, &agent)?.status(&field, &to)?;
                    }
                    Change::Add(schema, agent, field, by) => {
                        tx.agent(&schema, &agent)?.add(&field, by)?;
                    }
                    Change::Event(agent, event_type, payload, priority) => {
                        let at = tx.append_event(&agent, &event_type, &payload, priority)?;
                        sequences.push(at.get());
                    }
                    Change::Mark(sequence, status, note) => {
                        tx.mark(sequence, status, note.as_deref())?;
                    }
                    Change::PutRecord(namespace, key, bytes) => {
                        tx.put_record(&namespace, &key, &bytes)?;
                    }
                    Change::DeleteRecord(namespace, key) => tx.delete_record(&namespace, &key)?,
                }
            }
            tx.commit()?;
            Ok(sequences)
        })
    }

    /// Gives the changes up.
    fn rollback(&self) {
        self.take();
    }

    fn __enter__(slf: Py<Self>) -> Py<Self> {
        slf
    }

    /// Commits, or gives up when the block raised.
    fn __exit__(
        &self,
        py: Python<'_>,
        kind: &Bound<'_, PyAny>,
        _value: &Bound<'_, PyAny>,
        _trace: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        if !kind.is_none() {
            self.rollback();
            return Ok(());
        }
        // Committed or given up inside the block: nothing is left to do.
        let ended = self
            .changes
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .is_none();
        if !ended {
            self.commit(py)?;
        }
        Ok(())
    }
}
