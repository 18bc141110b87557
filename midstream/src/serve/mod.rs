//! A deployment at work with its broker. Feature `mqtt`.
//!
//! [`serve`] reads events over MQTT, and acknowledges them when they are durable; sends what the rules tell, and
//! goes on after a broker that stops or a process that is killed where it was: each event counts once, nothing
//! that was acknowledged is lost. What goes out does so at quality of service 1: a message whose answer was
//! lost comes twice with the same `id`. [`Pipeline`] is the same without broker and clock.

mod lane;
mod metrics;
mod outgoing;
mod pipeline;
mod saved;
mod spilt;

use std::future::Future;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::backpressure::Change;
use crate::deploy::Deployment;
use crate::error::{Error, Result};
use crate::mqtt::{Account, Answer, Inbound, Message, Outbound, Outgoing, UNACKNOWLEDGED_MAX};
use crate::time::Timestamp;

pub use metrics::ServeMetrics;
pub use outgoing::{Dispatch, IN_FLIGHT_MAX, Outcome};
pub use pipeline::Pipeline;

/// How often queues and round trips are looked at.
const OBSERVE_EVERY: Duration = Duration::from_millis(500);
/// After so long without anything to do the loop looks around.
const IDLE: Duration = Duration::from_millis(50);
/// Messages taken in a row before answers are looked at.
const TURN: usize = 512;

#[allow(
    clippy::disallowed_methods,
    reason = "the driver is where the clock is read"
)]
fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[allow(
    clippy::disallowed_methods,
    reason = "the driver is where the clock is read"
)]
fn instant() -> Instant {
    Instant::now()
}

/// What the loop works on.
struct Station {
    pipeline: Pipeline,
    topics: Vec<String>,
    inbound: Inbound,
    outbound: Outbound,
    /// Messages taken and not yet durable: packet and connection.
    taken: Vec<(u16, u64)>,
    /// A message for which the journal had no room.
    refused: Option<Message>,
}

/// Runs a deployment until `stop` comes; `told` hears of changes of level. The counters at the end. Wants a
/// runtime of tokio with I/O and time; one thread is enough.
///
/// # Errors
/// [`Error::Io`], [`Error::Full`] where the deployment's folder cannot be used, and what is wrong with the
/// deployment. A broker that cannot be reached is no error.
pub async fn serve(
    deployment: &Deployment,
    mut told: impl FnMut(&Change),
    stop: impl Future<Output = ()>,
) -> Result<ServeMetrics> {
    let broker = &deployment.broker;
    let account = Account {
        host: broker.host.clone(),
        port: broker.port,
        client_id: broker.client_id.clone(),
        credentials: broker.user.as_ref().map(|user| {
            let password = std::env::var("MIDSTREAM_PASSWORD").unwrap_or_default();
            (user.clone(), password)
        }),
    };
    let pipeline = Pipeline::open(deployment)?;
    let topics = pipeline.topics();
    for topic in &topics {
        crate::mqtt::filter(topic)?;
    }
    let mut station = Station {
        pipeline,
        inbound: Inbound::start(&account, topics.clone()),
        topics,
        outbound: Outbound::start(&account),
        taken: Vec::new(),
        refused: None,
    };
    let limits = deployment.limits;
    let (mut synced, mut saved, mut observed) = (instant(), instant(), instant());
    tokio::pin!(stop);
    loop {
        let wait = if station.taken.is_empty() {
            IDLE
        } else {
            limits.sync_every.duration()
        };
        tokio::select! {
            biased;
            () = &mut stop => break,
            Some(message) = station.inbound.arrivals.recv(), if station.refused.is_none() => {
                station.arrived(message)?;
            }
            Some(answer) = station.outbound.answers.recv() => station.answered(answer)?,
            () = tokio::time::sleep_until(synced + wait) => {}
        }
        let time = instant();
        if time >= synced + limits.sync_every.duration()
            || station.taken.len() >= usize::from(UNACKNOWLEDGED_MAX) / 4
        {
            synced = time;
            station.commit()?;
        }
        if time >= saved + limits.snapshot_every.duration() {
            saved = time;
            station.save()?;
        }
        if time >= observed + OBSERVE_EVERY {
            observed = time;
            if let Some(change) = station.pipeline.observe(now()) {
                told(&change);
            }
        }
        station.send();
    }
    station.save()?;
    Ok(station.pipeline.metrics())
}

impl Station {
    fn arrived(&mut self, first: Message) -> Result<()> {
        self.take(first)?;
        for _ in 0..TURN {
            if self.refused.is_some() {
                return Ok(());
            }
            match self.inbound.arrivals.try_recv() {
                Ok(message) => self.take(message)?,
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    /// Takes a message; one for which there is no room stays, unacknowledged, and nothing else is taken.
    fn take(&mut self, message: Message) -> Result<()> {
        let publish = &message.publish;
        let topic = String::from_utf8_lossy(&publish.topic);
        let source = self
            .topics
            .iter()
            .position(|filter| crate::mqtt::matches(&topic, filter));
        if let Some(source) = source {
            match self.pipeline.take(source, &publish.payload, now()) {
                Ok(()) => {}
                Err(Error::Full { .. }) => {
                    self.refused = Some(message);
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        if publish.pkid != 0 {
            self.taken.push((publish.pkid, message.connection));
        }
        Ok(())
    }

    fn answered(&mut self, first: Answer) -> Result<()> {
        let mut next = Some(first);
        while let Some(answer) = next {
            match answer {
                Answer::Taken(number, round_trip) => {
                    let outcome = Outcome::Taken(round_trip);
                    self.pipeline.answered(number, outcome, now())?;
                }
                Answer::Refused(number) => {
                    self.pipeline.answered(number, Outcome::Refused, now())?;
                }
                Answer::Again => self.pipeline.failed(now()),
                Answer::Link(link) => self.pipeline.set_link(link),
            }
            next = self.outbound.answers.try_recv().ok();
        }
        Ok(())
    }

    /// Makes what was taken durable and acknowledges it. On a full disk nothing is acknowledged, and it is
    /// tried again.
    fn commit(&mut self) -> Result<()> {
        match self.pipeline.commit(now()) {
            Ok(()) => {}
            Err(Error::Full { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
        for (packet, connection) in self.taken.drain(..) {
            self.inbound.acknowledge(packet, connection);
        }
        if self.refused.is_some() {
            self.save()?;
        }
        Ok(())
    }

    fn save(&mut self) -> Result<()> {
        match self.pipeline.save(now()) {
            Ok(()) => {}
            Err(Error::Full { .. }) => return Ok(()),
            Err(error) => return Err(error),
        }
        for (packet, connection) in self.taken.drain(..) {
            self.inbound.acknowledge(packet, connection);
        }
        if let Some(message) = self.refused.take() {
            self.take(message)?;
        }
        Ok(())
    }

    fn send(&mut self) {
        while let Some(message) = self.pipeline.next_message(now()) {
            self.outbound.send(Outgoing {
                number: message.number,
                topic: message.topic,
                payload: message.payload,
            });
        }
    }
}
