//! Smaller copies of the rows that searches compare first; the originals rank what they find.
//!
//! | kind | bytes a component | trained |
//! |---|---|---|
//! | f16 | 2 | no |
//! | int8 | 1 | no |
//! | product quantisation | subspaces / dim | a codebook |
//! | binary | 1/8 | a threshold a component |
//!
//! Under Hamming the vectors are bits already: there are no originals beside them.

pub(crate) mod binary;
pub(crate) mod half;
pub(crate) mod int8;
pub(crate) mod packed;
pub(crate) mod pq;

use bytemuck::Pod;

use crate::arena::{Arena, Region};
use crate::builder::{Config, Quantization};
use crate::metric::Metric;

/// Rows from which on codes that need training are used; below that the originals are few enough.
pub(crate) const TRAIN_ROWS_MIN: usize = 1024;
/// A training is repeated when there are so many times more rows.
pub(crate) const TRAIN_AGAIN: usize = 4;
/// Most rows that a training looks at.
pub(crate) const TRAIN_ROWS_MAX: usize = 16_384;

/// The codes of all slots.
pub(crate) enum Coded {
    /// None: searches compare the originals.
    Full,
    Half(half::Halves),
    Int8(int8::Codes),
    Binary(binary::Signs),
    Pq(pq::Products),
    /// The vectors themselves, which are bits.
    Packed(packed::Packed),
}

impl Coded {
    pub fn new(config: &Config) -> Self {
        if config.metric == Metric::Hamming {
            return Self::Packed(packed::Packed::new(config.dim));
        }
        match config.quantization {
            Quantization::None => Self::Full,
            Quantization::F16 => Self::Half(half::Halves::new(config.dim)),
            Quantization::Int8 => Self::Int8(int8::Codes::new(config.dim)),
            Quantization::Binary => Self::Binary(binary::Signs::new(config.dim, None)),
            Quantization::Pq { subspaces } => {
                Self::Pq(pq::Products::new(config.dim, subspaces.into()))
            }
        }
    }

    /// Codes a row that comes after all others; without a training there is nothing to do yet.
    pub fn push(&mut self, vector: &[f32]) {
        match self {
            Self::Full | Self::Packed(_) => {}
            Self::Half(halves) => halves.push(vector),
            Self::Int8(codes) => codes.push(vector),
            Self::Binary(signs) => signs.push(vector),
            Self::Pq(products) => products.push(vector),
        }
    }

    /// Rows at the last training; as many as there can be where none is needed.
    pub fn trained_rows(&self) -> usize {
        match self {
            Self::Full | Self::Half(_) | Self::Int8(_) | Self::Packed(_) => usize::MAX,
            Self::Binary(signs) => signs.trained,
            Self::Pq(products) => products.trained,
        }
    }

    /// Whether a training with `rows` rows is due.
    pub fn wants_training(&self, rows: usize) -> bool {
        wants_training(rows, self.trained_rows())
    }

    /// The rows in memory, if there are any that can lie in a file.
    pub fn rows_mut(&mut self) -> Option<RowsMut<'_>> {
        Some(match self {
            Self::Full => return None,
            Self::Half(halves) => RowsMut::U16(&mut halves.rows),
            Self::Int8(codes) => RowsMut::I8(&mut codes.rows),
            Self::Packed(packed) => RowsMut::U64(&mut packed.rows),
            Self::Binary(signs) if signs.thresholds.is_some() => RowsMut::U64(&mut signs.rows),
            Self::Pq(products) if products.book.is_some() => RowsMut::U8(&mut products.rows),
            Self::Binary(_) | Self::Pq(_) => return None,
        })
    }

    /// Codes for the same rows from a training with them.
    pub fn trained(&self, originals: &Arena<f32>, dim: usize, seed: u64) -> Option<Self> {
        match self {
            Self::Full | Self::Half(_) | Self::Int8(_) | Self::Packed(_) => None,
            Self::Binary(_) => Some(Self::Binary(binary::Signs::trained(originals, dim))),
            Self::Pq(products) => Some(Self::Pq(products.trained(originals, seed))),
        }
    }

    /// Bytes of memory that the codes own.
    pub fn heap_bytes(&self) -> usize {
        match self {
            Self::Full => 0,
            Self::Half(halves) => halves.rows.heap_bytes(),
            Self::Int8(codes) => codes.rows.heap_bytes() + codes.scales.capacity() * 8,
            Self::Binary(signs) => signs.rows.heap_bytes() + signs.dim * 4,
            Self::Pq(products) => products.rows.heap_bytes() + products.book_bytes(),
            Self::Packed(packed) => packed.rows.heap_bytes(),
        }
    }

    /// Bytes of the mapped part.
    pub fn mapped_bytes(&self) -> usize {
        match self {
            Self::Full => 0,
            Self::Half(halves) => halves.rows.mapped_bytes(),
            Self::Int8(codes) => codes.rows.mapped_bytes(),
            Self::Binary(signs) => signs.rows.mapped_bytes(),
            Self::Pq(products) => products.rows.mapped_bytes(),
            Self::Packed(packed) => packed.rows.mapped_bytes(),
        }
    }

    /// Bytes that one more row takes.
    pub fn row_bytes(&self) -> usize {
        match self {
            Self::Full => 0,
            Self::Half(halves) => halves.rows.stride() * 2,
            Self::Int8(codes) => codes.rows.stride() + 8,
            Self::Binary(signs) => signs.rows.stride() * 8,
            Self::Pq(products) => products.rows.stride(),
            Self::Packed(packed) => packed.rows.stride() * 8,
        }
    }

    /// Gives back what growing reserved.
    pub fn shrink(&mut self) {
        match self {
            Self::Full => {}
            Self::Half(halves) => halves.rows.shrink(),
            Self::Int8(codes) => {
                codes.rows.shrink();
                codes.scales.shrink_to_fit();
            }
            Self::Binary(signs) => signs.rows.shrink(),
            Self::Pq(products) => products.rows.shrink(),
            Self::Packed(packed) => packed.rows.shrink(),
        }
    }
}

/// The rows of codes by the type of their values.
pub(crate) enum RowsMut<'a> {
    U16(&'a mut Arena<u16>),
    I8(&'a mut Arena<i8>),
    U64(&'a mut Arena<u64>),
    U8(&'a mut Arena<u8>),
}

impl RowsMut<'_> {
    /// Lets the first `rows` rows lie in a mapped region; whether it holds them.
    #[must_use]
    pub fn map(self, rows: usize, region: Region) -> bool {
        fn put<T: Pod>(arena: &mut Arena<T>, rows: usize, region: Region) -> bool {
            let mapped = Arena::mapped(arena.stride(), rows, region);
            mapped.map(|mapped| *arena = mapped).is_some()
        }
        match self {
            Self::U16(arena) => put(arena, rows, region),
            Self::I8(arena) => put(arena, rows, region),
            Self::U64(arena) => put(arena, rows, region),
            Self::U8(arena) => put(arena, rows, region),
        }
    }
}

/// Whether a training with `rows` rows is due, the last having had `trained`.
pub(crate) fn wants_training(rows: usize, trained: usize) -> bool {
    rows >= TRAIN_ROWS_MIN.max(trained.saturating_mul(TRAIN_AGAIN))
}

/// Evenly spread slots for a training.
fn sample(rows: usize, most: usize) -> impl Iterator<Item = u32> + Clone {
    let count = rows.min(most);
    (0..count).map(move |at| (at as u64 * rows as u64 / count as u64) as u32)
}
