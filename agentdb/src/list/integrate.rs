//! Where letters of another replica go.

use super::List;
use super::id::Id;
use super::log::InsertRun;
use super::tree::{Place, Rank, Tree};

/// Where a left neighbour stands: before all letters where there is none.
fn rank_left(tree: &Tree, id: Id) -> Option<Rank> {
    (!id.is_none()).then(|| tree.rank(id))
}

/// Where a right neighbour stands: after all letters where there is none.
fn rank_right(tree: &Tree, id: Id) -> Rank {
    if id.is_none() {
        return (u64::MAX, usize::MAX, u32::MAX);
    }
    tree.rank(id)
}

impl List {
    /// Inserts a run of letters that others may have inserted beside, concurrently. Their text is known.
    pub(super) fn integrate(&mut self, replica: u32, run: InsertRun, count: u32) {
        let place = if run.left.is_none() {
            self.tree.start()
        } else {
            Tree::after(self.tree.at_letter(run.left))
        };
        let next = self.tree.right_of(place).map_or(Id::NONE, |(id, _)| id);
        let place = if next == run.right {
            place
        } else {
            self.between(place, replica, run.left, run.right)
        };
        self.tree.insert(place, Id::new(replica, run.first), count);
        self.logs[replica as usize].push_insert(replica, count, run.left, run.right);
        self.letters += count as usize;
    }

    /// The place of a run among the letters between its neighbours, all of them unknown to its author.
    fn between(&self, first: Place, replica: u32, left: Id, right: Id) -> Place {
        let mine = self.logs[replica as usize].replica;
        let left_rank = rank_left(&self.tree, left);
        let right_rank = rank_right(&self.tree, right);
        let mut found = first;
        let mut scanning = false;
        let mut place = first;
        loop {
            if !scanning {
                found = place;
            }
            let Some((other, in_span)) = self.tree.right_of(place) else {
                return found;
            };
            if other == right {
                return found;
            }
            let log = &self.logs[other.replica as usize];
            let (other_left, other_right, in_run) = log.origins(other.replica, other.number);
            let other_left = rank_left(&self.tree, other_left);
            if other_left < left_rank {
                return found;
            }
            if other_left == left_rank {
                let other_right = rank_right(&self.tree, other_right);
                if other_right == right_rank && mine < log.replica {
                    return found;
                }
                scanning = other_right < right_rank;
            }
            // The other letters of the run have the one before as left neighbour, which decides nothing.
            let mut step = in_span.min(in_run);
            if right.replica == other.replica && right.number > other.number {
                step = step.min(right.number - other.number);
            }
            place = self.tree.skip(place, step);
        }
    }
}
