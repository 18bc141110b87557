//! Daylight, dusk, the infra-red night, flicker, and what moves over the ground.

use super::layout::Point;
use super::script::Beam;
use super::{Millis, rng};

/// The light of one frame.
#[derive(Debug)]
pub(super) struct Light {
    /// Brightness of red, green and blue in 128ths.
    pub gain: [u16; 3],
    /// Whether the camera has gone over to infra-red: grey and noisy.
    pub night: bool,
    /// Shadows and headlights.
    pub spots: Vec<Spot>,
}

/// A round place that is brighter or darker towards its middle.
#[derive(Debug)]
pub(super) struct Spot {
    pub centre: Point,
    pub radius: (f32, f32),
    /// In 256ths, in the middle.
    pub strength: i32,
}

/// Dusk lasts this share of the run.
const DUSK_SHARE: i64 = 10;

/// How dark it is just before the camera goes over to infra-red.
const DUSK_GAIN: f32 = 0.45;

/// The brightness of the infra-red picture.
const NIGHT_GAIN: f32 = 0.7;

/// What the sky does to a farm.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sky {
    pub seed: u64,
    pub night: Millis,
    pub until: Millis,
}

impl Sky {
    pub fn light(&self, camera: usize, t: Millis, beams: &[Beam]) -> Light {
        let night = t >= self.night;
        let mut lots = rng(self.seed ^ 0x1164, (camera as u64) << 48 ^ t.unsigned_abs());
        let flicker = 1.0 + (lots.f32() - 0.5) * 0.02;
        // Clouds: two slow waves, another phase for each camera.
        let phase = t as f32 / self.until.max(1) as f32 * 19.0 + camera as f32;
        let drift = 1.0 + 0.03 * phase.sin() + 0.02 * (phase * 2.3).sin();
        let gain = if night {
            [NIGHT_GAIN * flicker; 3]
        } else {
            let dusk = (self.until / DUSK_SHARE).max(1);
            let left = ((self.night - t) as f32 / dusk as f32).clamp(0.0, 1.0);
            let level = (DUSK_GAIN + (1.0 - DUSK_GAIN) * left) * drift * flicker;
            // Red goes before blue.
            [
                level * (0.92 + 0.08 * left),
                level * (0.97 + 0.03 * left),
                level,
            ]
        };
        let spots = beams
            .iter()
            .filter(|beam| beam.camera == camera && beam.span.contains(&t))
            .map(|beam| {
                let share = (t - beam.span.start) as f32 / (beam.span.end - beam.span.start) as f32;
                Spot {
                    centre: (
                        beam.from.0 + (beam.to.0 - beam.from.0) * share,
                        beam.from.1 + (beam.to.1 - beam.from.1) * share,
                    ),
                    radius: beam.radius,
                    strength: beam.strength,
                }
            })
            .collect();
        Light {
            gain: gain.map(|g| (g * 128.0).clamp(0.0, 255.0) as u16),
            night,
            spots,
        }
    }
}
