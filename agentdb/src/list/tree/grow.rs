//! How the tree grows: full leaves and nodes are split.

use super::nodes::{Leaf, Node};
use super::{FAN, LEAF, Place, Tree};

impl Tree {
    /// The same place, in a leaf that has room for two more spans.
    pub(super) fn with_room(&mut self, place: Place) -> Place {
        if self.leaves[place.leaf as usize].len + 2 <= LEAF {
            return place;
        }
        let half = LEAF / 2;
        let new = self.leaves.len() as u32;
        let old = &mut self.leaves[place.leaf as usize];
        let mut right = Leaf::EMPTY;
        right.len = old.len - half;
        right.spans[..right.len].copy_from_slice(&old.spans[half..old.len]);
        right.next = old.next;
        right.parent = old.parent;
        old.len = half;
        old.next = new;
        let parent = old.parent;
        let moved: u32 = right.spans().iter().map(|span| span.visible()).sum();
        for slot in 0..right.len {
            self.settle(right.spans[slot], new);
        }
        self.leaves.push(right);
        self.adopt(parent, place.leaf, new, moved);
        if place.slot >= half {
            Place {
                leaf: new,
                slot: place.slot - half,
                ..place
            }
        } else {
            place
        }
    }

    /// Gives a node a child right of another one, from which so many visible letters went to the new one.
    fn adopt(&mut self, node: u32, left: u32, new: u32, moved: u32) {
        let mut target = node;
        if self.nodes[node as usize].len == FAN {
            let right = self.split_node(node);
            let slot = self.nodes[right as usize].children[..FAN / 2]
                .iter()
                .position(|child| *child == left);
            if slot.is_some() {
                target = right;
            }
        }
        let home = &mut self.nodes[target as usize];
        let slot = home.slot(left);
        home.visible[slot] -= moved;
        home.insert(slot + 1, new, moved);
        self.set_parent(target, new);
    }

    /// Moves the right half of a full node to a new one; gives the new one.
    fn split_node(&mut self, node: u32) -> u32 {
        let half = FAN / 2;
        let new = self.nodes.len() as u32;
        let old = &mut self.nodes[node as usize];
        let mut right = Node::EMPTY;
        right.len = FAN - half;
        right.children[..half].copy_from_slice(&old.children[half..]);
        right.visible[..half].copy_from_slice(&old.visible[half..]);
        right.parent = old.parent;
        right.level = old.level;
        old.len = half;
        let (left_sum, moved, parent) = (old.sum(), right.sum(), old.parent);
        let children = right.children;
        self.nodes.push(right);
        for child in &children[..half] {
            self.set_parent(new, *child);
        }
        if node == self.root {
            let root = self.nodes.len() as u32;
            let mut top = Node::EMPTY;
            top.level = self.height;
            top.insert(0, node, left_sum);
            top.insert(1, new, moved);
            self.nodes.push(top);
            self.nodes[node as usize].parent = root;
            self.nodes[new as usize].parent = root;
            self.root = root;
            self.height += 1;
        } else {
            self.adopt(parent, node, new, moved);
        }
        new
    }

    fn set_parent(&mut self, parent: u32, child: u32) {
        if self.nodes[parent as usize].level == 0 {
            self.leaves[child as usize].parent = parent;
        } else {
            self.nodes[child as usize].parent = parent;
        }
    }
}
