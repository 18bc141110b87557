//! Batches to the broker, at quality of service 1, oldest first.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rumqttc::{
    AsyncClient, Event, EventLoop, MqttOptions, PublishNotice, PublishOptions, QoS, SessionMode,
};
use tokio::sync::Notify;

use crate::Failure;
use crate::options::{Options, WhenFull};

/// Messages that wait for the broker's answer.
const IN_FLIGHT_MAX: usize = 64;
const RETRY: Duration = Duration::from_millis(500);
const KEEP_ALIVE_SECONDS: u16 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Batch,
    Alarm,
}

/// What waits for the broker.
pub struct Queue {
    state: Mutex<State>,
    room: Condvar,
    filled: Notify,
    capacity: usize,
    when_full: WhenFull,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<(Kind, Vec<u8>)>,
    closed: bool,
    dropped: u64,
}

impl Queue {
    pub fn new(capacity: usize, when_full: WhenFull) -> Self {
        Self {
            state: Mutex::default(),
            room: Condvar::new(),
            filled: Notify::new(),
            capacity,
            when_full,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn push(&self, kind: Kind, bytes: Vec<u8>) {
        let mut state = self.state();
        while state.waiting.len() >= self.capacity && !state.closed {
            if self.when_full == WhenFull::Drop {
                state.waiting.pop_front();
                state.dropped += 1;
                continue;
            }
            state = self
                .room
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.waiting.push_back((kind, bytes));
        drop(state);
        self.filled.notify_one();
    }

    /// Says that nothing more will come.
    pub fn close(&self) {
        self.state().closed = true;
        self.filled.notify_one();
    }

    pub fn dropped(&self) -> u64 {
        self.state().dropped
    }

    /// The oldest; none when nothing more will come.
    async fn pop(&self) -> Option<(Kind, Vec<u8>)> {
        loop {
            {
                let mut state = self.state();
                if let Some(next) = state.waiting.pop_front() {
                    self.room.notify_one();
                    return Some(next);
                }
                if state.closed {
                    return None;
                }
            }
            self.filled.notified().await;
        }
    }
}

/// Publishes until the queue is closed and the broker has everything; how many messages it has.
pub async fn publish_all(options: &Options, queue: &Queue) -> Result<u64, Failure> {
    let mut mqtt = MqttOptions::new(&options.client_id, (options.host.clone(), options.port));
    mqtt.set_keep_alive(KEEP_ALIVE_SECONDS)
        .set_session_mode(SessionMode::Clean);
    let (client, events) = AsyncClient::builder(mqtt).capacity(IN_FLIGHT_MAX).build();
    tokio::select! {
        () = poll(events) => Err("the connection has ended".into()),
        published = send_all(options, queue, &client) => published,
    }
}

/// Keeps the connection alive.
async fn poll(mut events: EventLoop) {
    let mut told = false;
    loop {
        match events.poll().await {
            Ok(Event::Incoming(_)) => told = false,
            Ok(_) => {}
            Err(cause) => {
                if !told {
                    eprintln!("midstream-agent: {cause}; trying again");
                    told = true;
                }
                tokio::time::sleep(RETRY).await;
            }
        }
    }
}

struct InFlight {
    topic: String,
    bytes: Vec<u8>,
    notice: PublishNotice,
}

async fn send_all(options: &Options, queue: &Queue, client: &AsyncClient) -> Result<u64, Failure> {
    let mut in_flight: VecDeque<InFlight> = VecDeque::new();
    let mut published = 0;
    loop {
        let next = queue.pop().await;
        let room = if next.is_some() { IN_FLIGHT_MAX - 1 } else { 0 };
        while in_flight.len() > room {
            if let Some(oldest) = in_flight.pop_front() {
                finish(client, oldest).await?;
                published += 1;
            }
        }
        let Some((kind, bytes)) = next else {
            return Ok(published);
        };
        let end = match kind {
            Kind::Batch => "batch",
            Kind::Alarm => "alarm",
        };
        let topic = format!("{}/{end}", options.topic);
        in_flight.push_back(send(client, topic, bytes).await?);
    }
}

async fn send(client: &AsyncClient, topic: String, bytes: Vec<u8>) -> Result<InFlight, Failure> {
    let options = PublishOptions::new(QoS::AtLeastOnce);
    let notice = client
        .publish_tracked(topic.clone(), bytes.clone(), options)
        .await?;
    Ok(InFlight {
        topic,
        bytes,
        notice,
    })
}

/// Waits until the broker has a message; sends it again where its session was lost.
async fn finish(client: &AsyncClient, mut message: InFlight) -> Result<(), Failure> {
    loop {
        match message.notice.wait_completion_async().await {
            Ok(()) => return Ok(()),
            Err(cause @ rumqttc::PublishNoticeError::V5PubAck(_)) => {
                return Err(format!("{}: the broker refuses it: {cause}", message.topic).into());
            }
            Err(_) => {
                tokio::time::sleep(RETRY).await;
                message = send(client, message.topic, message.bytes).await?;
            }
        }
    }
}
