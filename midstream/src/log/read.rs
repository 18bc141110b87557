//! Reading a log, oldest record first, a frame in memory at a time.

use std::collections::VecDeque;
use std::io::ErrorKind;
use std::path::PathBuf;

use crate::error::Result;
use crate::log::frame::{Record, decode};
use crate::log::io;
use crate::log::segment::Frames;

/// The records of a log. Segments that are dropped while it reads are passed over.
pub struct Reader {
    paths: VecDeque<PathBuf>,
    /// Records before it are passed over.
    from: u64,
    current: Option<(PathBuf, Frames)>,
    records: std::vec::IntoIter<Record>,
}

impl Reader {
    pub(crate) fn new(paths: VecDeque<PathBuf>, from: u64) -> Self {
        Self {
            paths,
            from,
            current: None,
            records: Vec::new().into_iter(),
        }
    }

    fn record(&mut self) -> Result<Option<Record>> {
        loop {
            if let Some(record) = self.records.find(|record| record.sequence >= self.from) {
                return Ok(Some(record));
            }
            let Some((path, frames)) = &mut self.current else {
                let Some(path) = self.paths.pop_front() else {
                    return Ok(None);
                };
                let first = path
                    .file_stem()
                    .and_then(|stem| stem.to_str()?.parse().ok());
                match Frames::open(&path, first.unwrap_or(0)) {
                    Ok(frames) => self.current = Some((path, frames)),
                    Err(cause) if cause.kind() == ErrorKind::NotFound => {}
                    Err(cause) => return Err(io("open", &path, &cause)),
                }
                continue;
            };
            match frames.next(path)? {
                Some((header, frame)) => {
                    if header.first + u64::from(header.records) > self.from {
                        self.records = decode(frame)?.into_iter();
                    }
                }
                None => self.current = None,
            }
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        let record = self.record();
        if record.is_err() {
            // The rest of a damaged segment cannot be told from damage.
            self.current = None;
        }
        record.transpose()
    }
}
