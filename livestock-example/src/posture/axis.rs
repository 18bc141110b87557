//! Which axis of the sensor runs along the leg.

use super::Axis;
use super::machine::{step_length, tilt_deg};

/// Finds the leg's axis in samples of one sensor.
///
/// If an axis runs along the leg, then the animal stands while that axis is upright and lies while it is
/// level, and standing animals move more. So for each axis the mean step from sample to sample is compared
/// between the samples where the axis is upright and all others; the axis with the largest ratio wins, if
/// the recording holds enough of both. Steps count for at most 0.25 g: minutes of handling the sensor
/// must not outweigh hours of wearing it.
#[derive(Clone, Debug, Default)]
pub struct LegAxisFinder {
    last: Option<[f32; 3]>,
    /// By axis: steps while it is upright, and while it is not.
    upright: [Steps; 3],
    level: [Steps; 3],
}

/// The least samples in each posture before an axis is believed.
const SAMPLES_MIN: u64 = 120;
/// Each posture takes at least one in so many samples.
const SHARE_MIN: u64 = 10;
/// A standing animal moves at least so much more.
const RATIO_MIN: f64 = 1.1;
/// Within so many degrees an axis is upright.
const UPRIGHT_DEG: f32 = 45.0;
/// The most that one step counts, in g.
const STEP_MAX: f32 = 0.25;

#[derive(Clone, Copy, Debug, Default)]
struct Steps {
    sum: f64,
    count: u64,
}

impl Steps {
    fn push(&mut self, length: f32) {
        self.sum += f64::from(length.min(STEP_MAX));
        self.count += 1;
    }

    fn mean(self) -> f64 {
        self.sum / self.count.max(1) as f64
    }
}

impl LegAxisFinder {
    /// A finder that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next sample, in order of time; what is no number is passed over.
    pub fn push(&mut self, acceleration: [f32; 3]) {
        if !acceleration.iter().all(|a| a.is_finite()) {
            return;
        }
        if let Some(last) = self.last.replace(acceleration) {
            let length = step_length(last, acceleration);
            for axis in Axis::ALL.map(Axis::index) {
                match tilt_deg(acceleration, axis) {
                    Some(tilt) if tilt <= UPRIGHT_DEG => self.upright[axis].push(length),
                    _ => self.level[axis].push(length),
                }
            }
        }
    }

    /// The axis along the leg; `None` while the samples do not tell.
    pub fn axis(&self) -> Option<Axis> {
        let ratio = |axis: Axis| {
            let (upright, level) = (self.upright[axis.index()], self.level[axis.index()]);
            let least = SAMPLES_MIN.max((upright.count + level.count) / SHARE_MIN);
            let enough = upright.count.min(level.count) >= least && level.sum > 0.0;
            enough.then(|| upright.mean() / level.mean())
        };
        Axis::ALL
            .into_iter()
            .filter_map(|axis| ratio(axis).map(|ratio| (axis, ratio)))
            .filter(|&(_, ratio)| ratio >= RATIO_MIN)
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .map(|(axis, _)| axis)
    }
}
