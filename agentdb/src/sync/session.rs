//! One side of a link: a state machine that is given frames and asked for frames.

use std::collections::VecDeque;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::dictionary::{self, Dictionary};
use super::endpoint::{Endpoint, Toward};
use super::error::SyncError;
use super::finder::{Finder, Found};
use super::flight::{Flight, Message};
use super::frame::{Envelope, Kind};
use super::intake::Intake;
use super::message::{
    Changes, Events, Hello, Offer, Ranges, Resume, Want, decode_pair, encode_pair,
};
use super::outgoing::Outgoing;
use super::replay::Replay;
use crate::ReplicaId;
use crate::db::Change;
use crate::time::Timestamp;

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

/// What a session has done. Each frame that came is in exactly one of `frames_taken`, `frames_stale` and
/// `frames_refused`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionStats {
    /// Frames given to the transport, and their bytes.
    pub frames_sent: u64,
    /// Bytes of the frames given to the transport.
    pub bytes_sent: u64,
    /// Frames that were understood.
    pub frames_taken: u64,
    /// Bytes of the frames that came.
    pub bytes_received: u64,
    /// Frames of an earlier link of the same two, or answers that came twice.
    pub frames_stale: u64,
    /// Frames that were refused with an error.
    pub frames_refused: u64,
    /// Documents offered by their digests.
    pub offers_sent: u64,
    /// Deltas sent.
    pub documents_sent: u64,
    /// Deltas taken and committed.
    pub documents_received: u64,
    /// Events sent, those sent again included.
    pub events_sent: u64,
    /// Events taken and committed.
    pub events_received: u64,
    /// Events that came and were here already.
    pub events_known: u64,
    /// Batches of events that broke off and were rolled back.
    pub batches_rolled_back: u64,
    /// Documents that stayed different from the peer's after both had sent all they have: a bug, or a dot that
    /// was used twice.
    pub documents_unmended: u64,
    /// Comparisons that found a difference, which was then looked for.
    pub differences: u64,
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
        let open = self.phase > Phase::Checkpoint && !self.searching;
        Ok(open && events && self.replies.is_empty() && self.outgoing.is_idle(endpoint)?)
    }

    /// What the session has done.
    pub fn stats(&self) -> SessionStats {
        SessionStats {
            offers_sent: self.outgoing.offers_sent + self.stats.offers_sent,
            documents_sent: self.outgoing.documents_sent + self.stats.documents_sent,
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
    /// anew. [`SyncError::Store`].
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
        let Some(link) = self.peer.as_ref().map(|peer| peer.link) else {
            // Slower and slower while nobody hears: 1 s, 2 s, … 32 s.
            let wait = Duration::from_secs(1 << self.hello_tries.min(5));
            let due = self.hello_sent.is_none_or(|sent| now >= sent.after(wait) || now < sent);
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
            return Ok(self.resume.as_mut().and_then(|(_, flight)| flight.due(now, retry)));
        }
        if self.searching {
            if let Some(finder) = &mut self.finder
                && self.asks
            {
                return Ok(finder.poll(endpoint, now));
            }
            return Ok(None);
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
        if self.phase == Phase::Compare && self.asks {
            if self.compare.is_none() && now >= self.compare_again {
                let (summary, _) = endpoint.summary()?;
                self.compare_number += 1;
                let body = [
                    encode_pair(self.compare_number, summary.len() as u64),
                    summary.fingerprint().to_le_bytes().to_vec(),
                ]
                .concat();
                self.compare = Some((self.compare_number, Flight::new(Kind::Compare, body)));
            }
            let due = self.compare.as_mut();
            return Ok(due.and_then(|(_, flight)| flight.due(now, pace.retry)));
        }
        Ok(None)
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
        if let Err(error) = endpoint.options().peers.check(device.get(), envelope.signed) {
            // A forged frame must not end the link of the one that it names.
            if matches!(error, SyncError::RevokedPeer { .. }) {
                self.reset(endpoint, now);
            }
            return Err(error);
        }
        let body = endpoint.unseal(&envelope, self.dictionary)?;
        self.last_heard = now;
        let answered = self.dispatch(endpoint, envelope.kind, &body, now);
        if let Err(SyncError::Store(error)) = &answered {
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
                let answer = Ranges::decode(body)?;
                let found = self
                    .finder
                    .as_mut()
                    .filter(|_| self.asks)
                    .and_then(|finder| finder.answered(endpoint, answer));
                if let Some(found) = found {
                    self.found(found);
                }
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
                self.intake
                    .changes(endpoint, from, &changes, &mut self.outgoing, now)?;
                self.reply(Kind::ChangesAck, encode_pair(changes.number, 0));
            }
            Kind::ChangesAck => self.outgoing.acknowledged(decode_pair(body)?.0)?,
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

    fn hello(&self, endpoint: &Endpoint, now: Timestamp) -> Message {
        let replica = endpoint.replica();
        let hello = Hello {
            nonce: self.nonce,
            answer: self.heard,
            device: replica.get(),
            life: u64::from(replica.incarnation()),
            met: u8::from(self.peer.is_some()),
            toward: self.toward as u8,
            now,
            dictionaries: vec![dictionary::SHIPPED.number],
        };
        (Kind::Hello, hello.encode())
    }

    /// A hello: the peer is known once it repeats our number, so that an old frame opens nothing.
    fn greeted(
        &mut self,
        endpoint: &mut Endpoint,
        envelope: &Envelope<'_>,
        now: Timestamp,
    ) -> Result<bool, SyncError> {
        let hello = Hello::decode(&endpoint.unseal(envelope, None)?)?;
        if let Err(error) = self.check(endpoint, &hello, envelope, now) {
            let mut body = hello.nonce.to_le_bytes().to_vec();
            body.extend_from_slice(error.to_string().as_bytes());
            // An error is answered once: a refused peer asks again at its own pace.
            self.replies.retain(|(_, (kind, _))| *kind != Kind::Refuse);
            self.replies.push_back((0, (Kind::Refuse, body)));
            return Err(error);
        }
        let known = self.peer.as_ref();
        if known.is_some_and(|peer| peer.hello.nonce == hello.nonce) {
            // It has not heard that we heard it.
            if hello.met == 0 {
                let hello = self.hello(endpoint, now);
                self.replies.push_back((0, hello));
            }
            return Ok(false);
        }
        if hello.answer != self.nonce {
            // New, or old and on its way for long: only its answer to our number tells.
            let before = std::mem::replace(&mut self.heard, hello.nonce);
            let answer = self.hello(endpoint, now);
            if known.is_some() {
                self.heard = before;
            }
            self.replies.push_back((0, answer));
            return Ok(true);
        }
        if known.is_some() {
            // The peer began anew and has heard us: so do we, with a number that no old frame has.
            self.reset(endpoint, now);
            self.heard = hello.nonce;
            self.hello_sent = Some(now);
            let answer = self.hello(endpoint, now);
            self.replies.push_back((0, answer));
            return Ok(true);
        }
        self.meet(endpoint, hello, now)?;
        Ok(true)
    }

    fn check(
        &self,
        endpoint: &Endpoint,
        hello: &Hello,
        envelope: &Envelope<'_>,
        now: Timestamp,
    ) -> Result<(), SyncError> {
        let replica = hello.replica();
        if hello.device == endpoint.replica().get() {
            return Err(SyncError::OwnId { replica });
        }
        endpoint
            .options()
            .peers
            .check(hello.device, envelope.signed)?;
        let limit = endpoint.db().clock_ahead_max();
        let ahead = hello.now.since(now);
        if ahead > limit {
            return Err(SyncError::ClockAhead {
                replica,
                ahead,
                limit,
            });
        }
        if Toward::of(hello.toward) != Some(self.toward.facing()) {
            let theirs = Toward::of(hello.toward).map_or("nothing that is known", Toward::name);
            return Err(SyncError::Roles { replica, theirs });
        }
        Ok(())
    }

    /// Both have heard one another.
    fn meet(
        &mut self,
        endpoint: &mut Endpoint,
        hello: Hello,
        now: Timestamp,
    ) -> Result<(), SyncError> {
        let (low, high) = (
            self.nonce.min(hello.nonce).to_le_bytes(),
            self.nonce.max(hello.nonce).to_le_bytes(),
        );
        let link = (xxh3_64(&[low, high].concat()) as u32).max(1);
        self.dictionary = dictionary::agree(&hello.dictionaries);
        self.asks = endpoint.replica().get() < hello.device;
        endpoint.settle()?;
        let resume = Resume {
            received: endpoint.received(hello.replica())?,
            holds: u8::from(endpoint.holds()?),
            heard: 0,
        };
        let flight = Flight::new(Kind::Resume, resume.encode());
        self.resume = Some((resume, flight));
        self.heard = hello.nonce;
        self.peer = Some(Peer { hello, link });
        self.last_heard = now;
        self.enter(Phase::Checkpoint, now);
        // It may not know yet that it was heard.
        let answer = self.hello(endpoint, now);
        self.replies.push_back((0, answer));
        Ok(())
    }

    /// The peer's place to go on from.
    fn resumed(
        &mut self,
        endpoint: &mut Endpoint,
        theirs: Resume,
        now: Timestamp,
    ) -> Result<bool, SyncError> {
        let Some((mine, _)) = &self.resume else {
            return Ok(false);
        };
        if theirs.heard == 0 {
            let mut answer = mine.clone();
            answer.heard = 1;
            let body = answer.encode();
            if let Some(peer) = &self.peer {
                self.replies.push_back((peer.link, (Kind::Resume, body)));
            }
        }
        if self.phase != Phase::Checkpoint {
            return Ok(false);
        }
        let unknown = mine.received.is_none() || theirs.received.is_none();
        self.searching = unknown && mine.holds != 0 && theirs.holds != 0;
        let durable = endpoint.db().durable();
        let empty_until = match theirs.holds {
            0 => durable,
            _ => Change::default(),
        };
        // A peer that knows more than there is has met another life of this file.
        let position = theirs.received.filter(|place| *place <= durable);
        self.outgoing = Outgoing::new(position.unwrap_or_default(), empty_until);
        if self.searching {
            self.finder = Some(Finder::new(endpoint, self.finder_number)?);
        }
        self.enter(Phase::State, now);
        Ok(true)
    }

    /// A question where documents differ.
    fn asked(&mut self, endpoint: &mut Endpoint, question: &Ranges) -> Result<(), SyncError> {
        if self.asks {
            return Err(SyncError::Unexpected("both sides ask where documents differ"));
        }
        if self.finder.is_none() {
            if question.number <= self.finder_number {
                // It came twice: the search has ended.
                let answer = Ranges {
                    number: question.number,
                    entries: Vec::new(),
                    last: 1,
                };
                self.reply(Kind::RangesAnswer, answer.encode());
                return Ok(());
            }
            self.finder = Some(Finder::new(endpoint, self.finder_number)?);
            self.searching = true;
        }
        let Some(finder) = &mut self.finder else {
            return Ok(());
        };
        let ((kind, body), found) = finder.asked(endpoint, question);
        self.reply(kind, body);
        if let Some(found) = found {
            self.found(found);
        }
        Ok(())
    }

    fn found(&mut self, found: Found) {
        self.finder_number = self.finder.take().map_or(0, |finder| finder.number());
        self.searching = false;
        self.outgoing.list(found.ids, found.through);
        if self.phase == Phase::Compare {
            self.agreed = true;
            self.phase = Phase::State;
        }
    }

    /// The peer has sent everything and asks whether both have the same.
    fn compared(
        &mut self,
        endpoint: &mut Endpoint,
        body: &[u8],
    ) -> Result<(), SyncError> {
        if body.len() < 8 || self.asks {
            return Err(SyncError::Unexpected("a comparison of the wrong side"));
        }
        let (head, fingerprint) = body.split_at(body.len() - 8);
        let (number, count) = decode_pair(head)?;
        let (summary, _) = endpoint.summary()?;
        let same = summary.len() as u64 == count
            && summary.fingerprint().to_le_bytes().as_slice() == fingerprint;
        // Here something is still to be sent: it is too early to say.
        let busy = self.phase < Phase::Compare && !same;
        let word = if same { SAME } else if busy { BUSY } else { DIFFERENT };
        self.agreed |= same;
        self.reply(Kind::CompareAnswer, encode_pair(number, word));
        Ok(())
    }

    fn compare_answered(
        &mut self,
        endpoint: &mut Endpoint,
        (number, word): (u32, u64),
        now: Timestamp,
    ) -> Result<(), SyncError> {
        if self.compare.as_ref().map(|(asked, _)| *asked) != Some(number) {
            return Ok(());
        }
        self.compare = None;
        match word {
            SAME => self.agreed = true,
            BUSY => self.compare_again = now.after(COMPARE_AGAIN),
            _ => {
                self.stats.differences += 1;
                self.compare_again = now.after(COMPARE_AGAIN);
                self.searching = true;
                self.finder = Some(Finder::new(endpoint, self.finder_number)?);
            }
        }
        Ok(())
    }

    /// The peer will not have us.
    fn refused(&mut self, body: &[u8], now: Timestamp) -> Result<bool, SyncError> {
        let (nonce, text) = body.split_at_checked(4).unwrap_or_default();
        if self.peer.is_some() || nonce != self.nonce.to_le_bytes().as_slice() {
            return Ok(false);
        }
        self.hello_sent = Some(now);
        let text = String::from_utf8_lossy(text).into_owned();
        Err(SyncError::Refused(text))
    }
}

const SAME: u64 = 1;
const DIFFERENT: u64 = 0;
/// Not everything was sent yet.
const BUSY: u64 = 2;
/// How long a busy peer is left alone.
const COMPARE_AGAIN: Duration = Duration::from_secs(1);
