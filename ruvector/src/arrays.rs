//! Arrays in and out (feature `ndarray`): rows of a matrix are vectors.

use std::borrow::Cow;

use ndarray::{Array2, ArrayView1, ArrayView2};
use serde_json::Value;

use crate::error::Result;
use crate::index::Index;

/// The neighbours of many queries: both arrays have the shape (queries, k).
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbours {
    /// Ids, the nearest first; [`u64::MAX`] where fewer than `k` vectors were there.
    pub ids: Array2<u64>,
    /// Scores, higher is nearer; NaN where fewer than `k` vectors were there.
    pub scores: Array2<f32>,
}

impl Index {
    /// Stores the rows of `vectors`, of shape (n, dim), under `ids`, of length n. An array in row-major
    /// order is read where it lies; any other is copied first.
    ///
    /// # Errors
    /// As [`Index::upsert_batch`].
    pub fn upsert_array(
        &self,
        ids: ArrayView1<'_, u64>,
        vectors: ArrayView2<'_, f32>,
        payloads: Vec<Value>,
    ) -> Result<()> {
        let ids = match ids.to_slice() {
            Some(slice) => Cow::Borrowed(slice),
            None => Cow::Owned(ids.to_vec()),
        };
        self.check_width(&vectors)?;
        self.upsert_batch(&ids, &flat(&vectors), payloads)
    }

    /// Searches for the rows of `queries`, of shape (n, dim).
    ///
    /// # Errors
    /// As [`Index::search_batch`].
    pub fn search_array(&self, queries: ArrayView2<'_, f32>, k: usize) -> Result<Neighbours> {
        self.check_width(&queries)?;
        let found = self.search_batch(&flat(&queries), k)?;
        let shape = (queries.nrows(), k);
        let mut neighbours = Neighbours {
            ids: Array2::from_elem(shape, u64::MAX),
            scores: Array2::from_elem(shape, f32::NAN),
        };
        for (row, hits) in found.iter().enumerate() {
            for (column, hit) in hits.iter().enumerate() {
                neighbours.ids[(row, column)] = hit.id;
                neighbours.scores[(row, column)] = hit.score;
            }
        }
        Ok(neighbours)
    }

    fn check_width(&self, rows: &ArrayView2<'_, f32>) -> Result<()> {
        if rows.ncols() == self.dim() {
            return Ok(());
        }
        Err(crate::Error::Dimension {
            got: rows.ncols(),
            want: self.dim(),
        })
    }
}

fn flat<'a>(rows: &'a ArrayView2<'a, f32>) -> Cow<'a, [f32]> {
    match rows.to_slice() {
        Some(slice) => Cow::Borrowed(slice),
        None => Cow::Owned(rows.iter().copied().collect()),
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array, Array1, s};

    use super::*;
    use crate::Metric;

    #[test]
    fn arrays_of_any_layout_go_in_and_come_out() {
        let index = Index::builder(3).metric(Metric::L2).build().unwrap();
        let wide = Array::from_shape_fn((4, 6), |(row, column)| (row * 10 + column) as f32);
        let ids: Array1<u64> = Array::from_iter(0..4);
        // Every second column: not contiguous.
        let rows = wide.slice(s![.., ..;2]);
        index.upsert_array(ids.view(), rows, Vec::new()).unwrap();
        let found = index.search_array(rows, 5).unwrap();
        assert_eq!(found.ids.shape(), [4, 5]);
        assert_eq!(found.ids.column(0).to_vec(), [0, 1, 2, 3]);
        assert_eq!(found.scores.column(0).to_vec(), [0.0; 4]);
        assert_eq!(found.ids[(0, 4)], u64::MAX);
        assert!(found.scores[(0, 4)].is_nan());
        assert!(index.search_array(wide.view(), 1).is_err());
        assert!(
            index
                .upsert_array(ids.view(), wide.view(), Vec::new())
                .is_err()
        );
    }
}
