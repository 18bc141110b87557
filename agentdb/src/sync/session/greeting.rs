//! How two sessions meet: greetings, whether the peer is to be spoken with, and from where both go on.

use xxhash_rust::xxh3::xxh3_64;

use super::{Peer, Phase, Session};
use crate::db::Change;
use crate::sync::dictionary;
use crate::sync::endpoint::{Endpoint, Toward};
use crate::sync::error::SyncError;
use crate::sync::finder::Finder;
use crate::sync::flight::{Flight, Message};
use crate::sync::frame::{Envelope, Kind};
use crate::sync::message::{Hello, Resume};
use crate::sync::outgoing::Outgoing;
use crate::time::Timestamp;

impl Session {
    pub(super) fn hello(&self, endpoint: &Endpoint, now: Timestamp) -> Message {
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
    pub(super) fn greeted(
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
        let mut resume = Resume {
            received: endpoint.received(hello.replica())?,
            holds: u8::from(endpoint.holds()?),
            heard: 0,
            question: None,
        };
        // Nothing is known of the peer: where it holds documents too, this side will ask, and does so now.
        if self.asks && resume.received.is_none() && resume.holds != 0 {
            let mut finder = Finder::new(endpoint, self.finder_number)?;
            resume.question = Some(finder.open(now));
            self.finder = Some(finder);
        }
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
    pub(super) fn resumed(
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
            // It went out with the first.
            answer.question = None;
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
        #[cfg(feature = "simulation")]
        {
            self.outgoing.forgets_removals = endpoint.options().forgets_removals;
        }
        if !self.searching {
            self.finder = None;
        } else if self.finder.is_none() {
            self.finder = Some(Finder::new(endpoint, self.finder_number)?);
        }
        self.enter(Phase::State, now);
        if self.searching
            && let Some(question) = theirs.question
        {
            self.asked(endpoint, &question)?;
        }
        Ok(true)
    }

    /// The peer will not have us.
    pub(super) fn refused(&mut self, body: &[u8], now: Timestamp) -> Result<bool, SyncError> {
        let (nonce, text) = body.split_at_checked(4).unwrap_or_default();
        if self.peer.is_some() || nonce != self.nonce.to_le_bytes().as_slice() {
            return Ok(false);
        }
        self.hello_sent = Some(now);
        let text = String::from_utf8_lossy(text).into_owned();
        Err(SyncError::Refused(text))
    }
}
