//! Keeping a store's backlog within its policy, in the transaction that would exceed it.

use std::collections::BTreeMap;

use super::dropped::{DROPPED, Dropped, Why};
use super::policy::{Policy, thin};
use super::tally::Tally;
use crate::db::AgentDb;
use crate::error::{Error, Result};
use crate::event::{Priority, Sequence, StoredEvent, SyncStatus};
use crate::storage::{Batch, EventFilter, Rows};
use crate::time::Timestamp;

const NAMESPACE: &str = "agentdb.offline";
const TALLY: &str = "tally";
/// How many of the oldest events are looked at for one thinning.
const LOOKED_AT_MAX: usize = 10_000;
/// How many thinnings one transaction may need: each frees what is too much, or all that it looked at.
const THINNINGS_MAX: usize = 64;
/// How often the age of what waits is looked at.
const AGE_EVERY_MILLIS: i64 = 60_000;

impl AgentDb {
    /// What became of the events of each lane, since the first one.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Damaged`].
    pub fn tally(&self) -> Result<Tally> {
        match self.get_record(NAMESPACE, TALLY)? {
            Some(bytes) => parse(&bytes),
            None => {
                let mut tally = Tally::default();
                for lane in Priority::ALL {
                    let backlog = self.backlog(lane)?;
                    tally.begin(lane, backlog.count, backlog.bytes);
                }
                Ok(tally)
            }
        }
    }
}

fn parse(bytes: &[u8]) -> Result<Tally> {
    serde_json::from_slice(bytes).map_err(|cause| Error::Damaged {
        agent: format!("{NAMESPACE}/{TALLY}"),
        cause: cause.to_string(),
    })
}

fn bytes_of(event: &StoredEvent) -> u64 {
    event.payload.to_string().len() as u64
}

/// A transaction's events and marks, before they are applied.
pub(crate) struct Account<'a> {
    pub(crate) rows: &'a dyn Rows,
    pub(crate) batch: &'a mut Batch,
    pub(crate) policy: &'a Policy,
    /// The last place that was given to an event.
    pub(crate) last_event: &'a mut i64,
    pub(crate) now: Timestamp,
}

impl Account<'_> {
    /// Counts what the batch appends and marks, and drops what is too much by then.
    pub(crate) fn settle(mut self) -> Result<()> {
        if self.batch.events.is_empty() && self.batch.marks.is_empty() {
            return Ok(());
        }
        let mut tally = match self.rows.record(NAMESPACE, TALLY)? {
            Some(bytes) => parse(&bytes)?,
            None => {
                let mut tally = Tally::default();
                for lane in Priority::ALL {
                    let backlog = self.rows.backlog(lane)?;
                    tally.begin(lane, backlog.count, backlog.bytes);
                }
                tally
            }
        };
        for event in &self.batch.events {
            tally.lane_mut(event.priority).append(bytes_of(event));
        }
        let mut status = self.marks(&mut tally)?;
        self.expire(&mut tally, &mut status)?;
        for _ in 0..THINNINGS_MAX {
            let Some((lane, events, bytes)) = self.policy.excess(&tally) else {
                break;
            };
            let waiting = self.waiting(lane, &status)?;
            let sizes: Vec<u64> = waiting.iter().map(bytes_of).collect();
            let going = thin(&sizes, events, bytes);
            let going = going.into_iter().map(|place| waiting[place].clone());
            if !self.drop(going.collect(), Why::Overflow, &mut tally, &mut status) {
                break;
            }
        }
        let bytes = serde_json::to_vec(&tally).map_err(|cause| Error::Store(Box::new(cause)))?;
        let key = (NAMESPACE.to_owned(), TALLY.to_owned());
        self.batch.records.insert(key, Some(bytes));
        Ok(())
    }

    fn event(&self, sequence: Sequence) -> Result<Option<StoredEvent>> {
        let appended = self.batch.events.iter().find(|event| event.sequence == sequence);
        if appended.is_some() {
            return Ok(appended.cloned());
        }
        let after = Sequence::new(sequence.get().saturating_sub(1));
        let found = self.rows.events(&EventFilter::default(), after, 1)?.pop();
        Ok(found.filter(|event| event.sequence == sequence))
    }

    /// Counts the events that are marked; returns the status of each.
    fn marks(&self, tally: &mut Tally) -> Result<BTreeMap<Sequence, SyncStatus>> {
        let mut status = BTreeMap::new();
        for mark in &self.batch.marks {
            let before = match status.get(&mark.sequence) {
                Some(status) => *status,
                None => match self.rows.mark(mark.sequence)? {
                    Some(row) => row.status,
                    None => SyncStatus::Waiting,
                },
            };
            status.insert(mark.sequence, mark.status);
            let (was, is) = (before == SyncStatus::Waiting, mark.status == SyncStatus::Waiting);
            if was == is {
                continue;
            }
            let Some(event) = self.event(mark.sequence)? else {
                continue;
            };
            let lane = tally.lane_mut(event.priority);
            match (before, mark.status) {
                (_, SyncStatus::Dropped) => lane.drop_one(bytes_of(&event)),
                (SyncStatus::Waiting, _) => lane.send(bytes_of(&event)),
                (SyncStatus::Dropped, _) => lane.undrop(bytes_of(&event)),
                _ => lane.unsend(bytes_of(&event)),
            }
        }
        Ok(status)
    }

    /// The oldest events of a lane that wait and may be dropped.
    fn waiting(
        &self,
        lane: Priority,
        status: &BTreeMap<Sequence, SyncStatus>,
    ) -> Result<Vec<StoredEvent>> {
        let filter = EventFilter {
            priority: Some(lane),
            status: Some(SyncStatus::Waiting),
            ..EventFilter::default()
        };
        let mut waiting = self.rows.events(&filter, Sequence::new(0), LOOKED_AT_MAX)?;
        let appended = self.batch.events.iter();
        waiting.extend(appended.filter(|event| event.priority == lane).cloned());
        waiting.retain(|event| {
            let waits = status.get(&event.sequence).is_none_or(|status| *status == SyncStatus::Waiting);
            // What tells of a loss is not lost itself.
            waits && event.event_type != DROPPED
        });
        Ok(waiting)
    }

    /// Drops what is older than the policy allows, but nothing safety-critical.
    fn expire(
        &mut self,
        tally: &mut Tally,
        status: &mut BTreeMap<Sequence, SyncStatus>,
    ) -> Result<()> {
        let since = self.now.as_millis().saturating_sub(tally.looked_at.as_millis());
        if (0..AGE_EVERY_MILLIS).contains(&since) {
            return Ok(());
        }
        tally.looked_at = self.now;
        for lane in [Priority::Telemetry, Priority::Normal] {
            let mut old = self.waiting(lane, status)?;
            old.retain(|event| self.now.since(event.at) > self.policy.age_max);
            self.drop(old, Why::Expired, tally, status);
        }
        Ok(())
    }

    /// Drops events and appends the record that tells of it; false when there are none.
    fn drop(
        &mut self,
        events: Vec<StoredEvent>,
        why: Why,
        tally: &mut Tally,
        status: &mut BTreeMap<Sequence, SyncStatus>,
    ) -> bool {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            return false;
        };
        let record = Dropped {
            lane: first.priority,
            count: events.len() as u64,
            first: first.sequence,
            last: last.sequence,
            from: first.at,
            to: last.at,
            why,
        };
        for event in &events {
            tally.lane_mut(event.priority).drop_one(bytes_of(event));
            status.insert(event.sequence, SyncStatus::Dropped);
            self.batch.expired.push(event.sequence);
        }
        *self.last_event += 1;
        let told = StoredEvent {
            sequence: Sequence::new(*self.last_event),
            agent: String::new(),
            event_type: DROPPED.to_owned(),
            payload: record.to_json(),
            priority: Priority::SafetyCritical,
            at: self.now,
            origin: None,
        };
        tally.lane_mut(told.priority).append(bytes_of(&told));
        self.batch.events.push(told);
        true
    }
}
