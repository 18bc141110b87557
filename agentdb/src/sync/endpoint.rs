//! One store as its peers see it: what all links of it share.

use std::collections::HashMap;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64;

use super::dictionary::{Codecs, Dictionary};
use super::error::SyncError;
use super::frame::{Envelope, Kind, SIGNATURE_BYTES, seal};
use super::peers::{Peers, SigningKey};
use super::ranges::{Item, Summary, key_of};
use crate::ReplicaId;
use crate::db::{AgentDb, Change, Durability};
use crate::document::Document;
use crate::event::Priority;
use crate::offline::{Contact, LinkChange};
use crate::time::Timestamp;

/// What a store does with the events of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// It has events of its own, and hands them to its parent.
    #[default]
    Device,
    /// It takes the events of its children and hands them on to its parent. It writes no documents, so that
    /// it makes no dots: it joins and forwards.
    Aggregator,
    /// It keeps all events: nobody is above it.
    Root,
}

/// What the other side of a link is. Documents go both ways, events to the parent alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Toward {
    /// It is above.
    Parent,
    /// It is below.
    Child,
    /// It is beside: no events.
    Peer,
}

impl Toward {
    pub(super) fn of(byte: u8) -> Option<Self> {
        [Self::Parent, Self::Child, Self::Peer]
            .into_iter()
            .find(|known| *known as u8 == byte)
    }

    /// What the other side of this link must say.
    pub(super) fn facing(self) -> Self {
        match self {
            Self::Parent => Self::Child,
            Self::Child => Self::Parent,
            Self::Peer => Self::Peer,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Parent => "child",
            Self::Child => "parent",
            Self::Peer => "peer",
        }
    }
}

/// When things are sent. The defaults are those of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Changes of documents are gathered for so long, and each field goes once, as it is at the end.
    pub window: Duration,
    /// The same for what goes to a parent, and for its events but the safety-critical ones.
    pub upward: Duration,
    /// At most so many events a second, after a burst of as many.
    pub events_per_second: u32,
    /// So many events are committed at once by their receiver.
    pub events_a_batch: usize,
    /// After so long without an answer a frame is sent again.
    pub retry: Duration,
    /// A peer that is known must agree on where to go on within this time.
    pub checkpoint: Duration,
    /// A word is said at least so often, and a peer that is silent for three times as long is gone.
    pub keep_alive: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            window: Duration::from_millis(0),
            upward: Duration::from_millis(0),
            events_per_second: 100,
            events_a_batch: 1_000,
            retry: Duration::from_secs(2),
            checkpoint: Duration::from_secs(10),
            keep_alive: Duration::from_secs(15),
        }
    }
}

impl Pace {
    /// An aggregator's: a window of 100 ms, and one batch a minute upward.
    pub fn aggregator() -> Self {
        Self {
            window: Duration::from_millis(100),
            upward: Duration::from_secs(60),
            ..Self::default()
        }
    }
}

/// How a store syncs.
#[derive(Clone, Debug, Default)]
pub struct SyncOptions {
    /// What it does with events.
    pub role: Role,
    /// When it sends.
    pub pace: Pace,
    /// Whom it speaks with.
    pub peers: Peers,
    pub(super) signing: Option<SigningKey>,
}

impl SyncOptions {
    /// For a role, with its pace, and with everyone.
    pub fn new(role: Role) -> Self {
        let pace = match role {
            Role::Aggregator => Pace::aggregator(),
            Role::Device | Role::Root => Pace::default(),
        };
        Self {
            role,
            pace,
            peers: Peers::any(),
            signing: None,
        }
    }

    /// Sends at another pace.
    #[must_use]
    pub fn pace(mut self, pace: Pace) -> Self {
        self.pace = pace;
        self
    }

    /// Speaks with these only.
    #[must_use]
    pub fn peers(mut self, peers: Peers) -> Self {
        self.peers = peers;
        self
    }

    /// Signs every frame.
    #[cfg(feature = "signed")]
    #[must_use]
    pub fn sign(mut self, key: SigningKey) -> Self {
        self.signing = Some(key);
        self
    }
}

/// One store and what all its links share.
pub struct Endpoint {
    db: AgentDb,
    options: SyncOptions,
    digests: Digests,
    sessions: u32,
    codecs: Codecs,
    contact: Option<Contact>,
}

impl Endpoint {
    /// Over a store.
    pub fn new(db: AgentDb, options: SyncOptions) -> Self {
        Self {
            db,
            options,
            digests: Digests::default(),
            sessions: 0,
            codecs: Codecs::default(),
            contact: None,
        }
    }

    /// The store.
    pub fn db(&self) -> &AgentDb {
        &self.db
    }

    /// The store, to write to.
    pub fn db_mut(&mut self) -> &mut AgentDb {
        &mut self.db
    }

    /// The store back.
    pub fn into_db(self) -> AgentDb {
        self.db
    }

    /// How it syncs.
    pub fn options(&self) -> &SyncOptions {
        &self.options
    }

    /// Changes whom it speaks with, on links that are up too.
    pub fn set_peers(&mut self, peers: Peers) {
        self.options.peers = peers;
    }

    /// Notes how many links are up, a few times a minute. The store tells of a change by an event that is
    /// appended: degraded when the last link went, an alert after `alert` without one, restored.
    ///
    /// # Errors
    /// [`SyncError::Store`].
    pub fn note_links(
        &mut self,
        links: usize,
        alert: Duration,
        now: Timestamp,
    ) -> Result<Option<LinkChange>, SyncError> {
        let mut contact = match self.contact {
            Some(contact) => contact,
            None => Contact::load(&self.db, now)?,
        };
        let notice = contact.step(links, now, alert);
        if let Some(notice) = notice {
            let mut tx = self.db.begin(now)?;
            tx.append_event("", notice.name(), &notice.to_json(), Priority::Normal)?;
            contact.save(&mut tx)?;
            tx.commit()?;
        }
        self.contact = Some(contact);
        Ok(notice)
    }

    /// Whether the store works alone, as far as [`note_links`](Self::note_links) was told.
    pub fn is_degraded(&self) -> bool {
        self.contact.is_some_and(|contact| contact.is_degraded())
    }

    pub(super) fn replica(&self) -> ReplicaId {
        self.db.replica()
    }

    /// A number for a session that no session of this store had.
    pub(super) fn nonce(&mut self, now: Timestamp) -> u32 {
        self.sessions += 1;
        let replica = self.replica();
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(&replica.get().to_le_bytes());
        bytes[8..12].copy_from_slice(&replica.incarnation().to_le_bytes());
        bytes[12..20].copy_from_slice(&now.as_millis().to_le_bytes());
        bytes[20..].copy_from_slice(&self.sessions.to_le_bytes());
        // Never 0, which says that none is known.
        (xxh3_64(&bytes) as u32).max(1)
    }

    /// Brings what was committed to the disk: only what a crash cannot take back is sent or acknowledged.
    pub(super) fn settle(&mut self) -> Result<(), SyncError> {
        if self.db.durability() == Durability::Buffered {
            self.db.flush()?;
        }
        Ok(())
    }

    /// A frame, signed where this store signs.
    pub(super) fn seal(
        &mut self,
        kind: Kind,
        link: u32,
        body: &[u8],
        dictionary: Option<Dictionary>,
    ) -> Vec<u8> {
        let codec = self.codecs.of(dictionary);
        let sign = self.options.signing.as_ref();
        let sign = sign.map(|key| move |content: &[u8]| key.sign(content));
        let sign = sign
            .as_ref()
            .map(|sign| sign as &dyn Fn(&[u8]) -> [u8; SIGNATURE_BYTES]);
        // What is said before both know one another is short, and read without an agreement.
        seal(kind, link, body, (link != 0).then_some(codec), sign)
    }

    /// The body of a frame.
    pub(super) fn unseal(
        &mut self,
        envelope: &Envelope<'_>,
        dictionary: Option<Dictionary>,
    ) -> Result<Vec<u8>, SyncError> {
        envelope.body(self.codecs.of(dictionary))
    }

    /// Whether there are any documents.
    pub(super) fn holds(&self) -> Result<bool, SyncError> {
        Ok(!self.db.changes_after(Change::default(), 1)?.is_empty())
    }

    /// All documents by their digests, and up to which local sequence that is.
    pub(super) fn summary(&mut self) -> Result<(Summary, Change), SyncError> {
        self.digests.follow(&self.db)?;
        Ok((self.digests.summary(), self.digests.through))
    }

    /// The documents with these keys.
    pub(super) fn ids_of(&self, keys: &[u64]) -> Vec<String> {
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        let named = self.digests.documents.iter();
        let mut ids: Vec<String> = named
            .filter(|(_, item)| keys.binary_search(&item.key).is_ok())
            .map(|(id, _)| id.clone())
            .collect();
        ids.sort_unstable();
        ids
    }
}

/// The hash of a document's content, the same on every replica that holds the same.
pub(super) fn digest_of(document: &Document) -> u64 {
    xxh3_64(&document.encode())
}

/// How many changes are read at a time.
const CHANGES_A_READ: usize = 1_000;

/// The digests of all documents, kept up by reading what has changed since. About 100 bytes a document.
#[derive(Default)]
struct Digests {
    documents: HashMap<String, Item>,
    through: Change,
}

impl Digests {
    fn follow(&mut self, db: &AgentDb) -> Result<(), SyncError> {
        loop {
            let changes = db.changes_after(self.through, CHANGES_A_READ)?;
            if changes.is_empty() {
                return Ok(());
            }
            for (id, sequence) in changes {
                if let Some(document) = db.document(&id)? {
                    let item = Item {
                        key: key_of(&id),
                        digest: digest_of(&document),
                    };
                    self.documents.insert(id, item);
                }
                self.through = sequence;
            }
        }
    }

    fn summary(&self) -> Summary {
        Summary::new(self.documents.values().copied().collect())
    }
}
