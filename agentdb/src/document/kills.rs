//! Which writes took the place of which.
//!
//! A document has no tombstones: that a dot is gone shows in a context that has it and a document that does
//! not hold it. A delta must therefore name, beside new dots, the dots that the new writes replaced. The
//! journal remembers these for the last writes. For a peer that is further behind, a delta names all dots
//! that are seen and not held, which costs a few bytes for each leaf.
//!
//! A delta names replaced dots apart from those that it tells of: who hears that a write is gone has not
//! heard yet what that write had replaced.

use std::collections::VecDeque;

use crate::causal::Context;

/// How many entries are kept, and how many runs an entry may have.
const ENTRIES_MAX: usize = 16;
const RUNS_MAX: usize = 64;

/// Writes, and the dots that are gone by them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Kill {
    pub(crate) by: Context,
    pub(crate) dead: Context,
}

impl Kill {
    fn runs(&self) -> usize {
        self.by.len() + self.dead.len()
    }
}

/// The journal: complete for all writes outside of `base`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kills {
    pub(crate) base: Context,
    pub(crate) entries: VecDeque<Kill>,
}

impl Kills {
    /// A journal that knows of no write of a document that has seen these.
    pub(crate) fn unknown(seen: &Context) -> Self {
        Self {
            base: seen.clone(),
            entries: VecDeque::new(),
        }
    }

    pub(crate) fn note(&mut self, kill: Kill) {
        if kill.runs() > RUNS_MAX {
            self.base.join(&kill.by);
            return;
        }
        self.entries.push_back(kill);
        if self.entries.len() <= ENTRIES_MAX {
            return;
        }
        // Two old entries become one where that stays small, as it does for fields that are overwritten again
        // and again; else the oldest is forgotten.
        let pairs = self.entries.iter().zip(self.entries.iter().skip(1));
        let costs = pairs.map(|(older, newer)| older.runs() + newer.runs());
        let cheapest = costs.enumerate().min_by_key(|(_, cost)| *cost);
        let Some((at, _)) = cheapest else { return };
        if let Some(newer) = self.entries.remove(at + 1)
            && let Some(older) = self.entries.get_mut(at)
        {
            older.by.join(&newer.by);
            older.dead.join(&newer.dead);
            if older.runs() > RUNS_MAX
                && let Some(large) = self.entries.remove(at)
            {
                self.base.join(&large.by);
            }
        }
    }

    /// The dots that one who has seen `since` may hold and that are gone; none when the journal does not
    /// reach back so far.
    pub(crate) fn since(&self, since: &Context) -> Option<Context> {
        if !since.covers(&self.base) {
            return None;
        }
        let mut dead = Context::default();
        for kill in &self.entries {
            if !since.covers(&kill.by) {
                dead.join(&kill.dead);
            }
        }
        Some(dead)
    }
}
