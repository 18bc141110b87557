//! `run`: the gateway on real input.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Camera, CameraInput, Config, Limits, Model};
use crate::describe::Device;
use crate::detection::{Detection, Label};
use crate::frame::CameraId;
use crate::gateway::Gateway;
use crate::source::collars::{self, Collars};
use crate::source::photos::Photos;
use crate::source::video::Video;
use crate::source::{Input, Source, SourceError};
use crate::summary::{Cattle, Summary};
use crate::time::Timestamp;

use super::plugin::start_runner;
use super::rim::{Delivery, print_summary};
use super::{CommandError, Rim};

/// The score from which a photo's best detection counts.
const CATTLE_SCORE_MIN: f32 = 0.5;

/// What a run is asked for.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The farm's configuration.
    pub config: Option<PathBuf>,
    /// A folder of photos as one camera.
    pub photos: Option<PathBuf>,
    /// A recording as one camera.
    pub video: Option<PathBuf>,
    /// A folder of leg accelerometer recordings.
    pub collars: Option<PathBuf>,
    /// `motion` or `ssd=FILE`.
    pub model: Option<String>,
    /// Broker, state and output.
    pub rim: Rim,
}

/// Runs until the inputs end.
///
/// # Errors
/// [`CommandError`], one line each.
pub fn run(options: &RunOptions) -> Result<(), CommandError> {
    let temporary;
    let mut config = match &options.config {
        Some(path) => Config::read(path)?,
        None => {
            temporary = tempfile::tempdir().map_err(CommandError::Folder)?;
            Config {
                state: temporary.path().join("state"),
                ..ad_hoc(options)?
            }
        }
    };
    if let Some(model) = &options.model {
        config.model = model_of(model)?;
    }
    if let Some(state) = &options.rim.state {
        config.state.clone_from(state);
    }
    if let Some(mqtt) = options.rim.broker()? {
        config.mqtt = Some(mqtt);
    }
    let mut sources = open_sources(&config)?;
    if sources.is_empty() {
        return Err(CommandError::Usage(
            "nothing to run on: name a farm.toml, --photos DIR, --video FILE or --collars DIR; `livestock-gateway demo` needs none".into(),
        ));
    }
    let runner = if config.cameras.is_empty() {
        None
    } else {
        Some(start_runner(&config.model)?)
    };
    let mut gateway = Gateway::open(&config, runner)?;
    let mut delivery = Delivery::start(
        &config.name,
        config.mqtt.as_ref(),
        &options.rim,
        gateway.state(),
    )?;

    let mut tally = Tally::default();
    let (mut first, mut last) = (None, Timestamp::default());
    while let Some(next) = earliest(&mut sources) {
        match next {
            Ok(input) => {
                first = first.or(Some(input.at()));
                last = last.max(input.at());
                let device = Device {
                    online: delivery.online(),
                    ..Device::default()
                };
                let detections = gateway.push(&input, device)?;
                if let Input::Frame(_) = input {
                    tally.take(&detections);
                }
            }
            Err(cause) => {
                eprintln!("left out: {}", cause.to_string().replace('\n', "; "));
                gateway.count_failed(failure(&cause));
            }
        }
        delivery.pump(&mut gateway)?;
    }
    gateway.close(
        last,
        Device {
            online: delivery.online(),
            ..Device::default()
        },
    )?;
    let ran = first.map_or(Duration::ZERO, |first| last.since(first));
    let (mut summary, _) = delivery.finish(&mut gateway, ran)?;
    if matches!(config.model, Model::Ssd(_)) && summary.frames > 0 {
        summary.cattle = tally.cattle(&summary, &gateway);
    }
    if let Some(folder) = &config.collars {
        summary.collars = Some(collars::report(folder)?);
    }
    print_summary(&summary, options.rim.output);
    Ok(())
}

/// The configuration of a run that names its inputs on the command line.
fn ad_hoc(options: &RunOptions) -> Result<Config, CommandError> {
    let camera = |name: &str, input| Camera {
        name: CameraId::new(name),
        input,
    };
    let photos = options
        .photos
        .iter()
        .map(|path| camera("photos", CameraInput::Photos(path.clone())));
    let video = options
        .video
        .iter()
        .map(|path| camera("video", CameraInput::Video(path.clone())));
    Ok(Config {
        cameras: photos.chain(video).collect(),
        collars: options.collars.clone(),
        limits: Limits::default(),
        ..Config::default()
    })
}

fn model_of(text: &str) -> Result<Model, CommandError> {
    match text.split_once('=') {
        None if text == "motion" => Ok(Model::Motion),
        Some(("ssd", file)) if !file.is_empty() => Ok(Model::Ssd(file.into())),
        _ => Err(CommandError::Usage(format!(
            "--model {text}: write `motion` or `ssd=FILE.onnx`"
        ))),
    }
}

/// A source with the input that it gives next.
struct Ahead {
    source: Box<dyn Source>,
    next: Option<Result<Input, SourceError>>,
}

fn open_sources(config: &Config) -> Result<Vec<Ahead>, CommandError> {
    let mut sources: Vec<Box<dyn Source>> = Vec::new();
    for camera in &config.cameras {
        sources.push(match &camera.input {
            CameraInput::Photos(folder) => Box::new(Photos::open(folder, camera.name.clone())?),
            CameraInput::Video(file) => Box::new(Video::open(file, camera.name.clone())?),
        });
    }
    if let Some(folder) = &config.collars {
        sources.push(Box::new(Collars::open(folder)?));
    }
    let ahead = |mut source: Box<dyn Source>| Ahead {
        next: source.next_input(),
        source,
    };
    Ok(sources.into_iter().map(ahead).collect())
}

/// The earliest input of all sources; damaged items come at once.
fn earliest(sources: &mut [Ahead]) -> Option<Result<Input, SourceError>> {
    let when = |ahead: &Ahead| match ahead.next.as_ref()? {
        Ok(input) => Some(input.at()),
        Err(_) => Some(Timestamp::from_millis(i64::MIN)),
    };
    let index = (0..sources.len())
        .filter_map(|i| Some((when(&sources[i])?, i)))
        .min()?
        .1;
    let ahead = &mut sources[index];
    let next = ahead.source.next_input();
    std::mem::replace(&mut ahead.next, next)
}

fn failure(cause: &SourceError) -> &'static str {
    match cause {
        SourceError::Read { .. } => "unreadable file",
        SourceError::Item { .. } => "damaged item",
        SourceError::Frame(_) => "impossible frame",
        _ => "source",
    }
}

/// Frames by what is best seen in them.
#[derive(Default)]
struct Tally {
    cattle: u64,
}

impl Tally {
    fn take(&mut self, detections: &[Detection]) {
        let best = detections.iter().max_by(|a, b| a.score.total_cmp(&b.score));
        if best.is_some_and(|best| best.label == Label::Cattle && best.score >= CATTLE_SCORE_MIN) {
            self.cattle += 1;
        }
    }

    fn cattle(&self, summary: &Summary, gateway: &Gateway) -> Option<Cattle> {
        Some(Cattle {
            cattle_top: self.cattle,
            cattle_top_share: self.cattle as f64 / summary.frames as f64,
            cattle_score_min: CATTLE_SCORE_MIN,
            infer_ms: gateway.model_percentiles()?,
        })
    }
}
