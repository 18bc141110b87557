//! What the simulated farm is made of.

use std::time::Duration;

use super::Tempo;

/// How large the farm is, how long the run, and how much happens.
#[derive(Clone, Debug, PartialEq)]
pub struct FarmOptions {
    /// The same seed and options give the same pictures, samples and incidents, byte for byte.
    pub seed: u64,
    /// How long the cameras run; at most 31 days.
    pub duration: Duration,
    /// How many cameras, each with its own pen: 1 to 64.
    pub cameras: usize,
    /// Frames a second of each camera: 0.05 to 30.
    pub fps: f32,
    /// Cattle in each pen: 0 to 10. Crowds are staged from seven on.
    pub animals_per_camera: usize,
    /// How many animals of the whole farm wear a leg sensor, spread over the pens; without any no
    /// animal is staged as down.
    pub leg_sensors: usize,
    /// Pixels across: 160 to 1920.
    pub width: u32,
    /// Pixels down: 120 to 1080.
    pub height: u32,
    /// How many incidents to stage; `None` for as many as the tempo and the duration suggest.
    pub incidents: Option<usize>,
    /// How fast life goes.
    pub tempo: Tempo,
}

impl Default for FarmOptions {
    /// A minute at two pens of eight animals, 5 frames a second, 320x240 pixels.
    fn default() -> Self {
        Self {
            seed: 1,
            duration: Duration::from_secs(60),
            cameras: 2,
            fps: 5.0,
            animals_per_camera: 8,
            leg_sensors: 6,
            width: 320,
            height: 240,
            incidents: None,
            tempo: Tempo::Demo,
        }
    }
}

impl FarmOptions {
    /// A whole day of 30 incidents at four pens with ten animals each, a frame every two seconds.
    pub fn day(seed: u64) -> Self {
        Self {
            seed,
            duration: Duration::from_secs(24 * 3600),
            cameras: 4,
            fps: 0.5,
            animals_per_camera: 10,
            leg_sensors: 12,
            tempo: Tempo::Day,
            ..Self::default()
        }
    }

    pub(super) fn check(&self) -> Result<(), FarmError> {
        let bad = |option, value: String, allowed| {
            Err(FarmError::Option {
                option,
                value,
                allowed,
            })
        };
        let seconds = self.duration.as_secs();
        if seconds == 0 || seconds > 31 * 24 * 3600 {
            return bad("duration", format!("{:?}", self.duration), "1 s to 31 days");
        }
        if !(1..=64).contains(&self.cameras) {
            return bad("cameras", self.cameras.to_string(), "1 to 64");
        }
        if !(0.05..=30.0).contains(&self.fps) {
            return bad("fps", self.fps.to_string(), "0.05 to 30");
        }
        if self.animals_per_camera > 10 {
            return bad(
                "animals_per_camera",
                self.animals_per_camera.to_string(),
                "0 to 10",
            );
        }
        if self.leg_sensors > self.cameras * self.animals_per_camera {
            return bad(
                "leg_sensors",
                self.leg_sensors.to_string(),
                "at most one an animal",
            );
        }
        if !(160..=1920).contains(&self.width) {
            return bad("width", self.width.to_string(), "160 to 1920 pixels");
        }
        if !(120..=1080).contains(&self.height) {
            return bad("height", self.height.to_string(), "120 to 1080 pixels");
        }
        Ok(())
    }
}

/// Why there is no such farm.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FarmError {
    /// An option is out of its range.
    #[error("{option} is {value}, allowed is {allowed}")]
    Option {
        /// Which option.
        option: &'static str,
        /// What was asked for.
        value: String,
        /// What may be asked for.
        allowed: &'static str,
    },
    /// The incidents do not fit without overlap.
    #[error(
        "{asked} incidents do not fit into this run, {fit} do: ask for fewer, for more cameras or for more time"
    )]
    TooManyIncidents {
        /// How many were asked for.
        asked: usize,
        /// How many have room.
        fit: usize,
    },
}
