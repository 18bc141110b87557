//! Distances between a query and stored rows: the seam between the searches and the storage.

use crate::arena::{Arena, padded};
use crate::int8::{self, Codes, Scale};
use crate::kernel::{Kernels, kernels};
use crate::metric::Metric;

/// What is compared with stored rows: a query, or a row on its way in.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    pub full: Vec<f32>,
    codes: Vec<i8>,
    scale: Option<Scale>,
}

impl Probe {
    /// `vector` is already normalised where the metric asks for it.
    pub fn new(vector: &[f32]) -> Self {
        let mut full = vec![0.0; padded::<f32>(vector.len())];
        full[..vector.len()].copy_from_slice(vector);
        let mut codes = vec![0; padded::<i8>(vector.len())];
        let scale = int8::encode(vector, &mut codes);
        Self {
            full,
            codes,
            scale: Some(scale),
        }
    }
}

/// Distances (lower is nearer) over one representation of the rows.
pub(crate) trait Space: Sync {
    fn one(&self, probe: &Probe, slot: u32) -> f32;
    fn four(&self, probe: &Probe, slots: [u32; 4]) -> [f32; 4];
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
            Metric::L2 => (self.kernels.l2_f32)(a, b),
        }
    }
}

impl Space for FullSpace<'_> {
    #[inline(always)]
    fn one(&self, probe: &Probe, slot: u32) -> f32 {
        self.distance(&probe.full, self.rows.row(slot))
    }

    #[inline(always)]
    fn four(&self, probe: &Probe, slots: [u32; 4]) -> [f32; 4] {
        slots.map(|slot| self.one(probe, slot))
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
            Metric::L2 => a.norm + b.norm - 2.0 * dot,
        }
    }
}

impl Space for CodeSpace<'_> {
    #[inline(always)]
    fn one(&self, probe: &Probe, slot: u32) -> f32 {
        let product = (self.kernels.dot_i8)(&probe.codes, self.codes.rows.row(slot));
        let own = probe.scale.unwrap_or(Scale {
            step: 0.0,
            norm: 0.0,
        });
        self.distance(product, own, self.codes.scales[slot as usize])
    }

    #[inline(always)]
    fn four(&self, probe: &Probe, slots: [u32; 4]) -> [f32; 4] {
        let rows = slots.map(|slot| self.codes.rows.row(slot));
        let products = (self.kernels.dot_i8_x4)(&probe.codes, rows);
        let own = probe.scale.unwrap_or(Scale {
            step: 0.0,
            norm: 0.0,
        });
        let mut out = [0.0; 4];
        for lane in 0..4 {
            out[lane] = self.distance(products[lane], own, self.codes.scales[slots[lane] as usize]);
        }
        out
    }
}
