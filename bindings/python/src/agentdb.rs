//! `edgeweave.agentdb`: documents that merge, and events, in one file.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agentdb::{
    Document, Durability, Edit, Error, Options, Priority, ReplicaId, Sequence, SyncStatus,
    Timestamp,
};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};
use serde_json::Value;

use crate::error::{CorruptError, closed, other, system, value};
use crate::json;

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

/// What is done to a field of a document.
enum Edited {
    Set(Value),
    Max(f64),
    Min(f64),
    Status(String),
    Enable,
    Disable,
    Add(i64),
    Reset,
    Insert(Value),
    Remove(Value),
    RemoveKey,
    Splice(usize, usize, String),
}

/// A change that waits for its transaction's commit.
enum Change {
    /// Of a field: schema, document, path.
    Edit(String, String, String, Edited),
    Event(String, String, Value, Priority),
    Mark(Sequence, SyncStatus, Option<String>),
    PutRecord(String, String, Vec<u8>),
    DeleteRecord(String, String),
    DeleteRecords(String, String, String),
    Merge(String, Box<Document>),
}

fn edit(edit: &mut Edit<'_>, path: &str, change: Edited) -> agentdb::Result<()> {
    match change {
        Edited::Set(to) => edit.set(path, to),
        Edited::Max(to) => edit.max(path, to),
        Edited::Min(to) => edit.min(path, to),
        Edited::Status(to) => edit.status(path, &to),
        Edited::Enable => edit.enable(path),
        Edited::Disable => edit.disable(path),
        Edited::Add(by) => edit.add(path, by),
        Edited::Reset => edit.reset(path),
        Edited::Insert(member) => edit.insert(path, member),
        Edited::Remove(member) => edit.remove(path, member),
        Edited::RemoveKey => edit.remove_key(path),
        Edited::Splice(position, delete, insert) => edit.splice(path, position, delete, &insert),
    }
    .map(|_| ())
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
        let schemas = json::from_python(schemas.as_any())?;
        for schema in forms::agentdb::schemas(&schemas).map_err(value)? {
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
        self.push(Change::Edit(
            schema,
            agent,
            field,
            Edited::Set(json::from_python(to)?),
        ))
    }

    fn max(&self, schema: String, agent: String, field: String, to: f64) -> PyResult<()> {
        self.push(Change::Edit(schema, agent, field, Edited::Max(to)))
    }

    fn min(&self, schema: String, agent: String, field: String, to: f64) -> PyResult<()> {
        self.push(Change::Edit(schema, agent, field, Edited::Min(to)))
    }

    fn status(&self, schema: String, agent: String, field: String, to: String) -> PyResult<()> {
        self.push(Change::Edit(schema, agent, field, Edited::Status(to)))
    }

    fn enable(&self, schema: String, agent: String, field: String) -> PyResult<()> {
        self.push(Change::Edit(schema, agent, field, Edited::Enable))
    }

    fn disable(&self, schema: String, agent: String, field: String) -> PyResult<()> {
        self.push(Change::Edit(schema, agent, field, Edited::Disable))
    }

    fn add(&self, schema: String, agent: String, field: String, by: i64) -> PyResult<()> {
        self.push(Change::Edit(schema, agent, field, Edited::Add(by)))
    }

    fn reset(&self, schema: String, agent: String, field: String) -> PyResult<()> {
        self.push(Change::Edit(schema, agent, field, Edited::Reset))
    }

    fn insert(
        &self,
        schema: String,
        agent: String,
        field: String,
        member: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.push(Change::Edit(
            schema,
            agent,
            field,
            Edited::Insert(json::from_python(member)?),
        ))
    }

    fn remove(
        &self,
        schema: String,
        agent: String,
        field: String,
        member: &Bound<'_, PyAny>,
    ) -> PyResult<()> {
        self.push(Change::Edit(
            schema,
            agent,
            field,
            Edited::Remove(json::from_python(member)?),
        ))
    }

    fn remove_key(&self, schema: String, agent: String, field: String) -> PyResult<()> {
        self.push(Change::Edit(schema, agent, field, Edited::RemoveKey))
    }

    fn splice(
        &self,
        schema: String,
        agent: String,
        field: String,
        position: usize,
        removed: usize,
        inserted: String,
    ) -> PyResult<()> {
        self.push(Change::Edit(
            schema,
            agent,
            field,
            Edited::Splice(position, removed, inserted),
        ))
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

    /// Removes the records with keys from `from` and below `below`.
    fn delete_records(&self, namespace: String, from_: String, below: String) -> PyResult<()> {
        self.push(Change::DeleteRecords(namespace, from_, below))
    }

    /// Joins a document of another copy into this one's.
    fn merge(&self, id: String, document: &[u8]) -> PyResult<()> {
        let copy = Document::decode(document).map_err(raise)?;
        self.push(Change::Merge(id, Box::new(copy)))
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
                    Change::Edit(schema, agent, path, change) => {
                        edit(&mut tx.agent(&schema, &agent)?, &path, change)?;
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
                    Change::DeleteRecords(namespace, from, below) => {
                        tx.delete_records(&namespace, &from, &below)?;
                    }
                    Change::Merge(id, copy) => {
                        tx.merge(&id, &copy)?;
                    }
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
