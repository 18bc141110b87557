//! Distances between a query and stored rows: the seam between the searches and the storage.

use crate::arena::{Arena, padded};
use crate::int8::{self, Codes, Scale};
use crate::kernel::{Kernels, kernels, prefetch};
use crate::metric::Metric;

/// What is compared with stored rows: a query, or a row on its way in.
#[derive(Debug, Default)]
pub(crate) struct Probe {
    pub full: Vec<f32>,
    codes: Vec<i8>,
    scale: Scale,
}

impl Probe {
    /// Makes it stand for `vector`, already normalised where the metric asks for it.
    pub fn set(&mut self, vector: &[f32]) {
        self.full.clear();
        self.full.extend_from_slice(vector);
        self.full.resize(padded::<f32>(vector.len()), 0.0);
        self.codes.clear();
        self.codes.resize(padded::<i8>(vector.len()), 0);
        self.scale = int8::encode(vector, &mut self.codes);
    }

    /// What bounds the scores of rows by their codes.
    pub fn reach<'a>(&'a self, codes: &'a Codes, metric: Metric) -> Reach<'a> {
        let length: f32 = self.full.iter().map(|x| x * x).sum::<f32>().sqrt();
        let error: f32 = self
            .full
            .iter()
            .zip(&self.codes)
            .map(|(x, code)| (x - f32::from(*code) * self.scale.step).powi(2))
            .sum();
        Reach {
            probe: self,
            space: CodeSpace::new(codes, metric),
            length,
            error: error.sqrt(),
            // Half a step in each component.
            per_step: (self.full.len() as f32).sqrt() * 0.5,
        }
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

impl Reach<'_> {
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
            Metric::L2 => {
                let nearest = (distance.max(0.0).sqrt() - self.error - error).max(0.0);
                slack - nearest * nearest
            }
        }
    }
}

/// Distances (lower is nearer) over one representation of the rows.
pub(crate) trait Space: Sync {
    fn one(&self, probe: &Probe, slot: u32) -> f32;
    fn four(&self, probe: &Probe, slots: [u32; 4]) -> [f32; 4];
    /// Makes `probe` stand for a stored row.
    fn take(&self, probe: &mut Probe, slot: u32);
    /// Asks for a row that will be compared soon.
    fn fetch(&self, slot: u32);
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

    fn take(&self, probe: &mut Probe, slot: u32) {
        probe.full.clear();
        probe.full.extend_from_slice(self.rows.row(slot));
    }

    #[inline(always)]
    fn fetch(&self, slot: u32) {
        prefetch(self.rows.row(slot));
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

    fn take(&self, probe: &mut Probe, slot: u32) {
        probe.codes.clear();
        probe.codes.extend_from_slice(self.codes.rows.row(slot));
        probe.scale = self.codes.scales[slot as usize];
    }

    #[inline(always)]
    fn fetch(&self, slot: u32) {
        prefetch(self.codes.rows.row(slot));
    }
}
