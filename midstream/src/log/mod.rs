//! A log of records in segments on disk: bounded by bytes and by age, checked frame by frame, whole again
//! after a crash. Feature `spill`.
//!
//! Records are collected and written as one compressed frame by [`SegmentLog::flush`]; [`SegmentLog::sync`]
//! also makes them durable. What a crash tears is cut off at the next [`SegmentLog::open`]; what was synced
//! before stays. `records_in = released + sum(dropped) + held`, also over restarts. The layout is in
//! `FORMAT.md` beside this crate's README.
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! use midstream::Timestamp;
//! use midstream::log::{LogOptions, SegmentLog};
//!
//! let mut log = SegmentLog::open(folder.path(), LogOptions::default())?;
//! let place = log.append(Timestamp::from_millis(1000), b"an event")?;
//! log.sync()?;
//! let records = log.read_from(place).collect::<Result<Vec<_>, _>>()?;
//! assert_eq!(records[0].bytes, b"an event");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod frame;
mod options;
mod read;
mod segment;

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::time::Timestamp;

use frame::Pending;
pub use frame::{RECORD_BYTES_MAX, Record};
pub use options::{Compression, LogDrop, LogOptions, LogStats, WhenFull};
pub use read::Reader;
use segment::Segment;

/// A log in a folder. One process at a time may have it open.
#[derive(Debug)]
pub struct SegmentLog {
    folder: PathBuf,
    options: LogOptions,
    /// Oldest first; the last one is written to.
    segments: VecDeque<Segment>,
    active: Option<File>,
    /// Something was written to it since it was made durable.
    unsynced: bool,
    pending: Pending,
    /// The place of the next record.
    next: u64,
    /// Records before it are released.
    released: u64,
    /// Bytes of all segments.
    bytes: u64,
    stats: LogStats,
    mark: Mark,
    lock: File,
}

fn io(action: &'static str, path: &Path, cause: &std::io::Error) -> Error {
    Error::Io {
        action,
        path: path.display().to_string(),
        cause: cause.to_string(),
    }
}

fn is_full(cause: &std::io::Error) -> bool {
    matches!(
        cause.kind(),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge
    )
}

impl SegmentLog {
    /// Opens the log of a folder, or begins one. Reads each segment once: linear in the bytes.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Locked`] when another process has it open; [`Error::Corrupt`] for a segment of
    /// another version.
    pub fn open(folder: &Path, options: LogOptions) -> Result<Self> {
        fs::create_dir_all(folder).map_err(|cause| io("create", folder, &cause))?;
        let path = folder.join("lock");
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|cause| io("open", &path, &cause))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                return Err(Error::Locked(folder.display().to_string()));
            }
            Err(fs::TryLockError::Error(cause)) => return Err(io("lock", &path, &cause)),
        }
        let (mark, released) = Mark::open(folder, "released")?;
        let mut log = Self {
            folder: folder.to_owned(),
            options,
            segments: VecDeque::new(),
            active: None,
            unsynced: false,
            pending: Pending::default(),
            next: released,
            released,
            bytes: 0,
            stats: LogStats::default(),
            mark,
            lock,
        };
        log.recover()?;
        Ok(log)
    }

    /// Finds what the folder holds.
    fn recover(&mut self) -> Result<()> {
        let paths = segment::list(&self.folder)?;
        let last = paths.len().saturating_sub(1);
        for (place, (first, path)) in paths.into_iter().enumerate() {
            let found = segment::scan(&path, first)?;
            if found.good < found.length && place == last {
                // The end that a crash tore.
                let file = OpenOptions::new()
                    .write(true)
                    .open(&path)
                    .and_then(|file| file.set_len(found.good).and_then(|()| file.sync_all()));
                file.map_err(|cause| io("cut off the torn end of", &path, &cause))?;
                self.stats.torn_bytes += found.length - found.good;
            }
            if found.records == 0 {
                // Nothing is in it, and a header that was torn cannot be written behind.
                fs::remove_file(&path).map_err(|cause| io("remove", &path, &cause))?;
                continue;
            }
            // What lies between the last good frame of a segment and the next segment was damaged.
            let gap = first.saturating_sub(self.next.max(self.released));
            if !self.segments.is_empty() && gap > 0 {
                self.stats.records_in += gap;
                *self.stats.dropped.entry(LogDrop::Damaged).or_default() += gap;
            }
            self.next = self.next.max(first + found.records);
            self.bytes += found.good;
            self.segments.push_back(Segment {
                first,
                path,
                records: found.records,
                bytes: found.good,
                newest: found.newest,
            });
        }
        self.remove_released()?;
        let held: u64 = self.segments.iter().map(|s| s.after(self.released)).sum();
        self.stats.records_in += held;
        Ok(())
    }

    /// Takes a record; its place in the log, which is one more than the one before. It is written with its
    /// frame and is durable after [`SegmentLog::sync`].
    ///
    /// # Errors
    /// [`Error::RecordTooLong`]; as [`SegmentLog::flush`] when a frame is due. The record is then not taken.
    pub fn append(&mut self, at: Timestamp, record: &[u8]) -> Result<u64> {
        if record.len() > RECORD_BYTES_MAX {
            return Err(Error::RecordTooLong {
                found: record.len(),
                limit: RECORD_BYTES_MAX,
            });
        }
        if self.pending.bytes() >= self.options.frame_bytes || !self.pending.fits(record.len()) {
            self.flush()?;
        }
        let sequence = self.next;
        self.pending.push(at, record);
        self.next += 1;
        self.stats.records_in += 1;
        Ok(sequence)
    }

    /// Writes what was appended. After a crash of the process, not of the machine, it is there.
    ///
    /// # Errors
    /// [`Error::Full`] when the bound or the disk is reached and nothing may make room; [`Error::Io`]. What
    /// was appended is then still held and written by the next call that can.
    pub fn flush(&mut self) -> Result<()> {
        if self.pending.records == 0 {
            return Ok(());
        }
        let first = self.next - u64::from(self.pending.records);
        let frame = self.pending.encode(first, self.options.compression);
        let length = frame.len() as u64;
        loop {
            let over = self.bytes + length > self.options.bytes_max;
            if over && self.make_room()? {
                continue;
            }
            if over && self.options.when_full == WhenFull::Refuse {
                return Err(self.full(length));
            }
            let written = self.active(first).and_then(|()| self.write(&frame));
            match written {
                Ok(()) => break,
                Err(Error::Full { .. }) if self.make_room()? => {}
                Err(error) => return Err(error),
            }
        }
        if let Some(segment) = self.segments.back_mut() {
            segment.records += u64::from(self.pending.records);
            segment.bytes += length;
            segment.newest = segment.newest.max(self.pending.newest);
        }
        self.bytes += length;
        self.unsynced = true;
        self.pending.clear();
        Ok(())
    }

    /// Writes what was appended and waits until it is durable.
    ///
    /// # Errors
    /// As [`SegmentLog::flush`].
    pub fn sync(&mut self) -> Result<()> {
        self.flush()?;
        if let (true, Some(file), Some(segment)) =
            (self.unsynced, &self.active, self.segments.back())
        {
            file.sync_data()
                .map_err(|cause| io("sync", &segment.path, &cause))?;
        }
        self.unsynced = false;
        Ok(())
    }

    /// Lets go of what was appended and not written, as a killed process does.
    #[cfg(feature = "mqtt")]
    pub(crate) fn forget(&mut self) {
        self.pending.clear();
    }

    fn full(&self, needed: u64) -> Error {
        Error::Full {
            path: self.folder.display().to_string(),
            needed,
        }
    }

    /// Has a segment with room open for writing.
    fn active(&mut self, first: u64) -> Result<()> {
        let room = |segment: &Segment| segment.bytes < self.options.segment_bytes;
        if self.active.is_some() && self.segments.back().is_some_and(room) {
            return Ok(());
        }
        if let Some(file) = self.active.take() {
            let path = self.segments.back().map_or(&self.folder, |s| &s.path);
            file.sync_data().map_err(|cause| io("sync", path, &cause))?;
        }
        if let Some(empty) = self.segments.pop_back_if(|segment| segment.records == 0) {
            self.bytes -= empty.bytes;
        }
        let (segment, file) = Segment::create(&self.folder, first)?;
        self.bytes += segment.bytes;
        self.segments.push_back(segment);
        self.active = Some(file);
        Ok(())
    }

    /// Writes a frame at the end of the active segment, or nothing.
    fn write(&mut self, frame: &[u8]) -> Result<()> {
        let needed = frame.len() as u64;
        let (Some(file), Some(segment)) = (&mut self.active, self.segments.back()) else {
            return Err(self.full(needed));
        };
        let Err(cause) = file.write_all(frame) else {
            return Ok(());
        };
        let error = if is_full(&cause) {
            Error::Full {
                path: segment.path.display().to_string(),
                needed,
            }
        } else {
            io("write to", &segment.path, &cause)
        };
        // A part of it may be there. A segment that cannot be cut is left: the next frame begins a new one.
        if file.set_len(segment.bytes).is_err() || segment::to_end(file).is_err() {
            self.active = None;
        }
        Err(error)
    }

    /// Gives up the oldest segment, where that is allowed and it is not the only one.
    fn make_room(&mut self) -> Result<bool> {
        if self.options.when_full == WhenFull::Refuse || self.segments.len() < 2 {
            return Ok(false);
        }
        self.drop_oldest(LogDrop::Full)?;
        Ok(true)
    }

    fn drop_oldest(&mut self, reason: LogDrop) -> Result<()> {
        if let Some(segment) = self.segments.pop_front() {
            segment.remove()?;
            self.bytes -= segment.bytes;
            let lost = segment.after(self.released);
            if lost > 0 {
                *self.stats.dropped.entry(reason).or_default() += lost;
            }
            self.released = self.released.max(segment.first + segment.records);
        }
        Ok(())
    }

    /// Drops the segments whose newest record is older than [`LogOptions::age_max`]; how many records went.
    /// Whole segments go, so a record may stay longer by what its segment spans.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn retain(&mut self, now: Timestamp) -> Result<u64> {
        let Some(age_max) = self.options.age_max else {
            return Ok(0);
        };
        let before = self.stats.dropped.get(&LogDrop::Age).copied();
        let limit = now.before(age_max).as_millis();
        while self.segments.front().is_some_and(|s| s.newest < limit) {
            if self.segments.len() == 1 {
                self.active = None;
            }
            self.drop_oldest(LogDrop::Age)?;
        }
        let after = self.stats.dropped.get(&LogDrop::Age).copied();
        Ok(after.unwrap_or(0) - before.unwrap_or(0))
    }

    /// Says that the records before `sequence` are no longer needed; their segments go when they are whole.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn release(&mut self, sequence: u64) -> Result<()> {
        let written = self.next - u64::from(self.pending.records);
        let sequence = sequence.min(written);
        if sequence <= self.released {
            return Ok(());
        }
        let held: u64 = self.segments.iter().map(|s| s.after(self.released)).sum();
        self.released = sequence;
        let left: u64 = self.segments.iter().map(|s| s.after(self.released)).sum();
        self.stats.released += held - left;
        self.remove_released()?;
        self.mark.write(sequence)
    }

    fn remove_released(&mut self) -> Result<()> {
        let gone = |segment: &Segment, released| segment.first + segment.records <= released;
        while self
            .segments
            .front()
            .is_some_and(|s| gone(s, self.released))
        {
            if self.segments.len() == 1 && self.active.is_some() {
                return Ok(());
            }
            if let Some(segment) = self.segments.pop_front() {
                segment.remove()?;
                self.bytes -= segment.bytes;
            }
        }
        Ok(())
    }

    /// The records from `sequence` on that are written and not released, oldest first.
    pub fn read_from(&self, sequence: u64) -> Reader {
        let from = sequence.max(self.released);
        let segments = self.segments.iter();
        let segments = segments.filter(|segment| segment.first + segment.records > from);
        Reader::new(segments.map(|segment| segment.path.clone()).collect(), from)
    }

    /// The place that the next record gets.
    pub fn next_sequence(&self) -> u64 {
        self.next
    }

    /// The oldest place that is not released.
    pub fn first_sequence(&self) -> u64 {
        let written = self.next - u64::from(self.pending.records);
        let first = self.segments.front().map_or(written, |s| s.first);
        first.max(self.released)
    }

    /// The counters.
    pub fn stats(&self) -> LogStats {
        let held: u64 = self.segments.iter().map(|s| s.after(self.released)).sum();
        LogStats {
            held: held + u64::from(self.pending.records),
            bytes: self.bytes,
            ..self.stats.clone()
        }
    }
}

impl Drop for SegmentLog {
    fn drop(&mut self) {
        // Whoever wants to know whether it worked calls it before.
        let _ = self.flush();
        let _ = self.lock.unlock();
    }
}

/// Says which records are released: a place and its checksum, written over in place, so that a full disk can be
/// emptied.
#[derive(Debug)]
pub(crate) struct Mark {
    file: File,
    path: PathBuf,
}

impl Mark {
    /// Opens the mark; where nothing was said, or what was said is damaged, records come again rather than not
    /// at all.
    pub fn open(folder: &Path, name: &str) -> Result<(Self, u64)> {
        let path = folder.join(name);
        let opened = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path);
        let mut file = opened.map_err(|cause| io("open", &path, &cause))?;
        let mut bytes = [0; 12];
        let read = file.read_exact(&mut bytes).is_ok();
        let [a, b, c, d, e, f, g, h, sum @ ..] = bytes;
        let place = [a, b, c, d, e, f, g, h];
        let sound = read && crc32c::crc32c(&place).to_le_bytes() == sum;
        let released = if sound { u64::from_le_bytes(place) } else { 0 };
        let mut mark = Self { file, path };
        mark.write(released)?;
        Ok((mark, released))
    }

    pub fn write(&mut self, released: u64) -> Result<()> {
        let place = released.to_le_bytes();
        let mut bytes = place.to_vec();
        bytes.extend_from_slice(&crc32c::crc32c(&place).to_le_bytes());
        let written = self
            .file
            .seek(SeekFrom::Start(0))
            .and_then(|_| self.file.write_all(&bytes));
        written.map_err(|cause| io("write", &self.path, &cause))
    }
}
