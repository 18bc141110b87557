//! Vectors of bits: the rows are the vectors themselves, and distances are exact. Rows are not padded
//! to whole cache lines: a line would be several times the memory of short ones.

use crate::arena::Arena;
use crate::kernel::{Kernels, kernels, prefetch};
use crate::space::{BuildSpace, Probe, Space};
use crate::vector::words;

/// The bits of all slots.
pub(crate) struct Packed {
    pub rows: Arena<u64>,
}

impl Packed {
    pub fn new(dim: usize) -> Self {
        Self {
            rows: Arena::new(words(dim)),
        }
    }
}

/// Numbers of bits that differ.
pub(crate) struct PackedSpace<'a> {
    rows: &'a Arena<u64>,
    kernels: &'static Kernels,
}

impl<'a> PackedSpace<'a> {
    pub fn new(packed: &'a Packed) -> Self {
        Self {
            rows: &packed.rows,
            kernels: kernels(),
        }
    }
}

impl Space for PackedSpace<'_> {
    fn derive(&self, probe: &mut Probe) {
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

impl BuildSpace for PackedSpace<'_> {
    fn take(&self, probe: &mut Probe, slot: u32) {
        probe.bits.clear();
        probe.bits.extend_from_slice(self.rows.row(slot));
    }
}
