//! The bounds of a log, and what it counts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How frames are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    None,
    /// By zstd at this level.
    Zstd(i32),
}

/// What happens when the log's bound or the disk is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhenFull {
    /// The oldest segment makes room; its records are counted as dropped.
    DropOldest,
    /// [`crate::Error::Full`]; nothing that was taken is dropped.
    Refuse,
}

/// The bounds of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogOptions {
    /// A segment is full at this many bytes; default 4 MiB.
    pub segment_bytes: u64,
    /// The most bytes of all segments; default 256 MiB.
    pub bytes_max: u64,
    /// Records are written as a frame when they have this many bytes; default 256 KiB.
    pub frame_bytes: usize,
    /// How long records are kept; default for ever.
    pub age_max: Option<Duration>,
    /// How frames are stored; default zstd at level 1.
    pub compression: Compression,
    /// What happens at the bound; default the oldest make room.
    pub when_full: WhenFull,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 4 << 20,
            bytes_max: 256 << 20,
            frame_bytes: 256 << 10,
            age_max: None,
            compression: Compression::Zstd(1),
            when_full: WhenFull::DropOldest,
        }
    }
}

/// Why a record is no longer in the log without having been released.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LogDrop {
    /// It made room for newer ones.
    Full,
    /// It was too old.
    Age,
    /// Its bytes were damaged.
    Damaged,
}

/// Counters: `records_in = released + sum(dropped) + held`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogStats {
    /// Records that were appended or found when the log was opened.
    pub records_in: u64,
    /// Records that were released.
    pub released: u64,
    /// Records that were lost to a bound or to damage.
    pub dropped: BTreeMap<LogDrop, u64>,
    /// Records in the log.
    pub held: u64,
    /// Bytes of all segments.
    pub bytes: u64,
    /// Bytes that were cut off after a crash.
    pub torn_bytes: u64,
}
