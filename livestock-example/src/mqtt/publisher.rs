//! Hands alerts to a broker, one at a time, oldest first, and tells when the broker has taken each.
//!
//! Quality of service 2 within a persistent session: a link that is cut after a publish was sent, but
//! before its answer came, makes the same packet go out again under the same identifier, and the broker
//! keeps one. Only a broker that loses its own session between the two can pass an alert on twice; each
//! alert carries its `id` for that case.

use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use rumqttc::{
    AsyncClient, Event, EventLoop, Incoming, MqttOptions, PublishNoticeError, PublishOptions, QoS,
    SessionMode,
};

/// The most messages that wait between the gateway and the broker; the rest stay in the outbox.
pub const IN_FLIGHT_MAX: usize = 32;
/// Seconds without an answer after which the link counts as cut.
const KEEP_ALIVE_SECONDS: u16 = 5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_secs(2);
/// How long the broker keeps the publisher's session after the link is gone.
const SESSION_SECONDS: u32 = 3600;

/// Where to publish, and as whom.
#[derive(Clone, Debug)]
pub struct PublisherOptions {
    /// The broker's host name or address.
    pub host: String,
    /// The broker's port.
    pub port: u16,
    /// The client's name at the broker: unique to this run of the gateway, since a session belongs to it.
    pub client_id: String,
    /// Account and password, where the broker asks for them.
    pub credentials: Option<(String, String)>,
}

/// A message for the broker.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its place in the outbox; comes back in [`Delivery`].
    pub sequence: u64,
    /// Where it goes.
    pub topic: String,
    /// What it says.
    pub payload: Vec<u8>,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Delivery {
    /// The broker has it.
    Taken {
        /// The message's place in the outbox.
        sequence: u64,
    },
    /// The broker answered that it will not have it; to try again is useless.
    Refused {
        /// The message's place in the outbox.
        sequence: u64,
        /// The broker's reason.
        cause: String,
    },
    /// The link's state changed.
    Link(Link),
}

/// Whether the broker can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Link {
    /// Connected.
    Up,
    /// Not connected, and why.
    Down(String),
}

/// Why there is no publisher.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublisherError {
    /// The system gave no thread or no event loop.
    #[error("the MQTT publisher cannot start: {0}")]
    Start(String),
}

/// A thread that publishes; messages that it still holds when it is dropped are in the outbox.
pub struct Publisher {
    outgoing: Option<tokio::sync::mpsc::Sender<Outgoing>>,
    deliveries: mpsc::Receiver<Delivery>,
    thread: Option<JoinHandle<()>>,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
}

impl Publisher {
    /// Starts a publisher; it connects, and connects again, by itself.
    ///
    /// # Errors
    /// [`PublisherError::Start`] when the system gives no thread. A broker that cannot be reached is no
    /// error: it is reported as [`Link::Down`].
    pub fn start(options: PublisherOptions) -> Result<Self, PublisherError> {
        let (outgoing, incoming) = tokio::sync::mpsc::channel(IN_FLIGHT_MAX);
        let (report, deliveries) = mpsc::channel();
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|cause| PublisherError::Start(cause.to_string()))?;
        let thread = std::thread::Builder::new()
            .name("mqtt-publisher".into())
            .spawn(move || runtime.block_on(run(options, incoming, report, stopped)))
            .map_err(|cause| PublisherError::Start(cause.to_string()))?;
        Ok(Self {
            outgoing: Some(outgoing),
            deliveries,
            thread: Some(thread),
            stop: Some(stop),
        })
    }

    /// Gives a message to the publisher; `Err` gives it back when [`IN_FLIGHT_MAX`] are waiting already.
    ///
    /// # Errors
    /// The message itself, when there is no room for it now.
    pub fn push(&self, message: Outgoing) -> Result<(), Outgoing> {
        match &self.outgoing {
            Some(outgoing) => outgoing
                .try_send(message)
                .map_err(|refused| refused.into_inner()),
            None => Err(message),
        }
    }

    /// What has happened since the last call, in order; never waits.
    pub fn deliveries(&self) -> impl Iterator<Item = Delivery> + '_ {
        self.deliveries.try_iter()
    }

    /// The next thing that happens, waiting for it up to `limit`.
    pub fn wait(&self, limit: Duration) -> Option<Delivery> {
        self.deliveries.recv_timeout(limit).ok()
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        drop(self.outgoing.take());
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn run(
    options: PublisherOptions,
    incoming: tokio::sync::mpsc::Receiver<Outgoing>,
    report: mpsc::Sender<Delivery>,
    stopped: tokio::sync::oneshot::Receiver<()>,
) {
    let mut mqtt = MqttOptions::new(options.client_id, (options.host, options.port));
    mqtt.set_keep_alive(KEEP_ALIVE_SECONDS)
        .set_connect_timeout(CONNECT_TIMEOUT)
        .set_session_mode(SessionMode::Persistent)
        .set_session_expiry_interval(Some(SESSION_SECONDS));
    if let Some((user, password)) = options.credentials {
        mqtt.set_credentials(user, password);
    }
    let (client, events) = AsyncClient::builder(mqtt).capacity(IN_FLIGHT_MAX).build();
    tokio::select! {
        () = poll(events, report.clone()) => {}
        () = publish_each(client.clone(), incoming, report) => {}
        _ = stopped => {}
    }
}

/// Keeps the connection alive and says when it comes and goes.
async fn poll(mut events: EventLoop, report: mpsc::Sender<Delivery>) {
    let mut retry = RETRY_FIRST;
    let mut link = None;
    loop {
        let now = match events.poll().await {
            Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                retry = RETRY_FIRST;
                Link::Up
            }
            Ok(_) => continue,
            Err(cause) => {
                tokio::time::sleep(retry).await;
                retry = (retry * 2).min(RETRY_LAST);
                Link::Down(cause.to_string())
            }
        };
        if link.as_ref() != Some(&now) {
            link = Some(now.clone());
            if report.send(Delivery::Link(now)).is_err() {
                return;
            }
        }
    }
}

/// Publishes one message after the other; the next goes out when the broker has the one before it.
async fn publish_each(
    client: AsyncClient,
    mut incoming: tokio::sync::mpsc::Receiver<Outgoing>,
    report: mpsc::Sender<Delivery>,
) {
    while let Some(message) = incoming.recv().await {
        let sequence = message.sequence;
        let delivery = match publish(&client, message).await {
            Ok(()) => Delivery::Taken { sequence },
            Err(cause) => Delivery::Refused { sequence, cause },
        };
        if report.send(delivery).is_err() {
            return;
        }
    }
    // Nothing more will come: wait for the end with the connection open.
    std::future::pending::<()>().await;
}

async fn publish(client: &AsyncClient, message: Outgoing) -> Result<(), String> {
    loop {
        let options = PublishOptions::new(QoS::ExactlyOnce);
        let notice = client
            .publish_tracked(message.topic.clone(), message.payload.clone(), options)
            .await
            .map_err(|cause| cause.to_string())?;
        match notice.wait_completion_async().await {
            Ok(()) => return Ok(()),
            Err(
                cause @ (PublishNoticeError::V5PubAck(_)
                | PublishNoticeError::V5PubRec(_)
                | PublishNoticeError::V5PubComp(_)),
            ) => return Err(cause.to_string()),
            // The session is new, or the packet never left: the broker does not have it.
            Err(_) => tokio::time::sleep(RETRY_FIRST).await,
        }
    }
}
