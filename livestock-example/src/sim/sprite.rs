//! Cattle, people and dogs as small pictures with transparency, drawn once at the start.
//!
//! Shapes are functions of a point: x to the front, y up from the ground, both in heights of a grown
//! person. [`Sprite::draw`] samples them two by two a pixel.

use super::{between, rng};

/// A colour with opacity.
type Rgba = [u8; 4];
type Rgb = [u8; 3];

/// A picture of one thing in one pose, looking right; row 0 is the top.
#[derive(Debug)]
pub(super) struct Sprite {
    pub width: usize,
    pub height: usize,
    /// Its size in heights of a person.
    pub size: (f32, f32),
    pub pixels: Vec<Rgba>,
}

impl Sprite {
    /// Draws `shape` over `size` with `unit` pixels a person's height.
    fn draw(size: (f32, f32), unit: f32, shape: impl Fn(f32, f32) -> Option<Rgb>) -> Self {
        let width = (size.0 * unit).ceil().max(1.0) as usize;
        let height = (size.1 * unit).ceil().max(1.0) as usize;
        let mut pixels = Vec::with_capacity(width * height);
        for row in 0..height {
            for column in 0..width {
                let mut sum = [0_u32; 3];
                let mut hits = 0;
                for (sx, sy) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
                    let x = (column as f32 + sx) / width as f32 * size.0;
                    let y = (1.0 - (row as f32 + sy) / height as f32) * size.1;
                    if let Some(rgb) = shape(x, y) {
                        hits += 1;
                        for (s, c) in sum.iter_mut().zip(rgb) {
                            *s += u32::from(c);
                        }
                    }
                }
                let mean = |s: u32| (s / hits.max(1)) as u8;
                pixels.push([
                    mean(sum[0]),
                    mean(sum[1]),
                    mean(sum[2]),
                    (hits * 255 / 4) as u8,
                ]);
            }
        }
        Self {
            width,
            height,
            size,
            pixels,
        }
    }
}

fn ellipse(x: f32, y: f32, (cx, cy): (f32, f32), (rx, ry): (f32, f32)) -> bool {
    let (dx, dy) = ((x - cx) / rx, (y - cy) / ry);
    dx * dx + dy * dy < 1.0
}

/// A box with round corners (a superellipse of the fourth degree).
fn barrel(x: f32, y: f32, (cx, cy): (f32, f32), (rx, ry): (f32, f32)) -> bool {
    let (dx, dy) = ((x - cx) / rx, (y - cy) / ry);
    (dx * dx) * (dx * dx) + (dy * dy) * (dy * dy) < 1.0
}

/// A thick line.
fn limb(x: f32, y: f32, a: (f32, f32), b: (f32, f32), width: f32) -> bool {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let along = (((x - a.0) * dx + (y - a.1) * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
    let (ox, oy) = (x - a.0 - along * dx, y - a.1 - along * dy);
    ox * ox + oy * oy < width * width / 4.0
}

fn shade([r, g, b]: Rgb, light: f32) -> Rgb {
    let one = |c: u8| (f32::from(c) * light).min(255.0) as u8;
    [one(r), one(g), one(b)]
}

/// How one animal looks: its colours and where its patches are.
struct Coat {
    light: Rgb,
    dark: Rgb,
    patches: Vec<(f32, f32, f32, f32)>,
}

impl Coat {
    fn new(seed: u64) -> Self {
        let mut rng = rng(seed, 77);
        let light = [232, 228, 216];
        let dark = match rng.u8(0..5) {
            0 => [112, 62, 34],
            1 => [84, 50, 32],
            _ => [34, 32, 34],
        };
        let patches = (0..rng.usize(3..7))
            .map(|_| {
                (
                    between(&mut rng, 0.1, 1.0),
                    between(&mut rng, 0.2, 0.65),
                    between(&mut rng, 0.09, 0.24),
                    between(&mut rng, 0.08, 0.2),
                )
            })
            .collect();
        Self {
            light,
            dark,
            patches,
        }
    }

    fn at(&self, x: f32, y: f32) -> Rgb {
        let patched = self
            .patches
            .iter()
            .any(|&(px, py, rx, ry)| ellipse(x, y, (px, py), (rx, ry)));
        if patched { self.dark } else { self.light }
    }
}

/// The poses of an animal, as indices into [`cattle`].
pub(super) mod cattle_pose {
    /// Four steps of walking come first.
    pub const STEPS: usize = 4;
    pub const STAND: usize = 4;
    /// Head down, two positions each.
    pub const GRAZE: usize = 5;
    pub const FEED: usize = 7;
    /// Lying, with the head up and turned a little.
    pub const LIE: usize = 9;
}

/// How far the legs swing in each step.
const SWING: [f32; 4] = [0.0, 0.08, 0.0, -0.08];

/// All poses of one animal.
pub(super) fn cattle(seed: u64, unit: f32) -> Vec<Sprite> {
    let coat = Coat::new(seed);
    let upright = |head: (f32, f32), swing: f32| {
        Sprite::draw((1.28, 0.78), unit, |x, y| {
            standing_cow(x, y, &coat, head, swing)
        })
    };
    let mut poses: Vec<Sprite> = SWING
        .iter()
        .map(|&swing| upright((1.13, 0.60), swing))
        .collect();
    poses.push(upright((1.14, 0.63), 0.0));
    poses.push(upright((1.13, 0.12), 0.02));
    poses.push(upright((1.16, 0.16), 0.02));
    poses.push(upright((1.17, 0.40), 0.0));
    poses.push(upright((1.16, 0.46), 0.0));
    for turn in [0.0, 0.03] {
        poses.push(Sprite::draw((1.28, 0.56), unit, |x, y| {
            lying_cow(x, y, &coat, (1.08, 0.42 + turn))
        }));
    }
    poses
}

fn cow_head(x: f32, y: f32, coat: &Coat, head: (f32, f32), neck: (f32, f32)) -> Option<Rgb> {
    let muzzle = (head.0 + 0.05, head.1 - 0.035);
    if ellipse(x, y, muzzle, (0.05, 0.04)) {
        return Some([196, 150, 138]);
    }
    if limb(
        x,
        y,
        (head.0 - 0.06, head.1 + 0.06),
        (head.0 - 0.1, head.1 + 0.075),
        0.04,
    ) {
        return Some(coat.dark);
    }
    if ellipse(x, y, head, (0.095, 0.07)) {
        let blaze = (x - head.0).abs() < 0.025;
        return Some(if blaze { coat.light } else { coat.dark });
    }
    limb(x, y, neck, head, 0.15).then(|| shade(coat.at(x, y), 0.92))
}

fn standing_cow(x: f32, y: f32, coat: &Coat, head: (f32, f32), swing: f32) -> Option<Rgb> {
    if let Some(rgb) = cow_head(x, y, coat, head, (0.9, 0.5)) {
        return Some(rgb);
    }
    if barrel(x, y, (0.53, 0.48), (0.44, 0.2)) {
        // Lit from above, with a ridge.
        return Some(shade(coat.at(x, y), 0.72 + 0.45 * (y - 0.28)));
    }
    if ellipse(x, y, (0.34, 0.27), (0.08, 0.05)) {
        return Some([214, 160, 150]);
    }
    if limb(x, y, (0.11, 0.58), (0.07, 0.25), 0.035) {
        return Some(coat.dark);
    }
    // The far pair is darker and swings against the near one.
    let legs = [
        (0.18, swing, 0.95),
        (0.84, -swing, 0.95),
        (0.27, -swing, 0.66),
        (0.75, swing, 0.66),
    ];
    legs.iter().find_map(|&(at, swing, light)| {
        limb(x, y, (at, 0.35), (at + swing, 0.025), 0.075)
            .then(|| shade(if y < 0.04 { [40, 36, 34] } else { coat.light }, light))
    })
}

fn lying_cow(x: f32, y: f32, coat: &Coat, head: (f32, f32)) -> Option<Rgb> {
    if let Some(rgb) = cow_head(x, y, coat, head, (0.88, 0.27)) {
        return Some(rgb);
    }
    if limb(x, y, (0.66, 0.05), (0.95, 0.04), 0.075) || limb(x, y, (0.2, 0.05), (0.44, 0.04), 0.075)
    {
        return Some(shade(coat.light, 0.85));
    }
    barrel(x, y, (0.52, 0.21), (0.46, 0.205)).then(|| shade(coat.at(x, y + 0.25), 0.72 + 0.5 * y))
}

/// How many looks of people there are; each has [`PERSON_POSES`] sprites.
pub(super) const PEOPLE: usize = 6;
/// Four steps, then standing.
pub(super) const PERSON_POSES: usize = 5;

/// All poses of all people, look by look.
pub(super) fn people(unit: f32) -> Vec<Sprite> {
    const COATS: [(Rgb, Rgb, Rgb); PEOPLE] = [
        ([36, 62, 150], [38, 42, 56], [92, 60, 40]),
        ([168, 38, 38], [44, 44, 52], [40, 34, 30]),
        ([30, 84, 48], [60, 48, 40], [200, 190, 170]),
        ([232, 220, 44], [30, 36, 60], [44, 36, 30]),
        ([34, 36, 42], [30, 32, 40], [120, 80, 40]),
        ([150, 60, 20], [42, 46, 60], [30, 30, 34]),
    ];
    COATS
        .iter()
        .flat_map(|&(coat, trousers, hair)| {
            [0.0, 0.17, 0.0, -0.11, 0.02].map(|swing| {
                Sprite::draw((0.5, 1.02), unit, |x, y| {
                    person(x, y, swing, coat, trousers, hair)
                })
            })
        })
        .collect()
}

fn person(x: f32, y: f32, swing: f32, coat: Rgb, trousers: Rgb, hair: Rgb) -> Option<Rgb> {
    if ellipse(x, y, (0.25, 0.92), (0.075, 0.09)) {
        return Some(if y > 0.93 || x < 0.22 {
            hair
        } else {
            [206, 162, 132]
        });
    }
    if limb(x, y, (0.16, 0.79), (0.12 - swing * 0.4, 0.48), 0.075) {
        return Some(shade(coat, 1.12));
    }
    if barrel(x, y, (0.25, 0.655), (0.125, 0.2)) {
        return Some(shade(coat, 0.8 + 0.3 * (x / 0.4)));
    }
    if limb(x, y, (0.34, 0.79), (0.38 + swing * 0.4, 0.48), 0.07) {
        return Some(shade(coat, 0.75));
    }
    let boots = y < 0.06;
    let leg = |hip: f32, foot: f32, light: f32| {
        limb(x, y, (hip, 0.5), (foot, 0.04), 0.1)
            .then(|| shade(if boots { [28, 26, 24] } else { trousers }, light))
    };
    leg(0.21, 0.21 + swing, 1.1).or_else(|| leg(0.29, 0.29 - swing, 0.85))
}

/// How many looks of dogs there are, each with four steps.
pub(super) const DOGS: usize = 2;

/// All steps of all dogs, look by look.
pub(super) fn dogs(unit: f32) -> Vec<Sprite> {
    [[52, 40, 30], [30, 28, 28]]
        .iter()
        .flat_map(|&fur| {
            SWING.map(|swing| Sprite::draw((0.66, 0.46), unit, |x, y| dog(x, y, swing, fur)))
        })
        .collect()
}

fn dog(x: f32, y: f32, swing: f32, fur: Rgb) -> Option<Rgb> {
    if ellipse(x, y, (0.54, 0.37), (0.085, 0.065)) || limb(x, y, (0.44, 0.29), (0.53, 0.36), 0.1) {
        return Some(shade(fur, 1.1));
    }
    if barrel(x, y, (0.29, 0.26), (0.2, 0.085)) {
        return Some(shade(fur, 0.7 + 1.2 * (y - 0.16)));
    }
    if limb(x, y, (0.1, 0.3), (0.02, 0.4), 0.035) {
        return Some(fur);
    }
    [(0.13, swing), (0.2, -swing), (0.4, -swing), (0.46, swing)]
        .iter()
        .find_map(|&(at, swing)| {
            limb(x, y, (at, 0.22), (at + swing, 0.015), 0.045).then(|| shade(fur, 0.85))
        })
}
