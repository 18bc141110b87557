//! The `motion` detector: what differs from a camera's background, named by its shape. It needs no weights.
//!
//! Upright and narrow is a person, wide and large is cattle, anything else is `other`. It fits a fixed
//! camera that looks over a pen; it cannot tell a cow from a cart of the same shape.
//!
//! A shadow or a headlight keeps the ground's texture: a blob whose pixels still follow the background's
//! (normalised correlation, after J. C. S. Jacques, C. R. Jung and S. R. Musse, *Background subtraction
//! and shadow detection in grayscale video sequences*, SIBGRAPI 2005) is a change of light and no thing.
//!
//! Cattle that touch are one blob: its area, against the usual area of one animal at that height of the
//! picture (learnt from single animals), says how many they are, and k-means over its pixels where.

mod background;
mod blobs;
mod herd;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::detection::{Detection, Label, Rect};
use crate::frame::{CameraId, Frame};

use super::descriptor::{DESCRIPTOR_LENGTH, describe};
use super::{Detector, DetectorError};
use crate::runner::Description;
use crate::time::Timestamp;
use background::Background;
use blobs::{Blob, blobs, close_gaps};
use herd::Herd;

/// The most cameras that are remembered; past it the one that was silent for longest is forgotten.
const CAMERAS_MAX: usize = 64;
/// Boxes smaller than this share of the picture are noise.
const AREA_MIN: f32 = 0.0008;
/// A person's box is at least this many times higher than wide, and at most that many.
const PERSON_UPRIGHT: (f32, f32) = (1.7, 4.5);
/// A person's height as a share of the picture's.
const PERSON_HEIGHT: (f32, f32) = (0.07, 0.6);
/// A person is at least so high, in heights of an animal.
const PERSON_TO_CATTLE: f32 = 1.0;
/// One animal is at least this many times wider than high, and at most that many.
const CATTLE_WIDE: (f32, f32) = (1.15, 2.6);
/// Cattle cover at least this share of the picture; less is a dog, or noise.
const CATTLE_AREA: f32 = 0.004;
/// The most animals that one blob is split into.
const ANIMALS_MAX: f32 = 16.0;
/// The share of its box that a thing fills.
const SOLID_MIN: f32 = 0.35;
/// Above this correlation with the background a blob is light.
const LIGHT_CORRELATION: f32 = 0.6;

/// The detector; it keeps a background for each camera.
#[derive(Default)]
pub struct Motion {
    cameras: BTreeMap<CameraId, Eye>,
    frames: u64,
}

/// What is known of one camera.
struct Eye {
    background: Background,
    herd: Herd,
    scratch: Vec<bool>,
    /// When the last frame was taken.
    at: Option<Timestamp>,
    /// The number of the last frame.
    last: u64,
}

impl Motion {
    /// What is in a frame that is not in its camera's background. The first frames of a camera are
    /// learnt and show nothing. Linear in the pixels.
    pub fn detect(&mut self, frame: &Frame) -> Vec<Detection> {
        let (width, height) = (frame.width() as usize, frame.height() as usize);
        self.frames += 1;
        if !self.cameras.contains_key(&frame.camera) && self.cameras.len() >= CAMERAS_MAX {
            let silent = self
                .cameras
                .iter()
                .min_by_key(|(_, eye)| eye.last)
                .map(|(camera, _)| camera.clone());
            silent.and_then(|camera| self.cameras.remove(&camera));
        }
        let eye = self
            .cameras
            .entry(frame.camera.clone())
            .or_insert_with(|| Eye::new(width, height));
        if !eye.background.fits(width, height) {
            *eye = Eye::new(width, height);
        }
        eye.last = self.frames;
        eye.look(frame, width, height)
    }
}

impl Detector for Motion {
    fn describe(&self) -> Description {
        Description {
            name: concat!("motion ", env!("CARGO_PKG_VERSION")).into(),
            embedding_length: DESCRIPTOR_LENGTH,
        }
    }

    fn infer(&mut self, frame: &Frame) -> Result<Vec<Detection>, DetectorError> {
        Ok(self.detect(frame))
    }
}

impl Eye {
    fn new(width: usize, height: usize) -> Self {
        Self {
            background: Background::new(width, height),
            herd: Herd::default(),
            scratch: Vec::new(),
            at: None,
            last: 0,
        }
    }

    fn look(&mut self, frame: &Frame, width: usize, height: usize) -> Vec<Detection> {
        let elapsed = self
            .at
            .map_or(Duration::ZERO, |before| frame.at.since(before));
        self.at = Some(frame.at);
        self.background.push(frame.rgb(), elapsed);
        let mut mask = self.background.mask.clone();
        close_gaps(&mut mask, &mut self.scratch, width);
        let pixels = (width * height) as f32;
        let area_min = ((AREA_MIN * pixels) as usize).max(12);
        let mut detections = Vec::new();
        for blob in blobs(&mut mask, width, area_min) {
            if self.is_light(&blob) {
                continue;
            }
            let contrast = self.contrast(&blob);
            for (label, part) in self.name(blob, width, height) {
                let rect = Rect {
                    x0: part.x0 as f32 / width as f32,
                    y0: part.y0 as f32 / height as f32,
                    x1: (part.x1 + 1) as f32 / width as f32,
                    y1: (part.y1 + 1) as f32 / height as f32,
                };
                let embedding = describe(frame, &rect);
                detections.push(Detection {
                    label,
                    score: 0.5 + 0.45 * contrast,
                    rect,
                    embedding,
                });
            }
        }
        detections
    }

    /// Whether a blob is the background in another light.
    fn is_light(&self, blob: &Blob) -> bool {
        let (mut n, mut x, mut y, mut xx, mut yy, mut xy) = (0.0_f32, 0.0, 0.0, 0.0, 0.0, 0.0);
        for at in &blob.pixels {
            let (a, b) = (
                self.background.luma[*at as usize],
                self.background.lit[*at as usize],
            );
            n += 1.0;
            x += a;
            y += b;
            xx += a * a;
            yy += b * b;
            xy += a * b;
        }
        let (vx, vy) = (n * xx - x * x, n * yy - y * y);
        vx > 0.0 && vy > 0.0 && (n * xy - x * y) / (vx * vy).sqrt() > LIGHT_CORRELATION
    }

    /// How far a blob's pixels are from the background, 0 at the threshold to 1.
    fn contrast(&self, blob: &Blob) -> f32 {
        let far = |at: &u32| {
            (self.background.luma[*at as usize] - self.background.lit[*at as usize]).abs()
        };
        let mean = blob.pixels.iter().map(far).sum::<f32>() / blob.pixels.len() as f32;
        (mean / self.background.threshold / 4.0).clamp(0.0, 1.0)
    }

    /// What a blob is, in parts when it is several animals.
    fn name(&mut self, blob: Blob, width: usize, height: usize) -> Vec<(Label, Blob)> {
        let (w, h) = (blob.width() as f32, blob.height() as f32);
        let solid = blob.pixels.len() as f32 / (w * h);
        let foot = (blob.y1 + 1) as f32 / height as f32;
        let share = blob.pixels.len() as f32 / (width * height) as f32;
        let animal = self
            .herd
            .area(foot)
            .map(|area| herd::height(area * (width * height) as f32));
        if is_person(&blob, width, height, animal) && solid >= SOLID_MIN {
            return vec![(Label::Person, blob)];
        }
        if share < CATTLE_AREA {
            return vec![(Label::Other, blob)];
        }
        if (CATTLE_WIDE.0..=CATTLE_WIDE.1).contains(&(w / h)) && solid >= SOLID_MIN {
            self.herd.learn(foot, share);
        }
        let animals = self
            .herd
            .area(foot)
            .map_or(1.0, |area| (share / area).round());
        if animals <= 1.0 {
            let label = if w / h < CATTLE_WIDE.0 && self.herd.area(foot).is_none() {
                Label::Other
            } else {
                Label::Cattle
            };
            return vec![(label, blob)];
        }
        let animals = animals.min(ANIMALS_MAX) as usize;
        let name = |part: Blob| {
            (
                if is_person(&part, width, height, animal) {
                    Label::Person
                } else {
                    Label::Cattle
                },
                part,
            )
        };
        herd::split(&blob, animals, width)
            .into_iter()
            .map(name)
            .collect()
    }
}

/// Whether a blob has the shape of a person that is seen whole; where the height of an `animal` is known
/// in pixels, a person is not much lower.
fn is_person(blob: &Blob, width: usize, height: usize, animal: Option<f32>) -> bool {
    // At the picture's side only a part is seen, and the part's shape says little.
    let cut = blob.x0 == 0 || blob.x1 + 1 == width;
    let upright = blob.height() as f32 / blob.width() as f32;
    let tall = blob.height() as f32 / height as f32;
    let grown = animal.is_none_or(|animal| blob.height() as f32 >= PERSON_TO_CATTLE * animal);
    !cut && grown
        && (PERSON_UPRIGHT.0..=PERSON_UPRIGHT.1).contains(&upright)
        && (PERSON_HEIGHT.0..=PERSON_HEIGHT.1).contains(&tall)
}
