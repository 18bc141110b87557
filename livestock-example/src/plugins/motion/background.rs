//! What a camera sees when nothing is there: a running mean of each pixel, told apart from changes of light.
//!
//! Each frame is first explained by the background under another light, `frame = gain * mean + offset`,
//! fitted to the pixels that agree (iteratively reweighted least squares on a grid). What remains
//! unexplained beyond the frame's own noise is foreground. The mean follows slow changes where nothing is,
//! and takes days to follow where something stands, so that an animal that does not move stays visible for
//! hours and leaves no ghost. Linear in the pixels.

use std::time::Duration;

/// Frames from which the mean is learnt at the start.
const LEARN_FRAMES: u32 = 6;
/// How fast the mean follows where nothing is.
const FOLLOW: f32 = 0.02;
/// How long the mean takes to follow where something stands: an animal that rested for hours must not
/// leave a ghost of itself where it lay.
const FOLLOW_UNDER: Duration = Duration::from_secs(48 * 3600);
/// The grid of the fit: each so many pixels across and down.
const GRID: usize = 4;
const FIT_ROUNDS: usize = 4;
/// A change is foreground from so many levels on, and from so many times the noise.
const CHANGE_MIN: f32 = 14.0;
const CHANGE_NOISE: f32 = 4.5;

/// The background of one camera.
pub(super) struct Background {
    width: usize,
    height: usize,
    mean: Vec<f32>,
    frames: u32,
    /// The last frame in brightness, 0..=255.
    pub luma: Vec<f32>,
    /// The background under the last frame's light.
    pub lit: Vec<f32>,
    /// Where the last frame is unlike the background.
    pub mask: Vec<bool>,
    /// The least change that counted in the last frame.
    pub threshold: f32,
}

impl Background {
    pub fn new(width: usize, height: usize) -> Self {
        let pixels = width * height;
        Self {
            width,
            height,
            mean: vec![0.0; pixels],
            frames: 0,
            luma: vec![0.0; pixels],
            lit: vec![0.0; pixels],
            mask: vec![false; pixels],
            threshold: CHANGE_MIN,
        }
    }

    pub fn fits(&self, width: usize, height: usize) -> bool {
        (self.width, self.height) == (width, height)
    }

    /// Takes a frame, three bytes a pixel; [`Background::mask`] is then its foreground, empty while the
    /// background is still learnt. `elapsed` is the time since the frame before.
    pub fn push(&mut self, rgb: &[u8], elapsed: Duration) {
        for (luma, pixel) in self.luma.iter_mut().zip(rgb.chunks_exact(3)) {
            let [r, g, b] = [
                u32::from(pixel[0]),
                u32::from(pixel[1]),
                u32::from(pixel[2]),
            ];
            *luma = ((r * 77 + g * 150 + b * 29) >> 8) as f32;
        }
        self.frames = self.frames.saturating_add(1);
        if self.frames <= LEARN_FRAMES {
            let share = 1.0 / self.frames as f32;
            for (mean, luma) in self.mean.iter_mut().zip(&self.luma) {
                *mean += share * (luma - *mean);
            }
            self.mask.fill(false);
            return;
        }
        let (gain, offset, noise) = self.light();
        self.threshold = CHANGE_MIN.max(CHANGE_NOISE * noise);
        let under = (elapsed.as_secs_f32() / FOLLOW_UNDER.as_secs_f32()).min(FOLLOW);
        let pixels = self
            .mean
            .iter_mut()
            .zip(&self.luma)
            .zip(self.lit.iter_mut().zip(&mut self.mask));
        for ((mean, luma), (lit, mask)) in pixels {
            *lit = gain * *mean + offset;
            let change = luma - *lit;
            *mask = change.abs() > self.threshold;
            let follow = if *mask { under } else { FOLLOW };
            // The mean stays in the light that it was learnt in.
            *mean += follow * change / gain;
        }
    }

    /// The light of the frame against the mean, and the noise that remains, in levels.
    fn light(&self) -> (f32, f32, f32) {
        let grid: Vec<(f32, f32)> = (GRID / 2..self.height)
            .step_by(GRID)
            .flat_map(|y| {
                (GRID / 2..self.width)
                    .step_by(GRID)
                    .map(move |x| y * self.width + x)
            })
            .map(|at| (self.mean[at], self.luma[at]))
            .collect();
        let mut ratios: Vec<f32> = grid
            .iter()
            .map(|(mean, luma)| luma / mean.max(1.0))
            .collect();
        let (mut gain, mut offset) = (median(&mut ratios).clamp(0.05, 20.0), 0.0);
        let mut noise = CHANGE_MIN;
        let mut left = Vec::with_capacity(grid.len());
        for _ in 0..FIT_ROUNDS {
            left.clear();
            left.extend(
                grid.iter()
                    .map(|(mean, luma)| (luma - gain * mean - offset).abs()),
            );
            noise = 1.4826 * median(&mut left);
            let agree = (3.0 * noise).max(2.0);
            let near = grid
                .iter()
                .filter(|(mean, luma)| (luma - gain * mean - offset).abs() < agree);
            if let Some(fit) = line(near) {
                (gain, offset) = fit;
            }
        }
        (gain, offset, noise)
    }
}

/// Least squares of `y = a x + b`; none for points without spread, or a light that no camera has.
fn line<'a>(points: impl Iterator<Item = &'a (f32, f32)>) -> Option<(f32, f32)> {
    let (mut n, mut x, mut y, mut xx, mut xy) = (0.0_f64, 0.0, 0.0, 0.0, 0.0);
    for (px, py) in points {
        let (px, py) = (f64::from(*px), f64::from(*py));
        n += 1.0;
        x += px;
        y += py;
        xx += px * px;
        xy += px * py;
    }
    let spread = n * xx - x * x;
    if n < 16.0 || spread <= f64::EPSILON * n * xx {
        return None;
    }
    let gain = (n * xy - x * y) / spread;
    let offset = (y - gain * x) / n;
    (0.05..20.0)
        .contains(&gain)
        .then_some((gain as f32, offset as f32))
}

fn median(values: &mut [f32]) -> f32 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRAME: Duration = Duration::from_millis(200);

    fn ramp(gain: f32, offset: f32) -> Vec<u8> {
        (0..64 * 48)
            .flat_map(|i| [((i % 64) as f32 * 2.0 * gain + 40.0 * gain + offset) as u8; 3])
            .collect()
    }

    #[test]
    fn another_light_is_no_foreground_and_a_thing_is() {
        let mut background = Background::new(64, 48);
        for _ in 0..10 {
            background.push(&ramp(1.0, 0.0), FRAME);
        }
        let mut dusk = ramp(0.6, 10.0);
        background.push(&dusk, FRAME);
        assert_eq!(background.mask.iter().filter(|m| **m).count(), 0);
        for y in 10..20 {
            for x in 30..36 {
                dusk[(y * 64 + x) * 3..][..3].fill(250);
            }
        }
        background.push(&dusk, FRAME);
        assert_eq!(background.mask.iter().filter(|m| **m).count(), 60);
    }

    #[test]
    fn a_thing_that_stands_still_for_hours_stays_visible_and_leaves_no_ghost() {
        let mut background = Background::new(64, 48);
        for _ in 0..10 {
            background.push(&ramp(1.0, 0.0), FRAME);
        }
        let mut picture = ramp(1.0, 0.0);
        for y in 10..20 {
            picture[(y * 64 + 30) * 3..][..18].fill(250);
        }
        for _ in 0..1000 {
            background.push(&picture, Duration::from_secs(10));
        }
        assert_eq!(background.mask.iter().filter(|m| **m).count(), 60);
        background.push(&ramp(1.0, 0.0), FRAME);
        assert_eq!(background.mask.iter().filter(|m| **m).count(), 0);
    }
}
