//! Events of a transaction.

use serde_json::Value;

use super::{PAGE, Tx};
use crate::db::check_id;
use crate::error::{Error, Result};
use crate::event::{EVENT_BYTES_MAX, Origin, Priority, Sequence, StoredEvent, SyncStatus};
use crate::storage::{EventFilter, MarkRow};
use crate::time::Timestamp;

impl Tx<'_> {
    /// Appends an event; it waits for its receiver until [`mark`](Self::mark) says otherwise.
    ///
    /// # Errors
    /// [`Error::Limit`].
    pub fn append_event(
        &mut self,
        agent: &str,
        event_type: &str,
        payload: &Value,
        priority: Priority,
    ) -> Result<Sequence> {
        self.push_event(agent, event_type, payload, priority, self.now, None)
    }

    /// Appends an event that another replica has appended; none when it is here already.
    ///
    /// # Errors
    /// [`Error::Limit`], [`Error::Store`].
    pub fn receive_event(
        &mut self,
        origin: Origin,
        event: &StoredEvent,
    ) -> Result<Option<Sequence>> {
        let pending = self
            .batch
            .events
            .iter()
            .any(|known| known.origin == Some(origin));
        if pending || self.writer()?.storage.received(origin)?.is_some() {
            return Ok(None);
        }
        let StoredEvent {
            agent,
            event_type,
            payload,
            priority,
            at,
            ..
        } = event;
        self.push_event(agent, event_type, payload, *priority, *at, Some(origin))
            .map(Some)
    }

    fn push_event(
        &mut self,
        agent: &str,
        event_type: &str,
        payload: &Value,
        priority: Priority,
        at: Timestamp,
        origin: Option<Origin>,
    ) -> Result<Sequence> {
        check_id(agent)?;
        check_id(event_type)?;
        let found = payload.to_string().len();
        if found > EVENT_BYTES_MAX {
            return Err(Error::Limit {
                what: "length of an event in bytes",
                found,
                limit: EVENT_BYTES_MAX,
            });
        }
        self.next_event += 1;
        let sequence = Sequence::new(self.next_event);
        self.batch.events.push(StoredEvent {
            sequence,
            agent: agent.to_owned(),
            event_type: event_type.to_owned(),
            payload: payload.clone(),
            priority,
            at,
            origin,
        });
        Ok(sequence)
    }

    /// Notes what became of an event, with a word for people.
    ///
    /// # Errors
    /// None that is known.
    pub fn mark(
        &mut self,
        sequence: Sequence,
        status: SyncStatus,
        note: Option<&str>,
    ) -> Result<()> {
        self.batch.marks.push(MarkRow {
            sequence,
            status,
            note: note.map(str::to_owned),
        });
        Ok(())
    }

    /// Appends an event of another time.
    pub(crate) fn append_at(
        &mut self,
        agent: &str,
        event_type: &str,
        payload: &Value,
        priority: Priority,
        at: Timestamp,
    ) -> Result<Sequence> {
        self.push_event(agent, event_type, payload, priority, at, None)
    }

    /// Takes out events of a type that are older than a time and no longer wait: at most so many, oldest
    /// first. Returns them; those that stand for many stay.
    pub(crate) fn expire(
        &mut self,
        event_type: &str,
        before: Timestamp,
        limit: usize,
    ) -> Result<Vec<StoredEvent>> {
        let filter = EventFilter {
            event_type: Some(event_type),
            before: Some(before),
            ..EventFilter::default()
        };
        let mut after = Sequence::new(0);
        let mut expired = Vec::new();
        while expired.len() < limit {
            let events = self.writer()?.storage.events(&filter, after, PAGE)?;
            let Some(last) = events.last() else { break };
            after = last.sequence;
            for event in events {
                let mark = self.writer()?.storage.mark(event.sequence)?;
                let waits = mark.is_some_and(|mark| mark.status == SyncStatus::Waiting);
                let rolled_up = event.payload.get("rolled_up").is_some();
                if expired.len() < limit && !waits && !rolled_up {
                    self.batch.expired.push(event.sequence);
                    expired.push(event);
                }
            }
        }
        Ok(expired)
    }
}
