//! Inverted lists (IVF; Jégou, Douze and Schmid, 2011): rows lie in the list of their nearest trained
//! centre, and a search looks at the lists whose centres are nearest to the query.
//!
//! A graph is faster; lists take four bytes a row instead of over a hundred.

use crate::arena::{Arena, padded};
use crate::bits::Bits;
use crate::exact;
use crate::graph::Scratch;
use crate::kernel::kernels;
use crate::metric::Metric;
use crate::random::Random;
use crate::space::{FullSpace, Probe, Space};

/// Rounds of a training.
const ROUNDS: usize = 6;
/// Rows of a training for each list.
const ROWS_A_LIST: usize = 32;
const LISTS_MIN: usize = 16;
pub(crate) const LISTS_MAX: usize = 1 << 16;
/// How much effort one more list takes.
const EFFORT_A_LIST: usize = 4;

/// Which slots lie together.
pub(crate) struct Lists {
    /// A row a list.
    pub centres: Arena<f32>,
    /// The list of each slot.
    pub of: Vec<u32>,
    members: Vec<Vec<u32>>,
    /// Rows at the training.
    pub trained: usize,
}

impl Lists {
    /// Trains centres on the originals and puts every row into a list.
    pub fn train(originals: &Arena<f32>, dim: usize, seed: u64, threads: usize) -> Self {
        let rows = originals.rows();
        let count = (2 * rows.isqrt()).clamp(LISTS_MIN, LISTS_MAX);
        let taken = rows.min(count * ROWS_A_LIST);
        let mut random = Random::new(seed);
        let mut slots: Vec<u32> = (0..rows as u32).collect();
        // The first `taken` places of a shuffle.
        for at in 0..taken {
            slots.swap(at, at + random.below(rows - at));
        }
        slots.truncate(taken);
        let mut centres = Arena::new(padded::<f32>(dim));
        for slot in &slots[..count.min(taken)] {
            centres.push(originals.row(*slot));
        }
        for _ in 0..ROUNDS {
            let chosen = nearest(&centres, originals, &slots, threads);
            centres = means(&centres, originals, &slots, &chosen, &mut random);
        }
        let all: Vec<u32> = (0..rows as u32).collect();
        let of = nearest(&centres, originals, &all, threads);
        Self::of(centres, of, rows)
    }

    fn of(centres: Arena<f32>, of: Vec<u32>, trained: usize) -> Self {
        let mut members = vec![Vec::new(); centres.rows()];
        for (slot, list) in (0..).zip(&of) {
            members[*list as usize].push(slot);
        }
        Self {
            centres,
            of,
            members,
            trained,
        }
    }

    /// Lists from their parts, if every slot has a list that exists.
    pub fn from_parts(centres: Arena<f32>, of: Vec<u32>, trained: usize) -> Option<Self> {
        let lists = centres.rows();
        let fits = lists <= LISTS_MAX && of.iter().all(|list| (*list as usize) < lists);
        fits.then(|| Self::of(centres, of, trained))
    }

    /// The lists of the slots that stay; `stay` has their present numbers in the order of the new ones.
    pub fn without(&self, stay: &[u32]) -> Self {
        let mut centres = Arena::new(self.centres.stride());
        for list in 0..self.centres.rows() as u32 {
            centres.push(self.centres.row(list));
        }
        let of = stay.iter().map(|slot| self.of[*slot as usize]).collect();
        Self::of(centres, of, self.trained)
    }

    /// Number of slots that have a list.
    pub fn slots(&self) -> usize {
        self.of.len()
    }

    /// The lists of the slots that have none yet.
    pub fn plan(&self, originals: &Arena<f32>, threads: usize) -> Vec<u32> {
        let slots: Vec<u32> = (self.of.len() as u32..originals.rows() as u32).collect();
        nearest(&self.centres, originals, &slots, threads)
    }

    /// Puts the next slots into lists.
    pub fn apply(&mut self, lists: &[u32]) {
        for list in lists {
            self.members[*list as usize].push(self.of.len() as u32);
            self.of.push(*list);
        }
    }

    /// How many lists an effort looks at.
    fn share(&self, effort: usize) -> usize {
        effort.div_ceil(EFFORT_A_LIST).clamp(1, self.members.len())
    }

    /// About how many rows a search compares.
    pub fn cost(&self, effort: usize) -> usize {
        let lists = self.members.len();
        lists + self.slots() / lists.max(1) * self.share(effort)
    }

    /// Puts the nearest slots of the nearest lists, of those that `allowed` has, into
    /// `scratch.found`, whose room the caller decided.
    pub fn nearest<S: Space>(
        &self,
        space: &S,
        probe: &Probe,
        metric: Metric,
        effort: usize,
        allowed: Option<&Bits>,
        scratch: &mut Scratch,
    ) {
        let Scratch {
            pool: lists, found, ..
        } = scratch;
        lists.reset(self.share(effort));
        let centres = FullSpace::new(&self.centres, metric);
        exact::scan(&centres, probe, 0..self.centres.rows() as u32, lists);
        for list in lists.items() {
            let members = self.members[list.slot() as usize].iter().copied();
            // The rows of a list lie apart: ask for them early.
            let mut ahead = members.clone();
            for slot in ahead.by_ref().take(8) {
                space.fetch(slot);
            }
            let members = members.inspect(|_| {
                if let Some(slot) = ahead.next() {
                    space.fetch(slot);
                }
            });
            match allowed {
                None => exact::scan(space, probe, members, found),
                Some(bits) => {
                    exact::scan(space, probe, members.filter(|slot| bits.get(*slot)), found)
                }
            }
        }
    }

    /// Bytes of memory that the lists own.
    pub fn heap_bytes(&self) -> usize {
        let members: usize = self
            .members
            .iter()
            .map(|list| list.capacity() * 4 + 24)
            .sum();
        self.centres.heap_bytes() + self.of.capacity() * 4 + members
    }

    pub fn shrink(&mut self) {
        self.of.shrink_to_fit();
        self.members.iter_mut().for_each(Vec::shrink_to_fit);
    }
}

/// The nearest centre of each slot by squared distance.
fn nearest(
    centres: &Arena<f32>,
    originals: &Arena<f32>,
    slots: &[u32],
    threads: usize,
) -> Vec<u32> {
    let l2 = kernels().l2_f32;
    let of = |slot: &u32| {
        let row = originals.row(*slot);
        let distances = (0..centres.rows() as u32).map(|list| (l2(row, centres.row(list)), list));
        distances
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map_or(0, |(_, list)| list)
    };
    let share = slots.len().div_ceil(threads.max(1)).max(64);
    if share >= slots.len() {
        return slots.iter().map(of).collect();
    }
    std::thread::scope(|scope| {
        let workers: Vec<_> = slots
            .chunks(share)
            .map(|slots| scope.spawn(move || slots.iter().map(of).collect::<Vec<_>>()))
            .collect();
        let results = workers.into_iter().flat_map(|worker| match worker.join() {
            Ok(lists) => lists,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        results.collect()
    })
}

/// The means of the rows that chose each centre; a centre that nobody chose moves to a row at random.
fn means(
    centres: &Arena<f32>,
    originals: &Arena<f32>,
    slots: &[u32],
    chosen: &[u32],
    random: &mut Random,
) -> Arena<f32> {
    let stride = centres.stride();
    let mut sums = vec![0.0_f64; centres.rows() * stride];
    let mut counts = vec![0_u32; centres.rows()];
    for (slot, list) in slots.iter().zip(chosen) {
        let list = *list as usize;
        counts[list] += 1;
        for (sum, x) in sums[list * stride..].iter_mut().zip(originals.row(*slot)) {
            *sum += f64::from(*x);
        }
    }
    let mut moved = Arena::new(stride);
    for (sums, count) in sums.chunks(stride).zip(counts) {
        if count == 0 {
            moved.push(originals.row(slots[random.below(slots.len())]));
        } else {
            let mean: Vec<f32> = sums.iter().map(|x| (x / f64::from(count)) as f32).collect();
            moved.push(&mean);
        }
    }
    moved
}
