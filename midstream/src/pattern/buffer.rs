//! The shared match buffer: each partial match is the last node of a chain, and chains share what they have
//! in common. Nodes and events are counted references in slabs, so that nothing is allocated once they have
//! grown (J. Agrawal et al., *Efficient pattern matching over event streams*, SIGMOD 2008).

use hashbrown::HashMap;
use serde::{Deserialize, Serialize};

use crate::batch::{EventId, Row};
use crate::event::Value;
use crate::pattern::automaton::ConditionId;

/// The place of a node.
pub(crate) type NodeId = u32;
const NONE: u32 = u32::MAX;

/// A taken event in a chain.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Node {
    /// The step that took it.
    pub condition: ConditionId,
    event: u32,
    before: NodeId,
    references: u32,
    /// A match ended here.
    ended: bool,
}

/// What is kept of an event.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub id: EventId,
    /// Its place in the order of the rule's events.
    pub sequence: u64,
    /// The fields that conditions of later steps ask for.
    pub values: Vec<Option<Value>>,
    references: u32,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Buffer {
    nodes: Vec<Node>,
    free_nodes: Vec<NodeId>,
    events: Vec<Kept>,
    free_events: Vec<u32>,
    /// What was added of the event in hand, by what was before and the step.
    #[serde(skip)]
    added: HashMap<(Option<NodeId>, ConditionId), NodeId>,
    /// Bytes of what is held.
    pub bytes: usize,
}

impl Buffer {
    /// Keeps an event; it is let go when no node holds it after [`Buffer::settle`].
    pub fn keep(&mut self, row: Row<'_>, sequence: u64, fields: &[usize]) -> u32 {
        let values = fields
            .iter()
            .map(|field| row.value(*field).map(Value::from))
            .collect();
        let kept = Kept {
            id: row.event_id(),
            sequence,
            values,
            references: 1,
        };
        self.bytes += kept.bytes();
        match self.free_events.pop() {
            Some(place) => {
                self.events[place as usize] = kept;
                place
            }
            None => {
                self.events.push(kept);
                (self.events.len() - 1) as u32
            }
        }
    }

    /// Ends the hold that [`Buffer::keep`] began.
    pub fn settle(&mut self, event: u32) {
        if !self.added.is_empty() {
            let mut added = std::mem::take(&mut self.added);
            for (_, node) in added.drain() {
                self.release(node);
            }
            self.added = added;
        }
        self.release_event(event);
    }

    /// Adds an event to a chain; the caller holds the new node, the chain holds what was before.
    /// With `joins`, chains of equal events are one.
    pub fn push(
        &mut self,
        before: Option<NodeId>,
        condition: ConditionId,
        event: u32,
        joins: bool,
    ) -> NodeId {
        if let Some(known) = self.added.get(&(before, condition)) {
            let known = *known;
            self.retain(known);
            return known;
        }
        let node = self.add(before, condition, event);
        if joins {
            self.retain(node);
            self.added.insert((before, condition), node);
        }
        node
    }

    fn add(&mut self, before: Option<NodeId>, condition: ConditionId, event: u32) -> NodeId {
        if let Some(before) = before {
            self.nodes[before as usize].references += 1;
        }
        self.events[event as usize].references += 1;
        self.bytes += size_of::<Node>();
        let node = Node {
            condition,
            event,
            before: before.unwrap_or(NONE),
            references: 1,
            ended: false,
        };
        match self.free_nodes.pop() {
            Some(place) => {
                self.nodes[place as usize] = node;
                place
            }
            None => {
                self.nodes.push(node);
                (self.nodes.len() - 1) as NodeId
            }
        }
    }

    /// Notes that a match ends here; whether it is the first.
    pub fn end(&mut self, node: NodeId) -> bool {
        !std::mem::replace(&mut self.nodes[node as usize].ended, true)
    }

    /// Holds a node once more.
    pub fn retain(&mut self, node: NodeId) {
        self.nodes[node as usize].references += 1;
    }

    /// Ends one hold of a node. Linear in what is let go.
    pub fn release(&mut self, mut node: NodeId) {
        while node != NONE {
            let place = &mut self.nodes[node as usize];
            place.references -= 1;
            if place.references > 0 {
                return;
            }
            let (before, event) = (place.before, place.event);
            self.free_nodes.push(node);
            self.bytes -= size_of::<Node>();
            self.release_event(event);
            node = before;
        }
    }

    fn release_event(&mut self, event: u32) {
        let kept = &mut self.events[event as usize];
        kept.references -= 1;
        if kept.references == 0 {
            self.bytes -= kept.bytes();
            kept.id = EventId::default();
            kept.values.clear();
            self.free_events.push(event);
        }
    }

    /// Whether it is what an engine can have written: every place is there, chains end, and each node and event is
    /// held as often as it says by chains and by `holders`. Linear.
    pub fn is_sound(&self, conditions: usize, holders: impl Iterator<Item = NodeId>) -> bool {
        let mut nodes = vec![0_u32; self.nodes.len()];
        let mut events = vec![0_u32; self.events.len()];
        let mut bytes = 0;
        for holder in holders {
            match nodes.get_mut(holder as usize) {
                Some(count) => *count += 1,
                None => return false,
            }
        }
        for node in self.nodes.iter().filter(|node| node.references > 0) {
            bytes += size_of::<Node>();
            let before = nodes.get_mut(node.before as usize);
            let event = events.get_mut(node.event as usize);
            let Some(event) = event.filter(|_| usize::from(node.condition) < conditions) else {
                return false;
            };
            *event += 1;
            match before {
                Some(count) => *count += 1,
                None if node.before == NONE => {}
                None => return false,
            }
        }
        let nodes_held = self.nodes.iter().map(|node| node.references).eq(nodes);
        let events_held = self.events.iter().map(|event| event.references).eq(events);
        let live = self.events.iter().filter(|event| event.references > 0);
        bytes += live.map(Kept::bytes).sum::<usize>();
        let free = |places: &[u32], references: &dyn Fn(usize) -> Option<u32>, all: usize| {
            let mut distinct = places.to_vec();
            distinct.sort_unstable();
            distinct.dedup();
            let unused = (0..all)
                .filter(|place| references(*place) == Some(0))
                .count();
            distinct.len() == places.len()
                && unused == places.len()
                && places
                    .iter()
                    .all(|place| references(*place as usize) == Some(0))
        };
        let node_references = |place: usize| Some(self.nodes.get(place)?.references);
        let event_references = |place: usize| Some(self.events.get(place)?.references);
        nodes_held
            && events_held
            && bytes == self.bytes
            && free(&self.free_nodes, &node_references, self.nodes.len())
            && free(&self.free_events, &event_references, self.events.len())
            && self.chains_end()
    }

    /// Whether no chain comes back to itself.
    fn chains_end(&self) -> bool {
        // The walk on which a node was first passed; 0 before.
        let mut passed = vec![0; self.nodes.len()];
        for (first, node) in self.nodes.iter().enumerate() {
            let mut place = first;
            while node.references > 0 && passed.get(place) == Some(&0) {
                passed[place] = first + 1;
                place = self.nodes[place].before as usize;
                if passed.get(place) == Some(&(first + 1)) {
                    return false;
                }
            }
        }
        true
    }

    /// A chain's nodes, the last first.
    pub fn path(&self, last: Option<NodeId>) -> impl Iterator<Item = &Node> {
        let node = move |id: NodeId| self.nodes.get(id as usize);
        std::iter::successors(last.and_then(node), move |before| node(before.before))
    }

    /// Reads a node and its event, so that they are near when they are asked for.
    pub fn read_ahead(&self, node: NodeId) {
        let node = self.nodes.get(node as usize);
        let event = node.and_then(|node| self.events.get(node.event as usize));
        std::hint::black_box(event.map(|event| event.references));
    }

    /// The event of a node.
    pub fn event(&self, node: &Node) -> &Kept {
        &self.events[node.event as usize]
    }

    /// The event and the step of each node of a chain, in order.
    pub fn chain(&self, last: NodeId) -> Vec<(u64, ConditionId)> {
        let mut chain: Vec<_> = self
            .path(Some(last))
            .map(|node| (self.event(node).sequence, node.condition))
            .collect();
        chain.reverse();
        chain
    }
}

impl Kept {
    fn bytes(&self) -> usize {
        let texts: usize = self
            .values
            .iter()
            .map(|value| match value {
                Some(Value::Text(text)) => text.len(),
                _ => 0,
            })
            .sum();
        size_of::<Self>() + self.id.len() + self.values.len() * size_of::<Option<Value>>() + texts
    }
}
