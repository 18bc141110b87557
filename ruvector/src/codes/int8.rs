//! Eight-bit codes: each vector keeps its own scale, so nothing is trained and nothing drifts.
//!
//! `component = code * scale`, codes in -127..=127, `scale = max|component| / 127`. The error of a
//! component is at most half a scale.

use crate::arena::{Arena, padded};
use crate::kernel::{Kernels, kernels, prefetch};
use crate::metric::Metric;
use crate::space::{BuildSpace, Probe, Space};

/// What turns an integer product of codes back into a distance.
#[derive(Debug, Default, Clone, Copy, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Scale {
    /// Value of one code step.
    pub step: f32,
    /// Squared length of the decoded vector.
    pub norm: f32,
}

/// Writes the codes of `vector` into `codes` (as long or longer; the rest becomes zero).
pub(crate) fn encode(vector: &[f32], codes: &mut [i8]) -> Scale {
    let largest = vector.iter().fold(0.0_f32, |m, x| m.max(x.abs()));
    codes.fill(0);
    let step = largest / 127.0;
    // Too small to divide by: all codes are zero.
    if step < f32::MIN_POSITIVE {
        return Scale {
            step: 0.0,
            norm: 0.0,
        };
    }
    let inverse = 1.0 / step;
    let mut sum = 0_i64;
    for (code, x) in codes.iter_mut().zip(vector) {
        let rounded = (x * inverse).round_ties_even().clamp(-127.0, 127.0) as i8;
        *code = rounded;
        sum += i64::from(rounded) * i64::from(rounded);
    }
    Scale {
        step,
        norm: (sum as f64 * f64::from(step) * f64::from(step)) as f32,
    }
}

/// The codes of all slots.
pub(crate) struct Codes {
    pub rows: Arena<i8>,
    pub scales: Vec<Scale>,
}

impl Codes {
    pub fn new(dim: usize) -> Self {
        Self {
            rows: Arena::new(padded::<i8>(dim)),
            scales: Vec::new(),
        }
    }

    pub fn push(&mut self, vector: &[f32]) {
        let mut codes = vec![0; self.rows.stride()];
        self.scales.push(encode(vector, &mut codes));
        self.rows.push(&codes);
    }
}

/// The rows as eight-bit codes.
pub(crate) struct CodeSpace<'a> {
    codes: &'a Codes,
    metric: Metric,
    kernels: &'static Kernels,
}

impl<'a> CodeSpace<'a> {
    pub fn new(codes: &'a Codes, metric: Metric) -> Self {
        Self {
            codes,
            metric,
            kernels: kernels(),
        }
    }

    #[inline(always)]
    fn distance(&self, product: i32, a: Scale, b: Scale) -> f32 {
        let dot = product as f32 * (a.step * b.step);
        match self.metric {
            Metric::Dot => -dot,
            // Of vectors of length 1 half of the squared distance, less 1, is minus the cosine. Rounding changes the
            // lengths, which would blur the product of near vectors; their difference hardly feels it.
            Metric::Cosine => 0.5 * (a.norm + b.norm) - 1.0 - dot,
            Metric::L2 | Metric::Hamming => a.norm + b.norm - 2.0 * dot,
        }
    }
}

impl Space for CodeSpace<'_> {
    fn derive(&self, probe: &mut Probe) {
        probe.codes.clear();
        probe.codes.resize(self.codes.rows.stride(), 0);
        probe.scale = encode(&probe.full[..], &mut probe.codes);
    }

    #[inline(always)]
    fn one(&self, probe: &Probe, slot: u32) -> f32 {
        let product = (self.kernels.dot_i8)(&probe.codes, self.codes.rows.row(slot));
        self.distance(product, probe.scale, self.codes.scales[slot as usize])
    }

    #[inline(always)]
    fn four(&self, probe: &Probe, slots: [u32; 4]) -> [f32; 4] {
        let rows = slots.map(|slot| self.codes.rows.row(slot));
        let products = (self.kernels.dot_i8_x4)(&probe.codes, rows);
        let mut out = [0.0; 4];
        for lane in 0..4 {
            out[lane] = self.distance(
                products[lane],
                probe.scale,
                self.codes.scales[slots[lane] as usize],
            );
        }
        out
    }

    #[inline(always)]
    fn fetch(&self, slot: u32) {
        prefetch(self.codes.rows.row(slot));
    }
}

impl BuildSpace for CodeSpace<'_> {
    fn take(&self, probe: &mut Probe, slot: u32) {
        probe.codes.clear();
        probe.codes.extend_from_slice(self.codes.rows.row(slot));
        probe.scale = self.codes.scales[slot as usize];
    }
}

/// The best score that a row can have, given its codes.
///
/// With `q = q' + e` and `x = x' + f`: `q.x - q'.x' = q.f + e.x'`, and the distance of the originals differs from
/// that of the codes by at most `|e| + |f|`.
pub(crate) struct Reach<'a> {
    probe: &'a Probe,
    space: CodeSpace<'a>,
    length: f32,
    error: f32,
    per_step: f32,
}

impl<'a> Reach<'a> {
    /// What bounds the scores of rows by their codes; the probe was derived.
    pub fn new(probe: &'a Probe, codes: &'a Codes, metric: Metric) -> Self {
        let length: f32 = probe.full.iter().map(|x| x * x).sum::<f32>().sqrt();
        let error: f32 = probe
            .full
            .iter()
            .zip(&probe.codes)
            .map(|(x, code)| (x - f32::from(*code) * probe.scale.step).powi(2))
            .sum();
        Self {
            probe,
            space: CodeSpace::new(codes, metric),
            length,
            error: error.sqrt(),
            // Half a step in each component.
            per_step: (probe.full.len() as f32).sqrt() * 0.5,
        }
    }

    pub fn best(&self, slot: u32) -> f32 {
        let scale = self.space.codes.scales[slot as usize];
        let distance = self.space.one(self.probe, slot);
        let error = scale.step * self.per_step;
        // Sums in f32 are off by a little, too.
        let slack = 1e-4 * (1.0 + distance.abs());
        match self.space.metric {
            Metric::Dot => -distance + self.length * error + self.error * scale.norm.sqrt() + slack,
            Metric::Cosine => {
                let nearest = self.nearest(2.0 * (distance + 1.0), error);
                1.0 - 0.5 * nearest * nearest + slack
            }
            Metric::L2 | Metric::Hamming => {
                let nearest = self.nearest(distance, error);
                slack - nearest * nearest
            }
        }
    }

    /// The least distance of originals whose codes are so far apart (squared).
    fn nearest(&self, square: f32, error: f32) -> f32 {
        (square.max(0.0).sqrt() - self.error - error).max(0.0)
    }
}

/// How far the distance of codes may well be from that of the originals: a row that is farther by more than
/// this need not be ranked again.
///
/// Rounding is off by a step over the root of 12, by chance up or down in each component, so the error of a
/// sum over many components is nearly normal.
pub(crate) struct Doubt<'a> {
    scales: &'a [Scale],
    probe: Scale,
    dim: f32,
    metric: Metric,
}

/// Standard deviations that are allowed for: one row in 700 is off by more.
const DEVIATIONS: f32 = 3.0;

impl<'a> Doubt<'a> {
    /// For the distances between the codes and a probe that was derived.
    pub fn new(probe: &Probe, codes: &'a Codes, metric: Metric) -> Self {
        Self {
            scales: &codes.scales,
            probe: probe.scale,
            dim: probe.full.len() as f32,
            metric,
        }
    }

    /// Of the distance between the probe and a row.
    #[inline(always)]
    pub fn of(&self, slot: u32, distance: f32) -> f32 {
        let row = self.scales[slot as usize];
        // Variances of a component's error.
        let (a, b) = (
            self.probe.step * self.probe.step / 12.0,
            row.step * row.step / 12.0,
        );
        // Errors lengthen a difference: their squares add up.
        let of_square = |square: f32| {
            let both = a + b;
            let variance = 4.0 * square.max(0.0) * both + 2.0 * self.dim * both * both;
            self.dim * both + DEVIATIONS * variance.sqrt()
        };
        match self.metric {
            Metric::Dot => {
                let variance = a * row.norm + b * self.probe.norm + self.dim * a * b;
                DEVIATIONS * variance.sqrt()
            }
            Metric::Cosine => 0.5 * of_square(2.0 * (distance + 1.0)),
            Metric::L2 | Metric::Hamming => of_square(distance),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_component_is_off_by_half_a_step_at_most(vector in proptest::collection::vec(-1e3_f32..1e3, 1..200)) {
            let mut codes = vec![0; vector.len() + 3];
            let scale = encode(&vector, &mut codes);
            for (x, code) in vector.iter().zip(&codes) {
                prop_assert!((x - f32::from(*code) * scale.step).abs() <= scale.step * 0.501);
            }
            prop_assert!(codes.iter().all(|code| *code != i8::MIN));
        }
    }

    proptest! {
        #[test]
        fn nearly_no_distance_is_off_by_more_than_the_doubt(
            rows in proptest::collection::vec(proptest::collection::vec(-1.0_f32..1.0, 64), 50),
            longer in 1.0_f32..100.0,
        ) {
            let mut codes = Codes::new(64);
            let stretched = |at: usize| rows[at].iter().map(|x| x * longer.powi(at as i32 % 3)).collect::<Vec<_>>();
            (1..50).for_each(|at| codes.push(&stretched(at)));
            let mut probe = Probe::default();
            probe.set(&crate::vector::Vector::Floats(rows[0].as_slice().into()));
            for metric in [Metric::Dot, Metric::L2] {
                let space = CodeSpace::new(&codes, metric);
                space.derive(&mut probe);
                let doubt = Doubt::new(&probe, &codes, metric);
                let off = (0..49).filter(|slot| {
                    let row = stretched(*slot as usize + 1);
                    let pairs = rows[0].iter().zip(&row);
                    let exact: f32 = match metric {
                        Metric::L2 => pairs.map(|(x, y)| (x - y) * (x - y)).sum(),
                        _ => -pairs.map(|(x, y)| x * y).sum::<f32>(),
                    };
                    let distance = space.one(&probe, *slot);
                    (distance - exact).abs() > doubt.of(*slot, distance)
                });
                prop_assert!(off.count() <= 4);
            }
        }
    }

    #[test]
    fn a_zero_vector_has_zero_codes() {
        let mut codes = vec![1; 8];
        assert_eq!(
            encode(&[0.0; 8], &mut codes),
            Scale {
                step: 0.0,
                norm: 0.0
            }
        );
        assert_eq!(codes, [0; 8]);
    }
}
