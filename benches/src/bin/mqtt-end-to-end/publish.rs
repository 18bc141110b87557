//! A publisher: events at a constant rate, each kept until the broker has it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use rumqttc::{
    AsyncClient, EventLoop, MqttOptions, PublishNotice, PublishOptions, QoS, SessionMode,
};

use crate::{MACHINES, PAIR_EVERY};

/// Messages that wait for the broker's answer.
const UNANSWERED_MAX: usize = 4_000;
const RETRY: Duration = Duration::from_millis(50);

#[derive(Args)]
pub struct Options {
    #[arg(long)]
    port: u16,
    #[arg(long)]
    number: u64,
    #[arg(long)]
    events: u64,
    #[arg(long)]
    rate: u64,
    /// Only the event behind the last, which closes all windows.
    #[arg(long)]
    close: bool,
}

/// The time of the first event: that of the run does not matter, so that windows are the same in each.
pub const BEGIN_MS: u64 = 1_700_000_000_000;

/// The time of an event.
pub fn at(event: u64, rate: u64) -> u64 {
    BEGIN_MS + event * 1000 / rate
}

/// The machine of an event.
pub fn machine(publisher: u64, event: u64) -> u64 {
    publisher * MACHINES + event % MACHINES
}

/// The temperature: a hot and a hotter one begin each run of [`PAIR_EVERY`] events of a machine.
fn temperature(event: u64) -> u64 {
    match event / MACHINES % PAIR_EVERY {
        0 => 92,
        1 => 97,
        other => 20 + other % 50,
    }
}

fn payload(publisher: u64, event: u64, rate: u64) -> String {
    format!(
        "{{\"id\":\"{publisher}-{event}\",\"at\":{},\"machine\":\"m-{}\",\"temp\":{},\"load\":1}}",
        at(event, rate),
        machine(publisher, event),
        temperature(event),
    )
}

struct InFlight {
    payload: String,
    notice: PublishNotice,
}

pub fn run(options: &Options) -> Result<()> {
    let mut mqtt = MqttOptions::new(
        format!("publisher-{}", options.number),
        ("127.0.0.1", options.port),
    );
    mqtt.set_session_mode(SessionMode::Persistent)
        .set_session_expiry_interval(Some(600))
        .set_max_request_batch(128)
        .set_read_batch_size(128)
        .set_outgoing_inflight_upper_limit(UNANSWERED_MAX as u16);
    let (client, events) = AsyncClient::builder(mqtt).capacity(256).build();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        tokio::select! {
            sent = send(&client, options) => sent,
            () = poll(events) => Ok(()),
        }
    })
}

async fn poll(mut events: EventLoop) {
    loop {
        if events.poll().await.is_err() {
            tokio::time::sleep(RETRY).await;
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a publisher keeps to a rate")]
async fn send(client: &AsyncClient, options: &Options) -> Result<()> {
    let topic = format!("in/{}", options.number);
    let begin = Instant::now();
    let mut in_flight: VecDeque<InFlight> = VecDeque::new();
    let last = options.events + options.rate * 10;
    let all = if options.close {
        last..last + 1
    } else {
        0..options.events
    };
    for event in all {
        let due = Duration::from_secs_f64(event as f64 / options.rate as f64);
        if event % 64 == 0 && !options.close {
            let early = due.saturating_sub(begin.elapsed());
            if early > Duration::from_millis(2) {
                tokio::time::sleep(early).await;
            }
        }
        while in_flight.len() >= UNANSWERED_MAX {
            if let Some(oldest) = in_flight.pop_front() {
                finish(client, &topic, oldest).await?;
            }
        }
        in_flight.push_back(
            publish(client, &topic, payload(options.number, event, options.rate)).await?,
        );
    }
    while let Some(oldest) = in_flight.pop_front() {
        finish(client, &topic, oldest).await?;
    }
    Ok(())
}

async fn publish(client: &AsyncClient, topic: &str, payload: String) -> Result<InFlight> {
    let options = PublishOptions::new(QoS::AtLeastOnce);
    let notice = client
        .publish_tracked(topic.to_owned(), payload.clone(), options)
        .await?;
    Ok(InFlight { payload, notice })
}

async fn finish(client: &AsyncClient, topic: &str, mut message: InFlight) -> Result<()> {
    loop {
        if message.notice.wait_completion_async().await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(RETRY).await;
        message = publish(client, topic, message.payload).await?;
    }
}
