//! Lying and standing from an accelerometer on a cow's leg.
//!
//! A standing leg is upright, a lying one level: the angle between gravity and the leg's long axis tells
//! which ([`PostureMachine`]). The angle is taken from a running median of each axis, the state changes
//! with hysteresis around [`LYING_TILT_DEG`], and only when the new posture lasts for
//! [`PostureOptions::bout_min`]; it then counts from its first sample. The cut at 60 degrees and the
//! dropping of bouts below two minutes follow Ledgerwood, Winckler and Tucker, *Evaluation of data
//! loggers, sampling intervals, and editing techniques for measuring the lying behavior of dairy cattle*,
//! Journal of Dairy Science 93 (2010).
//!
//! Only the size of the component along the leg counts, so it does not matter whether the sensor is
//! strapped on upside down or turned around the leg; which of its axes runs along the leg is an option,
//! and [`LegAxisFinder`] finds it in a recording that holds both postures.
//!
//! Activity is the mean length of the step from one acceleration to the next, in g, over
//! [`PostureOptions::activity_window`]: gravity falls out of the difference.
//!
//! What it is not: it does not tell walking from standing, and a sensor that lies on a table looks like a
//! cow that lies.
//!
//! ```
//! use livestock::posture::{Posture, PostureMachine, PostureOptions};
//! use livestock::time::Timestamp;
//!
//! let mut machine = PostureMachine::build("cow-7", PostureOptions::default())?;
//! for second in 0..1200 {
//!     let lies = (300..900).contains(&second);
//!     let acceleration = if lies { [0.3, -0.1, 0.95] } else { [0.1, -0.98, 0.1] };
//!     machine.push(Timestamp::from_millis(second * 1000), acceleration)?;
//! }
//! machine.close();
//! let bouts = machine.take_bouts();
//! assert_eq!(bouts.len(), 1);
//! assert!((bouts[0].minutes - 10.0).abs() < 0.1);
//! # Ok::<(), livestock::posture::PostureError>(())
//! ```

mod axis;
mod machine;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::Serialize;

use crate::time::Timestamp;

pub use axis::LegAxisFinder;
pub(crate) use machine::step_length;
pub use machine::{PostureCounts, PostureMachine, Reading};

/// The leg's tilt from upright, in degrees, that divides standing from lying.
pub const LYING_TILT_DEG: f32 = 60.0;

/// The largest running median.
pub const MEDIAN_SAMPLES_MAX: usize = 61;

/// Lying bouts that wait to be taken; older ones are dropped and counted when nobody takes them.
pub const BOUTS_HELD_MAX: usize = 1024;

/// What an animal does with its legs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Posture {
    /// Not enough samples yet, or none for a while.
    Unknown,
    /// On its legs, still or walking.
    Standing,
    /// Lying.
    Lying,
}

/// An axis of the sensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Axis {
    /// The first.
    X,
    /// The second.
    Y,
    /// The third.
    Z,
}

impl Axis {
    /// The three axes in order.
    pub const ALL: [Self; 3] = [Self::X, Self::Y, Self::Z];

    fn index(self) -> usize {
        match self {
            Self::X => 0,
            Self::Y => 1,
            Self::Z => 2,
        }
    }
}

/// How postures are told.
#[derive(Clone, Debug, PartialEq)]
pub struct PostureOptions {
    /// The sensor's axis along the leg.
    pub leg_axis: Axis,
    /// Length of the running median, odd, 1 to [`MEDIAN_SAMPLES_MAX`]; states change half of it late.
    pub median_samples: usize,
    /// Half the width of the hysteresis around [`LYING_TILT_DEG`], 0 to 25 degrees.
    pub hysteresis_deg: f32,
    /// A posture that lasts less is taken for the one around it.
    pub bout_min: Duration,
    /// Activity is averaged over so long: 1 s to 1 h.
    pub activity_window: Duration,
    /// After a silence longer than this nothing is known.
    pub silence_max: Duration,
}

impl Default for PostureOptions {
    /// For 1 Hz from a cow's leg: median of 5, 10 degrees, two minutes, activity over five minutes, silence
    /// of one minute; the leg along y.
    fn default() -> Self {
        Self {
            leg_axis: Axis::Y,
            median_samples: 5,
            hysteresis_deg: 10.0,
            bout_min: Duration::from_secs(120),
            activity_window: Duration::from_secs(300),
            silence_max: Duration::from_secs(60),
        }
    }
}

impl PostureOptions {
    /// The usual options for a shortest bout and an activity window of one's own; the median is shortened
    /// where it would swallow the bout.
    pub fn for_bouts(bout_min: Duration, activity_window: Duration) -> Self {
        let usual = Self::default();
        let seconds = usize::try_from(bout_min.as_secs()).unwrap_or(usize::MAX);
        Self {
            // At 1 Hz; of an odd number of samples the larger half decides.
            median_samples: (seconds | 1).min(usual.median_samples),
            bout_min,
            activity_window,
            ..usual
        }
    }
}

/// One time that an animal lay.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LyingBout {
    /// The animal.
    pub animal: String,
    /// The first sample of it, in milliseconds since the Unix epoch.
    pub start: Timestamp,
    /// The first sample after it, or the last one of the recording.
    pub end: Timestamp,
    /// From start to end.
    pub minutes: f64,
    /// Whether the animal was seen to lie down and to stand up; otherwise the bout was longer.
    pub complete: bool,
}

/// Why options or a sample were refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PostureError {
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
    /// A component is no number, or above 100 g.
    #[error(
        "acceleration {acceleration:?} of {animal}: each component must be a number within 100 g"
    )]
    Acceleration {
        /// The animal.
        animal: String,
        /// What was measured.
        acceleration: [f32; 3],
    },
    /// Samples must come in order of time.
    #[error("sample of {animal} at {at} is not after the one at {last}")]
    NotLater {
        /// The animal.
        animal: String,
        /// The sample's time.
        at: Timestamp,
        /// The time of the one before.
        last: Timestamp,
    },
}
