//! What must wait for a link, on disk by how long it is worth keeping. Feature `spill`.
//!
//! ```
//! # let folder = tempfile::tempdir()?;
//! use midstream::Timestamp;
//! use midstream::spill::{Class, Spill, SpillOptions};
//!
//! let at = Timestamp::from_millis;
//! let mut spill = Spill::open(folder.path(), &SpillOptions::default())?;
//! spill.put(Class::Raw, at(2), b"a reading")?;
//! spill.put(Class::Critical, at(1), b"an alarm")?;
//! spill.sync()?;
//! for spilled in spill.replay() {
//!     let spilled = spilled?; // the alarm, then the reading: oldest first
//!     spill.release(spilled.class, spilled.record.sequence + 1)?;
//! }
//! assert_eq!(spill.stats()[&Class::Raw].held, 0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::log::{LogOptions, LogStats, Reader, Record, SegmentLog};
use crate::time::Timestamp;

const HOUR: Duration = Duration::from_secs(3600);

/// How long something is worth keeping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Single events: by default an hour.
    Raw,
    /// Windows: by default a day.
    Aggregate,
    /// Alerts and what they are about: by default a week.
    Critical,
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 3] = [Self::Raw, Self::Aggregate, Self::Critical];

    fn folder(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Aggregate => "aggregate",
            Self::Critical => "critical",
        }
    }
}

/// The bounds of each class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpillOptions {
    /// Of single events.
    pub raw: LogOptions,
    /// Of windows.
    pub aggregate: LogOptions,
    /// Of alerts.
    pub critical: LogOptions,
}

impl Default for SpillOptions {
    fn default() -> Self {
        let kept = |hours| LogOptions {
            age_max: Some(HOUR * hours),
            ..LogOptions::default()
        };
        Self {
            raw: kept(1),
            aggregate: kept(24),
            critical: kept(7 * 24),
        }
    }
}

/// Something that waited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spilled {
    /// How long it was worth keeping.
    pub class: Class,
    /// Its place in its class, its time and its bytes.
    pub record: Record,
}

/// A log for each class, in folders of their own.
#[derive(Debug)]
pub struct Spill {
    logs: [SegmentLog; 3],
}

impl Spill {
    /// Opens what a folder holds, or begins anew.
    ///
    /// # Errors
    /// As [`SegmentLog::open`].
    pub fn open(folder: &Path, options: &SpillOptions) -> Result<Self> {
        let open = |class: Class, options| SegmentLog::open(&folder.join(class.folder()), options);
        Ok(Self {
            logs: [
                open(Class::Raw, options.raw)?,
                open(Class::Aggregate, options.aggregate)?,
                open(Class::Critical, options.critical)?,
            ],
        })
    }

    /// Keeps something; its place in its class.
    ///
    /// # Errors
    /// As [`SegmentLog::append`].
    pub fn put(&mut self, class: Class, at: Timestamp, bytes: &[u8]) -> Result<u64> {
        self.logs[class as usize].append(at, bytes)
    }

    /// Waits until everything is durable.
    ///
    /// # Errors
    /// As [`SegmentLog::sync`].
    pub fn sync(&mut self) -> Result<()> {
        self.logs.iter_mut().try_for_each(SegmentLog::sync)
    }

    /// Drops what is too old; how many.
    ///
    /// # Errors
    /// As [`SegmentLog::retain`].
    pub fn retain(&mut self, now: Timestamp) -> Result<u64> {
        let mut gone = 0;
        for log in &mut self.logs {
            gone += log.retain(now)?;
        }
        Ok(gone)
    }

    /// What waits and is written, oldest first over all classes.
    pub fn replay(&self) -> Replay {
        self.replay_from([0; 3])
    }

    /// The same from a place of each class on.
    pub fn replay_from(&self, places: [u64; 3]) -> Replay {
        let read = |class: Class| {
            let place = class as usize;
            self.logs[place].read_from(places[place]).peekable()
        };
        Replay {
            readers: Class::ALL.map(|class| (class, read(class))),
        }
    }

    /// The place that the next of each class gets.
    pub fn next_sequences(&self) -> [u64; 3] {
        Class::ALL.map(|class| self.logs[class as usize].next_sequence())
    }

    /// Says that what is before a place of a class has arrived where it was to go.
    ///
    /// # Errors
    /// As [`SegmentLog::release`].
    pub fn release(&mut self, class: Class, sequence: u64) -> Result<()> {
        self.logs[class as usize].release(sequence)
    }

    /// Lets go of what was put and not written, as a killed process does.
    #[cfg(feature = "mqtt")]
    pub(crate) fn forget(&mut self) {
        self.logs.iter_mut().for_each(SegmentLog::forget);
    }

    /// The counters by class.
    pub fn stats(&self) -> BTreeMap<Class, LogStats> {
        let stats = |class: Class| (class, self.logs[class as usize].stats());
        Class::ALL.map(stats).into()
    }
}

/// Reads what waited, oldest first.
pub struct Replay {
    readers: [(Class, Peekable<Reader>); 3],
}

impl Iterator for Replay {
    type Item = Result<Spilled>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut oldest = None;
        for (place, (_, reader)) in self.readers.iter_mut().enumerate() {
            // An error comes first: it is told rather than waited with.
            let at = match reader.peek() {
                None => continue,
                Some(Ok(record)) => record.at.as_millis(),
                Some(Err(_)) => i64::MIN,
            };
            if oldest.is_none_or(|(before, _)| at < before) {
                oldest = Some((at, place));
            }
        }
        let (_, place) = oldest?;
        let (class, reader) = &mut self.readers[place];
        let class = *class;
        let record = reader.next()?;
        Some(record.map(|record| Spilled { class, record }))
    }
}
