//! Finding the documents that differ: ranges of digests, offers of documents, and what of them is wanted.

use std::collections::{BTreeMap, BTreeSet};

use super::{items, put_count, whole};
use crate::bytes::{Malformed, Reader, put, put_bytes};
use crate::causal::{COUNT_MAX, Context, ReplicaId};
use crate::db::ID_BYTES_MAX;
use crate::sync::error::SyncError;
use crate::sync::ranges::{Entry, are_apart};

/// One step of finding differences, or the answer to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Ranges {
    pub(crate) number: u32,
    pub(crate) entries: Vec<Entry>,
    /// Nothing is left to ask.
    pub(crate) last: u8,
}

impl Ranges {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put(out, u64::from(self.number));
        out.push(self.last);
        put_count(out, self.entries.len());
        for entry in &self.entries {
            entry.encode(out);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, SyncError> {
        let number = reader.small()?;
        let last = reader.byte()?;
        let count = items(reader, 2)?;
        let entries = (0..count).map(|_| Entry::decode(reader));
        let entries: Vec<Entry> = entries.collect::<Result<_, _>>()?;
        if !are_apart(&entries) {
            return Err(reader.wrong("two of its ranges overlap"));
        }
        Ok(Self {
            number,
            entries,
            last,
        })
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self, SyncError> {
        whole(body, Self::read)
    }
}

/// Documents that the speaker has, by the digests of their contents.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Offer {
    pub(crate) number: u32,
    pub(crate) documents: Vec<(String, u64)>,
}

impl Offer {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, u64::from(self.number));
        put_count(&mut out, self.documents.len());
        for (id, digest) in &self.documents {
            put_bytes(&mut out, id.as_bytes());
            out.extend_from_slice(&digest.to_le_bytes());
        }
        out
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self, SyncError> {
        whole(body, |reader| {
            let number = reader.small()?;
            let count = items(reader, 9)?;
            let documents = (0..count).map(|_| {
                Ok((
                    reader.string(ID_BYTES_MAX)?.to_owned(),
                    u64::from_le_bytes(reader.array()?),
                ))
            });
            Ok(Self {
                number,
                documents: documents.collect::<Result<_, SyncError>>()?,
            })
        })
    }
}

/// Which of the offered documents differ here, and what each has seen.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Want {
    pub(crate) number: u32,
    /// Places in the offer.
    pub(crate) documents: Vec<(u32, Context)>,
}

impl Want {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, u64::from(self.number));
        put_count(&mut out, self.documents.len());
        for (place, _) in &self.documents {
            put(&mut out, u64::from(*place));
        }
        put_contexts(&mut out, self.documents.iter().map(|(_, context)| context));
        out
    }

    pub(crate) fn decode(body: &[u8]) -> Result<Self, SyncError> {
        whole(body, |reader| {
            let number = reader.small()?;
            let count = items(reader, 2)?;
            let places = (0..count).map(|_| reader.small());
            let places = places.collect::<Result<Vec<u32>, Malformed>>()?;
            let contexts = read_contexts(reader, count)?;
            Ok(Self {
                number,
                documents: places.into_iter().zip(contexts).collect(),
            })
        })
    }
}

/// Contexts, with one table of the replicas that they name.
fn put_contexts<'c>(out: &mut Vec<u8>, contexts: impl Iterator<Item = &'c Context> + Clone) {
    let replicas: BTreeSet<ReplicaId> = contexts.clone().flat_map(Context::replicas).collect();
    put_count(out, replicas.len());
    for replica in &replicas {
        put(out, replica.get());
        put(out, u64::from(replica.incarnation()));
    }
    let places: BTreeMap<ReplicaId, u64> = replicas.into_iter().zip(0..).collect();
    for context in contexts {
        put_count(out, context.runs().count());
        for (replica, first, last) in context.runs() {
            put(out, places.get(&replica).copied().unwrap_or_default());
            put(out, first);
            put(out, last - first);
        }
    }
}

fn read_contexts(reader: &mut Reader<'_>, count: usize) -> Result<Vec<Context>, SyncError> {
    let mut replicas = Vec::new();
    for _ in 0..items(reader, 2)? {
        replicas.push(ReplicaId::new(reader.number()?).with_incarnation(reader.small()?));
    }
    let mut contexts = Vec::with_capacity(count);
    for _ in 0..count {
        let mut context = Context::default();
        for _ in 0..items(reader, 3)? {
            let replica = replicas.get(reader.small()? as usize);
            let replica = replica
                .ok_or_else(|| reader.wrong::<SyncError>("its table has no such replica"))?;
            let first = reader.number()?;
            let last = first.checked_add(reader.number()?);
            let last = last.filter(|last| first > 0 && *last <= COUNT_MAX);
            let last =
                last.ok_or_else(|| reader.wrong::<SyncError>("a count is above its limit"))?;
            context.add(*replica, first, last);
        }
        contexts.push(context);
    }
    Ok(contexts)
}
