//! What two sessions say to one another: the bodies of frames.

use std::collections::{BTreeMap, BTreeSet};

use super::error::SyncError;
use super::frame::FRAME_BYTES_MAX;
use super::ranges::{Entry, are_apart};
use crate::bytes::{Malformed, Reader, put, put_bytes, put_signed};
use crate::causal::{COUNT_MAX, Context, ReplicaId};
use crate::db::{Change, ID_BYTES_MAX};
use crate::document::{Actors, Document};
use crate::event::{EVENT_BYTES_MAX, Origin, Priority, Sequence};
use crate::time::Timestamp;

/// The most documents, wants or events that one frame may name.
const ITEMS_MAX: usize = 1 << 16;

/// Who speaks, and that it hears: the answer repeats the other's number.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Hello {
    /// The number of the speaker's session, new for each.
    pub(super) nonce: u32,
    /// The number of the other's session, once known; else 0.
    pub(super) answer: u32,
    /// The speaker's device.
    pub(super) device: u64,
    /// The life of its file: changes when its counts may begin anew.
    pub(super) life: u64,
    /// Whether the speaker has heard its own number from the other.
    pub(super) met: u8,
    /// What the other is to the speaker on this link.
    pub(super) toward: u8,
    /// Its clock.
    pub(super) now: Timestamp,
    /// The numbers of the dictionaries that it has.
    pub(super) dictionaries: Vec<u32>,
}

/// From where the other goes on.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Resume {
    /// Up to which of the other's local sequences everything is durably here; none when nothing is known.
    pub(super) received: Option<Change>,
    /// Whether any document is here.
    pub(super) holds: u8,
    /// Whether the speaker has heard the other's.
    pub(super) heard: u8,
    /// The first question of a side that knows already that it will ask where documents differ.
    pub(super) question: Option<Ranges>,
}

/// One step of finding differences, or the answer to it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ranges {
    pub(super) number: u32,
    pub(super) entries: Vec<Entry>,
    /// Nothing is left to ask.
    pub(super) last: u8,
}

/// Documents that the speaker has, by the digests of their contents.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Offer {
    pub(super) number: u32,
    pub(super) documents: Vec<(String, u64)>,
}

/// Which of the offered documents differ here, and what each has seen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Want {
    pub(super) number: u32,
    /// Places in the offer.
    pub(super) documents: Vec<(u32, Context)>,
}

/// What is told of one document.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Told {
    pub(super) id: String,
    /// What the other lacks.
    pub(super) delta: Document,
    /// The digest of the speaker's whole document, shortened: whether both are the same afterwards.
    pub(super) digest: u32,
}

/// Deltas, committed whole or not at all.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Changes {
    pub(super) number: u32,
    /// With these, everything up to this local sequence of the speaker was sent.
    pub(super) through: Option<Change>,
    pub(super) documents: Vec<Told>,
}

/// An event on its way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Carried {
    /// Who appended it, and its place there.
    pub(super) origin: Origin,
    pub(super) agent: String,
    pub(super) event_type: String,
    /// JSON.
    pub(super) payload: String,
    pub(super) at: Timestamp,
}

/// A part of a batch of events of one lane.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Events {
    pub(super) number: u32,
    /// Counted from 0.
    pub(super) part: u32,
    /// Whether the batch is complete with it, and to be committed.
    pub(super) last: u8,
    pub(super) lane: Priority,
    pub(super) events: Vec<Carried>,
}

fn put_count(out: &mut Vec<u8>, count: usize) {
    put(out, count as u64);
}

/// A place of changes: 0 for none, else 1 more than its number.
fn put_change(out: &mut Vec<u8>, change: Option<Change>) {
    put(
        out,
        change.map_or(0, |change| change.get().cast_unsigned() + 1),
    );
}

fn read_change(reader: &mut Reader<'_>) -> Result<Option<Change>, SyncError> {
    let number = reader.number()?;
    if number > i64::MAX.cast_unsigned() {
        return Err(reader.wrong("a place of changes has more than 63 bits"));
    }
    Ok(number
        .checked_sub(1)
        .map(|number| Change::new(number.cast_signed())))
}

/// A count of things of which each takes at least so many bytes.
fn items(reader: &mut Reader<'_>, each: usize) -> Result<usize, SyncError> {
    let count = reader.count(each)?;
    if count > ITEMS_MAX {
        return Err(SyncError::Limit {
            what: "number of items of a frame",
            found: count as u64,
            limit: ITEMS_MAX as u64,
        });
    }
    Ok(count)
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

/// A whole body: what is read, and nothing after it.
fn whole<T>(
    body: &[u8],
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, SyncError>,
) -> Result<T, SyncError> {
    let mut reader = Reader::new(body);
    let message = read(&mut reader)?;
    if reader.left() > 0 {
        return Err(reader.wrong("it goes on after its end"));
    }
    Ok(message)
}

impl Hello {
    /// Who speaks.
    pub(super) fn replica(&self) -> ReplicaId {
        let life = u32::try_from(self.life).unwrap_or(u32::MAX);
        ReplicaId::new(self.device).with_incarnation(life)
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&self.nonce.to_le_bytes());
        out.extend_from_slice(&self.answer.to_le_bytes());
        put(&mut out, self.device);
        put(&mut out, self.life);
        out.extend_from_slice(&[self.met, self.toward]);
        put_signed(&mut out, self.now.as_millis());
        put_count(&mut out, self.dictionaries.len());
        for number in &self.dictionaries {
            put(&mut out, u64::from(*number));
        }
        out
    }

    pub(super) fn decode(body: &[u8]) -> Result<Self, SyncError> {
        let mut reader = Reader::new(body);
        let hello = Self {
            nonce: u32::from_le_bytes(reader.array()?),
            answer: u32::from_le_bytes(reader.array()?),
            device: reader.number()?,
            life: reader.number()?,
            met: reader.byte()?,
            toward: reader.byte()?,
            now: Timestamp::from_millis(reader.signed()?),
            dictionaries: {
                let count = items(&mut reader, 1)?;
                let numbers = (0..count).map(|_| reader.small());
                numbers.collect::<Result<_, Malformed>>()?
            },
        };
        // Later releases may say more here: what follows is left unread.
        Ok(hello)
    }
}

impl Resume {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_change(&mut out, self.received);
        out.extend_from_slice(&[self.holds, self.heard]);
        if let Some(question) = &self.question {
            question.put(&mut out);
        }
        out
    }

    pub(super) fn decode(body: &[u8]) -> Result<Self, SyncError> {
        whole(body, |reader| {
            Ok(Self {
                received: read_change(reader)?,
                holds: reader.byte()?,
                heard: reader.byte()?,
                question: match reader.left() {
                    0 => None,
                    _ => Some(Ranges::read(reader)?),
                },
            })
        })
    }
}

impl Ranges {
    fn put(&self, out: &mut Vec<u8>) {
        put(out, u64::from(self.number));
        out.push(self.last);
        put_count(out, self.entries.len());
        for entry in &self.entries {
            entry.encode(out);
        }
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, SyncError> {
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

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.put(&mut out);
        out
    }

    pub(super) fn decode(body: &[u8]) -> Result<Self, SyncError> {
        whole(body, Self::read)
    }
}

impl Offer {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, u64::from(self.number));
        put_count(&mut out, self.documents.len());
        for (id, digest) in &self.documents {
            put_bytes(&mut out, id.as_bytes());
            out.extend_from_slice(&digest.to_le_bytes());
        }
        out
    }

    pub(super) fn decode(body: &[u8]) -> Result<Self, SyncError> {
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

impl Want {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, u64::from(self.number));
        put_count(&mut out, self.documents.len());
        for (place, _) in &self.documents {
            put(&mut out, u64::from(*place));
        }
        put_contexts(&mut out, self.documents.iter().map(|(_, context)| context));
        out
    }

    pub(super) fn decode(body: &[u8]) -> Result<Self, SyncError> {
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

impl Changes {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, u64::from(self.number));
        put_change(&mut out, self.through);
        let actors = Actors::of(self.documents.iter().map(|told| &told.delta));
        let mut table = Vec::new();
        actors.encode(&mut table);
        put_bytes(&mut out, &table);
        put_count(&mut out, self.documents.len());
        for told in &self.documents {
            put_bytes(&mut out, told.id.as_bytes());
            out.extend_from_slice(&told.digest.to_le_bytes());
            let mut bytes = Vec::new();
            told.delta.encode_with(&actors, &mut bytes);
            put_bytes(&mut out, &bytes);
        }
        out
    }

    pub(super) fn decode(body: &[u8]) -> Result<Self, SyncError> {
        whole(body, |reader| {
            let number = reader.small()?;
            let through = read_change(reader)?;
            let (actors, _) = Actors::decode(reader.bytes(FRAME_BYTES_MAX)?)?;
            let count = items(reader, 6)?;
            let mut documents = Vec::with_capacity(count);
            for _ in 0..count {
                documents.push(Told {
                    id: reader.string(ID_BYTES_MAX)?.to_owned(),
                    digest: u32::from_le_bytes(reader.array()?),
                    delta: Document::decode_with(&actors, reader.bytes(FRAME_BYTES_MAX)?)?,
                });
            }
            Ok(Self {
                number,
                through,
                documents,
            })
        })
    }
}

impl Events {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, u64::from(self.number));
        put(&mut out, u64::from(self.part));
        out.extend_from_slice(&[self.last, self.lane as u8]);
        put_count(&mut out, self.events.len());
        // Neighbours share their origin, and times and places are near: distances are shorter.
        let (mut from, mut place, mut at) = (ReplicaId::new(0), 0_i64, 0_i64);
        for event in &self.events {
            let Origin { replica, sequence } = event.origin;
            put(&mut out, u64::from(replica != from));
            if replica != from {
                put(&mut out, replica.get());
                put(&mut out, u64::from(replica.incarnation()));
                (from, place) = (replica, 0);
            }
            put_signed(&mut out, sequence.get().wrapping_sub(place));
            place = sequence.get();
            put_signed(&mut out, event.at.as_millis().wrapping_sub(at));
            at = event.at.as_millis();
            for text in [&event.agent, &event.event_type, &event.payload] {
                put_bytes(&mut out, text.as_bytes());
            }
        }
        out
    }

    pub(super) fn decode(body: &[u8]) -> Result<Self, SyncError> {
        whole(body, |reader| {
            let number = reader.small()?;
            let part = reader.small()?;
            let last = reader.byte()?;
            let lane = reader.byte()?;
            let lane = [
                Priority::Telemetry,
                Priority::Normal,
                Priority::SafetyCritical,
            ]
            .into_iter()
            .find(|known| *known as u8 == lane)
            .ok_or_else(|| reader.wrong::<SyncError>("there is no such lane"))?;
            let count = items(reader, 7)?;
            let mut events = Vec::with_capacity(count);
            let (mut from, mut place, mut at) = (ReplicaId::new(0), 0_i64, 0_i64);
            for _ in 0..count {
                match reader.number()? {
                    0 => {}
                    1 => {
                        from = ReplicaId::new(reader.number()?);
                        from = from.with_incarnation(reader.small()?);
                        place = 0;
                    }
                    _ => return Err(reader.wrong("there is no such origin")),
                }
                place = place.wrapping_add(reader.signed()?);
                if place < 1 {
                    return Err(reader.wrong("places of events are counted from 1"));
                }
                at = at.wrapping_add(reader.signed()?);
                events.push(Carried {
                    origin: Origin {
                        replica: from,
                        sequence: Sequence::new(place),
                    },
                    at: Timestamp::from_millis(at),
                    agent: reader.string(ID_BYTES_MAX)?.to_owned(),
                    event_type: reader.string(ID_BYTES_MAX)?.to_owned(),
                    payload: reader.string(EVENT_BYTES_MAX)?.to_owned(),
                });
            }
            Ok(Self {
                number,
                part,
                last,
                lane,
                events,
            })
        })
    }
}

/// The body of an answer that repeats the number of what it answers, and a word of it.
pub(super) fn encode_pair(number: u32, word: u64) -> Vec<u8> {
    let mut out = Vec::new();
    put(&mut out, u64::from(number));
    put(&mut out, word);
    out
}

pub(super) fn decode_pair(body: &[u8]) -> Result<(u32, u64), SyncError> {
    whole(body, |reader| Ok((reader.small()?, reader.number()?)))
}
