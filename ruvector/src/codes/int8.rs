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
            Metric::Cosine | Metric::Dot => -dot,
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
            Metric::Cosine | Metric::Dot => {
                -distance + self.length * error + self.error * scale.norm.sqrt() + slack
            }
            Metric::L2 | Metric::Hamming => {
                let nearest = (distance.max(0.0).sqrt() - self.error - error).max(0.0);
                slack - nearest * nearest
            }
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
