//! Finding the few documents in which two replicas differ, among many, by few bytes.
//!
//! Range-based set reconciliation (A. Meyer, *Range-based set reconciliation*, 2023) over a tree that both
//! sides have in their heads: a document's key is the hash of its id, so that a node is a prefix of key
//! bits, each node has 64 children, and no bounds travel. A node's fingerprint is the hash of the count and
//! the sum of its items' hashes, from prefix sums: two binary searches. A node with few items is listed.
//!
//! With n documents of which d differ, about `d * log64(n / 32)` nodes of 512 bytes travel, in
//! `log64(n / 32) / 2 + 1` round trips.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::bytes::{Malformed, Reader, put};

/// Key bits a level.
const LEVEL_BITS: u32 = 6;
/// Children of a node.
const CHILDREN: usize = 1 << LEVEL_BITS;
/// The deepest level: 60 bits of the key; its nodes are always listed.
const DEPTH_MAX: u8 = 10;
/// A node with so many items or fewer is listed, which costs no more than its fingerprints.
const LIST_MAX: usize = 32;

/// One document, as the other side sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Item {
    /// The hash of its id.
    pub(crate) key: u64,
    /// The hash of its content.
    pub(crate) digest: u64,
}

/// The key of a document.
pub(crate) fn key_of(id: &str) -> u64 {
    xxh3_64(id.as_bytes())
}

/// All documents of one replica at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Summary {
    /// By key.
    items: Vec<Item>,
    /// The sum of the hashes of the items before each place, and of all.
    sums: Vec<u128>,
}

/// The items whose keys begin with the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    depth: u8,
    prefix: u64,
}

impl Node {
    const ROOT: Self = Self {
        depth: 0,
        prefix: 0,
    };

    fn bits(self) -> u32 {
        u32::from(self.depth) * LEVEL_BITS
    }

    fn child(self, number: usize) -> Self {
        Self {
            depth: self.depth + 1,
            prefix: self.prefix << LEVEL_BITS | number as u64,
        }
    }

    /// The smallest key and the largest.
    fn keys(self) -> (u64, u64) {
        match 64 - self.bits() {
            64 => (0, u64::MAX),
            rest => {
                let first = self.prefix << rest;
                (first, first | (u64::MAX >> self.bits()))
            }
        }
    }
}

/// What one side says of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The fingerprints of its children.
    Fingerprints(Node, Vec<u64>),
    /// All its items.
    List(Node, Vec<Item>),
    /// Keys of documents that the receiver of this must send: the sender lacks them, or has others.
    Found(Vec<u64>),
}

/// What came of an entry of the other side.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answer {
    /// What to say to it.
    pub(crate) entries: Vec<Entry>,
    /// The keys of own documents that the other side lacks or has otherwise.
    pub(crate) differ: Vec<u64>,
}

impl Summary {
    pub(crate) fn new(mut items: Vec<Item>) -> Self {
        items.sort_unstable();
        let mut sums = Vec::with_capacity(items.len() + 1);
        let mut sum = 0_u128;
        sums.push(sum);
        for item in &items {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&item.key.to_le_bytes());
            bytes[8..].copy_from_slice(&item.digest.to_le_bytes());
            sum = sum.wrapping_add(xxh3_128(&bytes));
            sums.push(sum);
        }
        Self { items, sums }
    }

    /// How many documents.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// One number for all documents.
    pub(crate) fn fingerprint(&self) -> u64 {
        self.fingerprint_of(Node::ROOT)
    }

    /// What to say first.
    pub(crate) fn opening(&self) -> Entry {
        self.say(Node::ROOT)
    }

    fn places(&self, node: Node) -> (usize, usize) {
        let (first, last) = node.keys();
        let from = self.items.partition_point(|item| item.key < first);
        let to = from + self.items[from..].partition_point(|item| item.key <= last);
        (from, to)
    }

    fn fingerprint_of(&self, node: Node) -> u64 {
        let (from, to) = self.places(node);
        let sum = self.sums[to].wrapping_sub(self.sums[from]);
        let mut bytes = [0; 24];
        bytes[..16].copy_from_slice(&sum.to_le_bytes());
        bytes[16..].copy_from_slice(&((to - from) as u64).to_le_bytes());
        xxh3_64(&bytes)
    }

    fn say(&self, node: Node) -> Entry {
        let (from, to) = self.places(node);
        if to - from <= LIST_MAX || node.depth >= DEPTH_MAX {
            return Entry::List(node, self.items[from..to].to_vec());
        }
        let children = (0..CHILDREN).map(|number| self.fingerprint_of(node.child(number)));
        Entry::Fingerprints(node, children.collect())
    }

    /// What to say to what the other side said.
    pub(crate) fn answer(&self, entry: &Entry) -> Answer {
        let mut answer = Answer::default();
        match entry {
            Entry::Fingerprints(node, theirs) => {
                for (number, fingerprint) in theirs.iter().enumerate() {
                    let child = node.child(number);
                    if self.fingerprint_of(child) != *fingerprint {
                        answer.entries.push(self.say(child));
                    }
                }
            }
            Entry::List(node, theirs) => {
                let (from, to) = self.places(*node);
                let mine = &self.items[from..to];
                let lacking = |of: &[Item], among: &[Item]| {
                    let mut keys: Vec<u64> = of
                        .iter()
                        .filter(|item| among.binary_search(item).is_err())
                        .map(|item| item.key)
                        .collect();
                    keys.dedup();
                    keys
                };
                answer.differ = lacking(mine, theirs);
                let found = lacking(theirs, mine);
                if !found.is_empty() {
                    answer.entries.push(Entry::Found(found));
                }
            }
            Entry::Found(keys) => answer.differ.clone_from(keys),
        }
        answer
    }
}

impl Entry {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Fingerprints(node, children) => {
                out.push(node.depth << 2);
                put(out, node.prefix);
                for fingerprint in children {
                    out.extend_from_slice(&fingerprint.to_le_bytes());
                }
            }
            Self::List(node, items) => {
                out.push(node.depth << 2 | 1);
                put(out, node.prefix);
                put(out, items.len() as u64);
                // Keys rise: the distance to the one before is shorter.
                let mut before = node.keys().0;
                for item in items {
                    put(out, item.key - before);
                    before = item.key;
                    out.extend_from_slice(&item.digest.to_le_bytes());
                }
            }
            Self::Found(keys) => {
                out.push(2);
                put(out, keys.len() as u64);
                for key in keys {
                    out.extend_from_slice(&key.to_le_bytes());
                }
            }
        }
    }

    pub(super) fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let head = reader.byte()?;
        let kind = head & 3;
        if kind == 2 {
            let count = reader.count(8)?;
            let keys = (0..count).map(|_| Ok(u64::from_le_bytes(reader.array()?)));
            return Ok(Self::Found(keys.collect::<Result<_, Malformed>>()?));
        }
        let depth = head >> 2;
        let prefix = reader.number()?;
        let node = Node { depth, prefix };
        if depth > DEPTH_MAX || prefix.checked_shr(node.bits()).unwrap_or(0) != 0 {
            return Err(reader.wrong("there is no such range"));
        }
        match kind {
            0 if depth < DEPTH_MAX => {
                let children = (0..CHILDREN).map(|_| Ok(u64::from_le_bytes(reader.array()?)));
                Ok(Self::Fingerprints(
                    node,
                    children.collect::<Result<_, Malformed>>()?,
                ))
            }
            1 => {
                let (first, last) = node.keys();
                let count = reader.count(9)?;
                let mut items = Vec::with_capacity(count);
                let mut before = first;
                for _ in 0..count {
                    let key = before.checked_add(reader.number()?);
                    let key = key.filter(|key| *key <= last);
                    let key = key.ok_or_else(|| reader.wrong::<Malformed>("a key leaves its range"))?;
                    let digest = u64::from_le_bytes(reader.array()?);
                    let item = Item { key, digest };
                    if items.last().is_some_and(|last| *last >= item) {
                        return Err(reader.wrong("keys do not rise"));
                    }
                    items.push(item);
                    before = key;
                }
                Ok(Self::List(node, items))
            }
            _ => Err(reader.wrong("there is no such entry")),
        }
    }

    /// How many bytes an answer to this may take, so that a side asks for no more than a frame holds.
    pub(super) fn answer_bytes_max(&self) -> usize {
        match self {
            Self::Fingerprints(..) => CHILDREN * (CHILDREN * 8 + 12),
            Self::List(_, items) => 8 * items.len() + 12,
            Self::Found(_) => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::{Entry, Item, Reader, Summary};

    /// Runs both sides to the end: what each must send, bytes, messages of the asking side.
    fn reconcile(a: &Summary, b: &Summary) -> (BTreeSet<u64>, BTreeSet<u64>, usize, usize) {
        let (mut from_a, mut from_b) = (BTreeSet::new(), BTreeSet::new());
        let mut bytes = 0;
        let mut rounds = 0;
        let mut say = vec![a.opening()];
        let mut over_the_wire = |entries: Vec<Entry>| -> Vec<Entry> {
            let mut out = Vec::new();
            entries.iter().for_each(|entry| entry.encode(&mut out));
            bytes += out.len();
            let mut reader = Reader::new(&out);
            entries
                .iter()
                .map(|_| Entry::decode(&mut reader).unwrap())
                .collect()
        };
        while !say.is_empty() {
            rounds += 1;
            let mut heard = Vec::new();
            for entry in over_the_wire(say) {
                let answer = b.answer(&entry);
                from_b.extend(answer.differ);
                heard.extend(answer.entries);
            }
            say = Vec::new();
            for entry in over_the_wire(heard) {
                let answer = a.answer(&entry);
                from_a.extend(answer.differ);
                say.extend(answer.entries);
            }
        }
        (from_a, from_b, bytes, rounds)
    }

    fn keys(of: &[Item], without: &[Item]) -> BTreeSet<u64> {
        of.iter()
            .filter(|item| !without.contains(item))
            .map(|item| item.key)
            .collect()
    }

    proptest! {
        #[test]
        fn both_sides_learn_exactly_what_the_other_lacks(
            common in prop::collection::vec((any::<u64>(), any::<u64>()), 0..400),
            only_a in prop::collection::vec((any::<u64>(), any::<u64>()), 0..40),
            only_b in prop::collection::vec((any::<u64>(), any::<u64>()), 0..40),
            near in prop::collection::vec((0..64_u64, 0..3_u64), 0..60),
        ) {
            let item = |(key, digest): &(u64, u64)| Item { key: *key, digest: *digest };
            let side = |only: &[(u64, u64)], odd: u64| {
                let near = near.iter().filter(|(_, which)| which % 2 == odd || *which == 2);
                let mut items: Vec<Item> = common.iter().chain(only).chain(near).map(item).collect();
                items.sort_unstable();
                items.dedup();
                items
            };
            let (a, b) = (side(&only_a, 0), side(&only_b, 1));
            let (from_a, from_b, ..) = reconcile(&Summary::new(a.clone()), &Summary::new(b.clone()));
            prop_assert_eq!(from_a, keys(&a, &b));
            prop_assert_eq!(from_b, keys(&b, &a));
        }

        #[test]
        fn any_bytes_are_an_entry_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            if let Ok(entry) = Entry::decode(&mut Reader::new(&bytes)) {
                let mut again = Vec::new();
                entry.encode(&mut again);
                prop_assert_eq!(Entry::decode(&mut Reader::new(&again)).unwrap(), entry.clone());
                let _ = Summary::new(vec![Item { key: 1, digest: 2 }]).answer(&entry);
            }
        }
    }

    #[test]
    fn ten_of_a_hundred_thousand_take_few_bytes_and_round_trips() {
        let items: Vec<Item> = (0..100_000_u64)
            .map(|number| Item {
                key: super::key_of(&format!("robot-{number}")),
                digest: number,
            })
            .collect();
        let mut other = items.clone();
        for place in 0..10 {
            other[place * 9_973].digest += 1;
        }
        let (from_a, from_b, bytes, rounds) =
            reconcile(&Summary::new(items), &Summary::new(other));
        assert_eq!(from_a.len(), 10);
        assert_eq!(from_b, from_a);
        assert!(bytes <= 20_000, "{bytes} bytes");
        assert!(rounds <= 3, "{rounds} round trips");
    }
}
