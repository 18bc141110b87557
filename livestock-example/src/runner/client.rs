//! The gateway's side: asks the detector, and starts it again when it fails.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

use crate::detection::Detection;
use crate::frame::Frame;

use super::answer::{self, EMBEDDING_MAX};
use super::child::{POLL, Process};
use super::error::RunnerError;
use super::proto::detector_client::DetectorClient;
use super::{Description, PROTOCOL, proto};

/// The largest frame: the largest side twice, three bytes a pixel, and a little for the rest.
pub(super) const FRAME_BYTES_MAX: usize = 8192 * 8192 * 3 + 4096;
/// The largest answer.
const ANSWER_BYTES_MAX: usize = 32 << 20;
const RETRY_FIRST: Duration = Duration::from_millis(200);
const RETRY_LAST: Duration = Duration::from_secs(30);

/// Which program to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The program.
    pub program: PathBuf,
    /// Its arguments; `--socket PATH` is added.
    pub args: Vec<String>,
}

/// How long the detector may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunnerLimits {
    /// From its start to its first answer: models take time to load.
    pub start: Duration,
    /// For one frame.
    pub frame: Duration,
}

impl Default for RunnerLimits {
    /// Thirty seconds to start, five for a frame.
    fn default() -> Self {
        Self {
            start: Duration::from_secs(30),
            frame: Duration::from_secs(5),
        }
    }
}

/// What was seen in a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Inference {
    /// The detections, checked.
    pub detections: Vec<Detection>,
    /// Time inside the model.
    pub model_time: Duration,
}

/// What happened to the detector so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunnerCounters {
    /// Starts after the first.
    pub restarts: u64,
    /// Frames that took too long.
    pub timeouts: u64,
    /// Times that the process ended by itself.
    pub crashes: u64,
    /// Frames that the detector said it cannot do.
    pub refused: u64,
    /// Answers that made no sense.
    pub rubbish: u64,
    /// Frames that came while the detector was down.
    pub while_down: u64,
}

/// A detector in a process of its own.
pub struct Runner {
    launch: Launch,
    limits: RunnerLimits,
    runtime: Runtime,
    state: State,
    description: Description,
    counters: RunnerCounters,
    retry: Duration,
}

struct Up {
    process: Process,
    client: DetectorClient<Channel>,
}

enum State {
    Up(Box<Up>),
    Down { until: Instant },
}

impl Runner {
    /// Starts the program and waits for its description.
    ///
    /// # Errors
    /// [`RunnerError`]: the program cannot be started, ends (with its own last line), stays silent, or
    /// speaks another protocol.
    pub fn start(launch: Launch, limits: RunnerLimits) -> Result<Self, RunnerError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(RunnerError::Start)?;
        let (state, description) = connect(&runtime, &launch, &limits)?;
        Ok(Self {
            launch,
            limits,
            runtime,
            state,
            description,
            counters: RunnerCounters::default(),
            retry: RETRY_FIRST,
        })
    }

    /// What the detector says of itself.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// What happened so far.
    pub fn counters(&self) -> RunnerCounters {
        self.counters
    }

    /// What is in a frame; waits for the answer, up to the limit.
    ///
    /// After a failure the detector is down and is started again with the first frame after a pause that
    /// doubles from 0.2 s to 30 s.
    ///
    /// # Errors
    /// [`RunnerError`]; the next frame may be asked for all the same.
    pub fn infer(&mut self, frame: &Frame) -> Result<Inference, RunnerError> {
        self.rise()?;
        let State::Up(up) = &mut self.state else {
            return Err(RunnerError::Down(self.retry));
        };
        let Up { client, process } = up.as_mut();
        let request = proto::Frame {
            camera: frame.camera.as_str().to_owned(),
            seq: frame.seq,
            at_ms: frame.at.as_millis(),
            width: frame.width(),
            height: frame.height(),
            rgb: frame.rgb().to_vec().into(),
        };
        let limit = self.limits.frame;
        let answer = self
            .runtime
            .block_on(async { tokio::time::timeout(limit, client.infer(request)).await });
        let error = match answer {
            Ok(Ok(response)) => {
                let answer = response.into_inner();
                let model_time = Duration::from_micros(answer.model_us);
                match answer::check(answer, self.description.embedding_length) {
                    Ok(detections) => {
                        self.retry = RETRY_FIRST;
                        return Ok(Inference {
                            detections,
                            model_time,
                        });
                    }
                    Err(what) => RunnerError::Rubbish(what),
                }
            }
            Ok(Err(status)) => failure(&status, process),
            Err(_) => RunnerError::Timeout(limit),
        };
        match &error {
            RunnerError::Refused(_) => {
                self.counters.refused += 1;
                return Err(error);
            }
            RunnerError::Timeout(_) => self.counters.timeouts += 1,
            RunnerError::Crashed(_) => self.counters.crashes += 1,
            _ => self.counters.rubbish += 1,
        }
        self.fall();
        Err(error)
    }

    /// Ends the process, and waits before the next.
    fn fall(&mut self) {
        self.state = State::Down {
            until: Instant::now() + self.retry,
        };
        self.retry = (self.retry * 2).min(RETRY_LAST);
    }

    /// Starts the process again when it is down and its pause is over.
    fn rise(&mut self) -> Result<(), RunnerError> {
        let State::Down { until } = &self.state else {
            return Ok(());
        };
        let left = until.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            self.counters.while_down += 1;
            return Err(RunnerError::Down(left));
        }
        self.counters.restarts += 1;
        match connect(&self.runtime, &self.launch, &self.limits) {
            Ok((state, description)) => {
                self.state = state;
                self.description = description;
                Ok(())
            }
            Err(cause) => {
                self.fall();
                Err(cause)
            }
        }
    }
}

fn connect(
    runtime: &Runtime,
    launch: &Launch,
    limits: &RunnerLimits,
) -> Result<(State, Description), RunnerError> {
    let begun = Instant::now();
    let mut process = Process::start(launch)?;
    process.await_socket(limits.start)?;
    let address = format!("unix://{}", process.socket.display());
    let left = limits.start.saturating_sub(begun.elapsed());
    let asked = runtime.block_on(async {
        tokio::time::timeout(left, async {
            let endpoint = Endpoint::from_shared(address).map_err(|cause| cause.to_string())?;
            let channel = connected(&endpoint, &mut process).await?;
            let mut client = DetectorClient::new(channel)
                .max_encoding_message_size(FRAME_BYTES_MAX)
                .max_decoding_message_size(ANSWER_BYTES_MAX);
            let description = client
                .describe(proto::DescribeRequest {})
                .await
                .map_err(|status| status.to_string())?;
            Ok::<_, String>((client, description.into_inner()))
        })
        .await
    });
    let (client, said) = match asked {
        Ok(Ok(asked)) => asked,
        Ok(Err(_)) if process.has_ended() => return Err(RunnerError::Ended(process.last_words())),
        Ok(Err(what)) => return Err(RunnerError::Rubbish(what)),
        Err(_) => return Err(RunnerError::Silent(limits.start)),
    };
    if said.protocol != PROTOCOL {
        return Err(RunnerError::Protocol {
            found: said.protocol,
        });
    }
    let embedding_length = said.embedding_length as usize;
    if embedding_length > EMBEDDING_MAX {
        return Err(RunnerError::Rubbish(format!(
            "embeddings of {embedding_length} numbers, allowed are {EMBEDDING_MAX}"
        )));
    }
    Ok((
        State::Up(Box::new(Up { process, client })),
        Description {
            name: said.name,
            embedding_length,
        },
    ))
}

/// A connection to the process. The socket's file is there before the process listens to it, so a refused
/// connection is tried again until the process has ended; the caller limits the time.
async fn connected(endpoint: &Endpoint, process: &mut Process) -> Result<Channel, String> {
    loop {
        match endpoint.connect().await {
            Ok(channel) => return Ok(channel),
            Err(cause) if process.has_ended() => return Err(cause.to_string()),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// What a failed call means.
fn failure(status: &Status, process: &mut Process) -> RunnerError {
    match status.code() {
        Code::FailedPrecondition | Code::InvalidArgument => {
            RunnerError::Refused(status.message().to_owned())
        }
        Code::Unavailable | Code::Unknown | Code::Cancelled | Code::Internal => {
            RunnerError::Crashed(if process.has_ended() {
                process.last_words()
            } else {
                status.message().to_owned()
            })
        }
        _ => RunnerError::Rubbish(status.message().to_owned()),
    }
}
