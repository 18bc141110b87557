//! Finding the few documents in which two replicas differ, among many, by few bytes and round trips.
//!
//! Range-based set reconciliation (A. Meyer, *Range-based set reconciliation*, 2023) over a tree that both
//! sides have in their heads: a document's key is the hash of its id, so that a node is a prefix of key
//! bits and no bounds travel. A node's fingerprint is the hash of the count and the sum of its items'
//! hashes, from prefix sums: two binary searches. A node with few items is listed.
//!
//! The root is split by the number of documents: with f children, of which d differ, f fingerprints and
//! `d * n / f` items travel, which together is least near the square root of `2 d n`; for the d = 10 of a short
//! parting that is about `4 * sqrt(n)`. Up to some 200,000 documents one question and its answer then tell
//! all; more take one round trip for each factor of 64.

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use crate::bytes::{Malformed, Reader, put};

/// The most bits by which the root is split: 1,024 fingerprints, 8 KiB.
const ROOT_WIDTH_MAX: u32 = 10;
/// By so many bits other nodes are split.
const WIDTH: u32 = 6;
/// The longest prefix; its nodes are always listed.
const BITS_MAX: u32 = 60;
/// A root with so many items or fewer is listed.
const ROOT_LIST_MAX: usize = 32;
/// Another node with so many items or fewer is listed: 3 KB, against a round trip.
const LIST_MAX: usize = 192;
/// The most bytes of an item in a list: the distance of its key, its digest.
const ITEM_BYTES_MAX: usize = 10 + 8;
/// Kind, prefix and count of an entry.
const HEAD_BYTES_MAX: usize = 16;

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
    /// How many bits.
    bits: u32,
    prefix: u64,
}

impl Node {
    const ROOT: Self = Self { bits: 0, prefix: 0 };

    /// One of the `1 << width` parts of the node.
    fn child(self, width: u32, number: usize) -> Self {
        Self {
            bits: self.bits + width,
            prefix: self.prefix << width | number as u64,
        }
    }

    /// The smallest key and the largest.
    fn keys(self) -> (u64, u64) {
        match 64 - self.bits {
            64 => (0, u64::MAX),
            rest => {
                let first = self.prefix << rest;
                (first, first | (u64::MAX >> self.bits))
            }
        }
    }
}

/// What one side says of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// The fingerprints of its children, a power of two of them.
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
        let (width, list_max) = match node.bits {
            0 => (
                (2 + (to - from).max(1).ilog2() / 2).min(ROOT_WIDTH_MAX),
                ROOT_LIST_MAX,
            ),
            _ => (WIDTH, LIST_MAX),
        };
        if to - from <= list_max || node.bits + width > BITS_MAX {
            return Entry::List(node, self.items[from..to].to_vec());
        }
        let children = 0..1 << width;
        let fingerprints = children.map(|number| self.fingerprint_of(node.child(width, number)));
        Entry::Fingerprints(node, fingerprints.collect())
    }

    /// What to say to what the other side said.
    pub(crate) fn answer(&self, entry: &Entry) -> Answer {
        let mut answer = Answer::default();
        match entry {
            Entry::Fingerprints(node, theirs) => {
                let width = theirs.len().ilog2();
                for (number, fingerprint) in theirs.iter().enumerate() {
                    let child = node.child(width, number);
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
                out.push((node.bits as u8) << 2);
                put(out, node.prefix);
                out.push(children.len().ilog2() as u8);
                for fingerprint in children {
                    out.extend_from_slice(&fingerprint.to_le_bytes());
                }
            }
            Self::List(node, items) => {
                out.push((node.bits as u8) << 2 | 1);
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
        let bits = u32::from(head >> 2);
        let prefix = reader.number()?;
        let node = Node { bits, prefix };
        if bits > BITS_MAX || prefix >> bits != 0 {
            return Err(reader.wrong("there is no such range"));
        }
        match kind {
            0 => {
                let width = u32::from(reader.byte()?);
                if width == 0 || width > ROOT_WIDTH_MAX || bits + width > BITS_MAX {
                    return Err(reader.wrong("a range has no so many parts"));
                }
                let children = (0..1 << width).map(|_| Ok(u64::from_le_bytes(reader.array()?)));
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
                    let key =
                        key.ok_or_else(|| reader.wrong::<Malformed>("a key leaves its range"))?;
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
            Self::Fingerprints(_, children) => {
                children.len() * (LIST_MAX * ITEM_BYTES_MAX + HEAD_BYTES_MAX)
            }
            Self::List(_, items) => 8 * items.len() + HEAD_BYTES_MAX,
            Self::Found(_) => 0,
        }
    }

    /// Whether nothing is answered to this.
    pub(super) fn is_last(&self) -> bool {
        matches!(self, Self::Found(_))
    }

    fn node(&self) -> Option<Node> {
        match self {
            Self::Fingerprints(node, _) | Self::List(node, _) => Some(*node),
            Self::Found(_) => None,
        }
    }
}

/// Whether no two entries are about the same documents: what is said to all of them is then bounded by the
/// documents that there are, whatever a frame asks for.
pub(super) fn are_apart(entries: &[Entry]) -> bool {
    let nodes = entries.iter().filter_map(Entry::node);
    let mut keys: Vec<(u64, u64)> = nodes.map(Node::keys).collect();
    keys.sort_unstable();
    keys.windows(2).all(|pair| pair[0].1 < pair[1].0)
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

    fn robots(count: u64) -> Vec<Item> {
        let item = |number| Item {
            key: super::key_of(&format!("robot-{number}")),
            digest: number,
        };
        (0..count).map(item).collect()
    }

    #[test]
    fn few_differences_take_few_bytes_and_round_trips() {
        for (count, differ, bytes_max, rounds_max) in [
            (1_000, 10, 8_000, 2),
            (10_000, 10, 14_000, 2),
            (100_000, 0, 9_000, 1),
            (100_000, 10, 30_000, 2),
            (300_000, 10, 30_000, 3),
        ] {
            let items = robots(count);
            let mut other = items.clone();
            for place in 0..differ {
                other[place * 97].digest += 1;
            }
            let (from_a, from_b, bytes, rounds) =
                reconcile(&Summary::new(items), &Summary::new(other));
            assert_eq!(from_a.len(), differ);
            assert_eq!(from_b, from_a);
            assert!(bytes <= bytes_max, "{count}, {differ}: {bytes} bytes");
            assert!(
                rounds <= rounds_max,
                "{count}, {differ}: {rounds} questions"
            );
        }
    }

    #[test]
    fn ranges_that_overlap_are_told_from_those_that_do_not() {
        let list = |bits, prefix| Entry::List(super::Node { bits, prefix }, Vec::new());
        assert!(super::are_apart(&[
            list(6, 2),
            Entry::Found(vec![1]),
            list(6, 1),
            list(7, 6)
        ]));
        assert!(!super::are_apart(&[list(6, 2), list(12, 2 << 6 | 5)]));
        assert!(!super::are_apart(&[list(0, 0), list(60, 9)]));
        assert!(!super::are_apart(&[list(6, 2), list(6, 2)]));
    }
}
