//! What the leg sensors measure.
//!
//! A standing leg points its long axis (the sensor's y) down; a lying one holds it level and turns
//! another axis down. Each sensor sits a little differently, and rounds to 1/32 g as real ones do. Noise
//! and steps were set beside recordings of real cows: about 0.03 g from sample to sample at rest, 0.06
//! standing, 0.4 walking.

use super::herd::{Act, Animal, Pose, Rest};
use super::{Millis, between, rng};

/// One sensor: who wears it and how it is strapped on.
#[derive(Clone, Debug)]
pub(super) struct Sensor {
    pub animal: usize,
    seed: u64,
    /// Gravity while standing, and the two ways to lie, in g.
    standing: [f32; 3],
    lying: [[f32; 3]; 2],
}

/// The sensor's resolution, in g.
const STEP: f32 = 1.0 / 32.0;

impl Sensor {
    pub fn new(seed: u64, animal: usize) -> Self {
        let mut rng = rng(seed, 1000 + animal as u64);
        // Some are strapped on upside down.
        let up = if rng.bool() { 1.0 } else { -1.0 };
        let turn = between(&mut rng, -0.6, 0.6);
        let tilt = between(&mut rng, -0.25, 0.25);
        let level = |side: f32| {
            let (x, z) = (side * turn.sin(), side * turn.cos());
            [x, 0.15 * up * tilt.cos(), z]
        };
        Self {
            animal,
            seed,
            standing: [tilt.sin(), up * tilt.cos(), 0.3 * tilt],
            lying: [level(1.0), level(-1.0)],
        }
    }

    /// The acceleration at `t`, in g.
    pub fn sample(&self, animal: &Animal, t: Millis) -> [f32; 3] {
        let Some(act) = animal.act(t) else {
            return self.standing;
        };
        let mut rng = rng(
            self.seed ^ ((self.animal as u64) << 40),
            t.unsigned_abs() + 1,
        );
        let gravity = self.gravity(act);
        let moved = movement(act.pose, &mut rng);
        gravity.map(|g| {
            let raw = g + between(&mut rng, -moved, moved);
            (raw / STEP).round() * STEP
        })
    }

    fn gravity(&self, act: &Act) -> [f32; 3] {
        match act.pose {
            Pose::Lie(_) => {
                // One bout lies on one side.
                let bout = act.span.start.unsigned_abs() ^ self.animal as u64;
                self.lying[usize::from(rng(self.seed, bout).bool())]
            }
            _ => self.standing,
        }
    }
}

/// How far each axis strays from gravity, in g; some movements come and go.
fn movement(pose: Pose, rng: &mut fastrand::Rng) -> f32 {
    match pose {
        Pose::Walk => 0.45,
        Pose::Stand => 0.05,
        Pose::Graze | Pose::Feed => {
            if rng.u8(0..6) == 0 {
                0.2
            } else {
                0.04
            }
        }
        Pose::Lie(Rest::Still) => 0.015,
        Pose::Lie(Rest::Usual) => 0.02,
        Pose::Lie(Rest::Restless) => 0.22,
    }
}
