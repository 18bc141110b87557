//! What an engine must do to be measured.

use std::path::Path;

use anyhow::Result;
use clap::ValueEnum;

use super::npy::Rows;

/// How near is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Metric {
    Cosine,
    Dot,
    L2,
}

impl Metric {
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Dot => "dot",
            Self::L2 => "l2",
        }
    }

    /// Lower is nearer. Cosine is a dot product of rows that were normalised.
    pub fn distance(self, a: &[f32], b: &[f32]) -> f32 {
        // Eight sums side by side, which compilers turn into vector instructions.
        let mut sums = [0.0_f32; 8];
        let (a8, a_rest) = a.as_chunks::<8>();
        let (b8, b_rest) = b.as_chunks::<8>();
        let term = |x: f32, y: f32| match self {
            Self::L2 => (x - y) * (x - y),
            Self::Cosine | Self::Dot => -x * y,
        };
        for (x, y) in a8.iter().zip(b8) {
            for lane in 0..8 {
                sums[lane] += term(x[lane], y[lane]);
            }
        }
        let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| term(*x, *y)).sum();
        sums.iter().sum::<f32>() + rest
    }
}

/// A vector index with one knob between speed and recall.
pub trait Engine {
    /// Name, kind and quantisation, for the figures.
    fn label(&self) -> [&str; 3];

    /// Indexes all rows; ids are row numbers. This is what is timed as the build.
    fn build(&mut self, base: &Rows) -> Result<()>;

    /// Writes what was built.
    fn save(&self, file: &Path) -> Result<()>;

    /// Opens what was written.
    fn open(&mut self, file: &Path, dim: usize) -> Result<()>;

    /// Sets the knob.
    fn set_effort(&mut self, effort: usize) -> Result<()>;

    /// Whether the knob changes anything.
    fn has_effort(&self) -> bool {
        true
    }

    /// The ids of the `k` nearest, into `out`.
    fn search(&self, query: &[f32], k: usize, out: &mut Vec<u64>) -> Result<()>;

    /// Bytes that the index needs in memory to search, originals that lie in a mapped file left out; if it can tell.
    fn index_bytes(&self) -> Option<usize> {
        None
    }
}
