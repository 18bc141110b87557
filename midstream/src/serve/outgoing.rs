//! Messages on their way to the broker: what is due is sent, from lanes and from disk, and what came of it is
//! written down in order.

use std::time::Duration;

use crate::backpressure::{Level, Link, Packing};
use crate::deploy::BatchOptions;
use crate::error::Result;
use crate::serve::lane::{Target, batch};
use crate::serve::pipeline::Pipeline;
use crate::serve::spilt::Spilt;
use crate::spill::Class;
use crate::time::Timestamp;

/// Messages that may be on their way at once.
pub const IN_FLIGHT_MAX: usize = 256;
/// The level of zstd for batches that go out.
const ZSTD_LEVEL: i32 = 3;
/// Sends within which the share of failures is counted.
const ERRORS_OVER: f64 = 100.0;

/// A message to publish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dispatch {
    /// For [`Pipeline::answered`].
    pub number: u64,
    /// Where to.
    pub topic: String,
    /// A line of JSON, or an array of them; with zstd's magic number in front where it is compressed.
    pub payload: Vec<u8>,
}

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The broker has it, after so long.
    Taken(Duration),
    /// The broker will not have it.
    Refused,
}

/// A message on its way.
#[derive(Debug)]
pub(super) struct Sent {
    number: u64,
    of: Of,
    outcome: Option<Outcome>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    /// So many entries of a lane.
    Lane(usize, usize),
    /// A record from disk.
    Spill(Class, u64),
}

impl Pipeline {
    /// The next message that is due, if there is room on the way.
    pub fn next_message(&mut self, now: Timestamp) -> Option<Dispatch> {
        if self.link == Link::Down || self.sent.len() >= IN_FLIGHT_MAX {
            return None;
        }
        let level = self.ladder.plan();
        let plan = (self.ladder.level() > Level::Normal)
            .then(|| batch(level.batch_events, level.batch_interval));
        for place in 0..self.lanes.len() {
            if let Some(message) = self.message_of(place, plan, level.packing, now) {
                return Some(message);
            }
        }
        self.message_from_disk(now)
    }

    fn message_of(
        &mut self,
        place: usize,
        plan: Option<BatchOptions>,
        packing: Packing,
        now: Timestamp,
    ) -> Option<Dispatch> {
        let lane = &mut self.lanes[place];
        let Target::Topic(topic) = &lane.target else {
            return None;
        };
        let count = lane.due(now, plan);
        if count == 0 {
            return None;
        }
        let entries = lane.waiting.iter().skip(lane.sent).take(count);
        let payload = if lane.is_batched(plan) {
            let lines: Vec<&str> = entries.map(|entry| entry.line.as_str()).collect();
            format!("[{}]", lines.join(",")).into_bytes()
        } else {
            entries.flat_map(|entry| entry.line.bytes()).collect()
        };
        let topic = topic.clone();
        lane.sent += count;
        Some(self.dispatch(topic, pack(payload, packing), Of::Lane(place, count)))
    }

    /// What waited on disk, the oldest first, at the rate of the replay.
    fn message_from_disk(&mut self, now: Timestamp) -> Option<Dispatch> {
        if self.ladder.level() >= Level::Sample {
            return None;
        }
        if self.replay.is_none() {
            let on_its_way = self
                .sent
                .iter()
                .any(|sent| matches!(sent.of, Of::Spill(..)));
            let held = self.spill.stats().values().any(|log| log.held > 0);
            if on_its_way || !self.released.is_empty() || !held {
                return None;
            }
            self.replay = Some(self.spill.replay());
        }
        if self.rate.ready(now) == 0 {
            return None;
        }
        loop {
            let Some(Ok(spilled)) = self.replay.as_mut()?.next() else {
                self.replay = None;
                return None;
            };
            let place = spilled.record.sequence;
            let of = Of::Spill(spilled.class, place);
            let lane = Spilt::read(&spilled.record.bytes).and_then(|spilt| {
                let lane = self.lanes.iter().find(|lane| lane.name == spilt.lane)?;
                Some((lane, spilt.line.to_owned()))
            });
            if let Some((lane, mut line)) = lane
                && let Target::Topic(topic) = &lane.target
            {
                add(&mut line, "\"replay\":true");
                let topic = topic.clone();
                self.rate.sent(1);
                return Some(self.dispatch(topic, line.into_bytes(), of));
            }
            // Its sink is gone from the deployment.
            self.counts.refused += 1;
            self.released.insert(spilled.class, place + 1);
        }
    }

    fn dispatch(&mut self, topic: String, payload: Vec<u8>, of: Of) -> Dispatch {
        let number = self.next_message;
        self.next_message += 1;
        self.sent.push_back(Sent {
            number,
            of,
            outcome: None,
        });
        Dispatch {
            number,
            topic,
            payload,
        }
    }

    /// Says how a message ended.
    ///
    /// # Errors
    /// [`crate::Error::Io`] where it cannot be written down; after a crash the message may go out again.
    pub fn answered(&mut self, number: u64, outcome: Outcome, now: Timestamp) -> Result<()> {
        self.failures *= 1.0 - 1.0 / ERRORS_OVER;
        self.sends = self.sends * (1.0 - 1.0 / ERRORS_OVER) + 1.0;
        match outcome {
            Outcome::Taken(round_trip) => {
                self.round_trip = round_trip;
                self.rate.succeeded(now);
            }
            Outcome::Refused => self.failed(now),
        }
        if let Some(sent) = self.sent.iter_mut().find(|sent| sent.number == number) {
            sent.outcome = Some(outcome);
        }
        // What arrived is written down in order: from the front of each lane and class.
        while let Some(front) = self.sent.front()
            && let Some(outcome) = front.outcome
        {
            let taken = matches!(outcome, Outcome::Taken(_));
            let of = front.of;
            self.sent.pop_front();
            let count = match of {
                Of::Lane(place, count) => {
                    self.lanes[place].settle(count)?;
                    count as u64
                }
                Of::Spill(class, place) => {
                    self.released.insert(class, place + 1);
                    self.counts.replayed_out += u64::from(taken);
                    continue;
                }
            };
            if taken {
                self.counts.delivered += count;
            } else {
                self.counts.refused += count;
            }
        }
        Ok(())
    }

    /// Says that a send failed and goes on.
    pub fn failed(&mut self, now: Timestamp) {
        self.failures += 1.0;
        self.rate.failed(now);
    }
}

/// Adds a member to a line that is a JSON object.
pub(super) fn add(line: &mut String, member: &str) {
    if line.pop() == Some('}') {
        if !line.ends_with('{') {
            line.push(',');
        }
        line.push_str(member);
    }
    line.push('}');
}

fn pack(payload: Vec<u8>, packing: Packing) -> Vec<u8> {
    if packing == Packing::Plain {
        return payload;
    }
    match zstd::bulk::compress(&payload, ZSTD_LEVEL) {
        Ok(packed) if packed.len() < payload.len() => packed,
        _ => payload,
    }
}
