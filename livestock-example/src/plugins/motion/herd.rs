//! How large one animal is at each height of the picture, and where several are that touch.

use super::blobs::Blob;

/// Heights of the picture that are told apart.
const BANDS: usize = 8;
/// Single animals of a band that are remembered.
const REMEMBERED: usize = 31;
/// An area is known from so many animals on, of all bands together.
const ENOUGH: usize = 5;
const SPLIT_ROUNDS: usize = 8;
/// Cattle are this many times wider than high: distances down count so much more.
const WIDE: f32 = 1.7;
/// The share of its box that an animal fills.
const SOLID: f32 = 0.7;

/// Areas of single animals by the height of their feet.
#[derive(Default)]
pub(super) struct Herd {
    bands: [Vec<f32>; BANDS],
    next: usize,
}

impl Herd {
    /// Remembers an animal with its feet at `foot`, 0 top to 1 bottom, that covers `share` of the picture.
    pub fn learn(&mut self, foot: f32, share: f32) {
        let band = &mut self.bands[index(foot)];
        if band.len() < REMEMBERED {
            band.push(share);
        } else {
            self.next = (self.next + 1) % REMEMBERED;
            band[self.next] = share;
        }
    }

    /// The usual area of one animal with its feet at `foot`: the lower third of the nearest band that
    /// knows enough; none while none does.
    pub fn area(&self, foot: f32) -> Option<f32> {
        let here = index(foot);
        let band = (0..BANDS)
            .filter(|band| self.bands[*band].len() >= ENOUGH)
            .min_by_key(|band| band.abs_diff(here))?;
        let mut areas = self.bands[band].clone();
        // Animals that overlap are taken for one now and then, parts of one seldom: below the median.
        let third = areas.len() / 3;
        Some(*areas.select_nth_unstable_by(third, f32::total_cmp).1)
    }
}

/// The height of an animal that covers so many pixels.
pub(super) fn height(pixels: f32) -> f32 {
    (pixels / (WIDE * SOLID)).sqrt()
}

fn index(foot: f32) -> usize {
    ((foot * BANDS as f32) as usize).min(BANDS - 1)
}

/// The parts of a blob that is `animals` animals: k-means over its pixels, from centres spread along it.
/// Linear in pixels times animals.
pub(super) fn split(blob: &Blob, animals: usize, width: usize) -> Vec<Blob> {
    let point = |at: u32| {
        (
            (at as usize % width) as f32,
            (at as usize / width) as f32 * WIDE,
        )
    };
    let distance =
        |a: (f32, f32), b: (f32, f32)| (a.0 - b.0) * (a.0 - b.0) + (a.1 - b.1) * (a.1 - b.1);
    // The first centre is the middle's farthest pixel, each further one the farthest from all so far.
    let middle = (
        (blob.x0 + blob.x1) as f32 / 2.0,
        (blob.y0 + blob.y1) as f32 / 2.0 * WIDE,
    );
    let mut centres: Vec<(f32, f32)> = Vec::with_capacity(animals);
    for _ in 0..animals {
        let far = |at: &u32| {
            let to = |centre: &(f32, f32)| distance(point(*at), *centre);
            centres
                .iter()
                .map(to)
                .min_by(f32::total_cmp)
                .unwrap_or_else(|| distance(point(*at), middle))
        };
        let next = blob
            .pixels
            .iter()
            .max_by(|a, b| far(a).total_cmp(&far(b)))
            .map(|at| point(*at));
        centres.extend(next);
    }
    let nearest = |centres: &[(f32, f32)], at: u32| {
        let to = |i: &usize| distance(point(at), centres[*i]);
        (0..centres.len())
            .min_by(|a, b| to(a).total_cmp(&to(b)))
            .unwrap_or(0)
    };
    for _ in 0..SPLIT_ROUNDS {
        let mut sums = vec![(0.0_f32, 0.0_f32, 0.0_f32); centres.len()];
        for at in &blob.pixels {
            let sum = &mut sums[nearest(&centres, *at)];
            let (x, y) = point(*at);
            *sum = (sum.0 + x, sum.1 + y, sum.2 + 1.0);
        }
        for (centre, (x, y, n)) in centres.iter_mut().zip(sums) {
            if n > 0.0 {
                *centre = (x / n, y / n);
            }
        }
    }
    let mut parts = vec![Vec::new(); centres.len()];
    for at in &blob.pixels {
        parts[nearest(&centres, *at)].push(*at);
    }
    parts
        .into_iter()
        .filter_map(|pixels| Blob::of(pixels, width))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_animals_in_one_blob_are_told_apart() {
        // Two boxes of 20 x 10 side by side, three pixels into one another.
        let pixels = (0..10_u32)
            .flat_map(|y| (0..37_u32).map(move |x| y * 100 + x))
            .collect();
        let blob = Blob::of(pixels, 100).unwrap();
        let mut parts = split(&blob, 2, 100);
        parts.sort_by_key(|part| part.x0);
        assert_eq!(parts.len(), 2);
        assert!(
            (16..=21).contains(&parts[0].width()) && (16..=21).contains(&parts[1].width()),
            "{parts:?}"
        );
        assert_eq!(parts[0].pixels.len() + parts[1].pixels.len(), 370);
    }

    #[test]
    fn the_usual_area_is_that_of_the_nearest_height_that_is_known() {
        let mut herd = Herd::default();
        assert_eq!(herd.area(0.5), None);
        for share in [0.01, 0.011, 0.012, 0.2, 0.011] {
            herd.learn(0.9, share);
        }
        assert_eq!(herd.area(0.5), Some(0.011));
    }
}
