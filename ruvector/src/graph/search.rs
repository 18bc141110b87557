//! Walking the graph: gather unvisited links, fetch them, compare four at a time, keep the nearest.

use super::Graph;
use super::visited::Visited;
use crate::bits::Bits;
use crate::pool::Pool;
use crate::space::{Probe, Space};

/// Memory that searches reuse.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// Where the walk goes on.
    pub pool: Pool,
    /// The nearest nodes that may be returned.
    pub found: Pool,
    pub probe: Probe,
    visited: Visited,
    gathered: Vec<u32>,
}

impl Scratch {
    /// Makes all of `slots` unvisited.
    pub(super) fn forget(&mut self, slots: usize) {
        self.visited.reset(slots);
    }
}

/// Which nodes a walk may return.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Guide<'b> {
    /// All of them.
    All,
    /// Those in the set; the walk passes through the others.
    Among(&'b Bits),
    /// Those in the set; the walk steps over the others to their links (ACORN-1, Patel et al., 2024).
    Over(&'b Bits),
}

impl Graph {
    /// Puts the nearest nodes to `probe` into `scratch.found`, whose room the caller decided;
    /// `effort` is the room of the pool that is walked.
    pub fn nearest<S: Space>(
        &self,
        space: &S,
        probe: &Probe,
        effort: usize,
        guide: Guide<'_>,
        scratch: &mut Scratch,
    ) {
        scratch.pool.reset(effort);
        let Some(entry) = self.entry else { return };
        let mut nearest = (space.one(probe, entry), entry);
        for layer in (1..=self.top()).rev() {
            nearest = self.descend(space, probe, nearest, layer, scratch);
        }
        scratch.visited.reset(self.nodes());
        self.walk(space, probe, &[nearest.1], 0, guide, scratch);
        let Scratch { pool, found, .. } = scratch;
        match guide {
            // Found on the way.
            Guide::Among(_) => {}
            // The entry may be one that is stepped over.
            Guide::Over(bits) => found.extend(pool, |slot| bits.get(slot)),
            Guide::All => found.extend(pool, |_| true),
        }
    }

    /// The nearest node of a layer, by always going to the nearest link.
    pub(super) fn descend<S: Space>(
        &self,
        space: &S,
        probe: &Probe,
        mut nearest: (f32, u32),
        layer: u8,
        scratch: &mut Scratch,
    ) -> (f32, u32) {
        loop {
            let before = nearest.1;
            scratch.gathered.clear();
            scratch
                .gathered
                .extend_from_slice(self.links(before, layer));
            compare(space, probe, &scratch.gathered, |distance, slot| {
                if distance < nearest.0 {
                    nearest = (distance, slot);
                }
            });
            if nearest.1 == before {
                return nearest;
            }
        }
    }

    /// Walks one layer from `starts`; `scratch.visited` and `scratch.pool` were reset by the caller.
    pub(super) fn walk<S: Space>(
        &self,
        space: &S,
        probe: &Probe,
        starts: &[u32],
        layer: u8,
        guide: Guide<'_>,
        scratch: &mut Scratch,
    ) {
        let Scratch {
            pool,
            found,
            visited,
            gathered,
            ..
        } = scratch;
        let mut keep = |pool: &mut Pool, distance: f32, slot: u32| {
            if let Guide::Among(bits) = guide
                && bits.get(slot)
            {
                found.insert(distance, slot);
            }
            pool.insert(distance, slot)
        };
        for start in starts {
            if visited.insert(*start) {
                keep(pool, space.one(probe, *start), *start);
            }
        }
        let mut cursor = 0;
        while let Some(slot) = pool.next(&mut cursor) {
            gathered.clear();
            for link in self.links(slot, layer) {
                if let Guide::Over(bits) = guide
                    && !bits.get(*link)
                {
                    self.step_over(*link, layer, bits, visited, gathered);
                    continue;
                }
                if visited.insert(*link) {
                    space.fetch(*link);
                    gathered.push(*link);
                }
            }
            compare(space, probe, gathered, |distance, slot| {
                cursor = cursor.min(keep(pool, distance, slot));
            });
        }
    }

    /// Gathers the links of a node that may not be returned itself.
    fn step_over(
        &self,
        slot: u32,
        layer: u8,
        bits: &Bits,
        visited: &mut Visited,
        gathered: &mut Vec<u32>,
    ) {
        if !visited.insert(slot) {
            return;
        }
        for link in self.links(slot, layer) {
            if bits.get(*link) && visited.insert(*link) {
                gathered.push(*link);
            }
        }
    }
}

/// Distances of all `slots`, four at a time.
#[inline(always)]
fn compare<S: Space>(space: &S, probe: &Probe, slots: &[u32], mut each: impl FnMut(f32, u32)) {
    let (fours, rest) = slots.as_chunks::<4>();
    for four in fours {
        for (distance, slot) in space.four(probe, *four).into_iter().zip(four) {
            each(distance, *slot);
        }
    }
    for slot in rest {
        each(space.one(probe, *slot), *slot);
    }
}
