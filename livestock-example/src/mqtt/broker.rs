//! An MQTT broker inside the gateway's process, on loopback: what the demo uses when no broker is named.
//!
//! It keeps sessions, queued and retained messages in memory: a restart of the gateway forgets them. The
//! gateway's own alerts are safe all the same, since they leave the outbox only when a broker has taken
//! them; but a farm whose commands must survive a restart runs Mosquitto.

use std::net::{Ipv4Addr, SocketAddr};
use std::thread::JoinHandle;

use rmqtt::context::ServerContext;
use rmqtt::net::Builder;
use rmqtt::server::MqttServer;
use tokio::sync::oneshot;

/// The largest packet that the broker takes, in bytes.
const PACKET_BYTES_MAX: u32 = 1 << 20;
/// The most messages that wait for one absent subscriber; past it the oldest are dropped.
const QUEUED_MESSAGES_MAX: usize = 10_000;

/// Why the embedded broker does not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The port is taken, or may not be used.
    #[error(
        "the embedded MQTT broker cannot listen on 127.0.0.1:{port}: {cause}; name another port, or an external broker with --mqtt HOST:PORT"
    )]
    Listen {
        /// The port asked for.
        port: u16,
        /// What the system said.
        cause: String,
    },
    /// The system gave no thread or no event loop.
    #[error("the embedded MQTT broker cannot start: {0}")]
    Start(String),
}

/// A running broker; it stops when this is dropped.
pub struct Broker {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Broker {
    /// Starts a broker on loopback at `port`; 0 takes any free port, which [`Broker::address`] tells.
    ///
    /// # Errors
    /// [`BrokerError::Listen`] when the port cannot be had, [`BrokerError::Start`] when no thread can.
    pub fn start(port: u16) -> Result<Self, BrokerError> {
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("mqtt-broker".into())
            .spawn(move || run(port, &ready, stopped))
            .map_err(|cause| BrokerError::Start(cause.to_string()))?;
        let address = started
            .recv()
            .map_err(|_| BrokerError::Start("its thread ended before it listened".into()))??;
        Ok(Self {
            address,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn run(
    port: u16,
    ready: &std::sync::mpsc::Sender<Result<SocketAddr, BrokerError>>,
    stopped: oneshot::Receiver<()>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(cause) => {
            let _ = ready.send(Err(BrokerError::Start(cause.to_string())));
            return;
        }
    };
    runtime.block_on(async move {
        // The load check reads the whole machine's load and refuses clients of a busy gateway: off.
        let context = ServerContext::new().busy_check_enable(false).build().await;
        let listener = Builder::new()
            .name("farm")
            .laddr((Ipv4Addr::LOCALHOST, port).into())
            .max_packet_size(PACKET_BYTES_MAX)
            .max_mqueue_len(QUEUED_MESSAGES_MAX)
            .bind()
            .and_then(|listener| listener.tcp())
            .and_then(|listener| listener.local_addr().map(|address| (listener, address)));
        let (listener, address) = match listener {
            Ok(bound) => bound,
            Err(cause) => {
                let _ = ready.send(Err(BrokerError::Listen {
                    port,
                    cause: cause.to_string(),
                }));
                return;
            }
        };
        let server = MqttServer::new(context).listener(listener).build();
        let _ = ready.send(Ok(address));
        tokio::select! {
            _ = server.run() => {}
            _ = stopped => {}
        }
    });
}
