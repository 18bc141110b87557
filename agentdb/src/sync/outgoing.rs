//! The sending of documents: what the peer lacks, batch by batch, one batch on its way at a time.
//!
//! The ladder, from the cheapest: what changed since the peer's acknowledged place, as the delta against
//! the context that it acknowledged; for a document whose context at the peer is not known, an offer by
//! digest, which the peer answers with its context where it differs; a list of differing documents from the
//! [finder](super::finder); whole documents for a peer that has none.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::endpoint::{Endpoint, digest_of};
use super::error::SyncError;
use super::flight::{Flight, Message};
use super::frame::{FRAME_BYTES_MAX, Kind};
use super::message::{Changes, Offer, Told, Want};
use crate::Context;
use crate::db::Change;
use crate::document::Document;
use crate::time::Timestamp;

/// The most documents in one batch.
const BATCH_DOCUMENTS_MAX: usize = 256;
/// A frame is closed when its documents reach this size.
const FRAME_BYTES_USUAL: usize = 256 << 10;
/// So much of a frame is its envelope, and what of a body is not documents.
const ENVELOPE_BYTES_MAX: usize = 1 << 10;
/// So often a document that both hold otherwise is offered again; joins make them the same at once, unless one
/// side is broken.
const MENDED_MAX: u32 = 3;
/// Of so many documents a session remembers what the peer has seen; others are offered again.
const KNOWN_MAX: usize = 10_000;

/// What the peer has of a document.
struct Has {
    /// A lower bound: it has seen no less.
    context: Context,
    /// The digest that was last told, by it or to it; shortened.
    digest: u32,
}

/// What the peer has of each document, as far as this session knows.
#[derive(Default)]
pub(super) struct Known(HashMap<String, Has>);

impl Known {
    /// The peer has seen at least this, and its document has, or will have, this digest.
    pub(super) fn note(&mut self, id: &str, context: &Context, digest: u64) {
        if let Some(has) = self.0.get_mut(id) {
            has.context.join(context);
            has.digest = digest as u32;
        } else {
            if self.0.len() >= KNOWN_MAX {
                self.0.clear();
            }
            let has = Has {
                context: context.clone(),
                digest: digest as u32,
            };
            self.0.insert(id.to_owned(), has);
        }
    }

    /// The peer has this, unless it has told of another since.
    fn took(&mut self, sent: &Sent) {
        match self.digest(&sent.id) {
            Some(told) if sent.before != Some(told) => {
                self.extend(&sent.id, &sent.context, told);
            }
            _ => self.note(&sent.id, &sent.context, sent.digest),
        }
    }

    /// The digest that was last told of a document.
    fn digest(&self, id: &str) -> Option<u32> {
        Some(self.0.get(id)?.digest)
    }

    /// Whether the peer has seen all of this, or nothing is known of it.
    pub(super) fn may_cover(&self, id: &str, context: &Context) -> bool {
        self.0.get(id).is_none_or(|has| has.context.covers(context))
    }

    /// The same of a delta that the peer has told, where something is known already: a part alone would make
    /// the rest look as if the peer lacked it.
    pub(super) fn extend(&mut self, id: &str, context: &Context, digest: u32) {
        if let Some(has) = self.0.get_mut(id) {
            has.context.join(context);
            has.digest = digest;
        }
    }
}

struct Batch {
    number: u32,
    documents: VecDeque<(String, Document, u64)>,
    /// Of documents whose context at the peer was asked for: that context; none when it has the same.
    wanted: HashMap<String, Context>,
    through: Option<Change>,
    /// What of the batch is in the frame on its way.
    sent: Vec<Sent>,
}

/// A document on its way, or offered, as it was then.
struct Sent {
    id: String,
    context: Context,
    digest: u64,
    /// What the peer's digest was thought to be.
    before: Option<u32>,
}

enum State {
    Idle,
    /// Waits to know what the peer has.
    Offered(Batch, Vec<Sent>, Flight),
    /// Waits for an acknowledgement.
    Sent(Batch, Changes, Flight),
}

pub(super) struct Outgoing {
    /// Everything up to this local sequence is durably at the peer.
    position: Change,
    /// The peer had no documents: up to here it lacks all that is not known.
    empty_until: Change,
    /// Documents that differ, and up to which sequence nothing else does.
    listed: Option<(VecDeque<String>, Change)>,
    /// Documents that the peer holds otherwise although it has seen the same.
    again: BTreeSet<String>,
    /// How each of those was here and there, and how often it was offered again since.
    mended: HashMap<String, ([u32; 2], u32)>,
    #[cfg(feature = "simulation")]
    pub(super) forgets_removals: bool,
    state: State,
    number: u32,
    /// When the oldest change that was not sent yet was noticed.
    noticed: Option<Timestamp>,
    pub(super) known: Known,
    /// What is still to be told of documents that the peer does not get.
    pub(super) left_out: VecDeque<SyncError>,
    pub(super) documents_left_out: u64,
    pub(super) documents_sent: u64,
    pub(super) offers_sent: u64,
    pub(super) unmended: u64,
}

impl Outgoing {
    /// From a place, or from nothing for a peer that has no documents.
    pub(super) fn new(position: Change, empty_until: Change) -> Self {
        Self {
            position,
            empty_until,
            listed: None,
            again: BTreeSet::new(),
            mended: HashMap::new(),
            #[cfg(feature = "simulation")]
            forgets_removals: false,
            state: State::Idle,
            number: 0,
            noticed: None,
            known: Known::default(),
            left_out: VecDeque::new(),
            documents_left_out: 0,
            documents_sent: 0,
            offers_sent: 0,
            unmended: 0,
        }
    }

    /// The peer told a document that is joined by now, and holds it otherwise: it is offered to it, unless that
    /// was of no use before and both are still as they were. Digests are those of here and there.
    pub(super) fn differs(&mut self, id: &str, digests: [u32; 2]) {
        let (before, times) = self.mended.entry(id.to_owned()).or_default();
        if *before != digests {
            (*before, *times) = (digests, 0);
        }
        *times += 1;
        match *times {
            1..=MENDED_MAX => drop(self.again.insert(id.to_owned())),
            _ => self.unmended += 1,
        }
    }

    /// The peer holds a document as it is here.
    pub(super) fn agrees(&mut self, id: &str) {
        self.mended.remove(id);
        self.again.remove(id);
    }

    /// Sends these first; everything else up to `through` is at the peer.
    pub(super) fn list(&mut self, ids: Vec<String>, through: Change) {
        self.listed = Some((ids.into(), through));
    }

    /// Whether the peer has acknowledged everything.
    pub(super) fn is_idle(&self, endpoint: &Endpoint) -> Result<bool, SyncError> {
        Ok(matches!(self.state, State::Idle)
            && self.again.is_empty()
            && self.listed.is_none()
            && endpoint.db().changes_after(self.position, 1)?.is_empty())
    }

    pub(super) fn poll(
        &mut self,
        endpoint: &mut Endpoint,
        now: Timestamp,
        window: std::time::Duration,
    ) -> Result<Option<Message>, SyncError> {
        if matches!(self.state, State::Idle) {
            self.begin(endpoint, now, window)?;
        }
        let retry = endpoint.options().pace.retry;
        Ok(match &mut self.state {
            State::Idle => None,
            State::Offered(_, _, flight) | State::Sent(_, _, flight) => flight.due(now, retry),
        })
    }

    fn begin(
        &mut self,
        endpoint: &mut Endpoint,
        now: Timestamp,
        window: std::time::Duration,
    ) -> Result<(), SyncError> {
        let (ids, through) = match &mut self.listed {
            Some((ids, through)) => {
                let count = ids.len().min(BATCH_DOCUMENTS_MAX);
                let batch: Vec<String> = ids.drain(..count).collect();
                let last = ids.is_empty().then_some(*through);
                if last.is_some() {
                    self.listed = None;
                }
                (batch, last)
            }
            None if !self.again.is_empty() => {
                let mut ids = std::mem::take(&mut self.again).into_iter();
                let batch = ids.by_ref().take(BATCH_DOCUMENTS_MAX).collect();
                self.again = ids.collect();
                (batch, None)
            }
            None => {
                if endpoint.db().changes_after(self.position, 1)?.is_empty() {
                    self.noticed = None;
                    return Ok(());
                }
                let noticed = *self.noticed.get_or_insert(now);
                if now.since(noticed) < window {
                    return Ok(());
                }
                self.noticed = None;
                let changes = endpoint
                    .db()
                    .changes_after(self.position, BATCH_DOCUMENTS_MAX)?;
                let through = changes.last().map(|(_, sequence)| *sequence);
                (changes.into_iter().map(|(id, _)| id).collect(), through)
            }
        };
        let mut batch = Batch {
            number: self.number.wrapping_add(1),
            documents: VecDeque::with_capacity(ids.len()),
            wanted: HashMap::new(),
            through,
            sent: Vec::new(),
        };
        self.number = batch.number;
        let mut offers = Vec::new();
        let everything = through.is_some_and(|through| through <= self.empty_until);
        for id in ids {
            let Some(document) = endpoint.db().document(&id)? else {
                continue;
            };
            let digest = digest_of(&document);
            let offered = match self.known.0.get(&id) {
                // It has seen all of this, but holds it otherwise: a write was marked.
                Some(has) => has.digest != digest as u32 && has.context.covers(document.context()),
                None => !everything,
            };
            if offered {
                offers.push(Sent {
                    id: id.clone(),
                    context: document.context().clone(),
                    digest,
                    before: self.known.digest(&id),
                });
            } else if everything && !self.known.0.contains_key(&id) {
                batch.wanted.insert(id.clone(), Context::default());
            }
            batch.documents.push_back((id, document, digest));
        }
        // After the reading: what was read may be newer than the choice, and only what is durable is sent.
        endpoint.settle()?;
        if offers.is_empty() {
            return self.send(batch);
        }
        self.offers_sent += offers.len() as u64;
        let named = offers.iter().map(|sent| (sent.id.clone(), sent.digest));
        let offer = Offer {
            number: batch.number,
            documents: named.collect(),
        };
        self.state = State::Offered(batch, offers, Flight::new(Kind::Offer, offer.encode()));
        Ok(())
    }

    /// The next frame of a batch, or its end.
    fn send(&mut self, mut batch: Batch) -> Result<(), SyncError> {
        let mut changes = Changes {
            number: batch.number,
            through: None,
            documents: Vec::new(),
        };
        let mut size = 0;
        while size < FRAME_BYTES_USUAL
            && let Some((id, document, digest)) = batch.documents.pop_front()
        {
            let delta = match (batch.wanted.get(&id), self.known.0.get(&id)) {
                // Where it has seen the same and holds it otherwise, only the whole document can mend it.
                (Some(has), _) if has == document.context() => Some(document.clone()),
                (Some(has), _) => document.delta(has),
                (None, Some(has)) => document.delta(&has.context),
                // It was offered and not wanted: the peer has the same.
                (None, None) => None,
            };
            #[cfg(feature = "simulation")]
            let delta = match self.forgets_removals {
                true => delta.map(Document::without_removals),
                false => delta,
            };
            // Otherwise it has seen all of this; what its digest is, it has told.
            let Some(delta) = delta else { continue };
            let found = id.len() + delta.encode().len();
            let limit = FRAME_BYTES_MAX - ENVELOPE_BYTES_MAX;
            if found > limit {
                self.leave_out(SyncError::DocumentTooLarge {
                    agent: id,
                    found,
                    limit,
                });
                continue;
            }
            if size + found > limit {
                batch.documents.push_front((id, document, digest));
                break;
            }
            size += found;
            batch.sent.push(Sent {
                id: id.clone(),
                context: document.context().clone(),
                digest,
                before: self.known.digest(&id),
            });
            changes.documents.push(Told {
                id,
                delta,
                digest: digest as u32,
            });
        }
        if batch.documents.is_empty() {
            changes.through = batch.through;
        }
        if changes.documents.is_empty() && batch.through.is_none() {
            self.state = State::Idle;
            return Ok(());
        }
        self.documents_sent += changes.documents.len() as u64;
        let flight = Flight::new(Kind::Changes, changes.encode());
        self.state = State::Sent(batch, changes, flight);
        Ok(())
    }

    fn leave_out(&mut self, why: SyncError) {
        self.documents_left_out += 1;
        self.left_out.push_back(why);
    }

    /// The peer refused the frame for one of its documents: it gets the others.
    pub(super) fn refused(&mut self, number: u32, place: u64) -> Result<(), SyncError> {
        let State::Sent(batch, changes, flight) = &mut self.state else {
            return Ok(());
        };
        if batch.number != number {
            return Ok(());
        }
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        if place >= changes.documents.len() {
            return Err(SyncError::Unexpected(
                "the peer refuses a document that it was not sent",
            ));
        }
        batch.sent.remove(place);
        let Told { id: agent, .. } = changes.documents.remove(place);
        self.number = self.number.wrapping_add(1);
        batch.number = self.number;
        changes.number = self.number;
        *flight = Flight::new(Kind::Changes, changes.encode());
        self.leave_out(SyncError::DocumentRefused { agent });
        Ok(())
    }

    /// The peer's contexts of what was offered.
    pub(super) fn wanted(&mut self, want: Want) -> Result<(), SyncError> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Offered(mut batch, asked, _) if batch.number == want.number => {
                for (place, context) in want.documents {
                    if let Some(sent) = asked.get(place as usize) {
                        batch.wanted.insert(sent.id.clone(), context);
                    }
                }
                let same = asked
                    .iter()
                    .filter(|sent| !batch.wanted.contains_key(&sent.id));
                same.for_each(|sent| self.known.took(sent));
                self.send(batch)
            }
            // An answer that came twice.
            other => {
                self.state = other;
                Ok(())
            }
        }
    }

    /// The peer has committed the frame, durably.
    pub(super) fn acknowledged(&mut self, number: u32) -> Result<(), SyncError> {
        match std::mem::replace(&mut self.state, State::Idle) {
            State::Sent(mut batch, ..) if batch.number == number => {
                for sent in batch.sent.drain(..) {
                    self.known.took(&sent);
                }
                if batch.documents.is_empty() {
                    if let Some(through) = batch.through {
                        self.position = self.position.max(through);
                    }
                    return Ok(());
                }
                // The next frame of the batch has a number of its own, so that an acknowledgement that
                // comes twice does not stand for it.
                self.number = self.number.wrapping_add(1);
                batch.number = self.number;
                self.send(batch)
            }
            other => {
                self.state = other;
                Ok(())
            }
        }
    }
}
