//! Rows in memory: gone with the process.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use super::{
    Backlog, Batch, DocumentRow, EventFilter, IndexEntry, Last, MarkRow, Rows, Storage, Sync,
};
use crate::error::Result;
use crate::event::{Origin, Priority, Sequence, StoredEvent, SyncStatus};

/// Rows in memory.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    now: Tables,
    /// As it was at `begin`, where that was called.
    before: Vec<Undo>,
}

#[derive(Clone, Debug, Default)]
struct Tables {
    documents: BTreeMap<String, DocumentRow>,
    changes: BTreeMap<i64, String>,
    index: BTreeSet<IndexEntry>,
    events: BTreeMap<Sequence, StoredEvent>,
    marks: BTreeMap<Sequence, MarkRow>,
    waiting: BTreeMap<Sequence, u64>,
    received: BTreeMap<Origin, Sequence>,
    records: BTreeMap<RecordKey, Vec<u8>>,
    meta: BTreeMap<String, i64>,
    last: Last,
}

/// Namespace and key.
type RecordKey = (String, String);

/// What takes a batch back: the batch that restores what was there.
#[derive(Clone, Debug)]
struct Undo {
    last: Last,
    documents: Vec<(String, Option<DocumentRow>)>,
    unindexed: Vec<IndexEntry>,
    indexed: Vec<IndexEntry>,
    events: Vec<(Sequence, Option<StoredEvent>)>,
    marks: Vec<(Sequence, Option<MarkRow>)>,
    records: Vec<(RecordKey, Option<Vec<u8>>)>,
    meta: Vec<(String, Option<i64>)>,
}

impl Memory {
    /// Without any rows.
    pub fn new() -> Self {
        Self::default()
    }
}

fn put<K: Ord + Clone, V>(map: &mut BTreeMap<K, V>, key: &K, value: Option<V>) -> Option<V> {
    match value {
        Some(value) => map.insert(key.clone(), value),
        None => map.remove(key),
    }
}

impl Tables {
    fn set_document(&mut self, id: &String, row: Option<DocumentRow>) -> Option<DocumentRow> {
        if let Some(row) = &row {
            self.changes.insert(row.changed, id.clone());
        }
        let changed = row.as_ref().map(|row| row.changed);
        let before = put(&mut self.documents, id, row);
        if let Some(before) = &before
            && changed != Some(before.changed)
        {
            self.changes.remove(&before.changed);
        }
        before
    }

    fn set_event(&mut self, sequence: Sequence, event: Option<StoredEvent>) -> Option<StoredEvent> {
        if let Some(origin) = event.as_ref().and_then(|event| event.origin) {
            self.received.insert(origin, sequence);
        }
        let gone = event.is_none();
        let before = put(&mut self.events, &sequence, event);
        if let Some(origin) = before
            .as_ref()
            .and_then(|event| event.origin)
            .filter(|_| gone)
        {
            self.received.remove(&origin);
        }
        before
    }

    fn set_mark(&mut self, sequence: Sequence, mark: Option<MarkRow>) -> Option<MarkRow> {
        let waits = mark
            .as_ref()
            .is_some_and(|mark| mark.status == SyncStatus::Waiting);
        let bytes = self
            .events
            .get(&sequence)
            .map(|event| event.payload.to_string().len());
        match bytes.filter(|_| waits) {
            Some(bytes) => self.waiting.insert(sequence, bytes as u64),
            None => self.waiting.remove(&sequence),
        };
        put(&mut self.marks, &sequence, mark)
    }

    fn apply(&mut self, batch: &Batch) -> Undo {
        let mut undo = Undo {
            last: self.last,
            documents: Vec::new(),
            unindexed: Vec::new(),
            indexed: Vec::new(),
            events: Vec::new(),
            marks: Vec::new(),
            records: Vec::new(),
            meta: Vec::new(),
        };
        for row in &batch.documents {
            self.last.changed = self.last.changed.max(row.changed);
            let before = self.set_document(&row.id, Some(row.clone()));
            undo.documents.push((row.id.clone(), before));
        }
        for entry in &batch.unindexed {
            if self.index.remove(entry) {
                undo.indexed.push(entry.clone());
            }
        }
        for entry in &batch.indexed {
            if self.index.insert(entry.clone()) {
                undo.unindexed.push(entry.clone());
            }
        }
        for event in &batch.events {
            self.last.event = self.last.event.max(event.sequence.get());
            self.set_event(event.sequence, Some(event.clone()));
            let mark = MarkRow {
                sequence: event.sequence,
                status: SyncStatus::Waiting,
                note: None,
            };
            undo.events.push((event.sequence, None));
            undo.marks
                .push((event.sequence, self.set_mark(event.sequence, Some(mark))));
        }
        for mark in &batch.marks {
            if self.events.contains_key(&mark.sequence) {
                let before = self.set_mark(mark.sequence, Some(mark.clone()));
                undo.marks.push((mark.sequence, before));
            }
        }
        for sequence in &batch.expired {
            undo.marks.push((*sequence, self.set_mark(*sequence, None)));
            undo.events
                .push((*sequence, self.set_event(*sequence, None)));
        }
        for (key, value) in &batch.records {
            undo.records
                .push((key.clone(), put(&mut self.records, key, value.clone())));
        }
        for (key, value) in &batch.meta {
            undo.meta
                .push((key.clone(), self.meta.insert(key.clone(), *value)));
        }
        undo
    }

    fn undo(&mut self, undo: Undo) {
        for (key, value) in undo.meta.into_iter().rev() {
            put(&mut self.meta, &key, value);
        }
        for (key, value) in undo.records.into_iter().rev() {
            put(&mut self.records, &key, value);
        }
        for (sequence, event) in undo.events.into_iter().rev() {
            self.set_event(sequence, event);
        }
        for (sequence, mark) in undo.marks.into_iter().rev() {
            self.set_mark(sequence, mark);
        }
        for entry in undo.unindexed {
            self.index.remove(&entry);
        }
        self.index.extend(undo.indexed);
        for (id, row) in undo.documents.into_iter().rev() {
            self.set_document(&id, row);
        }
        self.last = undo.last;
    }
}

impl Rows for Memory {
    fn document(&self, id: &str) -> Result<Option<DocumentRow>> {
        Ok(self.now.documents.get(id).cloned())
    }

    fn documents(
        &self,
        schema: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DocumentRow>> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let range = self.now.documents.range::<str, _>((from, Bound::Unbounded));
        let rows = range.map(|(_, row)| row);
        let rows = rows.filter(|row| schema.is_none_or(|schema| row.schema == schema));
        Ok(rows.take(limit).cloned().collect())
    }

    fn changes(&self, after: i64, limit: usize) -> Result<Vec<(String, i64)>> {
        let range = self
            .now
            .changes
            .range((Bound::Excluded(after), Bound::Unbounded));
        let changes = range.map(|(number, id)| (id.clone(), *number));
        Ok(changes.take(limit).collect())
    }

    fn index(
        &self,
        schema: &str,
        field: &str,
        from: &[u8],
        to: &[u8],
        after: Option<(&[u8], &str)>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, String)>> {
        let entry = |key: &[u8], id: &str| IndexEntry {
            schema: schema.to_owned(),
            field: field.to_owned(),
            key: key.to_vec(),
            id: id.to_owned(),
        };
        let from = match after {
            Some((key, id)) => Bound::Excluded(entry(key, id)),
            None => Bound::Included(entry(from, "")),
        };
        let entries = self.now.index.range((from, Bound::Unbounded));
        let within = entries.take_while(|entry| {
            entry.schema == schema && entry.field == field && *entry.key <= *to
        });
        let pairs = within.map(|entry| (entry.key.clone(), entry.id.clone()));
        Ok(pairs.take(limit).collect())
    }

    fn events(
        &self,
        filter: &EventFilter<'_>,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<StoredEvent>> {
        let range = self
            .now
            .events
            .range((Bound::Excluded(after), Bound::Unbounded));
        let fits = |event: &&StoredEvent| {
            let status = self.now.marks.get(&event.sequence).map(|mark| mark.status);
            filter.agent.is_none_or(|agent| event.agent == agent)
                && filter
                    .event_type
                    .is_none_or(|kind| event.event_type == kind)
                && filter
                    .priority
                    .is_none_or(|priority| event.priority == priority)
                && filter.from.is_none_or(|from| event.at >= from)
                && filter.before.is_none_or(|before| event.at < before)
                && (filter.status.is_none() || filter.status == status)
        };
        let events = range.map(|(_, event)| event).filter(fits);
        Ok(events.take(limit).cloned().collect())
    }

    fn received(&self, origin: Origin) -> Result<Option<Sequence>> {
        Ok(self.now.received.get(&origin).copied())
    }

    fn mark(&self, sequence: Sequence) -> Result<Option<MarkRow>> {
        Ok(self.now.marks.get(&sequence).cloned())
    }

    fn backlog(&self, priority: Priority) -> Result<Backlog> {
        let mut backlog = Backlog::default();
        for (sequence, bytes) in &self.now.waiting {
            let event = self.now.events.get(sequence);
            if event.is_some_and(|event| event.priority == priority) {
                backlog.count += 1;
                backlog.bytes += bytes;
            }
        }
        Ok(backlog)
    }

    fn record(&self, namespace: &str, key: &str) -> Result<Option<Vec<u8>>> {
        let key = (namespace.to_owned(), key.to_owned());
        Ok(self.now.records.get(&key).cloned())
    }

    fn records(
        &self,
        namespace: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>> {
        let from = (namespace.to_owned(), after.to_owned());
        let range = self
            .now
            .records
            .range((Bound::Excluded(from), Bound::Unbounded));
        let within = range.take_while(|((of, _), _)| of == namespace);
        let records = within.map(|((_, key), value)| (key.clone(), value.clone()));
        Ok(records.take(limit).collect())
    }

    fn meta(&self, key: &str) -> Result<Option<i64>> {
        Ok(self.now.meta.get(key).copied())
    }

    fn last(&self) -> Result<Last> {
        Ok(self.now.last)
    }
}

impl Storage for Memory {
    fn begin(&mut self) -> Result<()> {
        Ok(())
    }

    fn apply(&mut self, batch: &Batch) -> Result<()> {
        let undo = self.now.apply(batch);
        self.before.push(undo);
        Ok(())
    }

    fn commit(&mut self, _: Sync) -> Result<()> {
        self.before.clear();
        Ok(())
    }

    fn rollback(&mut self) {
        for undo in std::mem::take(&mut self.before).into_iter().rev() {
            self.now.undo(undo);
        }
    }
}
