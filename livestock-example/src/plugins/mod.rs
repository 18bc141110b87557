//! Detectors, and how one is served to the gateway.

pub mod descriptor;
pub mod motion;
#[cfg(feature = "ssd")]
pub mod ssd;

use std::path::PathBuf;

use crate::detection::Detection;
use crate::frame::Frame;
use crate::runner::{self, Description, RunnerError};

/// Finds people, animals and vehicles in frames.
pub trait Detector: Send {
    /// What it is.
    fn describe(&self) -> Description;

    /// What is in a frame.
    ///
    /// # Errors
    /// [`DetectorError`] for a frame that it cannot do; it goes on with the next.
    fn infer(&mut self, frame: &Frame) -> Result<Vec<Detection>, DetectorError>;
}

/// Why a detector cannot do a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DetectorError(pub String);

/// Which detector to serve, and where.
#[derive(Clone, Debug, clap::Args)]
pub struct PluginArgs {
    /// `motion`, or `ssd` (feature `ssd`).
    pub name: String,
    /// The Unix socket to listen at.
    #[arg(long)]
    pub socket: PathBuf,
    /// The model's file.
    #[arg(long)]
    pub model: Option<PathBuf>,
}

/// Why a detector cannot be served.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PluginError {
    /// No detector has this name.
    #[error("no detector is called {0:?}; there are `motion` and `ssd`")]
    Unknown(String),
    /// The detector was left out of this build.
    #[error("this build has no `ssd` detector: build with --features ssd")]
    LeftOut,
    /// The detector needs a model file.
    #[error("the `ssd` detector needs a model file: --model FILE.onnx")]
    NoModel,
    /// The model cannot be used.
    #[cfg(feature = "ssd")]
    #[error(transparent)]
    Ssd(#[from] ssd::SsdError),
    /// The socket cannot be had.
    #[error(transparent)]
    Serve(#[from] RunnerError),
}

/// Makes the detector of this name and serves it until the gateway goes away.
///
/// # Errors
/// [`PluginError`], one line each: the gateway shows it as the reason why the detector does not start.
pub fn serve_from_args(args: PluginArgs) -> Result<(), PluginError> {
    let detector: Box<dyn Detector> = match args.name.as_str() {
        "motion" => Box::new(motion::Motion::default()),
        "ssd" => ssd(&args)?,
        _ => return Err(PluginError::Unknown(args.name)),
    };
    Ok(runner::serve(detector, &args.socket)?)
}

#[cfg(feature = "ssd")]
fn ssd(args: &PluginArgs) -> Result<Box<dyn Detector>, PluginError> {
    let model = args.model.as_deref().ok_or(PluginError::NoModel)?;
    Ok(Box::new(ssd::Ssd::open(model)?))
}

#[cfg(not(feature = "ssd"))]
fn ssd(_: &PluginArgs) -> Result<Box<dyn Detector>, PluginError> {
    Err(PluginError::LeftOut)
}
