//! Values that live until a write that has seen them replaces or removes them.
//!
//! Every leaf is made of these: a value stands under the dot of the write that made it. A document that has
//! seen a dot and does not hold it knows that it is gone, so nothing needs a tombstone (the causal dot
//! stores of *Delta state replicated data types*, section 7).

use super::context::Context;
use super::replica::Dot;

/// Two documents that are joined, from the point of view of the one that takes the other in.
pub(crate) struct Join<'a> {
    /// What this one had seen before.
    pub(crate) mine: &'a Context,
    /// What the other has seen.
    pub(crate) theirs: &'a Context,
    /// Which dots were held here and are no more.
    pub(crate) dead: Context,
    /// Whether the other had marked a stamp that was not marked here.
    pub(crate) marked: bool,
}

/// Values by the dot of the write that made each; sorted by dot. Mostly one.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Dots<T>(Vec<(Dot, T)>);

impl<T> Default for Dots<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Clone> Dots<T> {
    /// From dots that are sorted and different.
    pub(crate) fn from_sorted(dots: Vec<(Dot, T)>) -> Self {
        debug_assert!(dots.windows(2).all(|pair| pair[0].0 < pair[1].0));
        Self(dots)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Dot, &T)> {
        self.0.iter().map(|(dot, value)| (*dot, value))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (Dot, &mut T)> {
        self.0.iter_mut().map(|(dot, value)| (*dot, value))
    }

    pub(crate) fn values(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, value)| value)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn get(&self, dot: Dot) -> Option<&T> {
        let at = self.0.binary_search_by_key(&dot, |(dot, _)| *dot).ok()?;
        Some(&self.0[at].1)
    }

    /// Holds a value under a new dot.
    pub(crate) fn insert(&mut self, dot: Dot, value: T) {
        match self.0.binary_search_by_key(&dot, |(dot, _)| *dot) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (dot, value)),
        }
    }

    /// Takes out what a new write has seen and replaces.
    pub(crate) fn take(&mut self, mut gone: impl FnMut(Dot, &T) -> bool, dead: &mut Context) {
        self.0.retain(|(dot, value)| {
            let gone = gone(*dot, value);
            if gone {
                dead.insert(*dot);
            }
            !gone
        });
    }

    /// Takes out everything.
    pub(crate) fn clear(&mut self, dead: &mut Context) {
        self.take(|_, _| true, dead);
    }

    /// Joins: what both hold, and what one holds and the other has not seen. `both` joins two values of one
    /// dot, which are the same but for their marks.
    pub(crate) fn join(
        &mut self,
        other: &Self,
        join: &mut Join<'_>,
        mut both: impl FnMut(&mut T, &T),
    ) {
        let theirs = join.theirs;
        self.take(
            |dot, _| theirs.contains(dot) && other.get(dot).is_none(),
            &mut join.dead,
        );
        for (dot, value) in other.iter() {
            match self.0.binary_search_by_key(&dot, |(dot, _)| *dot) {
                Ok(at) => both(&mut self.0[at].1, value),
                Err(at) if !join.mine.contains(dot) => self.0.insert(at, (dot, value.clone())),
                Err(_) => {}
            }
        }
    }

    /// The part whose dots are in a context.
    pub(crate) fn within(&self, context: &Context) -> Self {
        let within = self.0.iter().filter(|(dot, _)| context.contains(*dot));
        Self(within.cloned().collect())
    }
}
