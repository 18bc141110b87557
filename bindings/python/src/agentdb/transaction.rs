//! A transaction: changes that are listed, and applied together.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agentdb::{Document, Edit, Priority, Retention, Sequence, SyncStatus, Timestamp};
use pyo3::prelude::*;
use serde_json::Value;

use super::{AgentDb, raise};
use crate::error::{closed, value};
use crate::json;

/// What is done to a field of a document.
pub(super) enum Edited {
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
    /// Of the document as a whole.
    MergePatch(Value),
}

/// A change that waits for its transaction's commit.
pub(super) enum Change {
    /// Of a field: schema, document, path.
    Edit(String, String, String, Edited),
    Event(String, String, Value, Priority),
    Mark(Sequence, SyncStatus, Option<String>),
    PutRecord(String, String, Vec<u8>),
    DeleteRecord(String, String),
    DeleteRecords(String, String, String),
    Merge(String, Box<Document>),
    /// Of a type: how long it is kept, the number that is rolled up and to what width, and how many at most.
    Retain(String, Duration, Option<(String, Duration)>, usize),
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
        Edited::MergePatch(patch) => edit.merge_patch(&patch),
    }
    .map(|_| ())
}

/// Changes that are applied together by `commit`, or not at all.
#[pyclass(frozen, module = "edgeweave.agentdb")]
pub struct Transaction {
    pub(super) db: Py<AgentDb>,
    pub(super) now: i64,
    /// None once it was committed or given up.
    pub(super) changes: Mutex<Option<Vec<Change>>>,
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

    /// Makes the fields that a merge patch (RFC 7396) names read what it says.
    fn merge_patch(&self, schema: String, agent: String, patch: &Bound<'_, PyAny>) -> PyResult<()> {
        let patch = Edited::MergePatch(json::from_python(patch)?);
        self.push(Change::Edit(schema, agent, String::new(), patch))
    }

    /// Removes events of a type that are older than so many seconds; `roll_up` is (field, width in seconds).
    #[pyo3(signature = (event_type, keep, *, roll_up = None, limit = 10_000))]
    fn retain(
        &self,
        event_type: String,
        keep: f64,
        roll_up: Option<(String, f64)>,
        limit: usize,
    ) -> PyResult<()> {
        let seconds = |number| Duration::try_from_secs_f64(number).map_err(value);
        let roll_up = roll_up
            .map(|(field, width)| Ok::<_, PyErr>((field, seconds(width)?)))
            .transpose()?;
        self.push(Change::Retain(event_type, seconds(keep)?, roll_up, limit))
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
                    Change::Retain(event_type, keep, roll_up, limit) => {
                        let mut retention = Retention::new(&event_type, keep);
                        if let Some((field, width)) = &roll_up {
                            retention = retention.roll_up(field, *width);
                        }
                        tx.retain(&retention, limit)?;
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
