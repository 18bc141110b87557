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

/// Rows as near as the k-th within rounding count as found: relative to its distance, under cosine to 1.
const TIE: f32 = 1e-6;
/// Most ids kept of a query; a query with more ties than that has no meaningful neighbours.
const GOOD_MAX: usize = 1 << 16;

/// The neighbours of every query among the rows that qualify, on all cores.
pub fn compute(
    base: &Rows,
    queries: &Rows,
    k: usize,
    metric: Metric,
    qualifies: impl Fn(usize) -> bool + Sync,
) -> Truth {
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
                let (base, queries, qualifies) = (&base, &queries, &qualifies);
                scope.spawn(move || {
                    let mut distances = Vec::with_capacity(base.rows());
                    numbers
                        .iter()
                        .map(|at| {
                            distances.clear();
                            distances.extend(base.iter().enumerate().map(
                                |(id, row)| match qualifies(id) {
                                    true => metric.distance(row, queries.row(*at)),
                                    false => f32::INFINITY,
                                },
                            ));
                            nearest(&distances, k, metric)
                        })
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

/// The ids of the `k` smallest distances, and of those that equal the k-th.
fn nearest(distances: &[f32], k: usize, metric: Metric) -> Vec<u64> {
    let mut sorted = distances.to_vec();
    let last = k.min(distances.len()) - 1;
    let (_, kth, _) = sorted.select_nth_unstable_by(last, f32::total_cmp);
    let scale = match metric {
        Metric::Cosine => 1.0,
        Metric::Dot | Metric::L2 => kth.abs(),
    };
    let limit = *kth + TIE * scale;
    (0..)
        .zip(distances)
        .filter(|(_, distance)| distance.is_finite() && **distance <= limit)
        .map(|(id, _)| id)
        .take(GOOD_MAX)
        .collect()
}

impl Truth {
    /// The share of the `k` nearest that were found, or of all that qualify where those are fewer.
    pub fn recall(&self, query: usize, found: &[u64]) -> f64 {
        let good = &self.good[query];
        let wanted = self.k.min(good.len()).max(1);
        let hits = found
            .iter()
            .take(self.k)
            .filter(|id| good.binary_search(id).is_ok());
        hits.count().min(wanted) as f64 / wanted as f64
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
