//! What an index tells about itself.

use crate::builder::Quantization;
use crate::kernel::kernels;
use crate::metric::Metric;
use crate::state::State;

/// Sizes and choices of an index.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Stats {
    /// Vectors that searches can find.
    pub vectors: usize,
    /// Deleted or replaced rows that [`Index::compact`](crate::Index::compact) would remove.
    pub deleted: usize,
    /// Components of each vector.
    pub dim: usize,
    /// How near is measured.
    pub metric: Metric,
    /// How rows are kept for the search.
    pub quantization: Quantization,
    /// How neighbours are found now: `exact`, `hnsw` or `ivf`.
    pub search: &'static str,
    /// The instruction set that the kernels use.
    pub kernels: &'static str,
    /// Bytes of memory that the index owns.
    pub heap_bytes: usize,
    /// Bytes of the file that are mapped; the system keeps or drops their pages as it likes.
    pub mapped_bytes: usize,
    /// Of the mapped bytes those of the originals, of which a search reads a few rows only.
    pub mapped_original_bytes: usize,
    /// Bytes of the file, 0 in memory.
    pub file_bytes: u64,
    /// Bytes of the file's log since the last snapshot.
    pub log_bytes: u64,
}

impl Stats {
    pub(crate) fn of(state: &State, log_bytes: u64, file_bytes: u64) -> Self {
        Self {
            vectors: state.len(),
            deleted: state.slots() - state.len(),
            dim: state.config.dim,
            metric: state.config.metric,
            quantization: state.config.quantization,
            search: match (&state.graph, &state.lists) {
                (Some(_), _) => "hnsw",
                (None, Some(_)) => "ivf",
                (None, None) => "exact",
            },
            kernels: kernels().name,
            heap_bytes: state.heap_bytes(),
            mapped_bytes: state.originals.mapped_bytes()
                + state.coded.mapped_bytes()
                + state.graph.as_ref().map_or(0, |graph| {
                    graph.layer0().mapped_bytes() + graph.upper().mapped_bytes()
                }),
            mapped_original_bytes: state.originals.mapped_bytes(),
            file_bytes,
            log_bytes,
        }
    }
}
