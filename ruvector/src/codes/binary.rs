//! One bit a component: whether it is above the median of that component. Distances are counts of bits
//! that differ. Coarse: it takes many candidates and the originals to rank them.

use crate::arena::Arena;
use crate::kernel::{Kernels, kernels, prefetch};
use crate::space::{Probe, Space};
use crate::vector::words;

use super::{TRAIN_ROWS_MAX, sample};

/// The bits of all slots.
pub(crate) struct Signs {
    pub dim: usize,
    /// Above which a component's bit is set; none before the training.
    pub thresholds: Option<Vec<f32>>,
    pub rows: Arena<u64>,
    /// Rows at the last training.
    pub trained: usize,
}

impl Signs {
    pub fn new(dim: usize, thresholds: Option<Vec<f32>>) -> Self {
        Self {
            dim,
            trained: 0,
            thresholds,
            rows: Arena::new(words(dim)),
        }
    }

    pub fn push(&mut self, vector: &[f32]) {
        if let Some(thresholds) = &self.thresholds {
            let mut bits = Vec::with_capacity(self.rows.stride());
            encode(vector, thresholds, &mut bits);
            self.rows.push(&bits);
        }
    }

    /// With the medians of the rows as thresholds.
    pub fn trained(originals: &Arena<f32>, dim: usize) -> Self {
        let slots = sample(originals.rows(), TRAIN_ROWS_MAX);
        let mut values = Vec::with_capacity(originals.rows().min(TRAIN_ROWS_MAX));
        let medians = (0..dim).map(|component| {
            values.clear();
            values.extend(slots.clone().map(|slot| originals.row(slot)[component]));
            let middle = values.len().saturating_sub(1) / 2;
            *values.select_nth_unstable_by(middle, f32::total_cmp).1
        });
        let medians = medians.collect();
        let mut signs = Self::new(dim, Some(medians));
        signs.trained = originals.rows();
        for slot in 0..originals.rows() as u32 {
            signs.push(&originals.row(slot)[..dim]);
        }
        signs
    }
}

fn encode(vector: &[f32], thresholds: &[f32], bits: &mut Vec<u64>) {
    bits.clear();
    for (xs, limits) in vector.chunks(64).zip(thresholds.chunks(64)) {
        let word = xs.iter().zip(limits).enumerate();
        bits.push(word.fold(0, |word, (at, (x, limit))| {
            word | u64::from(x > limit) << at
        }));
    }
}

/// Distances between bits.
pub(crate) struct SignSpace<'a> {
    rows: &'a Arena<u64>,
    thresholds: &'a [f32],
    kernels: &'static Kernels,
}

impl<'a> SignSpace<'a> {
    pub fn new(rows: &'a Arena<u64>, thresholds: &'a [f32]) -> Self {
        Self {
            rows,
            thresholds,
            kernels: kernels(),
        }
    }
}

impl Space for SignSpace<'_> {
    fn derive(&self, probe: &mut Probe) {
        encode(
            &probe.full[..self.thresholds.len()],
            self.thresholds,
            &mut probe.bits,
        );
        probe.bits.resize(self.rows.stride(), 0);
    }

    #[inline(always)]
    fn one(&self, probe: &Probe, slot: u32) -> f32 {
        (self.kernels.hamming)(&probe.bits, self.rows.row(slot)) as f32
    }

    #[inline(always)]
    fn fetch(&self, slot: u32) {
        prefetch(self.rows.row(slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_tell_x_a_component_is_on() {
        let mut originals: Arena<f32> = Arena::new(crate::arena::padded::<f32>(70));
        for row in 0..10 {
            originals.push(&vec![row as f32; 70]);
        }
        let signs = Signs::trained(&originals, 70);
        assert_eq!(signs.thresholds.as_deref(), Some(&[4.0; 70][..]));
        assert_eq!(signs.rows.row(4), [0, 0]);
        assert_eq!(signs.rows.row(5), [u64::MAX, 0x3f]);
    }
}
