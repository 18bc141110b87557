//! Batches of events.

use super::{items, put_count, whole};
use crate::bytes::{put, put_bytes, put_signed};
use crate::causal::ReplicaId;
use crate::db::ID_BYTES_MAX;
use crate::event::{EVENT_BYTES_MAX, Origin, Priority, Sequence};
use crate::sync::error::SyncError;
use crate::time::Timestamp;

/// An event on its way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Carried {
    /// Who appended it, and its place there.
    pub(crate) origin: Origin,
    pub(crate) agent: String,
    pub(crate) event_type: String,
    /// JSON.
    pub(crate) payload: String,
    pub(crate) at: Timestamp,
}

/// A part of a batch of events of one lane.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Events {
    pub(crate) number: u32,
    /// Counted from 0.
    pub(crate) part: u32,
    /// Whether the batch is complete with it, and to be committed.
    pub(crate) last: u8,
    pub(crate) lane: Priority,
    pub(crate) events: Vec<Carried>,
}

impl Events {
    pub(crate) fn encode(&self) -> Vec<u8> {
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

    pub(crate) fn decode(body: &[u8]) -> Result<Self, SyncError> {
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
