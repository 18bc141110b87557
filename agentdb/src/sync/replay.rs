//! The sending of events to the parent: oldest first, the safety-critical lane before the others, no faster
//! than the token bucket allows, in batches that the parent commits whole or not at all.

use std::collections::VecDeque;

use super::bucket::Bucket;
use super::endpoint::Endpoint;
use super::error::SyncError;
use super::flight::{Flight, Message};
use super::frame::Kind;
use super::message::{Carried, Events};
use crate::event::{Priority, Sequence, SyncStatus};
use crate::time::Timestamp;

/// A part is closed when its events reach this size.
const PART_BYTES_USUAL: usize = 256 << 10;

const LANES: [Priority; 3] = [
    Priority::SafetyCritical,
    Priority::Normal,
    Priority::Telemetry,
];

struct Batch {
    number: u32,
    part: u32,
    lane: Priority,
    rest: VecDeque<(Sequence, Carried)>,
    /// What is in the parts that were sent.
    sent: Vec<Sequence>,
    /// The part on its way, and whether it is the last.
    flight: Option<(Flight, bool)>,
}

pub(super) struct Replay {
    batch: Option<Batch>,
    number: u32,
    bucket: Bucket,
    /// When the oldest event that is not urgent was noticed.
    noticed: Option<Timestamp>,
    pub(super) events_sent: u64,
}

impl Replay {
    pub(super) fn new(events_per_second: u32) -> Self {
        Self {
            batch: None,
            number: 0,
            bucket: Bucket::new(events_per_second),
            noticed: None,
            events_sent: 0,
        }
    }

    /// Whether the parent has everything.
    pub(super) fn is_idle(&self, endpoint: &Endpoint) -> Result<bool, SyncError> {
        Ok(self.batch.is_none() && endpoint.db().waiting()? == 0)
    }

    pub(super) fn poll(
        &mut self,
        endpoint: &mut Endpoint,
        now: Timestamp,
        window: std::time::Duration,
    ) -> Result<Option<Message>, SyncError> {
        if self.batch.is_none() {
            self.begin(endpoint, now, window)?;
        }
        let Some(batch) = &mut self.batch else {
            return Ok(None);
        };
        if batch.flight.is_none() {
            let tokens = self.bucket.tokens(now);
            if tokens == 0 {
                return Ok(None);
            }
            // What is urgent does not wait for the rest of a batch that is not.
            let urgent = batch.lane != Priority::SafetyCritical
                && !endpoint.waiting_in(Priority::SafetyCritical, 1)?.is_empty();
            let mut events = Vec::new();
            let mut size = 0;
            while events.len() < tokens
                && size < PART_BYTES_USUAL
                && let Some((sequence, event)) = batch.rest.pop_front()
            {
                size += event.payload.len() + event.agent.len() + event.event_type.len() + 16;
                batch.sent.push(sequence);
                events.push(event);
            }
            self.bucket.take(events.len());
            self.events_sent += events.len() as u64;
            let last = urgent || batch.rest.is_empty();
            let part = Events {
                number: batch.number,
                part: batch.part,
                last: u8::from(last),
                lane: batch.lane,
                events,
            };
            batch.flight = Some((Flight::new(Kind::Events, part.encode()), last));
        }
        let retry = endpoint.options().pace.retry;
        let flight = batch.flight.as_mut();
        Ok(flight.and_then(|(flight, _)| flight.due(now, retry)))
    }

    fn begin(
        &mut self,
        endpoint: &mut Endpoint,
        now: Timestamp,
        window: std::time::Duration,
    ) -> Result<(), SyncError> {
        let limit = endpoint.options().pace.events_a_batch;
        for lane in LANES {
            let events = endpoint.waiting_in(lane, limit)?;
            if events.is_empty() {
                continue;
            }
            if lane != Priority::SafetyCritical {
                let noticed = *self.noticed.get_or_insert(now);
                if now.since(noticed) < window {
                    return Ok(());
                }
                self.noticed = None;
            }
            // A place in the log may be given again after a power cut, so only a durable one is sent.
            endpoint.settle()?;
            self.number = self.number.wrapping_add(1);
            self.batch = Some(Batch {
                number: self.number,
                part: 0,
                lane,
                rest: endpoint.carry(events)?.into(),
                sent: Vec::new(),
                flight: None,
            });
            return Ok(());
        }
        Ok(())
    }

    /// The parent has the part; with the last one it has committed the batch, durably.
    pub(super) fn acknowledged(
        &mut self,
        endpoint: &mut Endpoint,
        number: u32,
        part: u64,
        now: Timestamp,
    ) -> Result<(), SyncError> {
        let Some(batch) = &mut self.batch else {
            return Ok(());
        };
        if batch.number != number || u64::from(batch.part) != part {
            return Ok(());
        }
        match batch.flight.take() {
            Some((_, true)) => {
                let batch = self.batch.take();
                let sent = batch.map(|batch| batch.sent).unwrap_or_default();
                endpoint.mark(&sent, SyncStatus::Delivered, now)
            }
            Some((_, false)) => {
                batch.part += 1;
                Ok(())
            }
            None => Ok(()),
        }
    }
}
