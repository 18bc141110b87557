//! The command line.

use lexopt::prelude::*;
use midstream::agent::{AgentOptions, Threshold};

use crate::Failure;

pub const HELP: &str = "\
midstream-agent: samples of one channel, smoothed, thinned and packed, to an MQTT broker

  --input FILE          lines of `value` or `milliseconds,value`; `-` (the default) is standard input
  --hz NUMBER           how many lines come a second, for lines without a time; default 100
  --broker HOST:PORT    default localhost:1883
  --client-id NAME      default midstream-agent-CHANNEL
  --topic TOPIC         batches go to TOPIC/batch, alarms to TOPIC/alarm; default sensors/CHANNEL
  --channel NUMBER      default 0
  --average NUMBER      samples that the moving average is over; default 4
  --one-in NUMBER       one sample goes out for so many; default 10
  --batch-ms NUMBER     a batch spans so long; default 100
  --ring-bytes NUMBER   the newest samples in memory; default 1048576
  --alarm ABOVE:BELOW   an alarm above one value that ends below another
  --queue NUMBER        batches that wait for the broker; default 10000
  --when-full WORD      `wait` (the default) for files, `drop` the oldest for devices

At the end of the input it waits until the broker has everything and prints its counters.
";

/// What happens when too many batches wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// Reading waits.
    Wait,
    /// The oldest is dropped and counted.
    Drop,
}

#[derive(Clone, Debug)]
pub struct Options {
    pub input: String,
    pub hertz: f64,
    pub host: String,
    pub port: u16,
    pub client_id: String,
    pub topic: String,
    pub agent: AgentOptions,
    pub queue_batches: usize,
    pub when_full: WhenFull,
}

fn pair<A: std::str::FromStr, B: std::str::FromStr>(text: &str) -> Option<(A, B)> {
    let (a, b) = text.rsplit_once(':')?;
    Some((a.parse().ok()?, b.parse().ok()?))
}

impl Options {
    /// None where help was asked for.
    pub fn from_args() -> Result<Option<Self>, Failure> {
        let mut options = Self {
            input: "-".to_owned(),
            hertz: 100.0,
            host: "localhost".to_owned(),
            port: 1883,
            client_id: String::new(),
            topic: String::new(),
            agent: AgentOptions::default(),
            queue_batches: 10_000,
            when_full: WhenFull::Wait,
        };
        let mut line = lexopt::Parser::from_env();
        while let Some(word) = line.next()? {
            match word {
                Long("input") => options.input = line.value()?.string()?,
                Long("hz") => options.hertz = line.value()?.parse()?,
                Long("broker") => {
                    let text = line.value()?.string()?;
                    (options.host, options.port) = pair(&text).ok_or("--broker wants HOST:PORT")?;
                }
                Long("client-id") => options.client_id = line.value()?.string()?,
                Long("topic") => options.topic = line.value()?.string()?,
                Long("channel") => options.agent.channel = line.value()?.parse()?,
                Long("average") => options.agent.average_over = line.value()?.parse()?,
                Long("one-in") => options.agent.one_in = line.value()?.parse()?,
                Long("batch-ms") => options.agent.batch_ms = line.value()?.parse()?,
                Long("ring-bytes") => options.agent.ring_bytes = line.value()?.parse()?,
                Long("alarm") => {
                    let text = line.value()?.string()?;
                    let (above, below) = pair(&text).ok_or("--alarm wants ABOVE:BELOW")?;
                    options.agent.threshold = Some(Threshold::new(above, below));
                }
                Long("queue") => options.queue_batches = line.value()?.parse()?,
                Long("when-full") => {
                    options.when_full = match line.value()?.string()?.as_str() {
                        "wait" => WhenFull::Wait,
                        "drop" => WhenFull::Drop,
                        other => {
                            return Err(format!("--when-full {other}: `wait` or `drop`").into());
                        }
                    }
                }
                Short('h') | Long("help") => return Ok(None),
                _ => return Err(word.unexpected().into()),
            }
        }
        let channel = options.agent.channel;
        if options.client_id.is_empty() {
            options.client_id = format!("midstream-agent-{channel}");
        }
        if options.topic.is_empty() {
            options.topic = format!("sensors/{channel}");
        }
        if !(options.hertz.is_finite() && options.hertz > 0.0) || options.queue_batches == 0 {
            return Err("--hz and --queue are above 0".into());
        }
        Ok(Some(options))
    }
}
