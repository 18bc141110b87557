//! What every run has around the gateway: a broker, the outbox, and what is printed.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::Mqtt;
use crate::gateway::Gateway;
use crate::mqtt::{Publisher, PublisherOptions};
use crate::outbox::Outbox;
use crate::state::State;
use crate::summary::Summary;
use crate::workflow::Alert;

use super::CommandError;

/// Seconds in a day.
const DAY_SECONDS: f64 = 86_400.0;

/// How a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Lines and tables for a person.
    Text,
    /// One JSON object a line.
    Json,
}

/// What the command line says of broker, state and output.
#[derive(Clone, Debug)]
pub struct Rim {
    /// An external broker, `HOST` or `HOST:PORT`.
    pub mqtt: Option<String>,
    /// Where state is kept.
    pub state: Option<PathBuf>,
    /// How long to wait at the end for the broker to take what is left.
    pub drain: Duration,
    /// How to print.
    pub output: Output,
}

impl Rim {
    /// The broker that the command line names.
    pub(super) fn broker(&self) -> Result<Option<Mqtt>, CommandError> {
        let Some(text) = &self.mqtt else {
            return Ok(None);
        };
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => {
                let port = port.parse().map_err(|_| {
                    CommandError::Usage(format!(
                        "--mqtt {text}: {port:?} is no port; write HOST:PORT"
                    ))
                })?;
                (host, port)
            }
            None => (text.as_str(), 1883),
        };
        Ok(Some(Mqtt {
            host: host.to_owned(),
            port,
            user: None,
            password_file: None,
        }))
    }
}

/// The broker and the outbox of one run.
pub(super) struct Delivery {
    outbox: Outbox,
    output: Output,
    drain: Duration,
    alerts: Vec<Alert>,
    /// Lives as long as the run; dropped after the outbox.
    #[cfg(feature = "broker")]
    _broker: Option<crate::mqtt::Broker>,
}

impl Delivery {
    /// Connects to the broker, or starts the embedded one when none is named.
    pub fn start(
        farm: &str,
        mqtt: Option<&Mqtt>,
        rim: &Rim,
        state: &State,
    ) -> Result<Self, CommandError> {
        #[cfg(feature = "broker")]
        let (embedded, host, port) = match mqtt {
            Some(mqtt) => (None, mqtt.host.clone(), mqtt.port),
            None => {
                let broker = crate::mqtt::Broker::start(0)?;
                let address = broker.address();
                (Some(broker), address.ip().to_string(), address.port())
            }
        };
        #[cfg(not(feature = "broker"))]
        let (host, port) = match mqtt {
            Some(mqtt) => (mqtt.host.clone(), mqtt.port),
            None => {
                return Err(CommandError::Usage(
                    "this build has no embedded broker: name one with --mqtt HOST:PORT".into(),
                ));
            }
        };
        let credentials = mqtt.map(credentials).transpose()?.flatten();
        eprintln!("alerts go to the MQTT broker at {host}:{port}, topics {farm}/alerts/#");
        // The session belongs to this run; what an earlier one left is in the outbox.
        let client_id = format!("livestock-gateway-{farm}-{}", std::process::id());
        let publisher = Publisher::start(PublisherOptions {
            host,
            port,
            client_id,
            credentials,
        })?;
        Ok(Self {
            outbox: Outbox::new(farm, publisher, state.last_alert()?),
            output: rim.output,
            drain: rim.drain,
            alerts: Vec::new(),
            #[cfg(feature = "broker")]
            _broker: embedded,
        })
    }

    /// Whether the broker can be reached.
    pub fn online(&self) -> bool {
        self.outbox.online()
    }

    /// Prints what is new and moves the outbox on.
    pub fn pump(&mut self, gateway: &mut Gateway) -> Result<(), CommandError> {
        let state = gateway.state().clone();
        for alert in self.outbox.show(&state)? {
            self.print(&alert);
            self.alerts.push(alert);
        }
        self.outbox.pump(&state, gateway.latencies())?;
        Ok(())
    }

    /// Waits for the broker to take what is left, and adds what became of the alerts to the summary.
    pub fn finish(
        mut self,
        gateway: &mut Gateway,
        ran: Duration,
    ) -> Result<(Summary, Vec<Alert>), CommandError> {
        self.pump(gateway)?;
        let state = gateway.state().clone();
        let waiting = self.outbox.drain(&state, gateway.latencies(), self.drain)?;
        let stats = self.outbox.stats();
        let mut summary = gateway.summary();
        summary.alerts_delivered = stats.delivered;
        summary.alerts_waiting = waiting;
        summary.alerts_refused = stats.refused;
        let days = ran.as_secs_f64() / DAY_SECONDS;
        if days > 0.0 {
            summary.alerts_per_day = self.alerts.len() as f64 / days;
            summary.bytes_per_day = stats.bytes as f64 / days;
        }
        summary.rss_mb = rss_mb();
        Ok((summary, self.alerts))
    }

    fn print(&self, alert: &Alert) {
        match self.output {
            Output::Json => {
                if let Ok(line) = serde_json::to_string(alert) {
                    println!("{line}");
                }
            }
            Output::Text => println!(
                "{} {:<10} {}",
                alert.raised.clock(),
                alert.message.as_str(),
                alert.text
            ),
        }
    }
}

/// Prints the summary, last.
pub(super) fn print_summary(summary: &Summary, output: Output) {
    match output {
        Output::Json => println!("{}", summary.to_json()),
        Output::Text => println!("\n{}", summary.to_table()),
    }
}

fn credentials(mqtt: &Mqtt) -> Result<Option<(String, String)>, CommandError> {
    let Some(user) = &mqtt.user else {
        return Ok(None);
    };
    let password = match &mqtt.password_file {
        Some(path) => std::fs::read_to_string(path)
            .map_err(|cause| CommandError::Read {
                path: path.clone(),
                cause,
            })?
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned(),
        None => String::new(),
    };
    Ok(Some((user.clone(), password)))
}

/// The process's largest resident memory so far, in megabytes; 0 where the system does not tell.
fn rss_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kilobytes.unwrap_or(0.0) / 1024.0
}
