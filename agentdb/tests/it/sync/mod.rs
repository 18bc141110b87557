//! Two stores and more that sync.

mod events;
mod frames;
mod left_out;
mod link;
#[cfg(feature = "mqtt")]
mod mqtt;
mod offline;
#[cfg(feature = "tcp")]
mod two_processes;

use agentdb::sync::{Endpoint, Phase, Role, Session, SyncError, SyncOptions, Toward};
use agentdb::{AgentDb, Priority, Timestamp};
use serde_json::{Value, json};

use crate::{at, options};

/// A store that syncs.
pub struct Site {
    pub endpoint: Endpoint,
    pub session: Session,
}

impl Site {
    pub fn new(replica: u64, role: Role, toward: Toward) -> Self {
        Self::with(replica, SyncOptions::new(role), toward, at(0))
    }

    pub fn with(replica: u64, sync: SyncOptions, toward: Toward, now: Timestamp) -> Self {
        let db = AgentDb::in_memory(options(replica)).unwrap();
        let mut endpoint = Endpoint::new(db, sync);
        let session = Session::new(&mut endpoint, toward, now);
        Self { endpoint, session }
    }

    pub fn set(&mut self, id: &str, field: &str, value: impl Into<Value>, now: Timestamp) {
        let mut tx = self.endpoint.db_mut().begin(now).unwrap();
        tx.agent("robot", id).unwrap().set(field, value).unwrap();
        tx.commit().unwrap();
    }

    pub fn add(&mut self, id: &str, by: i64, now: Timestamp) {
        let mut tx = self.endpoint.db_mut().begin(now).unwrap();
        tx.agent("robot", id).unwrap().add("odometer", by).unwrap();
        tx.commit().unwrap();
    }

    pub fn event(&mut self, number: u64, lane: Priority, now: Timestamp) {
        let mut tx = self.endpoint.db_mut().begin(now).unwrap();
        tx.append_event("R1", "step", &json!(number), lane).unwrap();
        tx.commit().unwrap();
    }

    pub fn state(&self, id: &str) -> Value {
        let agent = self.endpoint.db().get(id).unwrap();
        agent.map_or(Value::Null, |agent| agent.state)
    }

    pub fn poll(&mut self, now: Timestamp) -> Option<Vec<u8>> {
        self.session.poll(&mut self.endpoint, now).unwrap()
    }

    pub fn receive(&mut self, frame: &[u8], now: Timestamp) -> Result<(), SyncError> {
        self.session.receive(&mut self.endpoint, frame, now)
    }
}

/// Carries frames until neither says anything more at this moment; returns bytes and round trips.
pub fn exchange(a: &mut Site, b: &mut Site, now: Timestamp) -> (usize, usize) {
    let (mut bytes, mut rounds) = (0, 0);
    loop {
        let mut quiet = true;
        for turn in 0..2 {
            let (from, to) = if turn == 0 {
                (&mut *a, &mut *b)
            } else {
                (&mut *b, &mut *a)
            };
            let mut frames = Vec::new();
            while let Some(frame) = from.poll(now) {
                frames.push(frame);
            }
            for frame in frames {
                quiet = false;
                bytes += frame.len();
                to.receive(&frame, now).unwrap();
            }
        }
        if quiet {
            return (bytes, rounds);
        }
        rounds += 1;
    }
}

/// Both have everything and say so.
pub fn assert_live(a: &Site, b: &Site) {
    assert_eq!(a.session.phase(), Phase::Live);
    assert_eq!(b.session.phase(), Phase::Live);
}
