//! Why the detector gave no answer.

use std::time::Duration;

use super::PROTOCOL;

/// Why the detector gave no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunnerError {
    /// The system gave no process, folder or event loop.
    #[error("cannot start the detector: {0}")]
    Start(std::io::Error),
    /// The process ended before it answered; the message is its own last line.
    #[error("the detector ended at its start: {0}")]
    Ended(String),
    /// The process did not answer in time after its start.
    #[error("the detector did not answer within {0:?} after its start")]
    Silent(Duration),
    /// The process speaks another protocol.
    #[error(
        "the detector speaks protocol {found}, this gateway speaks {PROTOCOL}: use a detector of the same release"
    )]
    Protocol {
        /// What it speaks.
        found: u32,
    },
    /// A frame took longer than allowed; the process was ended.
    #[error("the detector took longer than {0:?} for a frame and was ended")]
    Timeout(Duration),
    /// The process ended while it had a frame.
    #[error("the detector crashed: {0}")]
    Crashed(String),
    /// The detector said that it cannot do this frame; it goes on.
    #[error("the detector refused the frame: {0}")]
    Refused(String),
    /// The answer makes no sense; the process was ended.
    #[error("the detector's answer makes no sense: {0}")]
    Rubbish(String),
    /// The detector is down after a failure and is started again later.
    #[error("the detector is down and is started again in {0:?}")]
    Down(Duration),
}

impl RunnerError {
    /// A short name that never changes, for counters.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Start(_) | Self::Ended(_) | Self::Silent(_) => "detector does not start",
            Self::Protocol { .. } => "detector protocol",
            Self::Timeout(_) => "detector timeout",
            Self::Crashed(_) => "detector crash",
            Self::Refused(_) => "detector refused",
            Self::Rubbish(_) => "detector rubbish",
            Self::Down(_) => "detector down",
        }
    }
}
