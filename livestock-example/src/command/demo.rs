//! `demo`: a simulated farm with staged incidents, and how many of them were told.

use std::time::{Duration, Instant};

use crate::config::{Config, Limits, Model};
use crate::describe::Device;
use crate::gateway::Gateway;
use crate::night::Night;
use crate::score::{Raised, Tolerance, score};
use crate::sim::{Farm, FarmOptions, Tempo};
use crate::source::Source;
use crate::summary::Truth;
use crate::time::Timestamp;
use crate::workflow::{Alert, Message};

use super::rim::{Delivery, print_summary};
use super::{CommandError, Output, Rim, plugin};

/// How fast the farm's time goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// A second of the farm takes a second.
    Farm,
    /// As fast as the machine can.
    Fast,
}

/// What the demo is asked for.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// How long the cameras run.
    pub seconds: u64,
    /// The same seed gives the same farm.
    pub seed: u64,
    /// Cameras.
    pub cameras: usize,
    /// Frames a second of each camera.
    pub fps: f32,
    /// How fast the farm's time goes.
    pub pace: Pace,
    /// A whole day instead.
    pub day: bool,
    /// Broker, state and output.
    pub rim: Rim,
}

/// Runs the demo.
///
/// # Errors
/// [`CommandError`], one line each.
pub fn demo(options: &DemoOptions) -> Result<(), CommandError> {
    let mut farm = Farm::new(farm_options(options))?;
    let tempo = if options.day { Tempo::Day } else { Tempo::Demo };
    let temporary;
    let state = match &options.rim.state {
        Some(folder) => folder.clone(),
        None => {
            temporary = tempfile::tempdir().map_err(CommandError::Folder)?;
            temporary.path().join("state")
        }
    };
    let config = Config {
        name: "demo".into(),
        state,
        night: Night::starting_at(farm.night()),
        limits: limits(tempo),
        zones: farm.zones().to_vec(),
        model: Model::Motion,
        ..Config::default()
    };
    if options.rim.output == Output::Text {
        introduce(&farm, options);
    }
    let runner = plugin::start_runner(&config.model)?;
    let mut gateway = Gateway::open(&config, Some(runner))?;
    let mqtt = options.rim.broker()?;
    let mut delivery = Delivery::start(&config.name, mqtt.as_ref(), &options.rim, gateway.state())?;

    let pacer = Pacer::new(options.pace, farm.start());
    while let Some(input) = farm.next_input() {
        let input = input?;
        pacer.wait_until(input.at());
        let device = Device {
            online: delivery.online(),
            ..Device::default()
        };
        gateway.push(&input, device)?;
        delivery.pump(&mut gateway)?;
    }
    gateway.close(
        farm.end(),
        Device {
            online: delivery.online(),
            ..Device::default()
        },
    )?;
    let (mut summary, alerts) = delivery.finish(&mut gateway, farm.end().since(farm.start()))?;
    let raised: Vec<Raised> = alerts
        .iter()
        .filter(|alert| alert.message == Message::Alert)
        .map(raised)
        .collect();
    let score = score(farm.truth(), &raised, Tolerance::of(tempo));
    summary.truth = Some(Truth {
        incidents_expected: score.expected as u64,
        incidents_found: score.found as u64,
        duplicate_alerts: score.duplicates as u64,
        false_alerts: score.false_alerts as u64,
        recall: score.recall(),
    });
    if !score.missed.is_empty() {
        eprintln!("not found: {}", score.missed.join(", "));
    }
    print_summary(&summary, options.rim.output);
    Ok(())
}

fn farm_options(options: &DemoOptions) -> FarmOptions {
    if options.day {
        return FarmOptions::day(options.seed);
    }
    let usual = FarmOptions::default();
    FarmOptions {
        seed: options.seed,
        duration: Duration::from_secs(options.seconds),
        cameras: options.cameras,
        fps: options.fps,
        leg_sensors: usual
            .leg_sensors
            .min(options.cameras * usual.animals_per_camera),
        ..usual
    }
}

/// The farm's limits as a farmer would set them; the truth is not known here.
fn limits(tempo: Tempo) -> Limits {
    let farm = tempo.limits();
    Limits {
        person_dwell_s: farm.person_dwell.as_secs_f64(),
        lying_limit_s: farm.lying_limit.as_secs_f64(),
        activity_limit_g: f64::from(farm.activity_limit),
        activity_window_s: farm.activity_window.as_secs_f64(),
        crowd_size: u32::try_from(farm.crowd_size).unwrap_or(u32::MAX),
        crowd_window_s: farm.crowd_window.as_secs_f64(),
        bout_min_s: farm.bout_min.as_secs_f64(),
        case_quiet_s: match tempo {
            Tempo::Day => 300.0,
            Tempo::Demo => 2.0,
        },
        acknowledge_s: match tempo {
            Tempo::Day => 900.0,
            Tempo::Demo => 300.0,
        },
    }
}

fn raised(alert: &Alert) -> Raised {
    Raised {
        kind: alert.kind,
        zone: alert.place.clone(),
        animal: alert.animal.clone(),
        at: alert.raised,
    }
}

fn introduce(farm: &Farm, options: &DemoOptions) {
    println!(
        "A farm of {} zones for {} s{}: {} incidents are staged, night falls at {} (the farm's clock, UTC).",
        farm.zones().len(),
        farm.end().since(farm.start()).as_secs(),
        if options.pace == Pace::Fast {
            ", as fast as the machine can"
        } else {
            ""
        },
        farm.truth().len(),
        farm.night().clock(),
    );
}

/// Holds inputs back until their time has come.
struct Pacer {
    start: Option<(Instant, Timestamp)>,
}

impl Pacer {
    fn new(pace: Pace, start: Timestamp) -> Self {
        Self {
            start: (pace == Pace::Farm).then(|| (Instant::now(), start)),
        }
    }

    fn wait_until(&self, at: Timestamp) {
        if let Some((wall, farm)) = self.start {
            let ahead = at.since(farm).saturating_sub(wall.elapsed());
            if !ahead.is_zero() {
                std::thread::sleep(ahead);
            }
        }
    }
}
