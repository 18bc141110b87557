//! Frames and messages.

use std::io::{self, Read, Write};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::RECORD_LEN_MAX;
use crate::journal::StateWrite;

/// Version of the protocol.
pub(super) const VERSION: u16 = 1;
/// Longest frame, in bytes: parameters and input of a call, with room for its names.
pub const FRAME_LEN_MAX: usize = 2 * RECORD_LEN_MAX + (64 << 10);

/// Why a message did not get through.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemoteError {
    /// The connection failed or was closed.
    #[error("remote: {0}")]
    Io(#[from] io::Error),
    /// A frame is longer than the limit.
    #[error("remote: a frame of {found} bytes is over the limit of {FRAME_LEN_MAX}")]
    TooLong {
        /// Its length.
        found: usize,
    },
    /// A frame is no message.
    #[error("remote: a frame cannot be read: {message}")]
    Malformed {
        /// What was found.
        message: String,
    },
}

/// A call as it arrives at a [`super::RemoteWorker`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RemoteCall {
    pub(super) version: u16,
    /// Name of the engine that asks.
    pub engine: String,
    /// Epoch of its lease.
    pub epoch: u64,
    /// The same for every attempt of this step in this run, and for no other.
    pub key: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Name of the workflow.
    pub workflow: String,
    /// Path of the step.
    pub step: String,
    /// Name of the action.
    pub action: String,
    /// On whose account the run goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// The step's parameters, interpolated.
    pub params: Value,
    /// The data of the run's trigger.
    pub input: Value,
}

/// What a worker says to a call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "reply", rename_all = "lowercase")]
pub(super) enum Reply {
    Done {
        value: Value,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        writes: Vec<StateWrite>,
    },
    Failed {
        name: String,
        message: String,
    },
    /// The call comes from an engine whose lease has passed to another one.
    Fenced {
        epoch: u64,
    },
    /// The worker speaks another version, or does not know the action.
    Refused {
        message: String,
    },
}

pub(super) fn write_frame(
    out: &mut impl Write,
    message: &impl Serialize,
) -> Result<(), RemoteError> {
    let malformed = |error: serde_json::Error| RemoteError::Malformed {
        message: error.to_string(),
    };
    // Length and message in one write, so that a small message is one packet.
    let mut frame = vec![0; 4];
    serde_json::to_writer(&mut frame, message).map_err(malformed)?;
    let found = frame.len() - 4;
    let len = u32::try_from(found).ok().filter(|_| found <= FRAME_LEN_MAX);
    let len = len.ok_or(RemoteError::TooLong { found })?;
    frame[..4].copy_from_slice(&len.to_le_bytes());
    out.write_all(&frame)?;
    Ok(out.flush()?)
}

/// Reads one frame: its length, four bytes, little-endian, then so many bytes of JSON. `None` at an
/// orderly end.
///
/// # Errors
/// A connection that broke within a frame, a length over [`FRAME_LEN_MAX`], or no such message.
pub fn read_frame<T: DeserializeOwned>(input: &mut impl Read) -> Result<Option<T>, RemoteError> {
    let mut len = [0; 4];
    let mut got = 0;
    while got < len.len() {
        match input.read(&mut len[got..]) {
            Ok(0) if got == 0 => return Ok(None),
            Ok(0) => return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Ok(count) => got += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    let found = usize::try_from(u32::from_le_bytes(len)).unwrap_or(usize::MAX);
    if found > FRAME_LEN_MAX {
        return Err(RemoteError::TooLong { found });
    }
    // Grows with what arrives, not with what was promised.
    let mut bytes = Vec::new();
    let read = input.by_ref().take(found as u64).read_to_end(&mut bytes)?;
    if read < found {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    }
    let message = serde_json::from_slice(&bytes).map_err(|error| RemoteError::Malformed {
        message: error.to_string(),
    })?;
    Ok(Some(message))
}
