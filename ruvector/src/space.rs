//! Distances between a query and stored rows: the seam between the searches and the storage.

use crate::arena::{Arena, padded};
use crate::codes::int8::Scale;
use crate::codes::pq::PARTS;
use crate::kernel::{Kernels, kernels, prefetch};
use crate::metric::Metric;
use crate::vector::Vector;

/// What is compared with stored rows: a query, or a row on its way in.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    pub full: Vec<f32>,
    /// What [`Space::derive`] makes of it: eight-bit codes and their scale, bits, or a table of
    /// distances to the trained parts of each subspace.
    pub codes: Vec<i8>,
    pub scale: Scale,
    pub bits: Vec<u64>,
    pub table: Vec<[f32; PARTS]>,
}

impl Probe {
    /// Makes it stand for a vector that was checked.
    pub fn set(&mut self, vector: &Vector) {
        match vector {
            Vector::Floats(floats) => {
                self.full.clear();
                self.full.extend_from_slice(floats);
                self.full.resize(padded::<f32>(floats.len()), 0.0);
            }
            Vector::Bits(words) => {
                self.bits.clear();
                self.bits.extend_from_slice(words);
            }
        }
    }
}

/// Distances (lower is nearer) over one representation of the rows.
pub(crate) trait Space: Sync {
    /// Brings a probe that was set into the form that is compared.
    fn derive(&self, probe: &mut Probe);
    fn one(&self, probe: &Probe, slot: u32) -> f32;
    #[inline(always)]
    fn four(&self, probe: &Probe, slots: [u32; 4]) -> [f32; 4] {
        slots.map(|slot| self.one(probe, slot))
    }
    /// Asks for a row that will be compared soon.
    fn fetch(&self, slot: u32);
}

/// A representation that is exact enough to compare stored rows with one another.
pub(crate) trait BuildSpace: Space {
    /// Makes `probe` stand for a stored row.
    fn take(&self, probe: &mut Probe, slot: u32);
}

/// The rows as they came, in `f32`.
pub(crate) struct FullSpace<'a> {
    pub rows: &'a Arena<f32>,
    pub metric: Metric,
    kernels: &'static Kernels,
}

impl<'a> FullSpace<'a> {
    pub fn new(rows: &'a Arena<f32>, metric: Metric) -> Self {
        Self {
            rows,
            metric,
            kernels: kernels(),
        }
    }

    #[inline(always)]
    pub fn distance(&self, a: &[f32], b: &[f32]) -> f32 {
        match self.metric {
            Metric::Cosine | Metric::Dot => -(self.kernels.dot_f32)(a, b),
            Metric::L2 | Metric::Hamming => (self.kernels.l2_f32)(a, b),
        }
    }
}

impl Space for FullSpace<'_> {
    fn derive(&self, _probe: &mut Probe) {}

    #[inline(always)]
    fn one(&self, probe: &Probe, slot: u32) -> f32 {
        self.distance(&probe.full, self.rows.row(slot))
    }

    #[inline(always)]
    fn fetch(&self, slot: u32) {
        prefetch(self.rows.row(slot));
    }
}

impl BuildSpace for FullSpace<'_> {
    fn take(&self, probe: &mut Probe, slot: u32) {
        probe.full.clear();
        probe.full.extend_from_slice(self.rows.row(slot));
    }
}
