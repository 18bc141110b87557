//! What one replica did: its letters with their origins, and what it deleted, both as runs.

use super::id::Id;
use super::letters::Letters;
use crate::ReplicaId;

/// Letters that were inserted left to right: the first with this left neighbour, each other one after the
/// one before it, and all with the same right neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InsertRun {
    pub(super) first: u32,
    pub(super) left: Id,
    pub(super) right: Id,
}

/// Which way a run of deletions went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Each deletion took the letter with the next number.
    Up,
    /// Each deletion took the letter with the number before.
    Down,
}

/// Deletions of letters that one replica inserted one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DeleteRun {
    /// How many deletions of the same replica came before.
    pub(super) first: u32,
    /// What the first deletion took.
    pub(super) target: Id,
    pub(super) way: Way,
}

impl DeleteRun {
    /// What the deletion so many after the first took.
    pub(super) fn target_at(&self, step: u32) -> Id {
        let number = match self.way {
            Way::Up => self.target.number.wrapping_add(step),
            Way::Down => self.target.number.wrapping_sub(step),
        };
        Id::new(self.target.replica, number)
    }

    /// The lowest target of so many steps.
    pub(super) fn lowest(&self, len: u32) -> Id {
        match self.way {
            Way::Up => self.target,
            Way::Down => self.target_at(len.saturating_sub(1)),
        }
    }
}

/// What one replica did.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) replica: ReplicaId,
    pub(super) letters: Letters,
    pub(super) inserts: Vec<InsertRun>,
    pub(super) inserted: u32,
    pub(super) deletes: Vec<DeleteRun>,
    pub(super) deleted: u32,
}

impl Log {
    pub(super) fn new(replica: ReplicaId) -> Self {
        Self {
            replica,
            letters: Letters::default(),
            inserts: Vec::new(),
            inserted: 0,
            deletes: Vec::new(),
            deleted: 0,
        }
    }

    /// Notes the origins of the next letters. `own` is the index of this log.
    pub(super) fn push_insert(&mut self, own: u32, count: u32, left: Id, right: Id) {
        let follows = self.inserted > 0 && left == Id::new(own, self.inserted - 1);
        let extends = follows && self.inserts.last().is_some_and(|run| run.right == right);
        if !extends {
            self.inserts.push(InsertRun {
                first: self.inserted,
                left,
                right,
            });
        }
        self.inserted += count;
    }

    /// Notes deletions, in the order of their run.
    pub(super) fn push_delete(&mut self, target: Id, way: Way, count: u32) {
        let first = self.deleted;
        self.deleted += count;
        if let Some(last) = self.deletes.last_mut() {
            let len = first - last.first;
            for both in [Way::Up, Way::Down] {
                // A run of one goes either way.
                let agree = (len == 1 || last.way == both) && (count == 1 || way == both);
                let longer = DeleteRun { way: both, ..*last };
                if agree && longer.target_at(len) == target {
                    *last = longer;
                    return;
                }
            }
        }
        self.deletes.push(DeleteRun { first, target, way });
    }

    /// The left and the right neighbour that a letter had when it was inserted, and how many letters of its
    /// run follow, itself included. `own` is the index of this log.
    pub(super) fn origins(&self, own: u32, number: u32) -> (Id, Id, u32) {
        let after = self.inserts.partition_point(|run| run.first <= number);
        let end = self
            .inserts
            .get(after)
            .map_or(self.inserted, |run| run.first);
        let Some(run) = after.checked_sub(1).and_then(|at| self.inserts.get(at)) else {
            return (Id::NONE, Id::NONE, 1);
        };
        let left = if run.first == number {
            run.left
        } else {
            Id::new(own, number - 1)
        };
        (left, run.right, end.saturating_sub(number).max(1))
    }

    /// The insert runs from a number on, the first one cut to it: each with its length.
    pub(super) fn inserts_from(
        &self,
        own: u32,
        from: u32,
    ) -> impl Iterator<Item = (InsertRun, u32)> + '_ {
        let at = self.inserts.partition_point(|run| run.first <= from);
        let at = at.saturating_sub(1);
        let ends = self.inserts.iter().skip(at + 1).map(|run| run.first);
        let ends = ends.chain([self.inserted]);
        let runs = self.inserts.iter().skip(at).zip(ends);
        runs.filter(move |(_, end)| *end > from)
            .map(move |(run, end)| {
                if run.first >= from {
                    (*run, end - run.first)
                } else {
                    let cut = InsertRun {
                        first: from,
                        left: Id::new(own, from.wrapping_sub(1)),
                        right: run.right,
                    };
                    (cut, end - from)
                }
            })
    }

    /// The delete runs from a count on, the first one cut to it: each with its length.
    pub(super) fn deletes_from(&self, from: u32) -> impl Iterator<Item = (DeleteRun, u32)> + '_ {
        let at = self.deletes.partition_point(|run| run.first <= from);
        let at = at.saturating_sub(1);
        let ends = self.deletes.iter().skip(at + 1).map(|run| run.first);
        let ends = ends.chain([self.deleted]);
        let runs = self.deletes.iter().skip(at).zip(ends);
        runs.filter(move |(_, end)| *end > from)
            .map(move |(run, end)| {
                let skipped = from.saturating_sub(run.first);
                let cut = DeleteRun {
                    first: run.first + skipped,
                    target: run.target_at(skipped),
                    way: run.way,
                };
                (cut, end - cut.first)
            })
    }
}
