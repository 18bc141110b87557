//! Taking nodes out for good: neighbours of a removed node are linked past it.

use super::build::thin;
use super::search::Scratch;
use super::{Graph, NONE};
use crate::space::BuildSpace;

/// Most nodes beyond removed ones that are looked at for one row.
const REACH_MAX: usize = 256;

impl Graph {
    /// The graph of the nodes that stay. `stay` lists their present slots in the order of their new
    /// ones, `renumber` is its inverse (`u32::MAX` for nodes that go), `space` knows the new slots.
    ///
    /// A row that loses links gets back those of the removed nodes, thinned by the diversity rule.
    pub fn without<S: BuildSpace>(
        &self,
        space: &S,
        stay: &[u32],
        renumber: &[u32],
        threads: usize,
    ) -> Self {
        let mut healed = Self::new(self.shape);
        for old in stay {
            let level = self.levels[*old as usize];
            let slot = healed.levels.len() as u32;
            healed.append(level);
            if healed.entry.is_none() || level > healed.top() {
                healed.entry = Some(slot);
            }
        }
        let slots: Vec<u32> = (0..stay.len() as u32).collect();
        let rows = super::build::spread(&slots, threads, |slot, scratch| {
            let old = stay[slot as usize];
            (0..=self.levels[old as usize])
                .map(|layer| {
                    let links = self.links_past(space, slot, old, layer, renumber, scratch);
                    (slot, layer, links)
                })
                .collect()
        });
        for (slot, layer, links) in rows {
            healed.put(slot, layer, &links);
        }
        healed
    }

    fn links_past<S: BuildSpace>(
        &self,
        space: &S,
        slot: u32,
        old: u32,
        layer: u8,
        renumber: &[u32],
        scratch: &mut Scratch,
    ) -> Vec<u32> {
        let mut links = Vec::new();
        let mut gone = Vec::new();
        let mut seen = std::collections::HashSet::from([old]);
        let mut look = |from: u32, links: &mut Vec<u32>, gone: &mut Vec<u32>| {
            for link in self.links(from, layer) {
                if links.len() < REACH_MAX && seen.insert(*link) {
                    match renumber[*link as usize] {
                        NONE => gone.push(*link),
                        new => links.push(new),
                    }
                }
            }
        };
        look(old, &mut links, &mut gone);
        if gone.is_empty() {
            return links;
        }
        let mut at = 0;
        while let Some(removed) = gone.get(at).copied() {
            look(removed, &mut links, &mut gone);
            at += 1;
        }
        // What the row had is a diverse choice already; candidates beyond removed nodes are many.
        thin(
            space,
            slot,
            &links,
            self.capacity(layer),
            &mut scratch.probe,
        )
    }
}
