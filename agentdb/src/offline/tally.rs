//! What became of the events of each lane.

use serde::{Deserialize, Serialize};

use crate::event::Priority;
use crate::time::Timestamp;

/// What became of the events of a lane: `appended = held + sent + dropped`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// Appended here, those taken from children included.
    pub appended: u64,
    /// Still waiting.
    pub held: u64,
    /// Bytes of the payloads that wait.
    pub held_bytes: u64,
    /// Taken by the receiver, or refused by it for good.
    pub sent: u64,
    /// Given up by the policy.
    pub dropped: u64,
}

/// The lanes of a store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    lanes: [Lane; 3],
    /// When the age of what waits was looked at.
    pub(crate) looked_at: Timestamp,
}

impl Tally {
    /// Of one lane.
    pub fn lane(&self, lane: Priority) -> &Lane {
        &self.lanes[lane as usize]
    }

    /// Goes on from a log that was not counted.
    pub(crate) fn begin(&mut self, lane: Priority, held: u64, held_bytes: u64) {
        *self.lane_mut(lane) = Lane {
            appended: held,
            held,
            held_bytes,
            ..Lane::default()
        };
    }

    pub(crate) fn lane_mut(&mut self, lane: Priority) -> &mut Lane {
        &mut self.lanes[lane as usize]
    }
}

impl Lane {
    pub(crate) fn append(&mut self, bytes: u64) {
        self.appended += 1;
        self.hold(bytes);
    }

    pub(crate) fn send(&mut self, bytes: u64) {
        self.release(bytes);
        self.sent += 1;
    }

    pub(crate) fn drop_one(&mut self, bytes: u64) {
        self.release(bytes);
        self.dropped += 1;
    }

    /// Takes [`send`](Self::send) back: the event waits again.
    pub(crate) fn unsend(&mut self, bytes: u64) {
        self.sent = self.sent.saturating_sub(1);
        self.hold(bytes);
    }

    /// Takes [`drop_one`](Self::drop_one) back.
    pub(crate) fn undrop(&mut self, bytes: u64) {
        self.dropped = self.dropped.saturating_sub(1);
        self.hold(bytes);
    }

    fn hold(&mut self, bytes: u64) {
        self.held += 1;
        self.held_bytes += bytes;
    }

    fn release(&mut self, bytes: u64) {
        self.held = self.held.saturating_sub(1);
        self.held_bytes = self.held_bytes.saturating_sub(bytes);
    }
}
