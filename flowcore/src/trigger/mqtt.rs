//! MQTT messages as arrivals. The broker keeps a message until it is acknowledged, and it should be
//! acknowledged once its run is committed: a crash in between brings it again, and its key attaches
//! it to the run that it started.

use std::time::{Duration, Instant};

use rumqttc::{
    AckMode, BrokerSessionResumePolicy, Client, Connection, Event, Incoming, MqttOptions, Publish,
    QoS, RecvTimeoutError, SessionMode,
};
use serde_json::Value;

use super::Arrival;

/// Most messages on their way between broker and source.
const IN_FLIGHT_MAX: usize = 64;
/// How long the broker keeps the session, and what it did not deliver, of a source that is away.
const SESSION_SECONDS: u32 = 24 * 3600;
/// Pause before a connection that failed is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// A subscription. It works only while it is called; the session at the broker lives on between.
pub struct MqttSource {
    client: Client,
    connection: Connection,
    topics: Vec<String>,
}

/// A message that the broker keeps until it is acknowledged.
#[derive(Debug)]
pub struct MqttMessage {
    arrival: Arrival,
    publish: Publish,
}

impl MqttMessage {
    /// The topic, and the payload as JSON (as a text where it is none).
    pub fn arrival(&self) -> &Arrival {
        &self.arrival
    }
}

impl MqttSource {
    /// A source for these topics. `client_id` names the session at the broker: keep it over restarts.
    /// The connection is made, and made again, by [`recv_timeout`](Self::recv_timeout).
    pub fn new(host: &str, port: u16, client_id: &str, topics: &[&str]) -> Self {
        let mut options = MqttOptions::new(client_id, (host, port));
        options
            .set_keep_alive(30)
            .set_ack_mode(AckMode::Manual)
            // What was under way is the broker's to send again: this side keeps nothing of it.
            .set_broker_session_resume_policy(BrokerSessionResumePolicy::AllowBrokerOnly)
            .set_session_mode(SessionMode::Persistent)
            .set_session_expiry_interval(Some(SESSION_SECONDS));
        let (client, connection) = Client::builder(options).capacity(IN_FLIGHT_MAX).build();
        Self {
            client,
            connection,
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        }
    }

    /// The next message, waiting for it up to `limit`. A broker that is away is waited for.
    ///
    /// # Errors
    /// The reason when the broker could not be reached until the end of the wait.
    #[expect(
        clippy::disallowed_methods,
        reason = "a source that waits measures its wait"
    )]
    pub fn recv_timeout(&mut self, limit: Duration) -> Result<Option<MqttMessage>, String> {
        let end = Instant::now() + limit;
        let mut trouble = None;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return trouble.map_or(Ok(None), Err);
            }
            match self.connection.recv_timeout(left) {
                Ok(Ok(Event::Incoming(Incoming::Publish(publish)))) => {
                    return Ok(Some(message(publish)));
                }
                Ok(Ok(Event::Incoming(Incoming::ConnAck(_)))) => {
                    trouble = None;
                    for topic in &self.topics {
                        let asked = self.client.try_subscribe(topic.as_str(), QoS::AtLeastOnce);
                        asked.map_err(|error| error.to_string())?;
                    }
                }
                Ok(Ok(_)) => {}
                Ok(Err(error)) => {
                    trouble = Some(error.to_string());
                    std::thread::sleep(RETRY.min(left));
                }
                Err(RecvTimeoutError::Timeout { .. }) => return trouble.map_or(Ok(None), Err),
                Err(error) => return Err(error.to_string()),
            }
        }
    }

    /// Tells the broker that a message has done its work. The answer goes out with the next call of
    /// [`recv_timeout`](Self::recv_timeout).
    ///
    /// # Errors
    /// The reason when the answer cannot be queued; the message then comes again.
    pub fn acknowledge(&self, message: &MqttMessage) -> Result<(), String> {
        self.client
            .try_ack(&message.publish)
            .map_err(|error| error.to_string())
    }
}

fn message(publish: Publish) -> MqttMessage {
    let payload = serde_json::from_slice(&publish.payload)
        .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&publish.payload)));
    let topic = String::from_utf8_lossy(&publish.topic).into_owned();
    MqttMessage {
        arrival: Arrival::mqtt(topic, payload),
        publish,
    }
}
