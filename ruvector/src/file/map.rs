//! Mapping a file: the only place of the crate, beside the kernels, that needs `unsafe`.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use memmap2::{Mmap, MmapMut, MmapOptions};

use crate::error::{Error, Result};

/// Maps the first `length` bytes for reading.
pub(crate) fn shared(file: &File, length: usize, path: &Path) -> Result<Mmap> {
    // SAFETY: the bytes of a snapshot are never written or truncated by this crate once the file
    // has its name (it is replaced by rename, the log lies behind it), and the lock on the file
    // keeps other instances of this crate away. Another program that truncates the file while it
    // is open can end the process (SIGBUS), as with every mapped database; README says so.
    unsafe { MmapOptions::new().len(length).map(file) }.map_err(Error::io("cannot map", path))
}

/// Maps a part of the file; pages that are written become copies that the file never sees.
pub(crate) fn private(file: &File, range: Range<usize>, path: &Path) -> Result<MmapMut> {
    // SAFETY: as for `shared`.
    unsafe {
        MmapOptions::new()
            .offset(range.start as u64)
            .len(range.len())
            .map_copy(file)
    }
    .map_err(Error::io("cannot map", path))
}
