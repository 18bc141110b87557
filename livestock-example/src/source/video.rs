//! A recording as one camera, decoded by the `ffmpeg` program: H.264 in MP4, and whatever else it reads.
//!
//! A process of its own decodes, so that a hostile file cannot crash the gateway. Frames come at a fixed
//! rate, scaled down to at most [`WIDTH_MAX`] pixels across; their times count from the Unix epoch.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use serde_json::Value;

use crate::frame::{CameraId, Frame, SIDE_PIXELS_MAX};
use crate::time::Timestamp;

use super::{Input, Source, SourceError};

/// Wider recordings are scaled down to this.
pub const WIDTH_MAX: u32 = 1280;
/// Frames a second that are taken of a recording.
pub const FRAMES_PER_SECOND: u32 = 5;

/// A recording that is being decoded.
pub struct Video {
    path: PathBuf,
    camera: CameraId,
    process: Child,
    frames: ChildStdout,
    width: u32,
    height: u32,
    next: u64,
    ended: bool,
}

impl Video {
    /// Opens a recording.
    ///
    /// # Errors
    /// [`SourceError::Read`] for a file that is not there, [`SourceError::Video`] when `ffmpeg` is not
    /// installed or finds no picture in the file.
    pub fn open(path: &Path, camera: CameraId) -> Result<Self, SourceError> {
        std::fs::File::open(path).map_err(|cause| SourceError::Read {
            path: path.to_owned(),
            cause,
        })?;
        let failed = |cause: String| SourceError::Video {
            path: path.to_owned(),
            cause,
        };
        let (width, height) = probe(path).map_err(failed)?;
        let scale = format!("fps={FRAMES_PER_SECOND},scale={width}:{height}");
        let mut process = Command::new("ffmpeg")
            .args(["-nostdin", "-v", "error", "-xerror", "-i"])
            .arg(path)
            .args([
                "-an", "-sn", "-vf", &scale, "-f", "rawvideo", "-pix_fmt", "rgb24", "-",
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|cause| failed(missing(&cause)))?;
        let Some(frames) = process.stdout.take() else {
            return Err(failed("ffmpeg gives no output".into()));
        };
        Ok(Self {
            path: path.to_owned(),
            camera,
            process,
            frames,
            width,
            height,
            next: 0,
            ended: false,
        })
    }

    /// The end of the output: either the recording's, or the decoder's.
    fn end(&mut self, missing: usize) -> Option<Result<Input, SourceError>> {
        self.ended = true;
        let whole = self.process.wait().is_ok_and(|status| status.success());
        if whole && missing == 0 {
            return None;
        }
        let cause = format!(
            "it is damaged after frame {}; what came before was used",
            self.next
        );
        Some(Err(SourceError::Item {
            path: self.path.clone(),
            cause,
        }))
    }
}

impl Source for Video {
    fn next_input(&mut self) -> Option<Result<Input, SourceError>> {
        if self.ended {
            return None;
        }
        let mut rgb = vec![0; self.width as usize * self.height as usize * 3];
        let mut filled = 0;
        while filled < rgb.len() {
            match self.frames.read(&mut rgb[filled..]) {
                Ok(0) | Err(_) => return self.end(filled),
                Ok(read) => filled += read,
            }
        }
        let millis = self.next as i64 * 1000 / i64::from(FRAMES_PER_SECOND);
        let at = Timestamp::from_millis(millis);
        let frame = Frame::new(
            self.camera.clone(),
            self.next,
            at,
            self.width,
            self.height,
            Arc::from(rgb),
        );
        self.next += 1;
        Some(frame.map(Input::Frame).map_err(SourceError::from))
    }
}

impl Drop for Video {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The size of the frames to ask for: that of the first video stream, scaled down where it is large.
fn probe(path: &Path) -> Result<(u32, u32), String> {
    let output = Command::new("ffprobe")
        .args([
            "-v",
            "error",
            "-select_streams",
            "v:0",
            "-show_entries",
            "stream=width,height",
            "-of",
            "json",
        ])
        .arg(path)
        .stdin(Stdio::null())
        .output()
        .map_err(|cause| missing(&cause))?;
    let found: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let side = |name: &str| {
        found["streams"][0][name]
            .as_u64()
            .and_then(|side| u32::try_from(side).ok())
    };
    let (Some(width), Some(height)) = (side("width"), side("height")) else {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said
            .lines()
            .next_back()
            .unwrap_or("ffprobe finds no video stream");
        return Err(format!("no recording that ffmpeg reads: {}", said.trim()));
    };
    if !(1..=SIDE_PIXELS_MAX).contains(&width) || !(1..=SIDE_PIXELS_MAX).contains(&height) {
        return Err(format!(
            "frames of {width}x{height} pixels, each side must be 1..={SIDE_PIXELS_MAX}"
        ));
    }
    if width <= WIDTH_MAX {
        return Ok((width, height));
    }
    let scaled = u64::from(height) * u64::from(WIDTH_MAX) / u64::from(width);
    Ok((WIDTH_MAX, u32::try_from(scaled.max(1)).unwrap_or(1)))
}

fn missing(cause: &std::io::Error) -> String {
    format!(
        "recordings are decoded by the ffmpeg program, which cannot be started ({cause}): install it, on Debian with apt-get install ffmpeg"
    )
}
