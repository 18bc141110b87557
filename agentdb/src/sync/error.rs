//! What can go wrong between two replicas.

use std::time::Duration;

use crate::ReplicaId;
use crate::bytes::Malformed;

/// What can go wrong between two replicas. Nothing of the frame that it is about was kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SyncError {
    /// The bytes are no frame.
    #[error("frame, byte {offset}: {cause}")]
    Malformed {
        /// Counted from 0.
        offset: usize,
        /// What is wrong there.
        cause: &'static str,
    },
    /// The bytes were changed on their way.
    #[error("frame: its checksum is {found:08x}, its bytes give {computed:08x}; it is sent again")]
    Checksum {
        /// What the frame says.
        found: u32,
        /// What its bytes say.
        computed: u32,
    },
    /// The peer speaks another version of the protocol.
    #[error(
        "frame of protocol version {found}, this release speaks {known}: update the older side"
    )]
    Version {
        /// The frame's version.
        found: u8,
        /// Ours.
        known: u8,
    },
    /// Something in a frame is larger than its limit. Nothing was allocated for it.
    #[error("{what} is {found}, at most {limit} are allowed")]
    Limit {
        /// What.
        what: &'static str,
        /// How large it says to be.
        found: u64,
        /// How large it may be.
        limit: u64,
    },
    /// The peer says to be this very replica.
    #[error("the peer has replica id {}, which is this store's own: give each device an id of its own", replica.get())]
    OwnId {
        /// The id.
        replica: ReplicaId,
    },
    /// The replica is not among the peers of this store.
    #[error("replica {} is not among the peers of this store: add it to Peers to accept it", replica.get())]
    UnknownPeer {
        /// Who sent the frame.
        replica: ReplicaId,
    },
    /// The replica was a peer, and no longer is.
    #[error("replica {} was revoked", replica.get())]
    RevokedPeer {
        /// Who sent the frame.
        replica: ReplicaId,
    },
    /// The frame is not signed by the replica that it names.
    #[error("frame of replica {}: {cause}", replica.get())]
    Signature {
        /// Whose frame it says to be.
        replica: ReplicaId,
        /// What is wrong.
        cause: &'static str,
    },
    /// The peer's clock is too far ahead.
    #[error(
        "replica {} refused: its clock is {} s ahead, at most {} s are allowed; set its clock",
        replica.get(), ahead.as_secs(), limit.as_secs()
    )]
    ClockAhead {
        /// Whose clock.
        replica: ReplicaId,
        /// How far.
        ahead: Duration,
        /// How far it may be.
        limit: Duration,
    },
    /// Both sides of a link say to be the parent, or both the child.
    #[error("replica {} says to be the {theirs} of this link, and so does this store: one must be parent and one child, or both peers", replica.get())]
    Roles {
        /// The other side.
        replica: ReplicaId,
        /// What it says to be.
        theirs: &'static str,
    },
    /// The peer did not answer in time.
    #[error("no checkpoint from the peer within {} s; the link counts as down", limit.as_secs())]
    CheckpointTimeout {
        /// How long was waited.
        limit: Duration,
    },
    /// A frame of the right form that makes no sense here.
    #[error("frame out of order: {0}")]
    Unexpected(&'static str),
    /// The peer refused what was sent to it.
    #[error("the peer refused: {0}")]
    Refused(String),
    /// What the peer lacks of a document does not fit a frame. It is left out; everything else goes on.
    #[error(
        "document `{agent}` is not sent: what the peer lacks of it takes {found} bytes, a frame holds {limit}; divide it among several documents"
    )]
    DocumentTooLarge {
        /// Which document.
        agent: String,
        /// How many bytes the delta takes.
        found: usize,
        /// How many it may take.
        limit: usize,
    },
    /// The peer does not take a document, for the reason that it has told in [`SyncError::Refused`] before. It is
    /// left out until it changes or the next link finds that it differs; everything else goes on.
    #[error(
        "the peer refused document `{agent}`, which is left out; mend what it told, and it is sent again with its next change or link"
    )]
    DocumentRefused {
        /// Which document.
        agent: String,
    },
    /// The store failed, or refused what the peer sent.
    #[error(transparent)]
    Store(#[from] crate::Error),
    /// The bytes of a connection.
    #[cfg(any(feature = "tcp", feature = "mqtt"))]
    #[error("connection: {0}")]
    Connection(#[from] std::io::Error),
}

impl From<Malformed> for SyncError {
    fn from(Malformed { offset, cause }: Malformed) -> Self {
        Self::Malformed { offset, cause }
    }
}

impl SyncError {
    /// Whether nothing can come of going on with this peer as it is.
    pub fn ends_the_link(&self) -> bool {
        match self {
            Self::Version { .. }
            | Self::OwnId { .. }
            | Self::UnknownPeer { .. }
            | Self::RevokedPeer { .. }
            | Self::ClockAhead { .. }
            | Self::Roles { .. }
            | Self::CheckpointTimeout { .. } => true,
            #[cfg(any(feature = "tcp", feature = "mqtt"))]
            Self::Connection(_) => true,
            _ => false,
        }
    }
}
