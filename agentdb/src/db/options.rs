//! How a store is opened.

use std::time::Duration;

use crate::causal::ReplicaId;
use crate::schema::Schema;

/// How far the clock of another replica may be ahead, unless [`Options::clock_ahead_max`] says otherwise.
pub const CLOCK_AHEAD_MAX: Duration = Duration::from_secs(60 * 60);

/// From how far ahead a stamp is marked as made by a wrong clock, unless [`Options::clock_drift_max`] says
/// otherwise.
pub const CLOCK_DRIFT_MAX: Duration = Duration::from_secs(60);

/// When a commit is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// When it returns, with an fsync of its own: a power cut loses nothing that was committed.
    Immediate,
    /// When it returns, with an fsync that it shares with the commits of other handles: they are waited for
    /// up to this long, and not at all once all handles wait. A power cut loses nothing that was committed.
    Group(Duration),
    /// Some time later, at the latest with [`AgentDb::flush`](crate::AgentDb::flush): a crash of the process
    /// loses nothing, a power cut may lose the last commits, and never a part of one.
    Buffered,
}

/// Five milliseconds are not felt, and are many commits.
impl Default for Durability {
    fn default() -> Self {
        Self::Group(Duration::from_millis(5))
    }
}

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Options {
    pub(super) replica: ReplicaId,
    pub(super) durability: Durability,
    pub(super) clock_ahead_max: Duration,
    pub(super) clock_drift_max: Duration,
    pub(super) schemas: Vec<Schema>,
    pub(super) restored: bool,
}

impl Options {
    /// For this replica, with [`Durability::Group`] of five milliseconds and no schema.
    pub fn new(replica: ReplicaId) -> Self {
        Self {
            replica,
            durability: Durability::default(),
            clock_ahead_max: CLOCK_AHEAD_MAX,
            clock_drift_max: CLOCK_DRIFT_MAX,
            schemas: Vec::new(),
            restored: false,
        }
    }

    /// When commits are on disk.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// How far the clock of a merged copy may be ahead of the transaction's time; [`CLOCK_AHEAD_MAX`]
    /// unless set. A copy beyond is refused, so that a wrong clock does not win for ever.
    #[must_use]
    pub fn clock_ahead_max(mut self, limit: Duration) -> Self {
        self.clock_ahead_max = limit;
        self
    }

    /// From how far ahead of the transaction's time a stamp of a merged copy is marked: its write is kept, and
    /// loses against concurrent ones that are not marked. [`CLOCK_DRIFT_MAX`] unless set.
    #[must_use]
    pub fn clock_drift_max(mut self, limit: Duration) -> Self {
        self.clock_drift_max = limit;
        self
    }

    /// Adds a kind of document.
    #[must_use]
    pub fn schema(mut self, schema: Schema) -> Self {
        self.schemas.push(schema);
        self
    }

    /// Says that the file is an older copy that was put in its place: the replica goes on under a new
    /// incarnation. A copy under another inode is noticed without this, and so is one of which another
    /// replica knows more.
    #[must_use]
    pub fn restored(mut self) -> Self {
        self.restored = true;
        self
    }
}
