//! Where inputs come from: one trait, one file a kind of source.

pub mod collars;
pub mod photos;
pub mod video;

use std::path::PathBuf;

use crate::frame::{Frame, FrameError};
use crate::time::Timestamp;

/// One sample of a leg accelerometer.
#[derive(Clone, Debug, PartialEq)]
pub struct LegSample {
    /// The animal that wears it.
    pub animal: String,
    /// When it was measured.
    pub at: Timestamp,
    /// Acceleration along the three axes of the sensor, in g.
    pub acceleration: [f32; 3],
}

/// Whatever reaches the gateway from outside.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// A camera's picture.
    Frame(Frame),
    /// A leg sensor's sample.
    Leg(LegSample),
}

impl Input {
    /// When it was taken.
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Frame(frame) => frame.at,
            Self::Leg(sample) => sample.at,
        }
    }
}

/// Why a source gave nothing, or not all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// A file or folder cannot be read.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// What was asked for.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A folder holds nothing that this source reads.
    #[error("{} holds no {wanted}", path.display())]
    Empty {
        /// The folder.
        path: PathBuf,
        /// What it should hold, with the endings.
        wanted: &'static str,
    },
    /// One item is damaged; the source goes on with the next.
    #[error("{}: {cause}", path.display())]
    Item {
        /// The item's file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A recording cannot be decoded.
    #[error("{}: {cause}", path.display())]
    Video {
        /// The recording.
        path: PathBuf,
        /// What is wrong, with the way out.
        cause: String,
    },
    /// A decoder gave a picture that is no frame.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

/// A stream of inputs in order of time.
///
/// An `Err` inside the stream concerns one item: the caller counts it and asks for the next. What
/// makes a whole source unusable is returned where it is opened.
pub trait Source: Send {
    /// The next input; `None` at the end.
    fn next_input(&mut self) -> Option<Result<Input, SourceError>>;
}
