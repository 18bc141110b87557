//! Checksums of mapped originals, verified when a block is read for the first time.
//!
//! Verifying all originals when a file is opened would read the whole file. A search reads a few
//! dozen of them, so each block is verified on its first use and remembered.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use super::layout::{BLOCK, corrupt};
use crate::arena::Arena;
use crate::error::Result;

#[derive(Debug)]
pub(crate) struct Blocks {
    path: PathBuf,
    sums: Vec<u32>,
    verified: Vec<AtomicU64>,
}

impl Blocks {
    pub fn new(path: PathBuf, sums: Vec<u32>) -> Self {
        let verified = (0..sums.len().div_ceil(64)).map(|_| AtomicU64::new(0));
        Self {
            path,
            verified: verified.collect(),
            sums,
        }
    }

    /// Verifies the blocks that a row lies in.
    pub fn verify(&self, rows: &Arena<f32>, slot: u32) -> Result<()> {
        let size = rows.stride() * size_of::<f32>();
        let slot = slot as usize;
        if slot >= rows.region_rows() || size == 0 {
            return Ok(());
        }
        for block in slot * size / BLOCK..=(slot * size + size - 1) / BLOCK {
            let bit = 1_u64 << (block % 64);
            let Some(word) = self.verified.get(block / 64) else {
                return Err(self.mismatch(block));
            };
            // Relaxed: the bit only saves work; the mapped bytes are the same for every thread.
            if word.load(Ordering::Relaxed) & bit != 0 {
                continue;
            }
            let bytes = rows.region_bytes();
            let start = block * BLOCK;
            let bytes = bytes.get(start..bytes.len().min(start + BLOCK));
            if bytes.map(crc32c::crc32c) != self.sums.get(block).copied() {
                return Err(self.mismatch(block));
            }
            word.fetch_or(bit, Ordering::Relaxed);
        }
        Ok(())
    }

    fn mismatch(&self, block: usize) -> crate::Error {
        corrupt(
            &self.path,
            "originals",
            format!("the checksum of block {block} does not match"),
        )
    }
}

/// Sums of blocks over bytes that come in pieces.
#[derive(Debug, Default)]
pub(crate) struct BlockSums {
    sums: Vec<u32>,
    current: u32,
    filled: usize,
}

impl BlockSums {
    pub fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
            self.current = crc32c::crc32c_append(self.current, now);
            self.filled += now.len();
            if self.filled == BLOCK {
                self.sums.push(self.current);
                (self.current, self.filled) = (0, 0);
            }
            bytes = later;
        }
    }

    pub fn finish(mut self) -> Vec<u32> {
        if self.filled > 0 {
            self.sums.push(self.current);
        }
        self.sums
    }
}
