//! A list of letters that several replicas edit at the same time: text that merges.
//!
//! # What it is
//! [`List`] is a sequence CRDT. Each letter (a Unicode scalar value) is named by the replica that inserted it
//! and its number there, and remembers the neighbours it was inserted between. Where replicas inserted at
//! the same place concurrently, all order the letters the same way and runs never interleave, whichever way
//! they were typed: FugueMax (M. Weidner, M. Kleppmann, *The Art of the Fugue*, 2023), integrated as YATA
//! does (P. Nicolaescu and others, *Near Real-Time Peer-to-Peer Shared Editing*, 2016).
//!
//! # How it is kept
//! Runs of letters that were typed together are one span of a B+ tree: inserting and deleting by position
//! and finding a letter by its name are O(log n) in the number of spans. What each replica did is kept as
//! runs too, and is what travels.
//!
//! # How it travels
//! [`List::delta_since`] writes what a copy knows beyond a [`Version`], [`List::merge`] reads it. Deltas may
//! come in any order and more than once; one that comes before what it builds upon waits, up to
//! [`WAITING_DELTAS_MAX`] and [`WAITING_BYTES_MAX`]. A delta is taken whole or not at all. It carries no
//! checksum: the frame that carries it has one. [`List::encode`] has its own.
//!
//! # Limits
//! A list takes [`LETTERS_MAX`] letters in its life, deleted ones included. A replica number belongs to one copy
//! for ever, as everywhere in this crate.
//!
//! # Deleted letters
//! A deleted letter keeps its name for ever: letters that somebody types beside it name it as a neighbour. That
//! all copies know of the deletion is not enough to forget it. Let a `t` between `a` and `b` be deleted everywhere
//! and forgotten by one copy. There an `x` is typed between `a` and `b`, elsewhere a `y` between `a` and `t`, and
//! which of them comes first hangs on where `t` stood: the copies differ. All copies, also those that are away
//! and those that nobody knows, would have to forget at one point of the history. A store whose devices write
//! without a link for days, and that anybody may join, has no such point.
//!
//! So the cost is kept small: the text of deleted letters neither travels nor is encoded, and letters that were
//! deleted together are one run of a few bytes however long, before packing. `agentdb-bench --only document`
//! measures it. Who writes and empties one text for ever takes a new document from time to time.
//!
//! # Example
//! ```
//! use agentdb::ReplicaId;
//! use agentdb::list::List;
//!
//! let mut here = List::new(ReplicaId::new(1));
//! let mut there = List::new(ReplicaId::new(2));
//! here.insert(0, "fill the trough")?;
//! there.merge(&here.delta_since(&there.version()))?;
//!
//! here.insert(4, " up")?;
//! there.delete(0, 4)?;
//! there.insert(0, "empty")?;
//! let (to_there, to_here) = (here.delta_since(&there.version()), there.delta_since(&here.version()));
//! here.merge(&to_here)?;
//! there.merge(&to_there)?;
//! assert_eq!(here.text(), "empty up the trough");
//! assert_eq!(here.text(), there.text());
//! # Ok::<(), agentdb::list::ListError>(())
//! ```

mod delta;
mod error;
mod id;
mod integrate;
mod letters;
mod log;
mod merge;
mod order;
mod snapshot;
mod tree;
mod version;

use std::collections::{BTreeMap, VecDeque};

use crate::ReplicaId;
use id::Id;
use log::{Log, Way};
use tree::Tree;
use version::Seen;

pub use error::ListError;
pub use merge::{Merged, WAITING_BYTES_MAX, WAITING_DELTAS_MAX};
pub use snapshot::ENCODED_BYTES_MAX;
pub use version::Version;

/// How many letters a list takes in its life, deleted ones included; also how many deletions one replica
/// may have made.
pub const LETTERS_MAX: usize = 1 << 24;

/// A list of letters that merges with its copies. See the [module](self) for how.
#[derive(Clone, Debug)]
pub struct List {
    /// What each replica did.
    logs: Vec<Log>,
    /// Which of them is this one.
    own: u32,
    indices: BTreeMap<ReplicaId, u32>,
    tree: Tree,
    /// All letters, deleted ones included.
    letters: usize,
    waiting: VecDeque<Box<[u8]>>,
    waiting_bytes: usize,
}

impl List {
    /// An empty list on this replica.
    pub fn new(replica: ReplicaId) -> Self {
        Self {
            logs: vec![Log::new(replica)],
            own: 0,
            indices: BTreeMap::from([(replica, 0)]),
            tree: Tree::new(),
            letters: 0,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
        }
    }

    /// The replica whose edits [`insert`](Self::insert) and [`delete`](Self::delete) make.
    pub fn replica(&self) -> ReplicaId {
        self.logs[self.own as usize].replica
    }

    /// Makes further edits those of another replica: of the store that has read this list, say.
    pub fn write_as(&mut self, replica: ReplicaId) {
        self.own = self.index_of(replica);
    }

    /// The number of letters (Unicode scalar values).
    pub fn len(&self) -> usize {
        self.tree.visible() as usize
    }

    /// Whether there are no letters.
    pub fn is_empty(&self) -> bool {
        self.tree.visible() == 0
    }

    /// The letters in their order. O(n).
    pub fn text(&self) -> String {
        let mut text = String::with_capacity(self.len());
        for (id, count) in self.tree.visible_spans() {
            let log = &self.logs[id.replica as usize];
            text.push_str(log.letters.slice(id.number, count));
        }
        text
    }

    /// What this copy has seen.
    pub fn version(&self) -> Version {
        let seen = self.logs.iter().map(|log| {
            let seen = Seen {
                inserted: log.inserted,
                deleted: log.deleted,
            };
            (log.replica, seen)
        });
        let seen = seen.filter(|(_, seen)| *seen != Seen::default());
        Version {
            seen: seen.collect(),
        }
    }

    /// Inserts text so that its first letter gets a position, counted in letters from 0.
    ///
    /// O(log n + length of the text).
    ///
    /// # Errors
    /// [`ListError::Position`] behind the end, [`ListError::Limit`] above [`LETTERS_MAX`].
    pub fn insert(&mut self, position: usize, text: &str) -> Result<(), ListError> {
        if position > self.len() {
            return Err(self.behind_the_end(position));
        }
        let count = text.chars().count();
        if count == 0 {
            return Ok(());
        }
        self.check_room(count)?;
        let (left, place) = match position.checked_sub(1) {
            None => (Id::NONE, self.tree.start()),
            Some(before) => {
                let place = self.tree.at_position(before as u32);
                let left = self.tree.right_of(place).map_or(Id::NONE, |(id, _)| id);
                (left, Tree::after(place))
            }
        };
        let right = self.tree.right_of(place).map_or(Id::NONE, |(id, _)| id);
        let own = self.own;
        let log = &mut self.logs[own as usize];
        let first = Id::new(own, log.inserted);
        log.letters.push_str(text);
        log.push_insert(own, count as u32, left, right);
        self.tree.insert(place, first, count as u32);
        self.letters += count;
        Ok(())
    }

    /// Deletes so many letters from a position on.
    ///
    /// O(log n) for each run of letters that were inserted together.
    ///
    /// # Errors
    /// [`ListError::Position`] where there are fewer letters, [`ListError::Limit`] above [`LETTERS_MAX`]
    /// deletions.
    pub fn delete(&mut self, position: usize, count: usize) -> Result<(), ListError> {
        let end = position.saturating_add(count);
        if end > self.len() {
            return Err(self.behind_the_end(end));
        }
        let own = self.own as usize;
        self.check_deletions(count)?;
        let mut rest = count as u32;
        while rest > 0 {
            let place = self.tree.at_position(position as u32);
            let (first, taken, _) = self.tree.delete(place, rest);
            self.logs[own].push_delete(first, Way::Up, taken);
            rest -= taken;
        }
        Ok(())
    }

    /// What this copy knows beyond a version, for [`merge`](Self::merge) of the copy that has the version.
    ///
    /// The version must be one that a copy had, or the [join](Version::join) of such. Costs as much as it
    /// writes.
    pub fn delta_since(&self, version: &Version) -> Vec<u8> {
        delta::write(&self.logs, version)
    }

    /// Whether so many letters from a position on can be replaced by so many others.
    pub(crate) fn check_splice(
        &self,
        position: usize,
        delete: usize,
        insert: usize,
    ) -> Result<(), ListError> {
        let end = position.saturating_add(delete);
        if end > self.len() {
            return Err(self.behind_the_end(end));
        }
        self.check_deletions(delete)?;
        self.check_room(insert)
    }

    fn check_deletions(&self, count: usize) -> Result<(), ListError> {
        let found = self.logs[self.own as usize].deleted as usize + count;
        if found > LETTERS_MAX {
            return Err(ListError::Limit {
                what: "deletions of one replica",
                found,
                limit: LETTERS_MAX,
            });
        }
        Ok(())
    }

    fn behind_the_end(&self, position: usize) -> ListError {
        ListError::Position {
            position,
            len: self.len(),
        }
    }

    fn check_room(&self, count: usize) -> Result<(), ListError> {
        let found = self.letters.saturating_add(count);
        if found > LETTERS_MAX {
            return Err(ListError::Limit {
                what: "letters of a list, deleted ones included",
                found,
                limit: LETTERS_MAX,
            });
        }
        Ok(())
    }
}
