//! Taking in what another copy knows.

use super::delta::{self, Delta, Section};
use super::error::ListError;
use super::id::Id;
use super::log::{DeleteRun, InsertRun, Log};
use super::order::{Plan, plan};
use super::{LETTERS_MAX, List};
use crate::ReplicaId;

/// How many deltas may wait for what they build upon.
pub const WAITING_DELTAS_MAX: usize = 1_024;

/// How many bytes the waiting deltas may have together.
pub const WAITING_BYTES_MAX: usize = 4 << 20;

/// What became of a delta.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merged {
    /// The list has learned from it.
    New,
    /// All of it was known.
    Known,
    /// It builds upon what has not come yet, and waits for it.
    Waits,
}

impl List {
    /// Takes in a delta of another copy, whole or not at all. Deltas may come in any order and again.
    ///
    /// O(log n) for each run of the delta.
    ///
    /// # Errors
    /// [`ListError::Malformed`] where it is no delta; [`ListError::Limit`] where the list would pass
    /// [`LETTERS_MAX`], or where the delta would have to wait and too many or too large ones do already:
    /// then ask its sender for [`delta_since`](Self::delta_since) of this copy's version.
    pub fn merge(&mut self, bytes: &[u8]) -> Result<Merged, ListError> {
        let merged = self.take(bytes)?;
        match merged {
            Merged::Waits => self.wait(bytes)?,
            Merged::New if !self.waiting.is_empty() => self.retry(),
            Merged::New | Merged::Known => {}
        }
        Ok(merged)
    }

    /// How many deltas wait for what they build upon, and their bytes.
    pub fn waiting(&self) -> (usize, usize) {
        (self.waiting.len(), self.waiting_bytes)
    }

    /// Whether bytes can be read as a delta.
    pub(crate) fn check(delta: &[u8]) -> Result<(), ListError> {
        delta::read(delta).map(drop)
    }

    /// The deltas that wait.
    pub(crate) fn waiting_deltas(&self) -> impl Iterator<Item = &[u8]> {
        self.waiting.iter().map(|delta| &**delta)
    }

    fn wait(&mut self, bytes: &[u8]) -> Result<(), ListError> {
        if self.waiting.iter().any(|waiting| **waiting == *bytes) {
            return Ok(());
        }
        let (count, size) = (self.waiting.len() + 1, self.waiting_bytes + bytes.len());
        for (what, found, limit) in [
            (
                "deltas that wait for earlier ones",
                count,
                WAITING_DELTAS_MAX,
            ),
            (
                "bytes of deltas that wait for earlier ones",
                size,
                WAITING_BYTES_MAX,
            ),
        ] {
            if found > limit {
                return Err(ListError::Limit { what, found, limit });
            }
        }
        self.waiting.push_back(bytes.into());
        self.waiting_bytes = size;
        Ok(())
    }

    /// Tries the waiting deltas until none can be taken any more.
    fn retry(&mut self) {
        let mut idle = 0;
        while idle < self.waiting.len() {
            let Some(bytes) = self.waiting.pop_front() else {
                return;
            };
            match self.take(&bytes) {
                Ok(Merged::Waits) => {
                    self.waiting.push_back(bytes);
                    idle += 1;
                }
                // One that turns out to fit nothing is forgotten, as if it had never come.
                Ok(Merged::New | Merged::Known) | Err(_) => {
                    self.waiting_bytes -= bytes.len();
                    idle = 0;
                }
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<Merged, ListError> {
        let delta = delta::read(bytes)?;
        let refused = |cause| Err(ListError::Malformed { offset: 0, cause });
        let (mut inserted, mut deleted) = (Vec::new(), Vec::new());
        for replica in &delta.table {
            let log = self.indices.get(replica).map(|at| &self.logs[*at as usize]);
            inserted.push(log.map_or(0, |log| log.inserted));
            deleted.push(log.map_or(0, |log| log.deleted));
        }
        let order = match plan(&delta, &inserted, &deleted) {
            Plan::Ready(order) => order,
            Plan::Waiting => return Ok(Merged::Waits),
            Plan::Circular => {
                return refused("its letters are one another's neighbours in a circle");
            }
        };
        let new = |at: usize, section: &Section| {
            let to = section.to();
            (
                to.inserted.saturating_sub(inserted[at]) as usize,
                to.deleted.saturating_sub(deleted[at]) as usize,
            )
        };
        let sections = || delta.sections.iter().enumerate();
        let letters: usize = sections().map(|(at, section)| new(at, section).0).sum();
        let deletions: usize = sections().map(|(at, section)| new(at, section).1).sum();
        if letters + deletions == 0 {
            return Ok(Merged::Known);
        }
        if letters > LETTERS_MAX {
            return refused("it has more letters than a list takes");
        }
        self.check_room(letters)?;
        self.apply(&delta, &order);
        Ok(Merged::New)
    }

    /// Applies a delta that was checked.
    fn apply(&mut self, delta: &Delta<'_>, order: &[(usize, usize)]) {
        let table: Vec<u32> = delta.table.iter().map(|id| self.index_of(*id)).collect();
        let local = |id: Id| match id.is_none() {
            true => id,
            false => Id::new(table[id.replica as usize], id.number),
        };
        let mut text = delta.text.chars();
        for (at, section) in delta.sections.iter().enumerate() {
            let log = &mut self.logs[table[at] as usize];
            let known = log.inserted;
            let letters = section.from.inserted..section.to().inserted;
            let mut gone = delta.gone[at].iter().copied().peekable();
            for number in letters {
                while gone.next_if(|(_, end)| *end <= number).is_some() {}
                let is_gone = gone.peek().is_some_and(|(start, _)| *start <= number);
                // The letter is deleted here and now: no one will read it.
                let letter = if is_gone { Some('\0') } else { text.next() };
                if let Some(letter) = letter.filter(|_| number >= known) {
                    log.letters.push(letter);
                }
            }
        }
        for (at, run) in order {
            let (run, len) = delta.sections[*at].inserts[*run];
            let (replica, known) = (table[*at], self.logs[table[*at] as usize].inserted);
            let skipped = known.saturating_sub(run.first);
            if skipped >= len {
                continue;
            }
            let left = match skipped {
                0 => local(run.left),
                _ => Id::new(replica, known - 1),
            };
            let rest = InsertRun {
                first: run.first + skipped,
                left,
                right: local(run.right),
            };
            self.integrate(replica, rest, len - skipped);
        }
        for (at, section) in delta.sections.iter().enumerate() {
            for (run, len) in &section.deletes {
                let known = self.logs[table[at] as usize].deleted;
                let skipped = known.saturating_sub(run.first);
                if skipped >= *len {
                    continue;
                }
                let rest = DeleteRun {
                    first: run.first + skipped,
                    target: local(run.target_at(skipped)),
                    way: run.way,
                };
                self.erase(rest, len - skipped);
                self.logs[table[at] as usize].push_delete(rest.target, rest.way, len - skipped);
            }
        }
    }

    /// Deletes the letters of a run, whether or not they are already.
    fn erase(&mut self, run: DeleteRun, len: u32) {
        let (mut id, mut rest) = (run.lowest(len), len);
        while rest > 0 {
            let place = self.tree.at_letter(id);
            let (_, passed, _) = self.tree.delete(place, rest);
            id = id.plus(passed);
            rest -= passed.min(rest).max(1);
        }
    }

    /// The index of a replica, which is given one where it has none.
    pub(super) fn index_of(&mut self, replica: ReplicaId) -> u32 {
        let next = self.logs.len() as u32;
        let index = *self.indices.entry(replica).or_insert(next);
        if index == next {
            self.logs.push(Log::new(replica));
        }
        index
    }
}
