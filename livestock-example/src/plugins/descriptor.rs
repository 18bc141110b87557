//! How the inside of a box looks, as a vector: for telling whether the same thing was seen before.
//!
//! The box is laid out as 4 x 4 cells; each cell gives its gradient directions as 8 bins weighted by
//! strength, and its brightness. The vector is centred and scaled to length 1, so that the cosine of two
//! is their similarity. After the descriptor of N. Dalal and B. Triggs, *Histograms of oriented gradients
//! for human detection*, CVPR 2005, without overlapping blocks.

use crate::detection::Rect;
use crate::frame::Frame;

/// Numbers in a descriptor.
pub const DESCRIPTOR_LENGTH: usize = CELLS * CELLS * (BINS + 1);

const CELLS: usize = 4;
const BINS: usize = 8;
/// Samples across and down, without the rim that gradients need.
const SIDE: usize = 32;

/// The descriptor of a box; all zeros for a box without any contrast. Constant time.
pub fn describe(frame: &Frame, rect: &Rect) -> Vec<f32> {
    let samples = sample(frame, rect);
    let at = |x: usize, y: usize| samples[y * (SIDE + 2) + x];
    let mut cells = vec![[0.0_f32; BINS + 1]; CELLS * CELLS];
    for y in 0..SIDE {
        for x in 0..SIDE {
            let cell = &mut cells[y * CELLS / SIDE * CELLS + x * CELLS / SIDE];
            let dx = at(x + 2, y + 1) - at(x, y + 1);
            let dy = at(x + 1, y + 2) - at(x + 1, y);
            let turn = (dy.atan2(dx) / std::f32::consts::TAU).rem_euclid(1.0);
            cell[((turn * BINS as f32) as usize).min(BINS - 1)] += dx.hypot(dy);
            cell[BINS] += at(x + 1, y + 1);
        }
    }
    let mut descriptor: Vec<f32> = cells.into_iter().flatten().collect();
    centre(&mut descriptor, |i| i % (BINS + 1) == BINS);
    centre(&mut descriptor, |i| i % (BINS + 1) != BINS);
    // Where one part has nothing to say the other is all.
    let length = descriptor.iter().map(|v| v * v).sum::<f32>().sqrt();
    if length > 0.0 {
        descriptor.iter_mut().for_each(|value| *value /= length);
    }
    descriptor
}

/// Centres and scales the chosen numbers so that they make up half of the vector's length.
fn centre(descriptor: &mut [f32], chosen: impl Fn(usize) -> bool) {
    let mut part: Vec<&mut f32> = descriptor
        .iter_mut()
        .enumerate()
        .filter(|(i, _)| chosen(*i))
        .map(|(_, value)| value)
        .collect();
    let mean = part.iter().map(|v| **v).sum::<f32>() / part.len() as f32;
    let length = part
        .iter()
        .map(|v| (**v - mean) * (**v - mean))
        .sum::<f32>()
        .sqrt();
    // Evenly grey is no look: what varies by less than a hundredth is noise.
    let least = 1e-2 * mean.abs() * (part.len() as f32).sqrt();
    let scale = if length > least.max(1e-3) {
        std::f32::consts::FRAC_1_SQRT_2 / length
    } else {
        0.0
    };
    for value in &mut part {
        **value = (**value - mean) * scale;
    }
}

/// Brightness on a regular grid over the box, with a rim of one sample.
fn sample(frame: &Frame, rect: &Rect) -> Vec<f32> {
    let (width, height) = (frame.width() as usize, frame.height() as usize);
    let rgb = frame.rgb();
    let pixel = |share: f32, side: usize| {
        ((share * side as f32) as isize).clamp(0, side as isize - 1) as usize
    };
    let step = |from: f32, to: f32, i: usize| from + (to - from) * (i as f32 - 0.5) / SIDE as f32;
    let mut samples = Vec::with_capacity((SIDE + 2) * (SIDE + 2));
    for j in 0..SIDE + 2 {
        let y = pixel(step(rect.y0, rect.y1, j), height);
        for i in 0..SIDE + 2 {
            let x = pixel(step(rect.x0, rect.x1, i), width);
            let at = (y * width + x) * 3;
            samples
                .push((f32::from(rgb[at]) + f32::from(rgb[at + 1]) + f32::from(rgb[at + 2])) / 3.0);
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::frame::CameraId;
    use crate::time::Timestamp;

    fn frame(pixel: impl Fn(usize, usize) -> u8) -> Frame {
        let rgb: Vec<u8> = (0..64 * 64)
            .flat_map(|i| [pixel(i % 64, i / 64); 3])
            .collect();
        Frame::new(
            CameraId::new("c"),
            0,
            Timestamp::from_millis(0),
            64,
            64,
            Arc::from(rgb),
        )
        .unwrap()
    }

    fn cosine(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(x, y)| x * y).sum()
    }

    const ALL: Rect = Rect {
        x0: 0.0,
        y0: 0.0,
        x1: 1.0,
        y1: 1.0,
    };

    #[test]
    fn the_same_picture_in_another_light_looks_the_same_and_another_picture_does_not() {
        let stripes = describe(&frame(|x, _| if x % 16 < 8 { 200 } else { 60 }), &ALL);
        let dim = describe(&frame(|x, _| if x % 16 < 8 { 110 } else { 40 }), &ALL);
        let blob = describe(
            &frame(|x, y| {
                if (x as i32 - 20).pow(2) + (y as i32 - 44).pow(2) < 200 {
                    220
                } else {
                    50
                }
            }),
            &ALL,
        );
        assert_eq!(stripes.len(), DESCRIPTOR_LENGTH);
        assert!(cosine(&stripes, &dim) > 0.95);
        assert!(cosine(&stripes, &blob) < 0.6);
    }

    #[test]
    fn a_flat_picture_or_a_box_outside_gives_no_nonsense() {
        assert!(describe(&frame(|_, _| 128), &ALL).iter().all(|v| *v == 0.0));
        let outside = Rect {
            x0: -0.5,
            y0: 0.9,
            x1: 1.7,
            y1: 2.0,
        };
        assert!(
            describe(&frame(|x, y| (x * y) as u8), &outside)
                .iter()
                .all(|v| v.is_finite())
        );
    }
}
