//! Alerts from disk to a person: printed once, handed to the broker oldest first, and marked when taken.
//!
//! The outbox is the event log of the state store. An alert is in it from the transaction that raised it
//! until the broker has taken it, so that a crash or a cut link at any moment loses none.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::latency::{Latencies, Stage};
use crate::mqtt::{Delivery, Link, Outgoing, Publisher};
use crate::state::{State, StateError};
use crate::workflow::Alert;

/// How many alerts are read from disk at a time.
const BATCH: usize = 64;

/// What became of the alerts of this run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxStats {
    /// The broker has them.
    pub delivered: u64,
    /// The broker refused them; they are marked so and not tried again.
    pub refused: u64,
    /// Bytes of those delivered.
    pub bytes: u64,
}

/// Empties the outbox into a publisher.
pub struct Outbox {
    farm: String,
    publisher: Publisher,
    /// The last alert that was shown.
    shown: u64,
    /// The last alert that was handed to the publisher.
    offered: u64,
    in_flight: BTreeMap<u64, (Instant, u64)>,
    link: Link,
    stats: OutboxStats,
}

impl Outbox {
    /// An outbox for the farm of this name; alerts up to `shown` were shown by an earlier run.
    pub fn new(farm: &str, publisher: Publisher, shown: u64) -> Self {
        Self {
            farm: farm.to_owned(),
            publisher,
            shown,
            offered: 0,
            in_flight: BTreeMap::new(),
            link: Link::Down("not connected yet".into()),
            stats: OutboxStats::default(),
        }
    }

    /// Whether the broker can be reached.
    pub fn online(&self) -> bool {
        self.link == Link::Up
    }

    /// What became of the alerts of this run.
    pub fn stats(&self) -> OutboxStats {
        self.stats
    }

    /// Alerts that were raised since the last call.
    ///
    /// # Errors
    /// What the store says.
    pub fn show(&mut self, state: &State) -> Result<Vec<Alert>, StateError> {
        let mut alerts = Vec::new();
        loop {
            let batch = state.alerts_after(self.shown, BATCH)?;
            let Some(last) = batch.last() else {
                return Ok(alerts);
            };
            self.shown = last.sequence;
            alerts.extend(batch.into_iter().map(|entry| entry.alert));
        }
    }

    /// Hands what waits to the publisher, and marks what the broker has taken; never waits for the broker.
    ///
    /// # Errors
    /// What the store says.
    pub fn pump(&mut self, state: &State, latencies: &mut Latencies) -> Result<(), StateError> {
        let deliveries: Vec<_> = self.publisher.deliveries().collect();
        for delivery in deliveries {
            self.settle(delivery, state, latencies)?;
        }
        loop {
            let batch = state.waiting_after(self.offered, BATCH)?;
            if batch.is_empty() {
                return Ok(());
            }
            for entry in batch {
                let payload = serde_json::to_vec(&entry.alert).unwrap_or_default();
                let bytes = payload.len() as u64;
                let topic = format!(
                    "{}/alerts/{}/{}",
                    self.farm,
                    entry.alert.kind.as_str(),
                    entry.alert.message.as_str()
                );
                let message = Outgoing {
                    sequence: entry.sequence,
                    topic,
                    payload,
                };
                if self.publisher.push(message).is_err() {
                    return Ok(());
                }
                self.offered = entry.sequence;
                self.in_flight
                    .insert(entry.sequence, (Instant::now(), bytes));
            }
        }
    }

    /// Pumps until nothing waits or the time is over; returns how many alerts still wait.
    ///
    /// # Errors
    /// What the store says.
    pub fn drain(
        &mut self,
        state: &State,
        latencies: &mut Latencies,
        limit: Duration,
    ) -> Result<u64, StateError> {
        let end = Instant::now() + limit;
        loop {
            self.pump(state, latencies)?;
            let waiting = state.waiting()?;
            let left = end.saturating_duration_since(Instant::now());
            if waiting == 0 || left.is_zero() {
                return Ok(waiting);
            }
            if let Some(delivery) = self.publisher.wait(left.min(Duration::from_millis(100))) {
                self.settle(delivery, state, latencies)?;
            }
        }
    }

    fn settle(
        &mut self,
        delivery: Delivery,
        state: &State,
        latencies: &mut Latencies,
    ) -> Result<(), StateError> {
        match delivery {
            Delivery::Taken { sequence } => {
                state.mark_delivered(sequence)?;
                self.stats.delivered += 1;
                if let Some((since, bytes)) = self.in_flight.remove(&sequence) {
                    self.stats.bytes += bytes;
                    latencies.record(Stage::Publish, since.elapsed());
                }
            }
            Delivery::Refused { sequence, cause } => {
                state.mark_refused(sequence, &cause)?;
                self.stats.refused += 1;
                self.in_flight.remove(&sequence);
            }
            Delivery::Link(link) => self.link = link,
        }
        Ok(())
    }
}
