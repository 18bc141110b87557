//! Adding nodes: what changes is computed by reading only, then written at once.

use std::collections::HashMap;
use std::ops::Range;

use super::search::{Guide, Scratch};
use super::{BATCH_MAX, Graph, NONE};
use crate::pool::Near;
use crate::random::Random;
use crate::space::{BuildSpace, Probe};

/// Rows that a batch of nodes gets or changes.
#[derive(Debug, Default)]
pub(crate) struct Change {
    first: u32,
    levels: Vec<u8>,
    rows: Vec<Row>,
}

/// The new links of one node in one layer.
#[derive(Debug, Clone)]
struct Row {
    slot: u32,
    layer: u8,
    links: Vec<u32>,
}

/// A node that wants to be linked from another.
#[derive(Debug, Clone, Copy)]
struct Wish {
    layer: u8,
    to: u32,
    from: u32,
}

impl Graph {
    /// How many nodes the next batch may have: few while the graph is small, since the nodes of a
    /// batch do not see the links of one another.
    pub fn batch(&self) -> usize {
        (self.nodes() / 16).clamp(1, BATCH_MAX)
    }

    /// What adding the slots `range` (the next ones) would change.
    pub fn plan<S: BuildSpace>(&self, space: &S, range: Range<u32>, threads: usize) -> Change {
        let levels: Vec<u8> = range.clone().map(|slot| self.level_of(slot)).collect();
        let first = range.start;
        let slots: Vec<u32> = range.collect();
        let mut rows: Vec<Row> = spread(&slots, threads, |slot, scratch| {
            self.links_of_new(space, slot, first, &levels, scratch)
        });
        let mut wishes: Vec<Wish> = rows
            .iter()
            .flat_map(|row| {
                row.links.iter().map(|to| Wish {
                    layer: row.layer,
                    to: *to,
                    from: row.slot,
                })
            })
            .collect();
        wishes.sort_unstable_by_key(|wish| (wish.layer, wish.to, wish.from));
        let fresh: HashMap<(u32, u8), usize> = rows
            .iter()
            .enumerate()
            .map(|(at, row)| ((row.slot, row.layer), at))
            .collect();
        let groups: Vec<&[Wish]> = wishes
            .chunk_by(|a, b| (a.layer, a.to) == (b.layer, b.to))
            .collect();
        let changed: Vec<Row> = spread(&groups, threads, |group, scratch| {
            let Some(Wish { layer, to, .. }) = group.first().copied() else {
                return Vec::new();
            };
            let known = match fresh.get(&(to, layer)) {
                Some(at) => &rows[*at].links,
                None => self.links(to, layer),
            };
            let mut links = known.to_vec();
            links.extend(
                group
                    .iter()
                    .map(|wish| wish.from)
                    .filter(|from| !known.contains(from)),
            );
            if links.len() > self.capacity(layer) {
                links = thin(space, to, &links, self.capacity(layer), &mut scratch.probe);
            }
            vec![Row {
                slot: to,
                layer,
                links,
            }]
        });
        rows.extend(changed);
        Change {
            first,
            levels,
            rows,
        }
    }

    /// The links that a new node asks for, layer by layer.
    fn links_of_new<S: BuildSpace>(
        &self,
        space: &S,
        slot: u32,
        first: u32,
        levels: &[u8],
        scratch: &mut Scratch,
    ) -> Vec<Row> {
        let level = levels[(slot - first) as usize];
        let mut probe = std::mem::take(&mut scratch.probe);
        space.take(&mut probe, slot);
        let mut starts: Vec<u32> = Vec::new();
        if let Some(entry) = self.entry {
            let mut nearest = (space.one(&probe, entry), entry);
            for layer in (level + 1..=self.top()).rev() {
                nearest = self.descend(space, &probe, nearest, layer, scratch);
            }
            starts.push(nearest.1);
        }
        let mut rows = Vec::new();
        for layer in (0..=level).rev() {
            scratch.pool.reset(self.shape.ef_construction);
            if layer <= self.top() {
                scratch.forget(self.nodes());
                self.walk(space, &probe, &starts, layer, Guide::All, scratch);
                starts.clear();
                starts.extend(scratch.pool.items().iter().map(|near| near.slot()));
            }
            for earlier in first..slot {
                if levels[(earlier - first) as usize] >= layer {
                    scratch.pool.insert(space.one(&probe, earlier), earlier);
                }
            }
            let own = space.one(&probe, slot);
            let links = diverse(
                space,
                Near::new(own, slot),
                scratch.pool.items(),
                self.shape.m,
                &mut scratch.probe,
            );
            rows.push(Row { slot, layer, links });
        }
        scratch.probe = probe;
        rows
    }

    /// Writes what [`Graph::plan`] computed.
    pub fn apply(&mut self, change: Change) {
        for (slot, level) in (change.first..).zip(&change.levels) {
            self.append(*level);
            if self.entry.is_none() || *level > self.top() {
                self.entry = Some(slot);
            }
        }
        for row in change.rows {
            self.put(row.slot, row.layer, &row.links);
        }
    }

    /// Adds a node without links.
    pub(super) fn append(&mut self, level: u8) {
        let start = self.upper.rows() as u32;
        self.upper_start.push(if level == 0 { NONE } else { start });
        self.levels.push(level);
        self.layer0.push(&[]);
        for _ in 0..level {
            self.upper.push(&[]);
        }
    }

    pub(super) fn put(&mut self, slot: u32, layer: u8, links: &[u32]) {
        let row = match layer {
            0 => self.layer0.row_mut(slot),
            _ => self
                .upper
                .row_mut(self.upper_start[slot as usize] + u32::from(layer) - 1),
        };
        if let Some((degree, places)) = row.and_then(|row| row.split_first_mut()) {
            let kept = links.len().min(places.len());
            *degree = kept as u32;
            places[..kept].copy_from_slice(&links[..kept]);
            places[kept..].fill(0);
        }
    }

    /// Adds all slots up to `slots`.
    pub fn grow<S: BuildSpace>(&mut self, space: &S, slots: usize, threads: usize) {
        while self.nodes() < slots {
            let first = self.nodes();
            let last = slots.min(first + self.batch());
            let change = self.plan(space, first as u32..last as u32, threads);
            self.apply(change);
        }
    }
}

/// Of `slots`, all linked to `to`, those that the diversity rule keeps.
pub(super) fn thin<S: BuildSpace>(
    space: &S,
    to: u32,
    slots: &[u32],
    keep: usize,
    probe: &mut Probe,
) -> Vec<u32> {
    space.take(probe, to);
    let own = Near::new(space.one(probe, to), to);
    for slot in slots {
        space.fetch(*slot);
    }
    let mut nears: Vec<Near> = slots
        .iter()
        .map(|slot| Near::new(space.one(probe, *slot), *slot))
        .collect();
    nears.sort_unstable_by(|a, b| {
        a.distance
            .total_cmp(&b.distance)
            .then(a.slot().cmp(&b.slot()))
    });
    diverse(space, own, &nears, keep, probe)
}

/// The diversity rule over candidates that are sorted by distance; `own` is the node itself.
///
/// Equal rows do not crowd one another out: many of them would take all links of each other and be an
/// island. So they get half of the links at most, which of them is drawn so that all stay connected.
fn diverse<S: BuildSpace>(
    space: &S,
    own: Near,
    nears: &[Near],
    keep: usize,
    probe: &mut Probe,
) -> Vec<u32> {
    let twins_max = keep / 2;
    let mut twins: Vec<u32> = Vec::new();
    if nears
        .iter()
        .filter(|near| near.distance == own.distance)
        .count()
        > twins_max
    {
        let equal = nears.iter().filter(|near| near.distance == own.distance);
        twins.extend(equal.map(|near| near.slot()));
        let pair = |slot: u32| u64::from(slot) << 32 | u64::from(own.slot());
        twins.sort_by_cached_key(|slot| Random::new(pair(*slot)).next());
    }
    let surplus = twins.get(twins_max..).unwrap_or_default();
    let mut kept: Vec<u32> = Vec::with_capacity(keep);
    for near in nears {
        if kept.len() == keep {
            break;
        }
        if surplus.contains(&near.slot()) {
            continue;
        }
        space.take(probe, near.slot());
        let (fours, rest) = kept.as_chunks::<4>();
        let crowded = fours
            .iter()
            .any(|four| space.four(probe, *four).iter().any(|d| *d < near.distance))
            || rest
                .iter()
                .any(|slot| space.one(probe, *slot) < near.distance);
        if !crowded {
            kept.push(near.slot());
        }
    }
    kept
}

/// Runs `work` over all items on up to `threads` threads; results in the order of the items.
pub(super) fn spread<T: Copy + Sync, R: Send>(
    items: &[T],
    threads: usize,
    work: impl Fn(T, &mut Scratch) -> Vec<R> + Sync,
) -> Vec<R> {
    let run = |items: &[T]| {
        let mut scratch = Scratch::default();
        items
            .iter()
            .flat_map(|item| work(*item, &mut scratch))
            .collect::<Vec<R>>()
    };
    // Starting a thread costs about as much as placing a node.
    let share = items.len().div_ceil(threads.max(1)).max(8);
    if share >= items.len() {
        return run(items);
    }
    std::thread::scope(|scope| {
        let run = &run;
        let handles: Vec<_> = items
            .chunks(share)
            .map(|items| scope.spawn(move || run(items)))
            .collect();
        handles
            .into_iter()
            .flat_map(|handle| match handle.join() {
                Ok(results) => results,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    })
}
