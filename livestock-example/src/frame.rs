//! A picture from a camera.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// The largest side of a frame, in pixels; anything larger is refused before memory is taken.
pub const SIDE_PIXELS_MAX: u32 = 8192;

/// The name of a camera, unique on the farm.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CameraId(Arc<str>);

impl CameraId {
    /// A camera called `name`.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CameraId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One RGB picture, rows from the top, three bytes a pixel.
#[derive(Clone)]
pub struct Frame {
    /// Which camera took it.
    pub camera: CameraId,
    /// Its number within the camera, from 0 without gaps.
    pub seq: u64,
    /// When it was taken.
    pub at: Timestamp,
    width: u32,
    height: u32,
    rgb: Arc<[u8]>,
}

/// Why a buffer is not a frame.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// A side is zero or above [`SIDE_PIXELS_MAX`].
    #[error("frame of {width}x{height} pixels: each side must be 1..={SIDE_PIXELS_MAX}")]
    Side {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
    },
    /// The buffer does not hold `width * height * 3` bytes.
    #[error("frame of {width}x{height} pixels needs {needed} bytes of RGB, the buffer holds {got}")]
    Length {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
        /// `width * height * 3`.
        needed: usize,
        /// The buffer's length.
        got: usize,
    },
}

impl Frame {
    /// A frame over `rgb`, `width * height * 3` bytes.
    ///
    /// # Errors
    /// [`FrameError::Side`] for a zero or huge side, [`FrameError::Length`] when the buffer does not fit.
    pub fn new(
        camera: CameraId,
        seq: u64,
        at: Timestamp,
        width: u32,
        height: u32,
        rgb: Arc<[u8]>,
    ) -> Result<Self, FrameError> {
        let sides = 1..=SIDE_PIXELS_MAX;
        if !sides.contains(&width) || !sides.contains(&height) {
            return Err(FrameError::Side { width, height });
        }
        let needed = width as usize * height as usize * 3;
        if rgb.len() != needed {
            return Err(FrameError::Length {
                width,
                height,
                needed,
                got: rgb.len(),
            });
        }
        Ok(Self {
            camera,
            seq,
            at,
            width,
            height,
            rgb,
        })
    }

    /// Pixels across.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Pixels down.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The pixels, `width * height * 3` bytes, row by row from the top, red first.
    pub fn rgb(&self) -> &Arc<[u8]> {
        &self.rgb
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Frame({} #{} at {}, {}x{})",
            self.camera, self.seq, self.at, self.width, self.height
        )
    }
}
