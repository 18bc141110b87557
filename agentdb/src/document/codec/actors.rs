//! The table of replicas.

use std::collections::{BTreeMap, BTreeSet};

use crate::bytes::{Malformed, Reader, put};
use crate::causal::ReplicaId;
use crate::document::Document;
use crate::error::Result;
use crate::leaf::Leaf;
use crate::leaf::counter::Floors;

/// A table of the replicas that some documents name, so that each is named once: a frame that carries many
/// documents has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actors {
    pub(super) replicas: Vec<ReplicaId>,
    places: BTreeMap<ReplicaId, u64>,
}

impl Actors {
    /// A table of all replicas that these documents name.
    pub fn of<'d>(documents: impl IntoIterator<Item = &'d Document>) -> Self {
        let mut named = BTreeSet::new();
        for document in documents {
            named.extend(document.context.replicas());
            named.extend(document.gone.replicas());
            for leaf in document.fields.values() {
                named_by(leaf, &mut named);
            }
            named.extend(document.kills.base.replicas());
            for kill in &document.kills.entries {
                named.extend(kill.by.replicas());
                named.extend(kill.dead.replicas());
            }
        }
        let mut actors = Self::default();
        for replica in named {
            actors.add(replica);
        }
        actors
    }

    fn add(&mut self, replica: ReplicaId) {
        self.places.insert(replica, self.replicas.len() as u64);
        self.replicas.push(replica);
    }

    /// The replicas, in order.
    pub fn replicas(&self) -> &[ReplicaId] {
        &self.replicas
    }

    /// Appends the table to bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.replicas.len() as u64);
        for replica in &self.replicas {
            put(out, replica.get());
            put(out, u64::from(replica.incarnation()));
        }
    }

    /// Reads a table; returns it and how many bytes it took.
    ///
    /// # Errors
    /// [`Error::Malformed`](crate::Error::Malformed).
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize)> {
        let mut reader = Reader::new(bytes);
        let actors = Self::read(&mut reader)?;
        Ok((actors, bytes.len() - reader.left()))
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> std::result::Result<Self, Malformed> {
        let mut actors = Self::default();
        for _ in 0..reader.count(2)? {
            let replica = ReplicaId::new(reader.number()?).with_incarnation(reader.small()?);
            if actors.replicas.last().is_some_and(|last| *last >= replica) {
                return Err(reader.wrong("its table of replicas is not in order"));
            }
            actors.add(replica);
        }
        Ok(actors)
    }

    pub(super) fn place(&self, replica: ReplicaId) -> u64 {
        self.places.get(&replica).copied().unwrap_or_default()
    }
}

/// The replicas that a leaf names and the context of its document may not.
fn named_by(leaf: &Leaf, named: &mut BTreeSet<ReplicaId>) {
    match leaf {
        Leaf::Counter(counter) => {
            let floors = counter.resets.values().flat_map(Floors::keys);
            named.extend(floors.copied());
        }
        Leaf::Text(text) => named.extend(text.marks.keys().copied()),
        Leaf::Map(map) => map.leaves.values().for_each(|leaf| named_by(leaf, named)),
        Leaf::Register(_) | Leaf::Set(_) => {}
    }
    leaf.live(&mut |dot| {
        named.insert(dot.replica);
    });
}
