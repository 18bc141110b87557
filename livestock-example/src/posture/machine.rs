//! The state machine: one for each animal, a few steps a sample, memory for the windows only.

use std::collections::VecDeque;
use std::time::Duration;

use super::{
    BOUTS_HELD_MAX, LYING_TILT_DEG, LyingBout, MEDIAN_SAMPLES_MAX, Posture, PostureError,
    PostureOptions,
};
use crate::time::Timestamp;

/// What is known after a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reading {
    /// The posture.
    pub posture: Posture,
    /// Since when, or since the first sample after a silence.
    pub since: Timestamp,
    /// The leg's angle from upright, 0 to 90 degrees, after the median; `None` without gravity (falling,
    /// or a broken sensor).
    pub tilt_deg: Option<f32>,
    /// Mean step from sample to sample over the activity window, in g.
    pub activity: f32,
}

/// Counters that add up: `samples = explained + unexplained + pending`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PostureCounts {
    /// Samples taken.
    pub samples: u64,
    /// Samples whose tilt is on the side of [`LYING_TILT_DEG`] where the posture given to them says.
    pub explained: u64,
    /// All others: short changes that the shortest bout removes, and those without any posture.
    pub unexplained: u64,
    /// Samples of a change that may still turn out too short; none after
    /// [`PostureMachine::close`].
    pub pending: u64,
    /// Bouts dropped because nobody took them.
    pub bouts_dropped: u64,
}

/// A posture that is not old enough to be believed.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    posture: Posture,
    since: Timestamp,
    /// Samples since then, by the side that their tilt is on.
    lying: u64,
    standing: u64,
    neither: u64,
}

impl Candidate {
    fn new(posture: Posture, since: Timestamp) -> Self {
        Self {
            posture,
            since,
            lying: 0,
            standing: 0,
            neither: 0,
        }
    }

    fn agreeing(&self, posture: Posture) -> u64 {
        match posture {
            Posture::Lying => self.lying,
            Posture::Standing => self.standing,
            Posture::Unknown => 0,
        }
    }

    fn total(&self) -> u64 {
        self.lying + self.standing + self.neither
    }
}

/// Tells the posture of one animal from its samples, one by one.
#[derive(Debug)]
pub struct PostureMachine {
    animal: String,
    options: PostureOptions,
    posture: Posture,
    since: Timestamp,
    /// Whether the change to `posture` was seen.
    seen_start: bool,
    candidate: Option<Candidate>,
    recent: VecDeque<[f32; 3]>,
    last: Option<(Timestamp, [f32; 3])>,
    steps: VecDeque<(Timestamp, f32)>,
    steps_sum: f64,
    bouts: VecDeque<LyingBout>,
    counts: PostureCounts,
}

/// Below this length, in g, a vector tells no direction.
const GRAVITY_MIN: f32 = 0.3;
/// Above this a component is no measurement.
const COMPONENT_MAX: f32 = 100.0;
/// Steps held for the activity; more than an hour at 4 Hz.
const STEPS_MAX: usize = 16_384;

impl PostureMachine {
    /// A machine that knows nothing yet.
    ///
    /// # Errors
    /// [`PostureError::Option`] for an option out of its range.
    pub fn build(animal: &str, options: PostureOptions) -> Result<Self, PostureError> {
        let bad = |option, value: String, allowed| {
            Err(PostureError::Option {
                option,
                value,
                allowed,
            })
        };
        let n = options.median_samples;
        if n.is_multiple_of(2) || n > MEDIAN_SAMPLES_MAX {
            return bad("median_samples", n.to_string(), "an odd number up to 61");
        }
        if !(0.0..=25.0).contains(&options.hysteresis_deg) {
            return bad(
                "hysteresis_deg",
                options.hysteresis_deg.to_string(),
                "0 to 25",
            );
        }
        let window = options.activity_window;
        if window < Duration::from_secs(1) || window > Duration::from_secs(3600) {
            return bad("activity_window", format!("{window:?}"), "1 s to 1 h");
        }
        Ok(Self {
            animal: animal.to_owned(),
            options,
            posture: Posture::Unknown,
            since: Timestamp::default(),
            seen_start: false,
            candidate: None,
            recent: VecDeque::with_capacity(n),
            last: None,
            steps: VecDeque::new(),
            steps_sum: 0.0,
            bouts: VecDeque::new(),
            counts: PostureCounts::default(),
        })
    }

    /// The animal.
    pub fn animal(&self) -> &str {
        &self.animal
    }

    /// The counters so far.
    pub fn counts(&self) -> PostureCounts {
        PostureCounts {
            pending: self.candidate.map_or(0, |candidate| candidate.total()),
            ..self.counts
        }
    }

    /// Takes the next sample, an acceleration in g.
    ///
    /// # Errors
    /// [`PostureError::Acceleration`] and [`PostureError::NotLater`]; the sample is not counted and the
    /// machine stays as it was.
    pub fn push(&mut self, at: Timestamp, acceleration: [f32; 3]) -> Result<Reading, PostureError> {
        // A NaN is not within any range.
        if !acceleration.iter().all(|a| a.abs() <= COMPONENT_MAX) {
            return Err(PostureError::Acceleration {
                animal: self.animal.clone(),
                acceleration,
            });
        }
        if let Some((last, before)) = self.last {
            if at <= last {
                return Err(PostureError::NotLater {
                    animal: self.animal.clone(),
                    at,
                    last,
                });
            }
            if at.since(last) > self.options.silence_max {
                self.close();
            } else {
                self.step(at, before, acceleration);
            }
        }
        self.last = Some((at, acceleration));
        self.counts.samples += 1;
        if self.recent.len() == self.options.median_samples {
            self.recent.pop_front();
        }
        self.recent.push_back(acceleration);
        let tilt = self.tilt();
        self.decide(at, tilt);
        Ok(Reading {
            posture: self.posture,
            since: self.since,
            tilt_deg: tilt,
            activity: self.activity(),
        })
    }

    /// Ends what is under way at the last sample, as after a silence; nothing is known from then on.
    pub fn close(&mut self) {
        if let Some(candidate) = self.candidate.take() {
            self.settle(&candidate, self.posture);
        }
        if let Some((last, _)) = self.last.take() {
            self.end_posture(last, Seen::Cut);
        }
        self.posture = Posture::Unknown;
        self.recent.clear();
        self.steps.clear();
        self.steps_sum = 0.0;
    }

    /// The lying bouts that ended since the last call, in order of time.
    pub fn take_bouts(&mut self) -> Vec<LyingBout> {
        self.bouts.drain(..).collect()
    }

    fn step(&mut self, at: Timestamp, before: [f32; 3], now: [f32; 3]) {
        let length = step_length(before, now);
        self.steps.push_back((at, length));
        self.steps_sum += f64::from(length);
        while let Some(&(oldest, length)) = self.steps.front() {
            let inside = at.since(oldest) < self.options.activity_window;
            if inside && self.steps.len() <= STEPS_MAX {
                break;
            }
            self.steps.pop_front();
            self.steps_sum -= f64::from(length);
        }
    }

    fn activity(&self) -> f32 {
        (self.steps_sum.max(0.0) / self.steps.len().max(1) as f64) as f32
    }

    /// The leg's angle from upright, by the median of each axis.
    fn tilt(&self) -> Option<f32> {
        let median = |axis: usize| {
            let mut values: Vec<f32> = self.recent.iter().map(|a| a[axis]).collect();
            values.sort_unstable_by(f32::total_cmp);
            values[values.len() / 2]
        };
        let gravity = [median(0), median(1), median(2)];
        tilt_deg(gravity, self.options.leg_axis.index())
    }

    /// The posture that the tilt calls for, given the present one.
    fn called_for(&self, tilt: f32) -> Posture {
        let half = self.options.hysteresis_deg;
        let cut = match self.posture {
            Posture::Standing => LYING_TILT_DEG + half,
            Posture::Lying => LYING_TILT_DEG - half,
            Posture::Unknown => LYING_TILT_DEG,
        };
        if tilt > cut {
            Posture::Lying
        } else {
            Posture::Standing
        }
    }

    fn decide(&mut self, at: Timestamp, tilt: Option<f32>) {
        // Without a direction the sample changes nothing and is explained by nothing.
        let called = match (tilt, &self.candidate) {
            (Some(tilt), _) => self.called_for(tilt),
            (None, Some(candidate)) => candidate.posture,
            (None, None) => self.posture,
        };
        if called == self.posture {
            if let Some(candidate) = self.candidate.take() {
                self.settle(&candidate, self.posture);
            }
        } else if self.candidate.is_none_or(|c| c.posture != called) {
            if let Some(candidate) = self.candidate.take() {
                self.settle(&candidate, self.posture);
            }
            self.candidate = Some(Candidate::new(called, at));
        }
        let side = tilt.map(|tilt| {
            if tilt > LYING_TILT_DEG {
                Posture::Lying
            } else {
                Posture::Standing
            }
        });
        let Some(candidate) = &mut self.candidate else {
            if side == Some(self.posture) {
                self.counts.explained += 1;
            } else {
                self.counts.unexplained += 1;
            }
            return;
        };
        match side {
            Some(Posture::Lying) => candidate.lying += 1,
            Some(_) => candidate.standing += 1,
            None => candidate.neither += 1,
        }
        if at.since(candidate.since) >= self.options.bout_min {
            let candidate = *candidate;
            self.candidate = None;
            self.settle(&candidate, candidate.posture);
            let first = self.posture == Posture::Unknown;
            self.end_posture(candidate.since, Seen::Change);
            self.posture = candidate.posture;
            self.since = candidate.since;
            self.seen_start = !first;
        } else if self.posture == Posture::Unknown {
            self.since = candidate.since;
        }
    }

    /// Counts the samples of a candidate as given to `posture`.
    fn settle(&mut self, candidate: &Candidate, posture: Posture) {
        let agreeing = candidate.agreeing(posture);
        self.counts.explained += agreeing;
        self.counts.unexplained += candidate.total() - agreeing;
    }

    fn end_posture(&mut self, end: Timestamp, seen: Seen) {
        if self.posture != Posture::Lying || end <= self.since {
            return;
        }
        if self.bouts.len() == BOUTS_HELD_MAX {
            self.bouts.pop_front();
            self.counts.bouts_dropped += 1;
        }
        self.bouts.push_back(LyingBout {
            animal: self.animal.clone(),
            start: self.since,
            end,
            minutes: end.since(self.since).as_secs_f64() / 60.0,
            complete: self.seen_start && seen == Seen::Change,
        });
    }
}

/// Whether a posture ended by another one or by the end of the samples.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Seen {
    Change,
    Cut,
}

/// The angle between `gravity` and an axis, 0 to 90 degrees; `None` when it is too short to have one.
pub(super) fn tilt_deg(gravity: [f32; 3], axis: usize) -> Option<f32> {
    let length = gravity.iter().map(|g| g * g).sum::<f32>().sqrt();
    (length >= GRAVITY_MIN).then(|| {
        (gravity[axis].abs() / length)
            .clamp(0.0, 1.0)
            .acos()
            .to_degrees()
    })
}

/// How far the acceleration went from one sample to the next, in g.
pub(crate) fn step_length(before: [f32; 3], now: [f32; 3]) -> f32 {
    let squares = before.iter().zip(now).map(|(b, n)| (n - b) * (n - b));
    squares.sum::<f32>().sqrt()
}
