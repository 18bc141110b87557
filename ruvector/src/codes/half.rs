//! Sixteen-bit floats: half the memory at nearly no loss.

use half::f16;

use crate::arena::{Arena, padded};
use crate::kernel::{Kernels, kernels, prefetch};
use crate::metric::Metric;
use crate::space::{BuildSpace, Probe, Space};

/// The rows as bits of [`f16`].
pub(crate) struct Halves {
    pub rows: Arena<u16>,
}

impl Halves {
    pub fn new(dim: usize) -> Self {
        Self {
            rows: Arena::new(padded::<u16>(dim)),
        }
    }

    pub fn push(&mut self, vector: &[f32]) {
        let bits: Vec<u16> = vector.iter().map(|x| encode(*x)).collect();
        self.rows.push(&bits);
    }
}

/// The nearest half; what is too large becomes the largest.
fn encode(x: f32) -> u16 {
    f16::from_f32(x).clamp(f16::MIN, f16::MAX).to_bits()
}

/// Whether no half is infinite or not a number.
pub(crate) fn are_finite(bits: &[u16]) -> bool {
    bits.iter().all(|bits| bits & 0x7c00 != 0x7c00)
}

/// Distances between a query in `f32` and the halves.
pub(crate) struct HalfSpace<'a> {
    halves: &'a Halves,
    metric: Metric,
    kernels: &'static Kernels,
}

impl<'a> HalfSpace<'a> {
    pub fn new(halves: &'a Halves, metric: Metric) -> Self {
        Self {
            halves,
            metric,
            kernels: kernels(),
        }
    }
}

impl Space for HalfSpace<'_> {
    fn derive(&self, _probe: &mut Probe) {}

    #[inline(always)]
    fn one(&self, probe: &Probe, slot: u32) -> f32 {
        // A row of halves is padded to 32 components, a query to 16: kernels want one length.
        let row = &self.halves.rows.row(slot)[..probe.full.len()];
        match self.metric {
            Metric::Cosine | Metric::Dot => -(self.kernels.dot_f16)(&probe.full, row),
            Metric::L2 | Metric::Hamming => (self.kernels.l2_f16)(&probe.full, row),
        }
    }

    #[inline(always)]
    fn fetch(&self, slot: u32) {
        prefetch(self.halves.rows.row(slot));
    }
}

impl BuildSpace for HalfSpace<'_> {
    fn take(&self, probe: &mut Probe, slot: u32) {
        let row = self.halves.rows.row(slot);
        probe.full.clear();
        probe
            .full
            .extend(row.iter().map(|bits| f16::from_bits(*bits).to_f32()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_for_a_half_becomes_the_largest() {
        assert_eq!(f16::from_bits(encode(1e9)).to_f32(), 65504.0);
        assert_eq!(f16::from_bits(encode(-1e9)).to_f32(), -65504.0);
        assert_eq!(f16::from_bits(encode(0.5)).to_f32(), 0.5);
        assert!(are_finite(&[encode(f32::MAX), encode(f32::MIN)]));
        assert!(!are_finite(&[0x7c00]));
    }
}
