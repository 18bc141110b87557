//! Looking at a file without being its store: to verify, to dump, to repair.
//!
//! None of these makes a write of the replica, so a store that runs meanwhile is not disturbed.

use std::io::Write;
use std::path::Path;

use serde_json::json;

use crate::db::{AgentDb, SCHEMAS, decode};
use crate::error::{Error, Result};
use crate::event::{Sequence, StoredEvent};
use crate::query::key;
use crate::schema::Schema;
use crate::storage::{Batch, DocumentRow, EventFilter, IndexEntry, Rows, Sqlite, Storage, Sync};

const PAGE: usize = 500;

/// What a repair brought over, and what it could not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Documents that are whole.
    pub documents: usize,
    /// Events.
    pub events: usize,
    /// Opaque records.
    pub records: usize,
    /// What is lost, in words.
    pub lost: Vec<String>,
}

/// Looks for damage of a file; what was found, in words. Reads everything.
///
/// # Errors
/// [`Error::Open`], [`Error::Format`], [`Error::Foreign`], [`Error::Store`].
pub fn verify(path: &Path) -> Result<Vec<String>> {
    AgentDb::read_only(path)?.verify()
}

/// The schemas that are kept with a file.
pub(crate) fn schemas(rows: &dyn Rows) -> Result<Vec<Schema>> {
    let records = rows.records(SCHEMAS, "", PAGE)?;
    let texts = records
        .iter()
        .map(|(_, json)| String::from_utf8_lossy(json));
    texts.map(|text| Schema::from_json(&text)).collect()
}

/// Writes a file as JSON lines: documents with their clocks, events with what became of them, records.
///
/// # Errors
/// As [`verify`]; what cannot be read is written as a line with an `error`. [`Error::Store`] where `out`
/// fails.
pub fn dump(path: &Path, out: &mut dyn Write) -> Result<()> {
    let rows = Sqlite::read_only(path)?;
    let mut line = |value: serde_json::Value| {
        writeln!(out, "{value}").map_err(|cause| Error::Store(Box::new(cause)))
    };
    each_document(&rows, |row| {
        line(match decode(&row.id, &row.crdt) {
            Ok(document) => {
                let clock = document.context().runs();
                let clock: Vec<_> = clock
                    .map(|(replica, first, last)| json!([replica.to_string(), first, last]))
                    .collect();
                let state = serde_json::from_str(&row.state).unwrap_or(serde_json::Value::Null);
                json!({"document": row.id, "schema": row.schema, "version": row.version,
                    "at": row.at.as_millis(), "state": state, "clock": clock})
            }
            Err(cause) => json!({"document": row.id, "error": cause.to_string()}),
        })
    })?;
    each_event(&rows, |event| match event {
        Ok(event) => {
            let mark = rows.mark(event.sequence)?;
            line(
                json!({"event": event.sequence.get(), "agent": event.agent, "type": event.event_type,
                "payload": event.payload, "priority": event.priority, "at": event.at.as_millis(),
                "status": mark.map(|mark| mark.status)}),
            )
        }
        Err(cause) => line(json!({"event": null, "error": cause.to_string()})),
    })?;
    for namespace in rows.namespaces()? {
        each_record(&rows, &namespace, |key, value| {
            line(json!({"record": [namespace, key], "bytes": value.len()}))
        })?;
    }
    Ok(())
}

/// Brings all that is whole over into a new file: documents whose mergeable form can be read, with JSON and
/// index made anew; events; records. The replica goes on there under a new incarnation.
///
/// # Errors
/// [`Error::Exists`] where the new file is there already; as [`verify`].
pub fn repair(from: &Path, to: &Path) -> Result<Repaired> {
    if to.exists() {
        return Err(Error::Exists {
            path: to.to_owned(),
        });
    }
    let rows = Sqlite::read_only(from)?;
    let schemas = schemas(&rows)?;
    let mut target = Sqlite::open(to, &schemas)?;
    let mut repaired = Repaired::default();
    let mut keep = |batch: Batch| {
        target.begin()?;
        target.apply(&batch)?;
        target.commit(Sync::Disk)
    };
    let mut lost = Vec::new();
    let read = each_document(&rows, |row| {
        let whole = decode(&row.id, &row.crdt).and_then(|document| {
            let schema = schemas.iter().find(|schema| schema.name() == row.schema);
            let schema = schema.ok_or_else(|| Error::UnknownSchema(row.schema.clone()))?;
            Ok((document.to_json(schema), schema))
        });
        let (state, schema) = match whole {
            Ok(whole) => whole,
            Err(cause) => {
                lost.push(cause.to_string());
                return Ok(());
            }
        };
        let entries = schema.indexes().filter_map(|field| {
            Some(IndexEntry {
                schema: row.schema.clone(),
                field: field.to_owned(),
                key: key::of(state.get(field)?)?,
                id: row.id.clone(),
            })
        });
        repaired.documents += 1;
        keep(Batch {
            indexed: entries.collect(),
            documents: vec![DocumentRow {
                state: state.to_string(),
                ..row
            }],
            ..Batch::default()
        })
    });
    if let Err(cause) = read {
        lost.push(format!("documents from there on: {cause}"));
    }
    let read = each_event(&rows, |event| match event {
        Ok(event) => {
            repaired.events += 1;
            let mark = rows.mark(event.sequence)?;
            keep(Batch {
                events: vec![event],
                marks: mark.into_iter().collect(),
                ..Batch::default()
            })
        }
        Err(cause) => {
            lost.push(cause.to_string());
            Ok(())
        }
    });
    if let Err(cause) = read {
        lost.push(format!("events from there on: {cause}"));
    }
    for namespace in rows.namespaces()? {
        let read = each_record(&rows, &namespace, |key, value| {
            repaired.records += 1;
            let mut batch = Batch::default();
            let key = (namespace.clone(), key.to_owned());
            batch.records.insert(key, Some(value.to_vec()));
            keep(batch)
        });
        if let Err(cause) = read {
            lost.push(format!("records of `{namespace}` from there on: {cause}"));
        }
    }
    let numbers = rows.numbers()?;
    keep(Batch {
        meta: numbers.into_iter().collect(),
        ..Batch::default()
    })?;
    repaired.lost = lost;
    Ok(repaired)
}

fn each_document(rows: &dyn Rows, mut each: impl FnMut(DocumentRow) -> Result<()>) -> Result<()> {
    let mut after: Option<String> = None;
    loop {
        let page = rows.documents(None, after.as_deref(), PAGE)?;
        let Some(last) = page.last() else {
            return Ok(());
        };
        after = Some(last.id.clone());
        page.into_iter().try_for_each(&mut each)?;
    }
}

/// Tells each event, or why it cannot be read.
fn each_event(
    rows: &dyn Rows,
    mut each: impl FnMut(Result<StoredEvent>) -> Result<()>,
) -> Result<()> {
    let last = rows.last()?.event;
    let mut after = Sequence::new(0);
    let mut limit = PAGE;
    while after.get() < last {
        match rows.events(&EventFilter::default(), after, limit) {
            Ok(page) => {
                let Some(event) = page.last() else {
                    return Ok(());
                };
                after = event.sequence;
                page.into_iter().map(Ok).try_for_each(&mut each)?;
            }
            // One of the page cannot be read: which one is found by reading them alone.
            Err(_) if limit > 1 => limit = 1,
            Err(cause) => {
                after = Sequence::new(after.get() + 1);
                each(Err(cause))?;
            }
        }
    }
    Ok(())
}

fn each_record(
    rows: &dyn Rows,
    namespace: &str,
    mut each: impl FnMut(&str, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut after = String::new();
    loop {
        let page = rows.records(namespace, &after, PAGE)?;
        let Some((last, _)) = page.last() else {
            return Ok(());
        };
        after = last.clone();
        page.iter().try_for_each(|(key, value)| each(key, value))?;
    }
}
