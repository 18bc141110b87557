//! What the peer sends: staged, validated, committed whole or not at all, acknowledged when it is durable.

use super::endpoint::{Endpoint, digest_of};
use super::error::SyncError;
use super::ledger::Unfit;
use super::message::{Changes, Events, Offer, Told, Want};
use super::outgoing::{Known, Outgoing};
use crate::Context;
use crate::time::Timestamp;

/// The most events that a batch may stage.
const STAGED_EVENTS_MAX: usize = 10_000;
/// The most bytes that a batch of events may stage.
const STAGED_BYTES_MAX: usize = 64 << 20;

/// What has come, so far.
#[derive(Default)]
pub(super) struct Intake {
    /// The number of the last frame of documents that was committed; they are counted from 1.
    committed: u32,
    staged: Option<Staged>,
    /// The number of the last batch of events that was committed; they are counted from 1.
    events_committed: u32,
    pub(super) documents_received: u64,
    pub(super) events_received: u64,
    pub(super) events_known: u64,
    pub(super) batches_rolled_back: u64,
}

struct Staged {
    batch: Events,
    parts: u32,
    bytes: usize,
}

impl Intake {
    /// Which of the offered documents differ here.
    pub(super) fn offered(
        endpoint: &Endpoint,
        offer: &Offer,
        known: &mut Known,
    ) -> Result<Want, SyncError> {
        let mut documents = Vec::new();
        for (place, (id, digest)) in (0_u32..).zip(&offer.documents) {
            let document = endpoint.db().document(id)?;
            let mine = document.as_ref().map(digest_of);
            if mine == Some(*digest) {
                if let Some(document) = document {
                    known.note(id, document.context(), *digest);
                }
                continue;
            }
            let context =
                document.map_or_else(Context::default, |document| document.context().clone());
            documents.push((place, context));
        }
        Ok(Want {
            number: offer.number,
            documents,
        })
    }

    /// Joins deltas, and notes up to where the peer's changes are here, in one transaction; or tells which
    /// document stands in the way.
    pub(super) fn changes(
        &mut self,
        endpoint: &mut Endpoint,
        from: crate::ReplicaId,
        changes: &Changes,
        outgoing: &mut Outgoing,
        now: Timestamp,
    ) -> Result<Option<Unfit>, SyncError> {
        if changes.number <= self.committed {
            return Ok(None);
        }
        let unfit = endpoint.join(from, changes, now)?;
        if unfit.is_some() {
            return Ok(unfit);
        }
        self.committed = changes.number;
        self.documents_received += changes.documents.len() as u64;
        for Told { id, delta, digest } in &changes.documents {
            outgoing.known.extend(id, delta.context(), *digest);
            if let Some(document) = endpoint.db().document(id)? {
                let mine = digest_of(&document);
                if mine as u32 == *digest {
                    outgoing.known.note(id, document.context(), mine);
                    outgoing.agrees(id);
                } else if outgoing.known.may_cover(id, document.context()) {
                    outgoing.differs(id, [mine as u32, *digest]);
                }
            }
        }
        Ok(None)
    }

    /// Stages a part of a batch of events; commits it with the last. False for a part that does not come
    /// next: it is not acknowledged, and sent again.
    pub(super) fn events(
        &mut self,
        endpoint: &mut Endpoint,
        part: Events,
        now: Timestamp,
    ) -> Result<bool, SyncError> {
        // Numbers rise: one that is not above the last is a frame that came twice.
        let staged_number = self.staged.as_ref().map(|staged| staged.batch.number);
        if part.number <= self.events_committed || staged_number > Some(part.number) {
            return Ok(true);
        }
        if let Some(staged) = &self.staged
            && staged.batch.number == part.number
        {
            if part.part < staged.parts {
                return Ok(true);
            }
            if part.part > staged.parts {
                return Ok(false);
            }
        } else {
            if part.part != 0 {
                return Ok(false);
            }
            self.roll_back();
        }
        let last = part.last != 0;
        let bytes = part
            .events
            .iter()
            .map(|event| event.payload.len() + 64)
            .sum();
        let staged = match &mut self.staged {
            Some(staged) => {
                staged.batch.events.extend(part.events);
                staged.parts += 1;
                staged.bytes += bytes;
                staged
            }
            empty => empty.insert(Staged {
                batch: part,
                parts: 1,
                bytes,
            }),
        };
        if staged.batch.events.len() > STAGED_EVENTS_MAX || staged.bytes > STAGED_BYTES_MAX {
            let found = staged.batch.events.len() as u64;
            self.roll_back();
            return Err(SyncError::Limit {
                what: "number of events of a batch (or its bytes)",
                found,
                limit: STAGED_EVENTS_MAX as u64,
            });
        }
        if last && let Some(staged) = self.staged.take() {
            let fresh = endpoint.take_events(&staged.batch, now)?;
            self.events_received += fresh;
            self.events_known += staged.batch.events.len() as u64 - fresh;
            self.events_committed = staged.batch.number;
        }
        Ok(true)
    }

    /// Forgets a batch that did not come to its end; its sender still has it.
    pub(super) fn roll_back(&mut self) {
        if self.staged.take().is_some() {
            self.batches_rolled_back += 1;
        }
    }
}
