//! What the tree is made of: spans of letters, leaves, inner nodes.

use super::{DELETED, FAN, LEAF, NOWHERE, SPAN};
use crate::list::id::Id;

#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) id: Id,
    /// The number of letters, and the bit `DELETED`.
    pub(super) bits: u32,
}

impl Span {
    pub(super) const NONE: Self = Self::new(Id::NONE, 0, false);

    pub(super) const fn new(id: Id, len: u32, deleted: bool) -> Self {
        Self {
            id,
            bits: if deleted { len | DELETED } else { len },
        }
    }

    pub(super) const fn len(self) -> u32 {
        self.bits & !DELETED
    }

    pub(super) const fn deleted(self) -> bool {
        self.bits & DELETED != 0
    }

    pub(super) const fn visible(self) -> u32 {
        if self.deleted() { 0 } else { self.bits }
    }

    /// The offset of a letter, where it is of this span.
    pub(super) fn offset(self, id: Id) -> Option<u32> {
        let offset = id.number.wrapping_sub(self.id.number);
        (self.id.replica == id.replica && offset < self.len()).then_some(offset)
    }

    pub(super) fn split(self, at: u32) -> (Self, Self) {
        let deleted = self.deleted();
        (
            Self::new(self.id, at, deleted),
            Self::new(self.id.plus(at), self.len() - at, deleted),
        )
    }

    /// Whether the other may be appended.
    pub(super) fn takes(self, other: Self) -> bool {
        self.id.plus(self.len()) == other.id
            && self.deleted() == other.deleted()
            && self.len() + other.len() <= SPAN
    }
}

#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub(super) spans: [Span; LEAF],
    pub(super) len: usize,
    pub(super) parent: u32,
    pub(super) next: u32,
}

impl Leaf {
    pub(super) const EMPTY: Self = Self {
        spans: [Span::NONE; LEAF],
        len: 0,
        parent: 0,
        next: NOWHERE,
    };

    pub(super) fn spans(&self) -> &[Span] {
        &self.spans[..self.len]
    }

    pub(super) fn insert(&mut self, at: usize, span: Span) {
        self.spans.copy_within(at..self.len, at + 1);
        self.spans[at] = span;
        self.len += 1;
    }

    pub(super) fn remove(&mut self, at: usize) {
        self.spans.copy_within(at + 1..self.len, at);
        self.len -= 1;
    }
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) children: [u32; FAN],
    pub(super) visible: [u32; FAN],
    pub(super) len: usize,
    pub(super) parent: u32,
    /// 0 where the children are leaves.
    pub(super) level: u32,
}

impl Node {
    pub(super) const EMPTY: Self = Self {
        children: [NOWHERE; FAN],
        visible: [0; FAN],
        len: 0,
        parent: NOWHERE,
        level: 0,
    };

    pub(super) fn slot(&self, child: u32) -> usize {
        let found = self.children[..self.len].iter().position(|c| *c == child);
        found.unwrap_or_default()
    }

    pub(super) fn insert(&mut self, at: usize, child: u32, visible: u32) {
        self.children.copy_within(at..self.len, at + 1);
        self.visible.copy_within(at..self.len, at + 1);
        self.children[at] = child;
        self.visible[at] = visible;
        self.len += 1;
    }

    pub(super) fn sum(&self) -> u32 {
        self.visible[..self.len].iter().sum()
    }
}
