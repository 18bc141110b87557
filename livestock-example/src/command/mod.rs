//! The words of `livestock-gateway`, one file each; they print, the rest of the crate does not.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command prints"
)]

mod check;
mod demo;
mod models;
mod plugin;
mod rim;
mod run;

use std::path::PathBuf;

use crate::config::ConfigError;
use crate::gateway::GatewayError;
use crate::mqtt::PublisherError;
use crate::runner::RunnerError;
use crate::sim::FarmError;
use crate::source::SourceError;
use crate::state::StateError;

pub use check::check;
pub use demo::{DemoOptions, Pace, demo};
pub use models::models_get;
pub use plugin::{PluginArgs, plugin};
pub use rim::{Output, Rim};
pub use run::{RunOptions, run};

/// Why a command did not do what it was asked: one line, with the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The simulated farm.
    #[error("demo: {0}")]
    Farm(#[from] FarmError),
    /// A source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The detector.
    #[error("model runner: {0}")]
    Runner(#[from] RunnerError),
    /// The detector's own process.
    #[error(transparent)]
    Plugin(#[from] crate::plugins::PluginError),
    /// The program cannot find itself to start the detector.
    #[error("cannot start the detector: {0}")]
    Program(std::io::Error),
    /// The model file cannot be read.
    #[error("cannot read the model {}: {cause}; `livestock-gateway models get ssd` obtains one", path.display())]
    Model {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The model's weights could not be obtained.
    #[cfg(feature = "ssd")]
    #[error("models get: {0}")]
    Models(#[from] crate::models::ModelsError),
    /// The gateway.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The state.
    #[error(transparent)]
    State(#[from] StateError),
    /// The embedded broker.
    #[cfg(feature = "broker")]
    #[error(transparent)]
    Broker(#[from] crate::mqtt::BrokerError),
    /// The publisher.
    #[error(transparent)]
    Publisher(#[from] PublisherError),
    /// A folder for state that is thrown away.
    #[error("cannot make a folder for the demo's state: {0}; name one with --state DIR")]
    Folder(std::io::Error),
    /// A file that is named in the configuration.
    #[error("cannot read {}: {cause}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The command line asks for something that makes no sense.
    #[error("{0}")]
    Usage(String),
}
