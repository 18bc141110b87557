//! Finding the nearest rows: by a scan or through the graph, with or without a filter.
//!
//! The planner compares the rows that each way would touch. A scan touches the `m` rows that
//! qualify, in the order of memory. A walk through the graph touches about `effort * 2M * n / m`
//! rows in random order, each some times dearer than one of a scan. Where few qualify the scan wins
//! and is exact; where most do, the walk ignores the filter on its way; between, it steps over rows
//! that do not qualify. A walk that comes back with too few is followed by a scan, so there are
//! always `k` hits when `k` rows qualify.

use std::borrow::Cow;

use crate::bits::Bits;
use crate::codes::Coded;
use crate::codes::int8::{CodeSpace, Codes, Doubt, Reach};
use crate::codes::packed::PackedSpace;
use crate::error::Result;
use crate::exact;
use crate::filter::Filter;
use crate::graph::{Guide, Scratch};
use crate::metric::Metric;
use crate::pool::Near;
use crate::space::{FullSpace, Probe, Space};
use crate::state::{State, with_space};
use crate::vector::Vector;

/// How many times dearer a row of a walk is than a row of a scan.
const WALK_COST: usize = 2;
/// How many times dearer a row of an inverted list is than a row of a scan.
const LIST_COST: usize = 2;
/// From this share of qualifying rows on a walk passes through all rows.
const PASS_SHARE: f64 = 0.3;

/// Originals that are ranked together, at least.
const RANKED_AT_ONCE: usize = 8;

/// How candidates were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// All rows that qualify were compared.
    Scan,
    /// By links or lists, or there was nothing to find.
    Walk,
}

/// The distance that a row must not exceed to be among the `k` nearest, once there are `k`.
fn kth(ranked: &[(u32, f32)], k: usize) -> Option<f32> {
    ranked.get(k - 1).map(|(_, distance)| *distance)
}

/// Equal distances keep their order.
fn nearest_first(ranked: &mut [(u32, f32)]) {
    ranked.sort_by(|a, b| a.1.total_cmp(&b.1));
}

/// What a search wants.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Want<'f> {
    pub k: usize,
    /// Room of the pool that is walked.
    pub effort: usize,
    /// How many candidates are ranked again by the originals, if not as many as the codes ask for.
    pub rerank: Option<usize>,
    pub filter: Option<&'f Filter>,
    pub min_score: f32,
}

impl State {
    /// The slots that a search may return, if not all.
    fn allowed(&self, filter: Option<&Filter>) -> Option<Cow<'_, Bits>> {
        match filter {
            None if self.len() == self.slots() => None,
            None => Some(Cow::Borrowed(&self.live)),
            Some(filter) => {
                let mut bits = filter.matching(&self.payloads, self.slots());
                bits.and(&self.live);
                Some(Cow::Owned(bits))
            }
        }
    }

    /// The nearest slots with their scores, the nearest first.
    pub fn nearest(
        &self,
        vector: &Vector,
        want: &Want<'_>,
        scratch: &mut Scratch,
    ) -> Result<Vec<(u32, f32)>> {
        let allowed = self.allowed(want.filter);
        let mut probe = std::mem::take(&mut scratch.probe);
        probe.set(vector);
        let found = with_space!(self, space => {
            space.derive(&mut probe);
            let way = self.candidates(space, &probe, want, allowed.as_deref(), scratch);
            self.rank(&probe, scratch.found.items(), want).and_then(|ranked| match (way, &self.coded) {
                (Way::Scan, Coded::Int8(codes)) if want.rerank.is_none() => {
                    self.ranked_wider(codes, &probe, want, allowed.as_deref(), scratch, ranked)
                }
                _ => Ok(ranked),
            })
        });
        scratch.probe = probe;
        Ok(self.scored(found?, want))
    }

    /// Puts the slots that are worth ranking into `scratch.found`; how they were found.
    fn candidates<S: Space>(
        &self,
        space: &S,
        probe: &Probe,
        want: &Want<'_>,
        allowed: Option<&Bits>,
        scratch: &mut Scratch,
    ) -> Way {
        let slots = self.slots();
        let usual = |count: usize| match self.config.metric {
            // Distances of bits are exact.
            Metric::Hamming => want.k,
            _ => want.rerank.unwrap_or(count).max(want.k),
        };
        let quantization = self.config.quantization;
        let room = usual(quantization.rerank_walked(want.k, want.effort));
        let room = room.min(slots).max(1);
        scratch.found.reset(room);
        let matching = allowed.map_or(slots, Bits::count);
        if matching == 0 {
            return Way::Walk;
        }
        let effort = want.effort.max(room);
        let scan = matching;
        let walked = if let Some(graph) = self.graph.as_ref().filter(|graph| graph.nodes() > 0) {
            let walk = effort
                .saturating_mul(2 * self.config.shape.m * WALK_COST)
                .saturating_mul(slots)
                / matching;
            walk < scan && {
                let share = matching as f64 / slots as f64;
                match allowed {
                    None => graph.nearest(space, probe, effort, Guide::All, scratch),
                    Some(bits) if share >= PASS_SHARE => {
                        let wider = (effort as f64 / share) as usize;
                        graph.nearest(space, probe, wider, Guide::Among(bits), scratch);
                    }
                    Some(bits) => {
                        graph.nearest(space, probe, effort, Guide::Over(bits), scratch);
                    }
                }
                true
            }
        } else if let Some(lists) = &self.lists {
            let cost = lists.cost(want.effort).saturating_mul(LIST_COST);
            cost < scan && {
                let metric = self.config.metric;
                lists.nearest(space, probe, metric, want.effort, allowed, scratch);
                true
            }
        } else {
            false
        };
        if walked && scratch.found.items().len() >= want.k.min(matching) {
            return Way::Walk;
        }
        let room = usual(quantization.rerank(want.k));
        scratch.found.reset(room.min(slots).max(1));
        let pool = &mut scratch.found;
        match allowed {
            None => exact::scan(space, probe, 0..slots as u32, pool),
            Some(bits) => exact::scan(space, probe, bits.ones(), pool),
        }
        Way::Scan
    }

    /// The `k` nearest of `items`, which are sorted, by their originals. Of eight-bit codes those are left out that
    /// are too far to be among them.
    fn rank(&self, probe: &Probe, items: &[Near], want: &Want<'_>) -> Result<Vec<(u32, f32)>> {
        if let Coded::Packed(_) = self.coded {
            // Distances of bits are exact already.
            let exact = items.iter().map(|near| (near.slot(), near.distance));
            return Ok(exact.take(want.k).collect());
        }
        let doubt = match &self.coded {
            Coded::Int8(codes) if want.rerank.is_none() => {
                Some(Doubt::new(probe, codes, self.config.metric))
            }
            _ => None,
        };
        let mut ranked = Vec::with_capacity(2 * want.k.max(RANKED_AT_ONCE));
        let mut slots = Vec::new();
        for some in items.chunks(want.k.max(RANKED_AT_ONCE)) {
            slots.clear();
            slots.extend(some.iter().map(|near| near.slot()));
            if let (Some(doubt), Some(limit)) = (&doubt, kth(&ranked, want.k)) {
                let may =
                    |near: &&Near| near.distance - doubt.of(near.slot(), near.distance) <= limit;
                slots.clear();
                slots.extend(some.iter().filter(may).map(|near| near.slot()));
                if slots.is_empty() {
                    break;
                }
            }
            self.measure(probe, &slots, &mut ranked)?;
            nearest_first(&mut ranked);
            ranked.truncate(want.k);
        }
        Ok(ranked)
    }

    /// What [`State::rank`] found in a scan, with what the scan had no room for: where codes are coarse beside what
    /// tells the rows apart, many rows may be among the nearest.
    fn ranked_wider(
        &self,
        codes: &Codes,
        probe: &Probe,
        want: &Want<'_>,
        allowed: Option<&Bits>,
        scratch: &Scratch,
        ranked: Vec<(u32, f32)>,
    ) -> Result<Vec<(u32, f32)>> {
        let metric = self.config.metric;
        let doubt = Doubt::new(probe, codes, metric);
        let items = scratch.found.items();
        let (Some(limit), Some(last)) = (kth(&ranked, want.k), items.last()) else {
            return Ok(ranked);
        };
        let doubts = items
            .iter()
            .map(|near| doubt.of(near.slot(), near.distance));
        if last.distance - doubts.fold(0.0, f32::max) > limit {
            return Ok(ranked);
        }
        let space = CodeSpace::new(codes, metric);
        // Those that are known stay, also the few whose codes are off by more than the doubt.
        let mut known: Vec<u32> = ranked.iter().map(|(slot, _)| *slot).collect();
        known.sort_unstable();
        let may = |slot: &u32| {
            let distance = space.one(probe, *slot);
            distance - doubt.of(*slot, distance) <= limit || known.binary_search(slot).is_ok()
        };
        let slots: Vec<u32> = match allowed {
            None => (0..self.slots() as u32).filter(may).collect(),
            Some(bits) => bits.ones().filter(may).collect(),
        };
        let mut ranked = Vec::with_capacity(slots.len());
        self.measure(probe, &slots, &mut ranked)?;
        nearest_first(&mut ranked);
        ranked.truncate(want.k);
        Ok(ranked)
    }

    /// Appends the distances of the originals.
    fn measure(&self, probe: &Probe, slots: &[u32], into: &mut Vec<(u32, f32)>) -> Result<()> {
        let full = FullSpace::new(&self.originals, self.config.metric);
        for (at, slot) in slots.iter().enumerate() {
            if let Some(later) = slots.get(at + 2) {
                full.fetch(*later);
            }
            let distance = full.distance(&probe.full, self.original(*slot)?);
            into.push((*slot, distance));
        }
        Ok(())
    }

    fn scored(&self, ranked: Vec<(u32, f32)>, want: &Want<'_>) -> Vec<(u32, f32)> {
        ranked
            .into_iter()
            .map(|(slot, distance)| (slot, self.config.metric.score(distance)))
            .filter(|(_, score)| *score >= want.min_score)
            .collect()
    }

    /// Every slot that scores at least `min_score`, the nearest first. Exact: codes only rule out
    /// rows that cannot reach the score by the bound on their error.
    pub fn within(
        &self,
        vector: &Vector,
        min_score: f32,
        filter: Option<&Filter>,
    ) -> Result<Vec<(u32, f32)>> {
        let mut probe = Probe::default();
        probe.set(vector);
        let metric = self.config.metric;
        let full = FullSpace::new(&self.originals, metric);
        let mut reach = None;
        let mut bits = None;
        match &self.coded {
            Coded::Int8(codes) => {
                CodeSpace::new(codes, metric).derive(&mut probe);
                reach = Some(Reach::new(&probe, codes, metric));
            }
            Coded::Packed(packed) => {
                let space = PackedSpace::new(packed);
                space.derive(&mut probe);
                bits = Some(space);
            }
            _ => {}
        }
        let mut found = Vec::new();
        let mut look = |slot: u32| {
            if let Some(reach) = &reach
                && reach.best(slot) < min_score
            {
                return Ok(());
            }
            let distance = match &bits {
                Some(bits) => bits.one(&probe, slot),
                None => full.distance(&probe.full, self.original(slot)?),
            };
            let score = metric.score(distance);
            if score >= min_score {
                found.push((slot, score));
            }
            Ok(())
        };
        match self.allowed(filter) {
            None => (0..self.slots() as u32).try_for_each(&mut look)?,
            Some(bits) => bits.ones().try_for_each(&mut look)?,
        }
        found.sort_by(|a, b| b.1.total_cmp(&a.1));
        Ok(found)
    }
}
