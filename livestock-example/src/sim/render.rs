//! Pictures from sprites, back to front, then light and noise.
//!
//! A frame costs one copy of the backdrop, the sprites' pixels, and one pass of integer arithmetic over
//! the picture; noise is read from a table at a random place a row.

use std::sync::Arc;

use crate::detection::{Label, Rect};

use super::herd::{Act, Animal, Pose};
use super::layout::{Point, Side, person_height};
use super::light::{Light, Spot};
use super::sprite::{self, Sprite, cattle_pose};
use super::truth::Visible;
use super::visitor::{Step, Visitor};
use super::{Millis, backdrop, rng};

/// One thing to draw.
struct Actor<'a> {
    label: Label,
    sprite: &'a Sprite,
    at: Point,
    side: Side,
}

/// What all frames of a farm are made from.
#[derive(Debug)]
pub(super) struct Studio {
    width: usize,
    height: usize,
    seed: u64,
    backdrops: Vec<[Vec<u8>; 2]>,
    cattle: Vec<Vec<Sprite>>,
    people: Vec<Sprite>,
    dogs: Vec<Sprite>,
    /// Noise by day (each channel its own) and by night (grey).
    noise: [Vec<i8>; 2],
}

/// Where a table of noise may be read from.
const NOISE_STARTS: usize = 1 << 16;

/// A walking thing takes a step this often.
const STEP_MILLIS: Millis = 220;

fn grey([r, g, b]: [u8; 3]) -> u8 {
    ((77 * u32::from(r) + 150 * u32::from(g) + 29 * u32::from(b)) >> 8) as u8
}

/// About normally distributed, by the sum of four dice.
fn noise_table(length: usize, spread: f32, same: usize, seed: u64) -> Vec<i8> {
    let mut lots = rng(seed, 900 + same as u64);
    let mut table = Vec::with_capacity(length + same);
    while table.len() < length {
        let sum: f32 = (0..4).map(|_| lots.f32() - 0.5).sum();
        let value = (sum * 1.73 * spread).round().clamp(-127.0, 127.0) as i8;
        table.extend(std::iter::repeat_n(value, same));
    }
    table
}

impl Studio {
    pub fn new(width: usize, height: usize, seed: u64, cameras: usize, animals: usize) -> Self {
        let unit = person_height(1.0) * height as f32;
        let backdrops = (0..cameras)
            .map(|camera| {
                let day = backdrop::draw(width, height, seed, camera);
                let night = day
                    .chunks_exact(3)
                    .flat_map(|p| [grey([p[0], p[1], p[2]]); 3])
                    .collect();
                [day, night]
            })
            .collect();
        let length = NOISE_STARTS * 3 + width * 3;
        Self {
            width,
            height,
            seed,
            backdrops,
            cattle: (0..animals)
                .map(|i| sprite::cattle(seed ^ (i as u64 + 1) << 20, unit))
                .collect(),
            people: sprite::people(unit),
            dogs: sprite::dogs(unit),
            noise: [
                noise_table(length, 2.0, 1, seed),
                noise_table(length, 4.5, 3, seed),
            ],
        }
    }

    /// The picture of a camera at `t`, `width * height * 3` bytes.
    pub fn frame(&self, camera: usize, t: Millis, cast: &Cast<'_>, light: &Light) -> Arc<[u8]> {
        let night = usize::from(light.night);
        let mut pixels: Arc<[u8]> = Arc::from(self.backdrops[camera][night].as_slice());
        // The only owner may write.
        if let Some(rgb) = Arc::get_mut(&mut pixels) {
            let actors = self.actors(camera, t, cast);
            if !light.night {
                for actor in &actors {
                    self.shadow(rgb, actor);
                }
            }
            for actor in &actors {
                self.cover(actor, self.bounds(), |x, y, pixel| {
                    let i = (y as usize * self.width + x as usize) * 3;
                    blend(&mut rgb[i..i + 3], pixel, light.night);
                });
            }
            for spot in &light.spots {
                self.spot(rgb, spot);
            }
            let mut lots = rng(self.seed ^ 0x401e, (camera as u64) << 48 ^ t.unsigned_abs());
            self.expose(rgb, light, &self.noise[night], &mut lots);
        }
        pixels
    }

    /// What that picture shows, from the back to the front.
    pub fn visible(&self, camera: usize, t: Millis, cast: &Cast<'_>) -> Vec<Visible> {
        let actors = self.actors(camera, t, cast);
        let mut owner = vec![usize::MAX; self.width * self.height];
        let mut total = vec![0_u32; actors.len()];
        let mut edges = vec![[i32::MAX, i32::MAX, i32::MIN, i32::MIN]; actors.len()];
        let everywhere = [-1 << 20, -1 << 20, 1 << 20, 1 << 20];
        let [_, _, right, bottom] = self.bounds();
        for (i, actor) in actors.iter().enumerate() {
            self.cover(actor, everywhere, |x, y, pixel| {
                if pixel[3] < 128 {
                    return;
                }
                total[i] += 1;
                if (0..right).contains(&x) && (0..bottom).contains(&y) {
                    owner[y as usize * self.width + x as usize] = i;
                    let [x0, y0, x1, y1] = edges[i];
                    edges[i] = [x0.min(x), y0.min(y), x1.max(x + 1), y1.max(y + 1)];
                }
            });
        }
        let mut seen = vec![0_u32; actors.len()];
        for &i in owner.iter().filter(|&&i| i != usize::MAX) {
            seen[i] += 1;
        }
        let (w, h) = (self.width as f32, self.height as f32);
        actors
            .iter()
            .enumerate()
            .filter(|&(i, _)| edges[i][2] > edges[i][0])
            .map(|(i, actor)| {
                let [x0, y0, x1, y1] = edges[i].map(|e| e as f32);
                Visible {
                    label: actor.label,
                    rect: Rect {
                        x0: x0 / w,
                        y0: y0 / h,
                        x1: x1 / w,
                        y1: y1 / h,
                    },
                    fraction: seen[i] as f32 / total[i].max(1) as f32,
                }
            })
            .collect()
    }

    fn bounds(&self) -> [i32; 4] {
        [0, 0, self.width as i32, self.height as i32]
    }

    /// Everybody before this camera, the farthest first.
    fn actors(&self, camera: usize, t: Millis, cast: &Cast<'_>) -> Vec<Actor<'_>> {
        let mut actors = Vec::new();
        let animals = cast.animals.iter().zip(&self.cattle).enumerate();
        for (i, (animal, poses)) in animals.filter(|(_, (animal, _))| animal.camera == camera) {
            if let Some(act) = animal.act(t) {
                actors.push(Actor {
                    label: Label::Cattle,
                    sprite: &poses[cow_pose(act, t, i as Millis)],
                    at: act.at(t),
                    side: act.side,
                });
            }
        }
        let here = cast.visitors.iter().filter(|v| v.camera == camera);
        for (visitor, step) in here.filter_map(|v| v.at(t).map(|step| (v, step))) {
            actors.push(Actor {
                label: visitor.label,
                sprite: self.visitor(visitor, step, t),
                at: step.at,
                side: step.side,
            });
        }
        actors.sort_by(|a, b| a.at.1.total_cmp(&b.at.1));
        actors
    }

    fn visitor(&self, visitor: &Visitor, step: Step, t: Millis) -> &Sprite {
        let beat = (t / STEP_MILLIS) as usize % 4;
        if visitor.label == Label::Dog {
            return &self.dogs[visitor.look % sprite::DOGS * 4 + beat];
        }
        let pose = if step.moving { beat } else { 4 };
        &self.people[visitor.look % sprite::PEOPLE * sprite::PERSON_POSES + pose]
    }

    /// Calls `paint(x, y, colour)` for each pixel of the actor's sprite that is inside
    /// `[left, top, right, bottom]` and not empty.
    fn cover(&self, actor: &Actor<'_>, bounds: [i32; 4], mut paint: impl FnMut(i32, i32, [u8; 4])) {
        let sprite = actor.sprite;
        let unit = person_height(actor.at.1) * self.height as f32;
        let width = ((sprite.size.0 * unit).round() as i32).max(1);
        let height = ((sprite.size.1 * unit).round() as i32).max(1);
        let left = (actor.at.0 * self.width as f32 - width as f32 / 2.0).round() as i32;
        let top = (actor.at.1 * self.height as f32).round() as i32 - height;
        for y in top.max(bounds[1])..(top + height).min(bounds[3]) {
            let row = (y - top) as usize * sprite.height / height as usize * sprite.width;
            for x in left.max(bounds[0])..(left + width).min(bounds[2]) {
                let along = match actor.side {
                    Side::Right => x - left,
                    Side::Left => left + width - 1 - x,
                };
                let pixel = sprite.pixels[row + along as usize * sprite.width / width as usize];
                if pixel[3] > 0 {
                    paint(x, y, pixel);
                }
            }
        }
    }

    /// A flat dark ellipse under the feet.
    fn shadow(&self, rgb: &mut [u8], actor: &Actor<'_>) {
        let unit = person_height(actor.at.1) * self.height as f32;
        let radius = (actor.sprite.size.0 * unit * 0.4, (unit * 0.035).max(1.0));
        let centre = (
            actor.at.0 * self.width as f32,
            actor.at.1 * self.height as f32 - radius.1,
        );
        self.ellipse(centre, radius, |i, inside| {
            let dark = 256 - (inside * 70 / 256).min(60);
            for c in &mut rgb[i..i + 3] {
                *c = ((i32::from(*c) * dark) >> 8) as u8;
            }
        });
    }

    fn spot(&self, rgb: &mut [u8], spot: &Spot) {
        let (w, h) = (self.width as f32, self.height as f32);
        let centre = (spot.centre.0 * w, spot.centre.1 * h);
        let radius = (spot.radius.0 * w, spot.radius.1 * h);
        self.ellipse(centre, radius, |i, inside| {
            let factor = 256 + ((spot.strength * inside) >> 8);
            for c in &mut rgb[i..i + 3] {
                *c = ((i32::from(*c) * factor) >> 8).min(255) as u8;
            }
        });
    }

    /// Calls `paint(index of red, 256ths of nearness to the middle)` inside an ellipse, soft at the edge.
    fn ellipse(&self, centre: Point, radius: (f32, f32), mut paint: impl FnMut(usize, i32)) {
        let span = |c: f32, r: f32, end: usize| {
            let low = (c - r).floor().max(0.0) as usize;
            low..((c + r).ceil().max(0.0) as usize).min(end)
        };
        for y in span(centre.1, radius.1, self.height) {
            let dy = (y as f32 + 0.5 - centre.1) / radius.1;
            for x in span(centre.0, radius.0, self.width) {
                let dx = (x as f32 + 0.5 - centre.0) / radius.0;
                let rest = 1.0 - dx * dx - dy * dy;
                if rest > 0.0 {
                    // Smooth at the rim: a squared falloff.
                    let inside = (1.0 - (1.0 - rest) * (1.0 - rest)) * rest.min(1.0);
                    paint((y * self.width + x) * 3, (inside * 256.0) as i32);
                }
            }
        }
    }

    /// Light, then noise, over the whole picture.
    fn expose(&self, rgb: &mut [u8], light: &Light, noise: &[i8], lots: &mut fastrand::Rng) {
        let length = self.width * 3;
        let gains: Vec<u16> = light.gain.iter().copied().cycle().take(length).collect();
        for row in rgb.chunks_exact_mut(length) {
            let start = lots.usize(..NOISE_STARTS) * 3;
            let noise = &noise[start..start + length];
            for ((c, gain), noise) in row.iter_mut().zip(&gains).zip(noise) {
                let lit = ((u16::from(*c) * gain) >> 7) as i16 + i16::from(*noise);
                *c = lit.clamp(0, 255) as u8;
            }
        }
    }
}

/// Who can be seen.
pub(super) struct Cast<'a> {
    pub animals: &'a [Animal],
    pub visitors: &'a [Visitor],
}

fn blend(rgb: &mut [u8], [r, g, b, opacity]: [u8; 4], night: bool) {
    let colour = if night {
        [grey([r, g, b]); 3]
    } else {
        [r, g, b]
    };
    let opacity = u32::from(opacity);
    for (c, new) in rgb.iter_mut().zip(colour) {
        *c = ((u32::from(*c) * (255 - opacity) + u32::from(new) * opacity) / 255) as u8;
    }
}

/// Which sprite shows the act at `t`; animals are out of step with each other by `offset`.
fn cow_pose(act: &Act, t: Millis, offset: Millis) -> usize {
    let beat = |every: Millis, count: usize| (t / every + offset * 7) as usize % count;
    match act.pose {
        Pose::Walk => beat(STEP_MILLIS, cattle_pose::STEPS),
        Pose::Stand => cattle_pose::STAND,
        Pose::Graze => cattle_pose::GRAZE + beat(700, 2),
        Pose::Feed => cattle_pose::FEED + beat(600, 2),
        Pose::Lie(_) => cattle_pose::LIE + beat(2300, 2),
    }
}
