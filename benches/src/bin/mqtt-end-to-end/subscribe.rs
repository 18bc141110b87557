//! The subscriber: counts what comes out against what must.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use rumqttc::{
    AsyncClient, BrokerSessionResumePolicy, Event, Incoming, MqttOptions, QoS, SessionMode,
};
use serde_json::{Value, json};

use crate::publish::{at, machine};
use crate::{MACHINES, PAIR_EVERY};

/// What comes twice comes within this time.
pub const QUIET: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(60);

#[derive(Args)]
pub struct Options {
    #[arg(long)]
    port: u16,
    #[arg(long)]
    publishers: u64,
    #[arg(long)]
    events: u64,
    #[arg(long)]
    rate: u64,
    #[arg(long)]
    result: PathBuf,
}

/// Events of each machine and second.
fn wanted(options: &Options) -> BTreeMap<(String, i64), u64> {
    let mut counts = BTreeMap::new();
    for publisher in 0..options.publishers {
        for event in 0..options.events {
            let key = format!("m-{}", machine(publisher, event));
            let end = (at(event, options.rate) / 1000 + 1) * 1000;
            *counts.entry((key, end as i64)).or_default() += 1;
        }
    }
    counts
}

/// Pairs that the pattern finds.
fn pairs(options: &Options) -> u64 {
    let of_a_machine = options.events / MACHINES;
    // The second of a pair is the second of its run.
    let whole = of_a_machine / PAIR_EVERY;
    let last = u64::from(of_a_machine % PAIR_EVERY >= 2);
    (whole + last) * MACHINES * options.publishers
}

#[derive(Default)]
struct Found {
    /// The count of each window, by its id.
    windows: BTreeMap<String, ((String, i64), u64)>,
    alerts: BTreeSet<String>,
    /// Messages that came again, the same.
    again: u64,
    /// Messages that came again with other contents.
    contradictions: u64,
    dead: u64,
}

impl Found {
    fn take(&mut self, topic: &[u8], payload: &[u8]) -> Result<()> {
        let bytes = if payload.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
            zstd::decode_all(payload)?
        } else {
            payload.to_vec()
        };
        let lines = match serde_json::from_slice(&bytes)? {
            Value::Array(lines) => lines,
            line => vec![line],
        };
        for line in lines {
            let id = line["id"].as_str().unwrap_or_default().to_owned();
            match topic {
                b"out/windows" => {
                    let key = line["key"].as_str().unwrap_or_default().to_owned();
                    let end = line["last"].as_i64().unwrap_or_default();
                    let count = line["found"]["window"]["count"]
                        .as_u64()
                        .unwrap_or_default();
                    let window = ((key, end), count);
                    match self.windows.insert(id, window.clone()) {
                        None => {}
                        Some(before) if before == window => self.again += 1,
                        Some(_) => self.contradictions += 1,
                    }
                }
                b"out/alerts" => self.again += u64::from(!self.alerts.insert(id)),
                _ => self.dead += 1,
            }
        }
        Ok(())
    }
}

pub fn run(options: &Options) -> Result<()> {
    let wanted = wanted(options);
    let pairs = pairs(options);
    let mut mqtt = MqttOptions::new("subscriber", ("127.0.0.1", options.port));
    mqtt.set_session_mode(SessionMode::Persistent)
        .set_session_expiry_interval(Some(600))
        .set_broker_session_resume_policy(BrokerSessionResumePolicy::AllowBrokerOnly);
    let (client, mut events) = AsyncClient::builder(mqtt).capacity(64).build();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let found = runtime.block_on(async {
        client.subscribe("out/#", QoS::AtLeastOnce).await?;
        let mut found = Found::default();
        loop {
            let complete =
                found.windows.len() >= wanted.len() && found.alerts.len() as u64 >= pairs;
            // What comes twice comes soon.
            let wait = if complete { QUIET } else { PATIENCE };
            match tokio::time::timeout(wait, events.poll()).await {
                Err(_) => return Ok::<_, anyhow::Error>(found),
                Ok(Ok(Event::Incoming(Incoming::Publish(message)))) => {
                    found.take(&message.topic, &message.payload)?;
                }
                Ok(Ok(_)) => {}
                Ok(Err(_)) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    })?;
    let mut got: BTreeMap<(String, i64), u64> = BTreeMap::new();
    for (key, count) in found.windows.into_values() {
        *got.entry(key).or_default() += count;
    }
    let (mut lost, mut duplicated) = (0, 0);
    for (key, wanted) in &wanted {
        let found = got.remove(key).unwrap_or(0);
        lost += wanted.saturating_sub(found);
        duplicated += found.saturating_sub(*wanted);
    }
    // The event behind the last may close a window of its own.
    let strange: u64 = got.values().filter(|count| **count > 1).sum();
    let result = json!({
        "lost": lost,
        "duplicated": duplicated + strange,
        "windows": wanted.len(),
        "alerts_wanted": pairs,
        "alerts_found": found.alerts.len(),
        "messages_again_with_the_same_id": found.again,
        "contradictions": found.contradictions,
        "dead_letters": found.dead,
    });
    std::fs::write(&options.result, result.to_string())?;
    Ok(())
}
