//! The broker, in and out, as two connections. Feature `mqtt`.
//!
//! Events come in at quality of service 1 within a session that the broker keeps while nobody is there, and are
//! acknowledged only when the caller says so. An acknowledgement belongs to the connection on which its
//! message came: after a reconnect the broker sends what was not acknowledged again, under numbers of its own,
//! and an old acknowledgement would be taken for another message. Messages go out at quality of service 1 on a
//! connection without a session; what the broker has not answered is sent again.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rumqttc::{
    AckMode, AsyncClient, BrokerSessionResumePolicy, Event, EventLoop, Incoming, ManualAck,
    MqttOptions, Publish, PublishNoticeError, PublishOptions, QoS, SessionMode,
};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use crate::backpressure::Link;
use crate::error::{Error, Result};

const KEEP_ALIVE_SECONDS: u16 = 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_secs(2);
/// How long the broker keeps what comes while nobody is there.
const SESSION_SECONDS: u32 = 7 * 86_400;
/// The most messages that the broker sends before the first of them is acknowledged.
pub(crate) const UNACKNOWLEDGED_MAX: u16 = 8_192;
/// The most messages that go out before the first of them is answered.
pub(crate) const UNANSWERED_MAX: usize = 256;
const BATCH: usize = 128;

/// Who connects, and where.
#[derive(Clone, Debug)]
pub(crate) struct Account {
    pub host: String,
    pub port: u16,
    pub client_id: String,
    pub credentials: Option<(String, String)>,
}

impl Account {
    fn options(&self, end: &str) -> MqttOptions {
        let name = format!("{}{end}", self.client_id);
        let mut mqtt = MqttOptions::new(name, (self.host.clone(), self.port));
        mqtt.set_keep_alive(KEEP_ALIVE_SECONDS)
            .set_connect_timeout(CONNECT_TIMEOUT)
            .set_max_request_batch(BATCH)
            .set_read_batch_size(BATCH);
        if let Some((user, password)) = &self.credentials {
            mqtt.set_credentials(user.clone(), password.clone());
        }
        mqtt
    }
}

/// A message, and the connection on which it came.
pub(crate) struct Message {
    pub publish: Publish,
    pub connection: u64,
}

/// The way in. Runs as a task of the caller's runtime.
pub(crate) struct Inbound {
    client: AsyncClient,
    pub arrivals: mpsc::UnboundedReceiver<Message>,
    task: tokio::task::JoinHandle<()>,
    /// The connection that is up: acknowledgements of older ones are void.
    connection: Arc<AtomicU64>,
}

impl Inbound {
    /// Connects, and connects again, by itself.
    pub fn start(account: &Account, topics: Vec<String>) -> Self {
        let mut mqtt = account.options("");
        mqtt.set_session_mode(SessionMode::Persistent)
            .set_session_expiry_interval(Some(SESSION_SECONDS))
            .set_broker_session_resume_policy(BrokerSessionResumePolicy::AllowBrokerOnly)
            .set_receive_maximum(Some(UNACKNOWLEDGED_MAX))
            .set_ack_mode(AckMode::Manual);
        let (client, events) = AsyncClient::builder(mqtt).unbounded().build();
        // Bounded by the messages that are not acknowledged.
        let (told, arrivals) = mpsc::unbounded_channel();
        let connection = Arc::new(AtomicU64::new(0));
        let receive = receive(events, client.clone(), topics, told, connection.clone());
        let task = tokio::spawn(receive);
        Self {
            client,
            arrivals,
            task,
            connection,
        }
    }

    /// Says that a message was taken for good. Where its connection is gone the broker sends it again.
    pub fn acknowledge(&self, packet: u16, connection: u64) {
        if connection == self.connection.load(Ordering::Relaxed) {
            let ack = ManualAck::PubAck(rumqttc::PubAck::new(packet, None));
            let _ = self.client.try_manual_ack(ack);
        }
    }
}

impl Drop for Inbound {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn receive(
    mut events: EventLoop,
    client: AsyncClient,
    topics: Vec<String>,
    told: mpsc::UnboundedSender<Message>,
    connection: Arc<AtomicU64>,
) {
    let mut retry = RETRY_FIRST;
    loop {
        match events.poll().await {
            Ok(Event::Incoming(Incoming::Publish(publish))) => {
                let message = Message {
                    publish,
                    connection: connection.load(Ordering::Relaxed),
                };
                if told.send(message).is_err() {
                    return;
                }
            }
            Ok(Event::Incoming(Incoming::ConnAck(answer))) => {
                retry = RETRY_FIRST;
                connection.fetch_add(1, Ordering::Relaxed);
                if !answer.session_present {
                    for topic in &topics {
                        let _ = client.try_subscribe(topic.clone(), QoS::AtLeastOnce);
                    }
                }
            }
            Ok(_) => {}
            Err(_) => {
                connection.fetch_add(1, Ordering::Relaxed);
                sleep(retry).await;
                retry = (retry * 2).min(RETRY_LAST);
            }
        }
    }
}

/// A message for the broker.
pub(crate) struct Outgoing {
    /// Comes back in [`Answer`].
    pub number: u64,
    pub topic: String,
    pub payload: Vec<u8>,
}

/// What became of a message.
pub(crate) enum Answer {
    /// The broker has it, after so long.
    Taken(u64, Duration),
    /// The broker will not have it.
    Refused(u64),
    /// The connection was lost before the answer; it goes out again.
    Again,
    Link(Link),
}

/// The way out. Runs as tasks of the caller's runtime.
pub(crate) struct Outbound {
    client: AsyncClient,
    pub answers: mpsc::UnboundedReceiver<Answer>,
    tell: mpsc::UnboundedSender<Answer>,
    task: tokio::task::JoinHandle<()>,
}

impl Outbound {
    /// Connects, and connects again, by itself.
    pub fn start(account: &Account) -> Self {
        let mut mqtt = account.options("-out");
        mqtt.set_session_mode(SessionMode::Clean);
        let (client, events) = AsyncClient::builder(mqtt).capacity(UNANSWERED_MAX).build();
        let (tell, answers) = mpsc::unbounded_channel();
        let task = tokio::spawn(keep_alive(events, tell.clone()));
        Self {
            client,
            answers,
            tell,
            task,
        }
    }

    /// Sends a message; its answer comes among [`Outbound::answers`]. The caller keeps to
    /// [`UNANSWERED_MAX`].
    pub fn send(&self, message: Outgoing) {
        let (client, tell) = (self.client.clone(), self.tell.clone());
        tokio::spawn(async move {
            let _ = tell.send(publish(&client, message, &tell).await);
        });
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "a driver measures how long the broker takes"
)]
async fn publish(
    client: &AsyncClient,
    message: Outgoing,
    tell: &mpsc::UnboundedSender<Answer>,
) -> Answer {
    let Outgoing {
        number,
        topic,
        payload,
    } = message;
    loop {
        let begin = Instant::now();
        let options = PublishOptions::new(QoS::AtLeastOnce);
        let sent = client
            .publish_tracked(topic.clone(), payload.clone(), options)
            .await;
        let Ok(notice) = sent else {
            return Answer::Refused(number);
        };
        match notice.wait_completion_async().await {
            Ok(()) => return Answer::Taken(number, begin.elapsed()),
            Err(PublishNoticeError::V5PubAck(_)) => return Answer::Refused(number),
            Err(_) => {
                let _ = tell.send(Answer::Again);
                sleep(RETRY_FIRST).await;
            }
        }
    }
}

async fn keep_alive(mut events: EventLoop, tell: mpsc::UnboundedSender<Answer>) {
    let mut retry = RETRY_FIRST;
    let mut link = None;
    loop {
        let now = match events.poll().await {
            Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                retry = RETRY_FIRST;
                Link::Up
            }
            Ok(_) => continue,
            Err(_) => {
                sleep(retry).await;
                retry = (retry * 2).min(RETRY_LAST);
                Link::Down
            }
        };
        if link != Some(now) {
            link = Some(now);
            if tell.send(Answer::Link(now)).is_err() {
                return;
            }
        }
    }
}

/// Whether a topic is of a filter.
pub(crate) fn matches(topic: &str, filter: &str) -> bool {
    rumqttc::matches(topic, filter)
}

/// The filter, checked.
///
/// # Errors
/// [`Error::Deployment`] for what no broker takes.
pub(crate) fn filter(text: &str) -> Result<String> {
    if rumqttc::valid_filter(text) {
        Ok(text.to_owned())
    } else {
        Err(Error::Deployment(format!("`{text}` is no topic filter")))
    }
}
