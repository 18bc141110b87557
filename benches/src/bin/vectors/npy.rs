//! Reading `.npy` files of float16 or float32 rows.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use half::f16;
use npyz::{NpyFile, Order};

/// Rows of equal width, one after the other.
pub struct Rows {
    pub dim: usize,
    pub values: Vec<f32>,
}

impl Rows {
    pub fn rows(&self) -> usize {
        self.values.len() / self.dim
    }

    pub fn row(&self, at: usize) -> &[f32] {
        &self.values[at * self.dim..(at + 1) * self.dim]
    }

    pub fn iter(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.dim)
    }

    /// The same rows, each of length 1; rows of zeros stay.
    pub fn normalised(&self) -> Self {
        let mut values = self.values.clone();
        for row in values.chunks_exact_mut(self.dim) {
            let square: f64 = row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
            if square > 0.0 {
                let inverse = 1.0 / square.sqrt();
                for x in row {
                    *x = (f64::from(*x) * inverse) as f32;
                }
            }
        }
        Self {
            dim: self.dim,
            values,
        }
    }

    /// Without rows of zeros, which have no cosine; how many there were.
    pub fn without_zeros(self) -> (Self, usize) {
        let rows = self.rows();
        let kept: Vec<f32> = self
            .iter()
            .filter(|row| row.iter().any(|x| *x != 0.0))
            .flatten()
            .copied()
            .collect();
        let kept = Self {
            dim: self.dim,
            values: kept,
        };
        let left_out = rows - kept.rows();
        (kept, left_out)
    }
}

/// The first rows of a file, `limit` at most.
pub fn read(path: &Path, limit: usize) -> Result<Rows> {
    let told = || format!("{}", path.display());
    let file = File::open(path).with_context(told)?;
    let npy = NpyFile::new(BufReader::new(file)).with_context(told)?;
    let &[rows, dim] = npy.shape() else {
        bail!("{}: shape {:?}, wanted (n, dim)", told(), npy.shape());
    };
    let (rows, dim) = (usize::try_from(rows)?, usize::try_from(dim)?);
    ensure!(rows > 0 && dim > 0, "{}: no vectors", told());
    // Where columns lie together (Fortran order) the first rows are everywhere.
    let columns = npy.order() == Order::Fortran;
    let wanted = if columns { rows } else { rows.min(limit) } * dim;
    let kind = npy.dtype().descr();
    let values: Vec<f32> = if kind.contains("f2") {
        let values = npy.data::<f16>()?;
        values
            .take(wanted)
            .map(|x| x.map(f16::to_f32))
            .collect::<Result<_, _>>()?
    } else if kind.contains("f4") {
        let values = npy.data::<f32>()?;
        values.take(wanted).collect::<Result<_, _>>()?
    } else {
        bail!(
            "{}: values of type {kind}, wanted float16 or float32",
            told()
        );
    };
    let values = if columns {
        let row = |at: usize| values.iter().skip(at).step_by(rows).copied();
        (0..rows.min(limit)).flat_map(row).collect()
    } else {
        values
    };
    ensure!(
        values.iter().all(|x| x.is_finite()),
        "{}: holds values that are no numbers",
        told()
    );
    Ok(Rows { dim, values })
}
