//! Rows of a fixed stride in memory or in a mapped file, each aligned to a cache line.
//!
//! The first rows may lie in a mapping (they were there when the file was opened), the rest in
//! memory of its own. Writing to a mapped row needs a private mapping: the system copies the page.

use std::ops::Range;
use std::sync::Arc;

use bytemuck::Pod;
use memmap2::{Mmap, MmapMut};

/// A cache line; vectors of lines are aligned to 64 bytes.
#[derive(Clone, Copy, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Where the first rows of an arena lie.
#[derive(Debug)]
pub(crate) enum Region {
    /// A part of a mapping that others read too; never written.
    Shared(Arc<Mmap>, Range<usize>),
    /// Pages that the system copies when they are written.
    Private(MmapMut),
}

impl Region {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Shared(map, range) => map.get(range.clone()).unwrap_or(&[]),
            Self::Private(map) => map,
        }
    }
}

/// `rows` rows of `stride` values.
pub(crate) struct Arena<T> {
    region: Option<Region>,
    region_rows: usize,
    lines: Vec<Line>,
    rows: usize,
    stride: usize,
    value: std::marker::PhantomData<T>,
}

impl<T: Pod> Arena<T> {
    pub fn new(stride: usize) -> Self {
        Self {
            region: None,
            region_rows: 0,
            lines: Vec::new(),
            rows: 0,
            stride,
            value: std::marker::PhantomData,
        }
    }

    /// An arena whose first rows are those of a mapped region; `None` if it does not hold them.
    pub fn mapped(stride: usize, rows: usize, region: Region) -> Option<Self> {
        let wanted = rows.checked_mul(stride)?.checked_mul(size_of::<T>())?;
        let bytes = region.bytes();
        if bytes.len() < wanted || bytemuck::try_cast_slice::<u8, T>(bytes).is_err() {
            return None;
        }
        Some(Self {
            region: Some(region),
            region_rows: rows,
            rows,
            ..Self::new(stride)
        })
    }

    /// Values in a row.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of rows that lie in the mapping.
    pub fn region_rows(&self) -> usize {
        self.region_rows
    }

    /// Bytes of memory that the arena owns (mapped pages are the system's).
    pub fn heap_bytes(&self) -> usize {
        self.lines.capacity() * size_of::<Line>()
    }

    /// The mapped rows as bytes.
    pub fn region_bytes(&self) -> &[u8] {
        let length = self.region_rows * self.stride * size_of::<T>();
        self.region
            .as_ref()
            .map_or(&[], |region| &region.bytes()[..length])
    }

    /// Bytes of the mapped part.
    pub fn mapped_bytes(&self) -> usize {
        self.region
            .as_ref()
            .map_or(0, |region| region.bytes().len())
    }

    #[inline(always)]
    pub fn row(&self, row: u32) -> &[T] {
        let row = row as usize;
        if row < self.region_rows {
            return self.region_row(row);
        }
        let start = (row - self.region_rows) * self.stride;
        &bytemuck::cast_slice(&self.lines)[start..start + self.stride]
    }

    #[inline]
    fn region_row(&self, row: usize) -> &[T] {
        let bytes = self.region.as_ref().map_or(&[][..], Region::bytes);
        let size = self.stride * size_of::<T>();
        bytemuck::cast_slice(&bytes[row * size..][..size])
    }

    /// A row to be written; `None` for a row of a shared mapping.
    pub fn row_mut(&mut self, row: u32) -> Option<&mut [T]> {
        let row = row as usize;
        if row < self.region_rows {
            let size = self.stride * size_of::<T>();
            return match &mut self.region {
                Some(Region::Private(map)) => {
                    Some(bytemuck::cast_slice_mut(&mut map[row * size..][..size]))
                }
                _ => None,
            };
        }
        let start = (row - self.region_rows) * self.stride;
        let flat: &mut [T] = bytemuck::cast_slice_mut(&mut self.lines);
        Some(&mut flat[start..start + self.stride])
    }

    /// Appends a row: `values`, then zeros up to the stride.
    pub fn push(&mut self, values: &[T]) {
        let own = self.rows - self.region_rows;
        let lines = ((own + 1) * self.stride * size_of::<T>()).div_ceil(size_of::<Line>());
        if lines > self.lines.capacity() {
            // Half again rather than double: the peak while growing is what a small device feels.
            let more = (lines - self.lines.len()).max(self.lines.len() / 2);
            self.lines.reserve_exact(more);
        }
        self.lines.resize(lines, Line([0; 64]));
        let start = own * self.stride;
        let flat: &mut [T] = bytemuck::cast_slice_mut(&mut self.lines);
        for (to, from) in flat[start..start + self.stride].iter_mut().zip(values) {
            *to = *from;
        }
        self.rows += 1;
    }

    /// Gives back what growing reserved.
    pub fn shrink(&mut self) {
        self.lines.shrink_to_fit();
    }

    /// Calls `each` with the bytes of all rows in order, in pieces.
    pub fn pieces<E>(&self, mut each: impl FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let size = self.stride * size_of::<T>();
        each(self.region_bytes())?;
        let own = (self.rows - self.region_rows) * size;
        each(&bytemuck::cast_slice(&self.lines)[..own])
    }
}

/// The stride in values that makes rows of `length` values start on cache lines.
pub(crate) fn padded<T>(length: usize) -> usize {
    let line = 64 / size_of::<T>();
    length.div_ceil(line) * line
}
