//! One side of a link: a state machine that is given frames and asked for frames.

mod greeting;
mod search;
mod stats;

use std::collections::VecDeque;
use std::time::Duration;

use super::dictionary::Dictionary;
use super::endpoint::{Endpoint, Toward};
use super::error::SyncError;
use super::finder::{Closing, Finder};
use super::flight::{Flight, Message};
use super::frame::{Envelope, Kind};
use super::intake::Intake;
use super::ledger::Unfit;
use super::message::{
    Changes, Events, Hello, Offer, Ranges, Resume, Want, decode_pair, encode_pair,
};
use super::outgoing::Outgoing;
use super::replay::Replay;
use crate::ReplicaId;
use crate::db::Change;
use crate::time::Timestamp;

pub use stats::SessionStats;

/// How far a link has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// The peer was not heard yet, or no more.
    Greeting,
    /// Both agree on where to go on.
    Checkpoint,
    /// Documents go first.
    State,
    /// Then the events that waited.
    Events,
    /// Then both compare what they have.
    Compare,
    /// Everything is there; what is new goes as it comes.
    Live,
}

/// The peer of a link.
struct Peer {
    hello: Hello,
    link: u32,
}

/// One side of a link to one peer.
///
/// A transport asks [`Session::poll`] for frames until there is none, a few times a second or after each
/// change of the store, and gives every frame that comes to [`Session::receive`]. Frames may be lost, come
/// twice or in another order. A session never blocks, and holds no lock between the calls.
pub struct Session {
    toward: Toward,
    nonce: u32,
    /// The other side's number once a hello came, before it is known to hear us.
    heard: u32,
    peer: Option<Peer>,
    phase: Phase,
    hello_sent: Option<Timestamp>,
    hello_tries: u32,
    /// When the phase began.
    since: Timestamp,
    last_heard: Timestamp,
    last_sent: Timestamp,
    dictionary: Option<Dictionary>,
    replies: VecDeque<(u32, Message)>,
    resume: Option<(Resume, Flight)>,
    /// Whether this side asks where documents differ.
    asks: bool,
    finder: Option<Finder>,
    /// The last question of the search that ended.
    finder_number: u32,
    /// Whether documents wait for a search to end.
    searching: bool,
    /// What the other side must hear of a search that ended here.
    closing: Option<Closing>,
    outgoing: Outgoing,
    replay: Replay,
    intake: Intake,
    compare: Option<(u32, Flight)>,
    compare_number: u32,
    /// When a busy peer is asked again.
    compare_again: Timestamp,
    /// Whether both were found to have the same, or what differed was found and sent.
    agreed: bool,
    stats: SessionStats,
}

impl Session {
    /// A session that has not said anything yet.
    pub fn new(endpoint: &mut Endpoint, toward: Toward, now: Timestamp) -> Self {
        let pace = endpoint.options().pace;
        Self {
            toward,
            nonce: endpoint.nonce(now),
            heard: 0,
            peer: None,
            phase: Phase::Greeting,
            hello_sent: None,
            hello_tries: 0,
            since: now,
            last_heard: now,
            last_sent: now,
            dictionary: None,
            replies: VecDeque::new(),
            resume: None,
            asks: false,
            finder: None,
            finder_number: 0,
            searching: false,
            closing: None,
            outgoing: Outgoing::new(Change::default(), Change::default()),
            replay: Replay::new(pace.events_per_second),
            intake: Intake::default(),
            compare: None,
            compare_number: 0,
            compare_again: now,
            agreed: false,
            stats: SessionStats::default(),
        }
    }

    /// How far the link has come.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether the peer was heard and not lost since.
    pub fn is_up(&self) -> bool {
        self.phase > Phase::Checkpoint
    }

    /// The device on the other side, once it is known.
    pub fn peer(&self) -> Option<ReplicaId> {
        let peer = self.peer.as_ref()?;
        Some(peer.hello.replica())
    }

    /// Whether the peer has acknowledged everything that is here and meant for it.
    ///
    /// # Errors
    /// [`SyncError::Store`].
    pub fn is_idle(&self, endpoint: &Endpoint) -> Result<bool, SyncError> {
        let events = self.toward != Toward::Parent || self.replay.is_idle(endpoint)?;
        let open = self.phase > Phase::Checkpoint && !self.searching && self.closing.is_none();
        Ok(open && events && self.replies.is_empty() && self.outgoing.is_idle(endpoint)?)
    }

    /// What the session has done.
    pub fn stats(&self) -> SessionStats {
        SessionStats {
            offers_sent: self.outgoing.offers_sent + self.stats.offers_sent,
            documents_sent: self.outgoing.documents_sent + self.stats.documents_sent,
            documents_left_out: self.outgoing.documents_left_out + self.stats.documents_left_out,
            documents_unmended: self.outgoing.unmended + self.stats.documents_unmended,
            events_sent: self.replay.events_sent + self.stats.events_sent,
            documents_received: self.intake.documents_received + self.stats.documents_received,
            events_received: self.intake.events_received + self.stats.events_received,
            events_known: self.intake.events_known + self.stats.events_known,
            batches_rolled_back: self.intake.batches_rolled_back + self.stats.batches_rolled_back,
            ..self.stats
        }
    }

    /// Forgets the link, as when a connection broke: a batch of events that did not come to its end is
    /// rolled back, and the next frame greets anew.
    pub fn reset(&mut self, endpoint: &mut Endpoint, now: Timestamp) {
        self.intake.roll_back();
        let stats = self.stats();
        *self = Self::new(endpoint, self.toward, now);
        self.stats = stats;
    }

    /// The next frame to send; none when there is nothing to say now.
    ///
    /// # Errors
    /// [`SyncError::CheckpointTimeout`] when a peer that greeted did not go on; the session then greets
    /// anew. [`SyncError::DocumentTooLarge`] and [`SyncError::DocumentRefused`], once for each document that is
    /// left out: the link goes on. [`SyncError::Store`].
    pub fn poll(
        &mut self,
        endpoint: &mut Endpoint,
        now: Timestamp,
    ) -> Result<Option<Vec<u8>>, SyncError> {
        let Some((link, (kind, body))) = self.next(endpoint, now)? else {
            return Ok(None);
        };
        let frame = endpoint.seal(kind, link, &body, self.dictionary);
        self.last_sent = now;
        self.stats.frames_sent += 1;
        self.stats.bytes_sent += frame.len() as u64;
        Ok(Some(frame))
    }

    fn next(
        &mut self,
        endpoint: &mut Endpoint,
        now: Timestamp,
    ) -> Result<Option<(u32, Message)>, SyncError> {
        let pace = endpoint.options().pace;
        let silence = pace.keep_alive.saturating_mul(3);
        if self.phase == Phase::Checkpoint && now.since(self.since) >= pace.checkpoint {
            self.reset(endpoint, now);
            return Err(SyncError::CheckpointTimeout {
                limit: pace.checkpoint,
            });
        }
        if self.phase > Phase::Checkpoint && now.since(self.last_heard) >= silence {
            self.reset(endpoint, now);
        }
        if let Some(reply) = self.replies.pop_front() {
            return Ok(Some(reply));
        }
        if let Some(left_out) = self.outgoing.left_out.pop_front() {
            return Err(left_out);
        }
        let Some(link) = self.peer.as_ref().map(|peer| peer.link) else {
            // Slower and slower while nobody hears: 1 s, 2 s, … 32 s.
            let wait = Duration::from_secs(1 << self.hello_tries.min(5));
            let due = self
                .hello_sent
                .is_none_or(|sent| now >= sent.after(wait) || now < sent);
            return Ok(due.then(|| {
                self.hello_sent = Some(now);
                self.hello_tries += 1;
                (0, self.hello(endpoint, now))
            }));
        };
        let message = self.work(endpoint, now, pace)?;
        if let Some(message) = message {
            return Ok(Some((link, message)));
        }
        let quiet = now.since(self.last_sent) >= pace.keep_alive;
        Ok(quiet.then(|| (link, (Kind::Ping, Vec::new()))))
    }

    /// What is to be said to a peer that is known.
    fn work(
        &mut self,
        endpoint: &mut Endpoint,
        now: Timestamp,
        pace: super::Pace,
    ) -> Result<Option<Message>, SyncError> {
        if self.phase == Phase::Checkpoint {
            let retry = pace.retry;
            return Ok(self
                .resume
                .as_mut()
                .and_then(|(_, flight)| flight.due(now, retry)));
        }
        if self.searching {
            let finder = self.finder.as_mut().filter(|_| self.asks);
            return Ok(finder.and_then(|finder| finder.poll(now, pace.retry)));
        }
        if let Some(closing) = &mut self.closing
            && let Some(message) = closing.due(now, pace.retry)
        {
            return Ok(Some(message));
        }
        // Until everything is there nothing is gathered: the peer waits for it.
        let live = self.phase == Phase::Live;
        let usual = match self.toward {
            Toward::Parent => pace.upward,
            Toward::Child | Toward::Peer => pace.window,
        };
        let window = if live { usual } else { Duration::ZERO };
        let message = self.outgoing.poll(endpoint, now, window)?;
        if message.is_some() {
            return Ok(message);
        }
        if self.phase == Phase::State && self.outgoing.is_idle(endpoint)? {
            self.enter(Phase::Events, now);
        }
        if self.toward == Toward::Parent && self.phase >= Phase::Events {
            let message = self.replay.poll(endpoint, now, window)?;
            if message.is_some() {
                return Ok(message);
            }
        }
        if self.phase == Phase::Events
            && (self.toward != Toward::Parent || self.replay.is_idle(endpoint)?)
        {
            self.enter(Phase::Compare, now);
        }
        if self.phase == Phase::Compare && self.agreed {
            self.enter(Phase::Live, now);
        }
        match self.phase == Phase::Compare && self.asks {
            true => self.comparison(endpoint, now),
            false => Ok(None),
        }
    }

    /// Takes a frame.
    ///
    /// # Errors
    /// Any [`SyncError`]: nothing of the frame was kept, and the link goes on unless the peer itself was
    /// refused.
    pub fn receive(
        &mut self,
        endpoint: &mut Endpoint,
        frame: &[u8],
        now: Timestamp,
    ) -> Result<(), SyncError> {
        self.stats.bytes_received += frame.len() as u64;
        let taken = self.take(endpoint, frame, now);
        match &taken {
            Ok(true) => self.stats.frames_taken += 1,
            Ok(false) => self.stats.frames_stale += 1,
            Err(_) => self.stats.frames_refused += 1,
        }
        taken.map(|_| ())
    }

    /// False for a frame of another link.
    fn take(
        &mut self,
        endpoint: &mut Endpoint,
        frame: &[u8],
        now: Timestamp,
    ) -> Result<bool, SyncError> {
        let envelope = Envelope::parse(frame)?;
        if envelope.kind == Kind::Hello {
            return self.greeted(endpoint, &envelope, now);
        }
        if envelope.link == 0 && envelope.kind == Kind::Refuse {
            let body = endpoint.unseal(&envelope, None)?;
            return self.refused(&body, now);
        }
        let Some(peer) = self.peer.as_ref().filter(|peer| peer.link == envelope.link) else {
            return Ok(false);
        };
        let (device, link) = (peer.hello.replica(), peer.link);
        if let Err(error) = endpoint
            .options()
            .peers
            .check(device.get(), envelope.signed)
        {
            // A forged frame must not end the link of the one that it names.
            if matches!(error, SyncError::RevokedPeer { .. }) {
                self.reset(endpoint, now);
            }
            return Err(error);
        }
        let body = endpoint.unseal(&envelope, self.dictionary)?;
        self.last_heard = now;
        let told = self.replies.len();
        let answered = self.dispatch(endpoint, envelope.kind, &body, now);
        if let Err(SyncError::Store(error)) = &answered
            && self.replies.len() == told
        {
            let text = error.to_string().into_bytes();
            self.replies.push_back((link, (Kind::Refuse, text)));
        }
        answered
    }

    fn dispatch(
        &mut self,
        endpoint: &mut Endpoint,
        kind: Kind,
        body: &[u8],
        now: Timestamp,
    ) -> Result<bool, SyncError> {
        let begun = self.phase > Phase::Checkpoint;
        match kind {
            Kind::Resume => return self.resumed(endpoint, Resume::decode(body)?, now),
            Kind::Ping => {}
            Kind::Refuse => {
                let text = String::from_utf8_lossy(body).into_owned();
                return Err(SyncError::Refused(text));
            }
            // The peer went on while our copy of its checkpoint is still on its way: it will ask again.
            _ if !begun => return Ok(false),
            Kind::Ranges => self.asked(endpoint, &Ranges::decode(body)?)?,
            Kind::RangesAnswer => {
                self.answered(endpoint, Ranges::decode(body)?);
            }
            Kind::Offer => {
                let offer = Offer::decode(body)?;
                let known = &mut self.outgoing.known;
                let want = Intake::offered(endpoint, &offer, known)?;
                self.reply(Kind::Want, want.encode());
            }
            Kind::Want => self.outgoing.wanted(Want::decode(body)?)?,
            Kind::Changes => {
                let changes = Changes::decode(body)?;
                let from = self.peer().unwrap_or(endpoint.replica());
                let unfit =
                    self.intake
                        .changes(endpoint, from, &changes, &mut self.outgoing, now)?;
                let Some(Unfit { place, cause }) = unfit else {
                    self.reply(Kind::ChangesAck, encode_pair(changes.number, 0));
                    return Ok(true);
                };
                self.reply(Kind::Refuse, cause.to_string().into_bytes());
                let word = place as u64 + 1;
                self.reply(Kind::ChangesAck, encode_pair(changes.number, word));
                return Err(cause.into());
            }
            Kind::ChangesAck => match decode_pair(body)? {
                (number, 0) => self.outgoing.acknowledged(number)?,
                (number, place) => self.outgoing.refused(number, place - 1)?,
            },
            Kind::Events => {
                if self.toward != Toward::Child {
                    return Err(SyncError::Unexpected("only a child sends events"));
                }
                let part = Events::decode(body)?;
                let (number, place) = (part.number, part.part);
                if self.intake.events(endpoint, part, now)? {
                    self.reply(Kind::EventsAck, encode_pair(number, u64::from(place)));
                }
            }
            Kind::EventsAck => {
                let (number, part) = decode_pair(body)?;
                self.replay.acknowledged(endpoint, number, part, now)?;
            }
            Kind::Compare => self.compared(endpoint, body)?,
            Kind::CompareAnswer => self.compare_answered(endpoint, decode_pair(body)?, now)?,
            Kind::Hello => return Ok(false),
        }
        Ok(true)
    }

    fn enter(&mut self, phase: Phase, now: Timestamp) {
        self.phase = phase;
        self.since = now;
    }

    fn reply(&mut self, kind: Kind, body: Vec<u8>) {
        if let Some(peer) = &self.peer {
            self.replies.push_back((peer.link, (kind, body)));
        }
    }
}
