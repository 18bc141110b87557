//! Sync through an MQTT broker: a frame a message, on `PREFIX/TO/FROM` with the numbers of the devices.
//!
//! The broker is trusted with nothing: it may lose, repeat and reorder messages, and frames of strangers are
//! refused as anywhere (sign them where others can publish). Quality of service 0: what is lost is sent
//! again by the sessions themselves, which know better what is still wanted.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rumqttc::{
    Client, Connection, Event, Incoming, MqttOptions, PublishOptions, QoS, SessionMode,
};

use super::endpoint::{Endpoint, Toward};
use super::error::SyncError;
use super::frame::FRAME_BYTES_MAX;
use super::session::{Session, SessionStats};
use crate::ReplicaId;
use crate::time::Timestamp;

/// How long one look at the broker takes when nothing comes: how late a change is noticed.
const TICK: Duration = Duration::from_millis(10);
/// How long the broker is left alone after it could not be reached.
const RETRY: Duration = Duration::from_millis(500);
/// Messages that wait between the connection and the sessions; more are dropped, as by a network.
const WAITING_MAX: usize = 256;
/// The most devices that may come by themselves.
const SESSIONS_MAX: usize = 10_000;
const KEEP_ALIVE_SECONDS: u16 = 15;

/// Where the broker is, and with whom to speak.
#[derive(Clone, Debug)]
pub struct Broker {
    /// Its host name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// What topics begin with.
    pub prefix: String,
    /// Account and password, where the broker asks for them.
    pub credentials: Option<(String, String)>,
    /// Devices to speak with from the beginning, and what each is to this store.
    pub peers: Vec<(ReplicaId, Toward)>,
    /// What others are that come by themselves; they are not heard where this is none.
    pub others: Option<Toward>,
}

/// Syncs with all peers through a broker until `stop` is set; returns what was done with each. Connects
/// again by itself; one more thread reads the connection meanwhile.
///
/// `noticed` hears of frames that were refused and of peers that do not answer; each peer stands for itself.
///
/// # Errors
/// [`SyncError::Connection`] when the options name no broker. That it cannot be reached is no error.
pub fn run(
    broker: &Broker,
    endpoint: &Mutex<Endpoint>,
    clock: impl Fn() -> Timestamp,
    stop: &AtomicBool,
    mut noticed: impl FnMut(ReplicaId, &SyncError),
) -> Result<BTreeMap<u64, SessionStats>, SyncError> {
    let own = lock(endpoint).db().replica().get();
    let mut options = MqttOptions::new(
        format!("agentdb-{own}"),
        (broker.host.clone(), broker.port),
    );
    options
        .set_keep_alive(KEEP_ALIVE_SECONDS)
        .set_session_mode(SessionMode::Clean)
        .set_max_packet_size(u32::try_from(FRAME_BYTES_MAX + 1_024).ok());
    if let Some((user, password)) = &broker.credentials {
        options.set_credentials(user.clone(), password.clone());
    }
    let (client, connection) = Client::builder(options)
        .capacity(WAITING_MAX)
        .try_build()
        .map_err(std::io::Error::other)?;
    let (send, messages) = sync_channel(WAITING_MAX);
    let filter = format!("{}/{own}/+", broker.prefix);
    std::thread::scope(|scope| {
        scope.spawn(|| listen(connection, &client, &filter, &send, stop));
        let mut links = Links {
            broker,
            endpoint,
            sessions: BTreeMap::new(),
            waiting: VecDeque::new(),
            own,
        };
        for (peer, toward) in &broker.peers {
            links.open(peer.get(), *toward, clock());
        }
        while !stop.load(Ordering::Relaxed) {
            links.speak(&client, &clock, &mut noticed);
            match messages.recv_timeout(TICK) {
                Ok((from, frame)) => links.hear(from, &frame, clock(), &mut noticed),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        let _ = client.try_disconnect_now();
        Ok(links.end(clock()))
    })
}

fn lock(endpoint: &Mutex<Endpoint>) -> MutexGuard<'_, Endpoint> {
    // What a thread that panicked has not committed is not in the store.
    endpoint.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads the connection, which also writes it, until the end.
fn listen(
    mut connection: Connection,
    client: &Client,
    filter: &str,
    send: &SyncSender<(u64, Vec<u8>)>,
    stop: &AtomicBool,
) {
    for event in connection.iter() {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        match event {
            Ok(Event::Incoming(Incoming::ConnAck(_))) => {
                // A clean session knows no subscription.
                let _ = client.try_subscribe(filter, QoS::AtMostOnce);
            }
            Ok(Event::Incoming(Incoming::Publish(message))) => {
                let topic = std::str::from_utf8(&message.topic).unwrap_or_default();
                let from = topic.rsplit('/').next().and_then(|from| from.parse().ok());
                if let Some(from) = from
                    && let Err(TrySendError::Disconnected(_)) =
                        send.try_send((from, message.payload.to_vec()))
                {
                    return;
                }
            }
            Ok(_) => {}
            Err(_) => std::thread::sleep(RETRY),
        }
    }
}

struct Links<'a> {
    broker: &'a Broker,
    endpoint: &'a Mutex<Endpoint>,
    sessions: BTreeMap<u64, Session>,
    /// Frames that the connection had no room for.
    waiting: VecDeque<(u64, Vec<u8>)>,
    own: u64,
}

impl Links<'_> {
    fn open(&mut self, peer: u64, toward: Toward, now: Timestamp) {
        let session = Session::new(&mut lock(self.endpoint), toward, now);
        self.sessions.insert(peer, session);
    }

    fn hear(
        &mut self,
        from: u64,
        frame: &[u8],
        now: Timestamp,
        noticed: &mut impl FnMut(ReplicaId, &SyncError),
    ) {
        if !self.sessions.contains_key(&from)
            && self.sessions.len() < SESSIONS_MAX
            && let Some(toward) = self.broker.others
        {
            self.open(from, toward, now);
        }
        if let Some(session) = self.sessions.get_mut(&from)
            && let Err(error) = session.receive(&mut lock(self.endpoint), frame, now)
        {
            noticed(ReplicaId::new(from), &error);
        }
    }

    fn speak(
        &mut self,
        client: &Client,
        clock: &impl Fn() -> Timestamp,
        noticed: &mut impl FnMut(ReplicaId, &SyncError),
    ) {
        for (peer, session) in &mut self.sessions {
            while self.waiting.len() < WAITING_MAX {
                match session.poll(&mut lock(self.endpoint), clock()) {
                    Ok(Some(frame)) => self.waiting.push_back((*peer, frame)),
                    Ok(None) => break,
                    Err(error) => {
                        noticed(ReplicaId::new(*peer), &error);
                        break;
                    }
                }
            }
        }
        while let Some((peer, frame)) = self.waiting.front() {
            let topic = format!("{}/{peer}/{}", self.broker.prefix, self.own);
            let options = PublishOptions::new(QoS::AtMostOnce);
            if client.try_publish(topic, frame.clone(), options).is_err() {
                return;
            }
            self.waiting.pop_front();
        }
    }

    fn end(mut self, now: Timestamp) -> BTreeMap<u64, SessionStats> {
        for session in self.sessions.values_mut() {
            session.reset(&mut lock(self.endpoint), now);
        }
        let ended = self.sessions.into_iter();
        ended.map(|(peer, session)| (peer, session.stats())).collect()
    }
}
