//! What sync keeps in the store, each in the transaction of what it is about.

use super::endpoint::{Endpoint, Role};
use super::error::SyncError;
use super::message::{Carried, Changes, Events};
use crate::Error;
use crate::bytes::{Malformed, Reader, put};
use crate::causal::ReplicaId;
use crate::db::Change;
use crate::event::{Origin, Priority, Sequence, StoredEvent, SyncStatus};
use crate::storage::EventFilter;
use crate::time::Timestamp;

/// By device: the life of its file, and the local sequence of it up to which everything is here.
const RECEIVED: &str = "sync.received";

fn key(number: u64) -> String {
    format!("{number:020}")
}

fn read(bytes: &[u8]) -> Result<(u32, Change), Malformed> {
    let mut reader = Reader::new(bytes);
    Ok((reader.small()?, Change::new(reader.number()?.cast_signed())))
}

/// A document that this store does not take.
pub(super) struct Unfit {
    /// Its place in the frame.
    pub(super) place: usize,
    pub(super) cause: Error,
}

/// Whether an error would meet any other document too.
fn is_of_the_store(cause: &Error) -> bool {
    matches!(
        cause,
        Error::Open { .. }
            | Error::Store(_)
            | Error::DiskFull
            | Error::GroupLost { .. }
            | Error::Poisoned { .. }
    )
}

impl Endpoint {
    /// Up to which of a peer's changes everything is here; none when nothing of this life of its file.
    pub(super) fn received(&self, peer: ReplicaId) -> Result<Option<Change>, SyncError> {
        let Some(bytes) = self.db().get_record(RECEIVED, &key(peer.get()))? else {
            return Ok(None);
        };
        let (life, through) = read(&bytes).map_err(|Malformed { cause, .. }| {
            SyncError::Store(Error::Damaged {
                agent: format!("{RECEIVED}/{}", peer.get()),
                cause: cause.to_owned(),
            })
        })?;
        Ok((life == peer.incarnation()).then_some(through))
    }

    /// Joins deltas of a peer and notes up to where its changes are here: all, or nothing. Where one document
    /// alone is not to be had, which one, and why.
    pub(super) fn join(
        &mut self,
        peer: ReplicaId,
        changes: &Changes,
        now: Timestamp,
    ) -> Result<Option<Unfit>, SyncError> {
        let before = self.received(peer)?;
        let mut tx = self.db_mut().begin(now)?;
        for (place, told) in changes.documents.iter().enumerate() {
            match tx.merge(&told.id, &told.delta) {
                Ok(_) => {}
                Err(cause) if is_of_the_store(&cause) => return Err(cause.into()),
                Err(cause) => return Ok(Some(Unfit { place, cause })),
            }
        }
        if let Some(through) = changes.through.filter(|through| before < Some(*through)) {
            let mut value = Vec::new();
            put(&mut value, u64::from(peer.incarnation()));
            put(&mut value, through.get().cast_unsigned());
            tx.put_record(RECEIVED, &key(peer.get()), &value)?;
        }
        let committed = tx.commit();
        if let Err(Error::DocumentTooLarge { agent, .. }) = &committed {
            let place = changes.documents.iter().position(|told| told.id == *agent);
            if let (Some(place), Err(cause)) = (place, committed) {
                return Ok(Some(Unfit { place, cause }));
            }
        } else {
            committed?;
        }
        self.settle()?;
        Ok(None)
    }

    /// The oldest events of a lane that wait for the parent.
    pub(super) fn waiting_in(
        &self,
        lane: Priority,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, SyncError> {
        let filter = EventFilter {
            priority: Some(lane),
            status: Some(SyncStatus::Waiting),
            ..EventFilter::default()
        };
        Ok(self.db().events(&filter, Sequence::new(0), limit)?)
    }

    /// Events as they travel: each with where it was first appended.
    pub(super) fn carry(
        &self,
        events: Vec<StoredEvent>,
    ) -> Result<Vec<(Sequence, Carried)>, SyncError> {
        let carried = events.into_iter().map(|event| {
            let origin = match event.origin {
                Some(origin) => origin,
                None => Origin {
                    replica: self.db().appender(event.sequence)?,
                    sequence: event.sequence,
                },
            };
            let carried = Carried {
                origin,
                agent: event.agent,
                event_type: event.event_type,
                payload: event.payload.to_string(),
                at: event.at,
            };
            Ok((event.sequence, carried))
        });
        carried.collect()
    }

    /// Notes what became of events: durably or, after a crash, again.
    pub(super) fn mark(
        &mut self,
        sequences: &[Sequence],
        status: SyncStatus,
        now: Timestamp,
    ) -> Result<(), SyncError> {
        let mut tx = self.db_mut().begin(now)?;
        for sequence in sequences {
            tx.mark(*sequence, status, None)?;
        }
        tx.commit()?;
        Ok(())
    }

    /// Appends the events of a batch that are not here yet: all, or nothing. Returns how many were new.
    pub(super) fn take_events(&mut self, batch: &Events, now: Timestamp) -> Result<u64, SyncError> {
        let keeps = self.options().role == Role::Root;
        let own = self.replica().get();
        let mut tx = self.db_mut().begin(now)?;
        let mut fresh = 0;
        for event in &batch.events {
            if event.origin.replica.get() == own {
                return Err(SyncError::Unexpected(
                    "a child sends an event of its parent",
                ));
            }
            let payload = serde_json::from_str(&event.payload)
                .map_err(|_| SyncError::Unexpected("the payload of an event is no JSON"))?;
            let stored = StoredEvent {
                sequence: Sequence::new(0),
                agent: event.agent.clone(),
                event_type: event.event_type.clone(),
                payload,
                priority: batch.lane,
                at: event.at,
                origin: Some(event.origin),
            };
            if let Some(sequence) = tx.receive_event(event.origin, &stored)? {
                fresh += 1;
                if keeps {
                    tx.mark(sequence, SyncStatus::Delivered, None)?;
                }
            }
        }
        tx.commit()?;
        self.settle()?;
        Ok(fresh)
    }
}
