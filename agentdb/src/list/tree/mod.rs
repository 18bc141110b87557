//! The letters in their order: a B+ tree of spans.
//!
//! A span is a run of letters that one replica inserted one after the other, that stand next to one another
//! and that are all visible or all deleted. Inner nodes hold the number of visible letters below each child,
//! so a position is found in O(log n); `homes` holds the leaf of each letter, so a letter is found in O(1)
//! and its position in O(log n).

mod grow;
mod nodes;

use super::id::Id;
use nodes::{Leaf, Node, Span};

/// Spans in a leaf.
const LEAF: usize = 32;
/// Children of an inner node. A path is packed into 64 bits, four a level.
const FAN: usize = 16;
/// Letters in a span: moving a span to another leaf costs as much.
const SPAN: u32 = 1 << 12;
const DELETED: u32 = 1 << 31;
const NOWHERE: u32 = u32::MAX;

/// A place between two letters: before the letter `offset` of span `slot` of a leaf. `offset` may be the
/// span's length and `slot` the number of spans.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    leaf: u32,
    slot: usize,
    offset: u32,
}

/// Where a letter stands among all; only good for comparing, until the next change.
pub(super) type Rank = (u64, usize, u32);

#[derive(Clone, Debug)]
pub(super) struct Tree {
    leaves: Vec<Leaf>,
    nodes: Vec<Node>,
    root: u32,
    /// Levels of inner nodes, at least 1.
    height: u32,
    visible: u32,
    /// By replica and letter: its leaf.
    homes: Vec<Vec<u32>>,
}

impl Tree {
    pub(super) fn new() -> Self {
        let mut root = Node::EMPTY;
        root.insert(0, 0, 0);
        Self {
            leaves: vec![Leaf::EMPTY],
            nodes: vec![root],
            root: 0,
            height: 1,
            visible: 0,
            homes: Vec::new(),
        }
    }

    /// The number of visible letters.
    pub(super) fn visible(&self) -> u32 {
        self.visible
    }

    pub(super) fn start(&self) -> Place {
        Place {
            leaf: 0,
            slot: 0,
            offset: 0,
        }
    }

    /// The place before the visible letter with this position, which must exist.
    pub(super) fn at_position(&self, position: u32) -> Place {
        let mut rest = position;
        let mut child = self.root;
        for _ in 0..self.height {
            let node = &self.nodes[child as usize];
            let mut slot = 0;
            while slot + 1 < node.len && rest >= node.visible[slot] {
                rest -= node.visible[slot];
                slot += 1;
            }
            child = node.children[slot];
        }
        let leaf = &self.leaves[child as usize];
        let mut slot = 0;
        while slot + 1 < leaf.len && rest >= leaf.spans[slot].visible() {
            rest -= leaf.spans[slot].visible();
            slot += 1;
        }
        Place {
            leaf: child,
            slot,
            offset: rest,
        }
    }

    /// The place before a letter; the start where there is no such letter.
    pub(super) fn at_letter(&self, id: Id) -> Place {
        let home = self.homes.get(id.replica as usize);
        let Some(leaf) = home.and_then(|home| home.get(id.number as usize)).copied() else {
            return self.start();
        };
        for (slot, span) in self.leaves[leaf as usize].spans().iter().enumerate() {
            if let Some(offset) = span.offset(id) {
                return Place { leaf, slot, offset };
            }
        }
        self.start()
    }

    /// The place after the letter that the given place is before.
    pub(super) fn after(place: Place) -> Place {
        Place {
            offset: place.offset + 1,
            ..place
        }
    }

    /// The letter right of a place, and how many of its span follow, itself included.
    pub(super) fn right_of(&self, place: Place) -> Option<(Id, u32)> {
        let leaf = &self.leaves[place.leaf as usize];
        let mut slot = place.slot;
        if slot < leaf.len {
            let span = leaf.spans[slot];
            if place.offset < span.len() {
                return Some((span.id.plus(place.offset), span.len() - place.offset));
            }
            slot += 1;
        }
        if slot < leaf.len {
            let span = leaf.spans[slot];
            return Some((span.id, span.len()));
        }
        // No leaf but the first is ever empty.
        let next = self.leaves.get(leaf.next as usize)?;
        let span = next.spans().first()?;
        Some((span.id, span.len()))
    }

    /// The place so many letters of one span further, seen from the letter right of the place.
    pub(super) fn skip(&self, place: Place, count: u32) -> Place {
        match self.right_of(place) {
            Some((id, _)) => {
                let place = self.at_letter(id);
                Place {
                    offset: place.offset + count,
                    ..place
                }
            }
            None => place,
        }
    }

    /// Where a letter stands.
    pub(super) fn rank(&self, id: Id) -> Rank {
        let place = self.at_letter(id);
        let mut path = 0_u64;
        let mut child = place.leaf;
        let mut parent = self.leaves[child as usize].parent;
        for level in 0..self.height {
            let node = &self.nodes[parent as usize];
            path |= (node.slot(child) as u64) << (4 * level);
            child = parent;
            parent = node.parent;
        }
        (path, place.slot, place.offset)
    }

    /// Inserts visible letters at a place.
    pub(super) fn insert(&mut self, place: Place, id: Id, count: u32) {
        let (mut place, mut id, mut rest) = (place, id, count);
        while rest > 0 {
            let now = rest.min(SPAN);
            place = self.insert_span(place, Span::new(id, now, false));
            id = id.plus(now);
            rest -= now;
        }
    }

    /// Inserts one span; gives the place after it.
    fn insert_span(&mut self, place: Place, new: Span) -> Place {
        let mut place = self.with_room(place);
        let leaf = &mut self.leaves[place.leaf as usize];
        if place.slot < leaf.len && place.offset == leaf.spans[place.slot].len() {
            place.slot += 1;
            place.offset = 0;
        }
        if place.offset > 0 {
            let (left, right) = leaf.spans[place.slot].split(place.offset);
            leaf.spans[place.slot] = left;
            leaf.insert(place.slot + 1, right);
            place.slot += 1;
            place.offset = 0;
        }
        if place.slot > 0 && leaf.spans[place.slot - 1].takes(new) {
            place.slot -= 1;
            place.offset = leaf.spans[place.slot].len();
            leaf.spans[place.slot].bits += new.len();
        } else {
            leaf.insert(place.slot, new);
        }
        self.settle(new, place.leaf);
        self.visible += new.len();
        self.climb(place.leaf, |visible| *visible += new.len());
        Place {
            offset: place.offset + new.len(),
            ..place
        }
    }

    /// Deletes letters from the one right of a place, at most so many and of one span. Gives the first, how
    /// many were of the span, and how many of these had been visible (all or none).
    pub(super) fn delete(&mut self, place: Place, count: u32) -> (Id, u32, u32) {
        let span = self.leaves[place.leaf as usize].spans[place.slot];
        let count = count.min(span.len() - place.offset);
        let first = span.id.plus(place.offset);
        if span.deleted() {
            return (first, count, 0);
        }
        let Place { leaf, slot, offset } = self.with_room(place);
        let end = offset + count;
        let home = &mut self.leaves[leaf as usize];
        let gone = Span::new(first, count, true);
        let joins_left = offset == 0 && slot > 0 && home.spans[slot - 1].takes(gone);
        let joins_right =
            end == span.len() && slot + 1 < home.len && gone.takes(home.spans[slot + 1]);
        let kept = Span::new(span.id.plus(end), span.len() - end, false);
        match (joins_left, joins_right) {
            (true, _) => {
                home.spans[slot - 1].bits += count;
                if kept.len() > 0 {
                    home.spans[slot] = kept;
                } else {
                    home.remove(slot);
                }
            }
            (false, true) => {
                let right = &mut home.spans[slot + 1];
                *right = Span::new(first, count + right.len(), true);
                if offset > 0 {
                    home.spans[slot] = Span::new(span.id, offset, false);
                } else {
                    home.remove(slot);
                }
            }
            (false, false) => {
                home.spans[slot] = gone;
                if kept.len() > 0 {
                    home.insert(slot + 1, kept);
                }
                if offset > 0 {
                    home.insert(slot, Span::new(span.id, offset, false));
                }
            }
        }
        self.visible -= count;
        self.climb(leaf, |visible| *visible -= count);
        (first, count, count)
    }

    /// Each visible span in order: its first letter and its length.
    pub(super) fn visible_spans(&self) -> impl Iterator<Item = (Id, u32)> + '_ {
        std::iter::successors(self.leaves.first(), |leaf| {
            self.leaves.get(leaf.next as usize)
        })
        .flat_map(Leaf::spans)
        .filter(|span| !span.deleted())
        .map(|span| (span.id, span.len()))
    }

    /// Notes the leaf of a span's letters.
    fn settle(&mut self, span: Span, leaf: u32) {
        let replica = span.id.replica as usize;
        if self.homes.len() <= replica {
            self.homes.resize_with(replica + 1, Vec::new);
        }
        let (from, to) = (
            span.id.number as usize,
            (span.id.number + span.len()) as usize,
        );
        let homes = &mut self.homes[replica];
        if homes.len() < to {
            homes.resize(to, NOWHERE);
        }
        homes[from..to].fill(leaf);
    }

    /// Changes the counts on the way from a leaf to the root.
    fn climb(&mut self, leaf: u32, change: impl Fn(&mut u32)) {
        let mut child = leaf;
        let mut parent = self.leaves[leaf as usize].parent;
        while let Some(node) = self.nodes.get_mut(parent as usize) {
            let slot = node.slot(child);
            change(&mut node.visible[slot]);
            child = parent;
            parent = node.parent;
        }
    }
}
