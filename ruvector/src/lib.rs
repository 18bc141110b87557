//! An embeddable vector index: keep vectors with payloads, find the nearest, in one process and
//! one file.
//!
//! ```
//! use ruvector::{Filter, Index, Metric};
//! use serde_json::json;
//!
//! # fn main() -> ruvector::Result<()> {
//! let index = Index::builder(3).metric(Metric::Cosine).build()?;
//! index.upsert(1, &[0.9, 0.1, 0.0], json!({"zone": "barn-1", "age": 3}))?;
//! index.upsert(2, &[0.8, 0.3, 0.1], json!({"zone": "barn-2", "age": 4}))?;
//! index.upsert(3, &[0.0, 0.2, 0.9], json!({"zone": "barn-2", "age": 9}))?;
//!
//! let hits = index.search(&[1.0, 0.0, 0.0], 2).run()?;
//! assert_eq!((hits[0].id, hits[1].id), (1, 2));
//!
//! let filter = Filter::parse("zone == 'barn-2' && age < 5")?;
//! let hits = index.search(&[1.0, 0.0, 0.0], 2).filter(filter).run()?;
//! assert_eq!(hits.len(), 1);
//! assert_eq!(hits[0].payload, Some(json!({"zone": "barn-2", "age": 4})));
//!
//! assert!(index.delete(1)?);
//! assert_eq!(index.len(), 2);
//! # Ok(())
//! # }
//! ```
//!
//! With a file the same calls are durable ([`IndexBuilder::file`], [`Index::flush`], [`Index::open`]).
//!
//! [`cache`] finds answers by meaning, [`retriever`] passages of documents; both are built on the index.
//!
//! # What it is not
//! No server, no cluster, no embedding model: vectors come from the caller. One process has a file
//! open at a time.
//!
//! # Limits
//! [`DIM_MAX`] components, [`ROWS_MAX`] rows, [`PAYLOAD_BYTES_MAX`] a payload, [`FIELDS_MAX`]
//! distinct payload fields, [`K_MAX`] neighbours, vectors of length [`LENGTH_MAX`]. Files are little-endian and so are the machines
//! that this crate compiles for.
#![deny(unsafe_code)]

#[cfg(target_endian = "big")]
compile_error!("ruvector maps little-endian files, so it needs a little-endian machine");

mod arena;
#[cfg(feature = "ndarray")]
mod arrays;
mod bits;
mod builder;
pub mod cache;
mod changes;
mod codes;
mod embedder;
mod error;
mod exact;
mod file;
mod filter;
mod graph;
mod index;
// The kernels are `std::arch` intrinsics; each is tested against the scalar one.
#[allow(unsafe_code, reason = "intrinsics")]
mod kernel;
mod lists;
/// The locks of `shared`, which a test replaces by those of a scheduler.
mod locks {
    pub(crate) use std::sync::{
        LockResult, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard,
    };
}
mod lookup;
mod metric;
mod payload;
mod pool;
mod random;
pub mod retriever;
mod search;
mod shared;
mod space;
mod state;
mod stats;
mod vector;

#[cfg(feature = "ndarray")]
pub use arrays::Neighbours;
pub use builder::{
    AUTO_SCAN_BYTES, DIM_MAX, IndexBuilder, IndexKind, Quantization, ROWS_MAX, Storage,
};
pub use embedder::{BoxError, Embedder};
pub use error::{Error, Result};
pub use filter::{FILTER_BYTES_MAX, FILTER_DEPTH_MAX, Filter};
pub use index::{Entry, Index, LENGTH_MAX};
pub use metric::Metric;
pub use payload::{FIELDS_MAX, PAYLOAD_BYTES_MAX};
pub use search::{EFFORT_DEFAULT, Hit, K_MAX, Search};
pub use stats::Stats;
