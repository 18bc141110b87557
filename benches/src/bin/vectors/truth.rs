//! Exact neighbours, by looking at every row.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::engine::Metric;
use super::npy::Rows;

/// What recall is measured against: for each query the ids that count. Rows as near as the k-th are all right.
pub struct Truth {
    k: usize,
    good: Vec<Vec<u64>>,
}

/// Rows as near as the k-th within rounding count as found.
const TIE: f32 = 1e-6;
/// Most ids kept of a query; a query with more ties than that has no meaningful neighbours.
const GOOD_MAX: usize = 4096;

/// The neighbours of every query, on all cores.
pub fn compute(base: &Rows, queries: &Rows, k: usize, metric: Metric) -> Truth {
    let prepared = |rows: &Rows| match metric {
        Metric::Cosine => rows.normalised(),
        Metric::Dot | Metric::L2 => Rows {
            dim: rows.dim,
            values: rows.values.clone(),
        },
    };
    let (base, queries) = (prepared(base), prepared(queries));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = queries.rows().div_ceil(threads);
    let numbers: Vec<usize> = (0..queries.rows()).collect();
    let good = std::thread::scope(|scope| {
        let workers: Vec<_> = numbers
            .chunks(share)
            .map(|numbers| {
                let (base, queries) = (&base, &queries);
                scope.spawn(move || {
                    let mut distances = Vec::with_capacity(base.rows());
                    numbers
                        .iter()
                        .map(|at| nearest(base, queries.row(*at), k, metric, &mut distances))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| match worker.join() {
                Ok(good) => good,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    });
    Truth { k, good }
}

fn nearest(
    base: &Rows,
    query: &[f32],
    k: usize,
    metric: Metric,
    distances: &mut Vec<f32>,
) -> Vec<u64> {
    distances.clear();
    distances.extend(base.iter().map(|row| metric.distance(row, query)));
    let mut sorted = distances.clone();
    let (_, kth, _) = sorted.select_nth_unstable_by(k - 1, f32::total_cmp);
    let limit = *kth + TIE * (1.0 + kth.abs());
    (0..)
        .zip(distances.iter())
        .filter(|(_, distance)| **distance <= limit)
        .map(|(id, _)| id)
        .take(GOOD_MAX)
        .collect()
}

impl Truth {
    /// The share of the `k` nearest that were found.
    pub fn recall(&self, query: usize, found: &[u64]) -> f64 {
        let good = &self.good[query];
        let hits = found
            .iter()
            .take(self.k)
            .filter(|id| good.binary_search(id).is_ok());
        hits.count().min(self.k) as f64 / self.k as f64
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_vec(&(self.k, &self.good))?;
        std::fs::write(path, text).context("the neighbours cannot be written")
    }

    pub fn read(path: &Path) -> Result<Self> {
        let (k, good): (usize, Vec<Vec<u64>>) = serde_json::from_slice(&std::fs::read(path)?)?;
        ensure!(k > 0, "no neighbours");
        Ok(Self { k, good })
    }
}
