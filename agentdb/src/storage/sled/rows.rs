//! Reading rows.

use super::keys::{END, as_number, escaped, key_and_id, names, number, received_key, record_key};
use super::{DOCUMENTS, DocumentData, EventData, MARKS, META, RECEIVED, RECORDS, Sled, sled_error};
use crate::causal::ReplicaId;
use crate::error::{Error, Result};
use crate::event::{Origin, Priority, Sequence, StoredEvent, SyncStatus};
use crate::storage::{Backlog, DocumentRow, EventFilter, Last, MarkRow, Rows};
use crate::time::Timestamp;

fn damaged(what: String, cause: impl std::fmt::Display) -> Error {
    Error::Damaged {
        agent: what,
        cause: cause.to_string(),
    }
}

fn document(id: &[u8], value: &[u8]) -> Result<DocumentRow> {
    let id = String::from_utf8_lossy(id).into_owned();
    let cut = || damaged(id.clone(), "its row ends too early");
    let (len, rest) = value.split_first_chunk::<8>().ok_or_else(cut)?;
    let len = usize::try_from(u64::from_be_bytes(*len)).map_err(|_| cut())?;
    let (json, crdt) = rest.split_at_checked(len).ok_or_else(cut)?;
    let data: DocumentData =
        serde_json::from_slice(json).map_err(|cause| damaged(id.clone(), cause))?;
    Ok(DocumentRow {
        id,
        schema: data.schema,
        state: data.state,
        crdt: crdt.to_vec(),
        version: data.version,
        at: Timestamp::from_millis(data.at),
        changed: data.changed,
    })
}

pub(super) fn event(sequence: Sequence, data: &[u8]) -> Result<StoredEvent> {
    let name = || format!("event {}", sequence.get());
    let data: EventData = serde_json::from_slice(data).map_err(|cause| damaged(name(), cause))?;
    let priority = Priority::from_number(data.priority)
        .ok_or_else(|| damaged(name(), "its priority is not known"))?;
    let origin = data.origin.map(|(replica, incarnation, place)| Origin {
        replica: ReplicaId::new(replica).with_incarnation(incarnation),
        sequence: Sequence::new(place),
    });
    Ok(StoredEvent {
        sequence,
        agent: data.agent,
        event_type: data.event_type,
        payload: data.payload,
        priority,
        at: Timestamp::from_millis(data.at),
        origin,
    })
}

impl Rows for Sled {
    fn document(&self, id: &str) -> Result<Option<DocumentRow>> {
        let value = self.get(DOCUMENTS, id.as_bytes())?;
        value
            .map(|value| document(id.as_bytes(), &value))
            .transpose()
    }

    fn documents(
        &self,
        schema: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DocumentRow>> {
        let from = after.unwrap_or_default().as_bytes();
        let mut rows = Vec::new();
        for pair in self.trees.documents.range(from..) {
            let (id, value) = pair.map_err(sled_error)?;
            if after.is_some() && *id == *from {
                continue;
            }
            if rows.len() == limit {
                break;
            }
            let row = document(&id, &value)?;
            if schema.is_none_or(|schema| row.schema == schema) {
                rows.push(row);
            }
        }
        Ok(rows)
    }

    fn changes(&self, after: i64, limit: usize) -> Result<Vec<(String, i64)>> {
        let from = number(after.saturating_add(1));
        let range = self.trees.changes.range(from..).take(limit);
        range
            .map(|pair| {
                let (place, id) = pair.map_err(sled_error)?;
                Ok((String::from_utf8_lossy(&id).into_owned(), as_number(&place)))
            })
            .collect()
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
        let head = names(&[schema, field]);
        let start = match after {
            Some((key, id)) => [&head[..], &escaped(key), &END, id.as_bytes()].concat(),
            None => [&head[..], &escaped(from)].concat(),
        };
        let mut found = Vec::new();
        for pair in self.trees.index.range(start.clone()..) {
            let (entry, _) = pair.map_err(sled_error)?;
            let Some(rest) = entry.strip_prefix(&head[..]) else {
                break;
            };
            if found.len() == limit {
                break;
            }
            let Some((key, id)) = key_and_id(rest) else {
                continue;
            };
            if *key > *to {
                break;
            }
            let is_after = after.is_some() && *entry == *start;
            if *key >= *from && !is_after {
                found.push((key, String::from_utf8_lossy(id).into_owned()));
            }
        }
        Ok(found)
    }

    fn events(
        &self,
        filter: &EventFilter<'_>,
        after: Sequence,
        limit: usize,
    ) -> Result<Vec<StoredEvent>> {
        let from = number(after.get().saturating_add(1));
        // The log of what waits is short where the log of all is long.
        let tree = match filter.status {
            Some(SyncStatus::Waiting) => &self.trees.waiting,
            _ => &self.trees.events,
        };
        let mut events = Vec::new();
        for pair in tree.range(from..) {
            if events.len() == limit {
                break;
            }
            let (key, _) = pair.map_err(sled_error)?;
            let sequence = Sequence::new(as_number(&key));
            let Some(event) = self.event(sequence)? else {
                continue;
            };
            let status = match filter.status {
                Some(_) => self.mark(sequence)?.map(|mark| mark.status),
                None => None,
            };
            let takes = filter.agent.is_none_or(|agent| event.agent == agent)
                && filter
                    .event_type
                    .is_none_or(|kind| event.event_type == kind)
                && filter
                    .priority
                    .is_none_or(|priority| event.priority == priority)
                && filter.from.is_none_or(|from| event.at >= from)
                && filter.before.is_none_or(|before| event.at < before)
                && filter.status == status;
            if takes {
                events.push(event);
            }
        }
        Ok(events)
    }

    fn received(&self, origin: Origin) -> Result<Option<Sequence>> {
        let place = self.get(RECEIVED, &received_key(origin))?;
        Ok(place.map(|place| Sequence::new(as_number(&place))))
    }

    fn mark(&self, sequence: Sequence) -> Result<Option<MarkRow>> {
        let Some(value) = self.get(MARKS, &number(sequence.get()))? else {
            return Ok(None);
        };
        let text = String::from_utf8_lossy(&value);
        let (word, note) = text.split_once('\0').unwrap_or((&text, ""));
        let status = SyncStatus::from_word(word)
            .ok_or_else(|| damaged(format!("event {}", sequence.get()), "its mark is not known"))?;
        Ok(Some(MarkRow {
            sequence,
            status,
            note: note.strip_prefix('+').map(str::to_owned),
        }))
    }

    fn backlog(&self, priority: Priority) -> Result<Backlog> {
        let mut backlog = Backlog::default();
        for value in self.trees.waiting.iter().values() {
            let value = value.map_err(sled_error)?;
            if value.first() == Some(&(priority as u8)) {
                backlog.count += 1;
                backlog.bytes += as_number(&value[1..]).unsigned_abs();
            }
        }
        Ok(backlog)
    }

    fn record(&self, namespace: &str, key: &str) -> Result<Option<Vec<u8>>> {
        self.get(RECORDS, &record_key(namespace, key))
    }

    fn records(
        &self,
        namespace: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>> {
        let head = names(&[namespace]);
        let start = record_key(namespace, after);
        let mut records = Vec::new();
        for pair in self.trees.records.range(start..) {
            let (key, value) = pair.map_err(sled_error)?;
            let Some(key) = key.strip_prefix(&head[..]) else {
                break;
            };
            if records.len() == limit {
                break;
            }
            if key != after.as_bytes() {
                records.push((String::from_utf8_lossy(key).into_owned(), value.to_vec()));
            }
        }
        Ok(records)
    }

    fn meta(&self, key: &str) -> Result<Option<i64>> {
        Ok(self
            .get(META, key.as_bytes())?
            .map(|value| as_number(&value)))
    }

    fn last(&self) -> Result<Last> {
        Ok(Last {
            changed: self.meta("last/changed")?.unwrap_or(0),
            event: self.meta("last/event")?.unwrap_or(0),
        })
    }
}
