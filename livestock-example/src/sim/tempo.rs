//! How fast life goes on the farm, and what that means for a gateway's limits.

use std::ops::RangeInclusive;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Millis;
use crate::posture::PostureOptions;

/// How fast life goes on the farm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Tempo {
    /// For a run of a minute: movement is natural, but animals change their mind every few seconds and
    /// "long" means seconds.
    #[default]
    Demo,
    /// For a run of a day at a frame a second or less: minutes and hours as on a real farm.
    Day,
}

/// What a farmer of this tempo would set the gateway to: known to the gateway, unlike the truth.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Limits {
    /// A person shorter in the pen than this is no incident (someone at the gate, a wrong box).
    pub person_dwell: Duration,
    /// An animal that lies longer than this lies longer than usual.
    pub lying_limit: Duration,
    /// A lying animal whose mean activity, in g, stays below this hardly moves.
    pub activity_limit: f32,
    /// The time over which activity is averaged.
    pub activity_window: Duration,
    /// This many animals at the trough are too many.
    pub crowd_size: usize,
    /// A crowd shorter than this is ordinary.
    pub crowd_window: Duration,
    /// Postures shorter than this are noise.
    pub bout_min: Duration,
}

/// The staged crowd is one animal larger than the limit: all six places of the trough.
pub(super) const CROWD_STAGED: usize = 6;

/// The limit that tells a crowd from ordinary feeding, where three animals feed at once.
const CROWD_SIZE: usize = 5;

/// Animals that feed at once when nothing is staged.
pub(super) const FEEDING_USUAL: usize = 3;

impl Limits {
    /// How to tell postures from leg samples at 1 Hz.
    pub fn posture_options(&self) -> PostureOptions {
        PostureOptions::for_bouts(self.bout_min, self.activity_window)
    }
}

impl Tempo {
    /// The limits that separate what is staged from what is ordinary.
    ///
    /// | limit | `Demo` | staged | ordinary | `Day` | staged | ordinary |
    /// |---|---|---|---|---|---|---|
    /// | person in the pen | 1 s | 4-6 s | - | 20 s | 4-8 min | - |
    /// | lying | 6 s | 10-15 s | up to 4 s | 2 h | 3-4 h | up to 80 min |
    /// | lying, but active | | | 9-11 s | | | 2.5-3 h |
    /// | five at the trough | 3 s | 6-8 s | up to 1.6 s | 5 min | 15-30 min | up to 2 min |
    ///
    /// Activity is the mean length of the step from one sample to the next, in g: at rest about 0.03,
    /// lying and restless above 0.1. Real cows lie 10 to 12 hours a day in bouts of about an hour,
    /// rarely above three, which `Day` follows.
    pub fn limits(self) -> Limits {
        let (dwell, lying, window, crowd, bout) = match self {
            Self::Demo => (1, 6, 5, 3, 2),
            Self::Day => (20, 2 * 3600, 900, 300, 120),
        };
        Limits {
            person_dwell: Duration::from_secs(dwell),
            lying_limit: Duration::from_secs(lying),
            activity_limit: 0.06,
            activity_window: Duration::from_secs(window),
            crowd_size: CROWD_SIZE,
            crowd_window: Duration::from_secs(crowd),
            bout_min: Duration::from_secs(bout),
        }
    }

    pub(super) fn pace(self) -> &'static Pace {
        match self {
            Self::Demo => &DEMO,
            Self::Day => &DAY,
        }
    }
}

/// Every time of the simulation, in milliseconds; speeds in picture widths a second.
#[derive(Debug)]
pub(super) struct Pace {
    /// The pens are empty for so long at the start.
    pub empty: Millis,
    /// The herd comes in until then.
    pub entered: Millis,
    /// Nothing is staged in the last moments.
    pub tail: Millis,
    /// Nothing is staged in the first moments of the night.
    pub settle: Millis,
    /// Before and after each staged thing.
    pub gap: Millis,
    /// One incident a this much time, unless the options say otherwise.
    pub incident_every: Millis,
    pub person_stay: RangeInclusive<Millis>,
    pub person_pause: RangeInclusive<Millis>,
    pub person_speed: f32,
    pub dog_speed: f32,
    pub cow_speed: f32,
    /// The longest walk of an animal.
    pub lead: Millis,
    pub down: RangeInclusive<Millis>,
    pub restless: RangeInclusive<Millis>,
    pub lying: RangeInclusive<Millis>,
    /// An animal stands at least so long between two times that it lies.
    pub standing: Millis,
    pub crowd: RangeInclusive<Millis>,
    pub crowd_short: RangeInclusive<Millis>,
    pub feeding: RangeInclusive<Millis>,
    pub grazing: RangeInclusive<Millis>,
    pub beam: RangeInclusive<Millis>,
    /// Decoys of each kind: one a camera a this much time.
    pub decoy_every: Millis,
}

const SECOND: Millis = 1000;
const MINUTE: Millis = 60 * SECOND;

static DEMO: Pace = Pace {
    empty: 1500,
    entered: 4 * SECOND,
    tail: 1500,
    settle: 2 * SECOND,
    gap: 1500,
    incident_every: 10 * SECOND,
    person_stay: 4 * SECOND..=6 * SECOND,
    person_pause: 200..=900,
    person_speed: 0.15,
    dog_speed: 0.25,
    cow_speed: 0.18,
    lead: 7500,
    down: 10 * SECOND..=15 * SECOND,
    restless: 9 * SECOND..=11 * SECOND,
    lying: 2500..=4 * SECOND,
    standing: 3 * SECOND,
    crowd: 5 * SECOND..=7 * SECOND,
    crowd_short: 100..=500,
    feeding: 2 * SECOND..=6 * SECOND,
    grazing: 1500..=5 * SECOND,
    beam: 1500..=2500,
    decoy_every: 25 * SECOND,
};

static DAY: Pace = Pace {
    empty: 2 * MINUTE,
    entered: 8 * MINUTE,
    tail: 10 * MINUTE,
    settle: 5 * MINUTE,
    gap: 10 * MINUTE,
    incident_every: 48 * MINUTE,
    person_stay: 4 * MINUTE..=8 * MINUTE,
    person_pause: 3 * SECOND..=15 * SECOND,
    person_speed: 0.06,
    dog_speed: 0.15,
    cow_speed: 0.05,
    lead: 30 * SECOND,
    down: 180 * MINUTE..=240 * MINUTE,
    restless: 150 * MINUTE..=180 * MINUTE,
    lying: 30 * MINUTE..=80 * MINUTE,
    standing: 8 * MINUTE,
    crowd: 15 * MINUTE..=30 * MINUTE,
    crowd_short: MINUTE..=2 * MINUTE,
    feeding: 8 * MINUTE..=20 * MINUTE,
    grazing: 2 * MINUTE..=15 * MINUTE,
    beam: 4 * SECOND..=10 * SECOND,
    decoy_every: 6 * 60 * MINUTE,
};
