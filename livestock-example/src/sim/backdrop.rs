//! The place without anybody in it: drawn once for each camera.

use super::layout::{FENCE, GATE, TROUGH, YARD_TOP};
use super::rng;

type Rgb = [f32; 3];

const STRAW: Rgb = [172.0, 150.0, 104.0];
const CONCRETE: Rgb = [140.0, 138.0, 132.0];
const BOARDS: Rgb = [112.0, 82.0, 62.0];
const STEEL: Rgb = [156.0, 160.0, 164.0];

/// A picture under construction.
struct Canvas {
    width: usize,
    height: usize,
    pixels: Vec<Rgb>,
}

impl Canvas {
    fn fill(
        &mut self,
        (x0, y0, x1, y1): (f32, f32, f32, f32),
        mut colour: impl FnMut(usize, usize) -> Rgb,
    ) {
        let column = |x: f32| ((x * self.width as f32).round().max(0.0) as usize).min(self.width);
        let row = |y: f32| ((y * self.height as f32).round().max(0.0) as usize).min(self.height);
        for y in row(y0)..row(y1) {
            for x in column(x0)..column(x1) {
                self.pixels[y * self.width + x] = colour(x, y);
            }
        }
    }

    /// Mixes `colour` over the pixels of a short straight stroke.
    fn stroke(&mut self, (x, y): (f32, f32), (dx, dy): (f32, f32), colour: Rgb, share: f32) {
        let steps = dx.abs().max(dy.abs()).ceil().max(1.0);
        for i in 0..steps as usize {
            let (px, py) = (x + dx * i as f32 / steps, y + dy * i as f32 / steps);
            if px < 0.0 || py < 0.0 || px >= self.width as f32 || py >= self.height as f32 {
                continue;
            }
            let pixel = &mut self.pixels[py as usize * self.width + px as usize];
            for (p, c) in pixel.iter_mut().zip(colour) {
                *p += (c - *p) * share;
            }
        }
    }
}

fn scale(rgb: Rgb, by: f32) -> Rgb {
    rgb.map(|c| c * by)
}

/// The empty pen, yard and barn as RGB bytes in plain daylight.
pub(super) fn draw(width: usize, height: usize, seed: u64, camera: usize) -> Vec<u8> {
    let mut lots = rng(seed, 500 + camera as u64);
    let mut canvas = Canvas {
        width,
        height,
        pixels: vec![STRAW; width * height],
    };
    wall(&mut canvas, &mut lots);
    yard(&mut canvas, &mut lots);
    straw(&mut canvas, &mut lots);
    fence(&mut canvas);
    trough(&mut canvas, &mut lots);
    let bytes = canvas.pixels.iter().flatten();
    bytes.map(|&c| c.clamp(0.0, 255.0) as u8).collect()
}

fn wall(canvas: &mut Canvas, lots: &mut fastrand::Rng) {
    let board = (canvas.width / 32).max(4);
    let tones: Vec<f32> = (0..=canvas.width / board)
        .map(|_| 0.88 + lots.f32() * 0.24)
        .collect();
    canvas.fill((0.0, 0.0, 1.0, YARD_TOP), |x, _| {
        let gap = if x % board == 0 { 0.6 } else { 1.0 };
        scale(BOARDS, tones[x / board] * gap * (0.97 + lots.f32() * 0.06))
    });
    // The eaves, two windows and the barn door.
    canvas.fill((0.0, 0.0, 1.0, 0.035), |_, _| [66.0, 58.0, 54.0]);
    for x in [0.12, 0.78] {
        canvas.fill((x, 0.07, x + 0.1, 0.16), |_, _| [206.0, 204.0, 196.0]);
        canvas.fill((x + 0.006, 0.079, x + 0.094, 0.151), |_, y| {
            [74.0, 92.0, 108.0 + (y % 5) as f32]
        });
    }
    canvas.fill((0.44, 0.05, 0.60, YARD_TOP), |x, _| {
        scale([92.0, 58.0, 44.0], if x % 6 == 0 { 0.8 } else { 1.0 })
    });
    canvas.fill((0.0, YARD_TOP - 0.012, 1.0, YARD_TOP), |_, _| {
        [88.0, 84.0, 80.0]
    });
}

fn yard(canvas: &mut Canvas, lots: &mut fastrand::Rng) {
    canvas.fill((0.0, YARD_TOP, 1.0, FENCE.1), |_, _| {
        scale(CONCRETE, 0.96 + lots.f32() * 0.08)
    });
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    for _ in 0..14 {
        let at = (lots.f32() * w, (YARD_TOP + lots.f32() * 0.2) * h);
        canvas.stroke(
            at,
            (lots.f32() * 40.0 - 20.0, lots.f32() * 8.0),
            scale(CONCRETE, 0.72),
            0.5,
        );
    }
}

fn straw(canvas: &mut Canvas, lots: &mut fastrand::Rng) {
    canvas.fill((0.0, FENCE.1, 1.0, 1.0), |_, y| {
        // Trodden dark towards the fence.
        let near = y as f32 / 240.0;
        scale(
            STRAW,
            (0.86 + 0.1 * near.min(1.2)) * (0.96 + lots.f32() * 0.08),
        )
    });
    let (w, h) = (canvas.width as f32, canvas.height as f32);
    let strokes = (w * h / 40.0) as usize;
    for _ in 0..strokes {
        let y = FENCE.1 + lots.f32() * (1.0 - FENCE.1);
        let at = (lots.f32() * w, y * h);
        let length = w / 60.0 * (0.5 + y);
        let slope = (
            (lots.f32() - 0.5) * 2.0 * length,
            (lots.f32() - 0.5) * length,
        );
        let tone = if lots.bool() {
            [206.0, 184.0, 132.0]
        } else {
            [128.0, 106.0, 70.0]
        };
        canvas.stroke(at, slope, tone, 0.35);
    }
}

fn fence(canvas: &mut Canvas) {
    let rail = 0.011;
    for (left, right) in [(0.0, GATE.0), (GATE.1, 1.0)] {
        for y in [FENCE.0, FENCE.1 - rail] {
            canvas.fill((left, y, right, y + rail), |_, _| STEEL);
            canvas.fill((left, y + rail, right, y + rail + 0.005), |_, _| {
                scale(STEEL, 0.5)
            });
        }
    }
    let posts = (0..=10).map(|i| i as f32 / 10.0);
    for x in posts
        .filter(|x| *x < GATE.0 || *x > GATE.1)
        .chain([GATE.0, GATE.1])
    {
        canvas.fill(
            (x - 0.006, FENCE.0 - 0.015, x + 0.006, FENCE.1 + 0.015),
            |_, _| scale(STEEL, 0.8),
        );
    }
}

fn trough(canvas: &mut Canvas, lots: &mut fastrand::Rng) {
    let (x0, y0, x1, y1) = TROUGH;
    canvas.fill((x0, y0, x1, y1), |_, _| scale(STEEL, 0.62));
    canvas.fill((x0 + 0.01, y0 + 0.015, x1 - 0.01, y1 - 0.015), |_, _| {
        scale([122.0, 128.0, 66.0], 0.75 + lots.f32() * 0.5)
    });
    for y in [0.73, 0.88] {
        canvas.fill((x0, y, x1, y + 0.012), |_, _| STEEL);
    }
}
