//! A sink's queue: entries in order, numbered so that a replay after a crash skips what has arrived already.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::deploy::{BatchOptions, Entry, Sink};
use crate::error::{Error, Result};
use crate::log::Mark;
use crate::spill::Class;
use crate::time::Timestamp;

/// An entry that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub number: u64,
    pub class: Class,
    pub since: Timestamp,
    pub line: String,
}

/// What a snapshot keeps of a lane.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct LaneState {
    pub name: String,
    pub next: u64,
    pub waiting: Vec<Waiting>,
}

#[derive(Debug)]
pub(crate) enum Target {
    Topic(String),
    File(File, String),
}

#[derive(Debug)]
pub(crate) struct Lane {
    pub name: String,
    pub target: Target,
    batch: Option<BatchOptions>,
    /// The number of the next entry.
    next: u64,
    /// Entries before it come from durable events.
    committed: u64,
    pub waiting: VecDeque<Waiting>,
    /// How many entries of the front of `waiting` are on their way.
    pub sent: usize,
    /// Entries before it have arrived, in an earlier life of the process too.
    settled: u64,
    mark: Mark,
}

impl Lane {
    pub fn open(name: &str, sink: &Sink, folder: &Path) -> Result<Self> {
        let target = match (&sink.topic, &sink.file) {
            (Some(topic), _) => Target::Topic(topic.clone()),
            (None, Some(path)) => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                let text = path.display().to_string();
                Target::File(file.map_err(|cause| failed("open", &text, &cause))?, text)
            }
            (None, None) => {
                return Err(Error::Deployment(format!("sinks.{name}: no target")));
            }
        };
        let (mark, settled) = Mark::open(folder, &format!("settled-{name}"))?;
        Ok(Self {
            name: name.to_owned(),
            target,
            batch: sink.batch,
            next: 0,
            committed: 0,
            waiting: VecDeque::new(),
            sent: 0,
            settled,
            mark,
        })
    }

    /// Goes on from a snapshot.
    pub fn restore(&mut self, state: LaneState) {
        self.next = state.next;
        self.committed = state.next;
        let kept = state.waiting.into_iter();
        self.waiting = kept.filter(|entry| entry.number >= self.settled).collect();
    }

    pub fn state(&self) -> LaneState {
        LaneState {
            name: self.name.clone(),
            next: self.next,
            waiting: self.waiting.iter().cloned().collect(),
        }
    }

    /// The number of a new entry; none for one that has arrived before a crash.
    pub fn number(&mut self) -> Option<u64> {
        let number = self.next;
        self.next += 1;
        (number >= self.settled).then_some(number)
    }

    pub fn push(&mut self, number: u64, since: Timestamp, entry: Entry) {
        self.waiting.push_back(Waiting {
            number,
            class: entry.class,
            since,
            line: entry.line,
        });
    }

    /// Says that the events behind all entries so far are durable.
    pub fn commit(&mut self) {
        self.committed = self.next;
    }

    /// How many entries may go out as one message now; 0 when it is better to wait. Something critical waits for
    /// nothing.
    pub fn due(&self, now: Timestamp, plan: Option<BatchOptions>) -> usize {
        let ready = self
            .waiting
            .iter()
            .skip(self.sent)
            .take_while(|entry| entry.number < self.committed);
        let Some(batch) = plan.or(self.batch) else {
            return ready.take(1).count();
        };
        let (mut count, mut due) = (0, false);
        for entry in ready.take(batch.entries) {
            count += 1;
            due |=
                entry.class == Class::Critical || now.since(entry.since) >= batch.every.duration();
        }
        if due || count >= batch.entries {
            count
        } else {
            0
        }
    }

    /// Whether entries are put together.
    pub fn is_batched(&self, plan: Option<BatchOptions>) -> bool {
        plan.or(self.batch).is_some()
    }

    /// The oldest entries that were sent have arrived, or will not.
    pub fn settle(&mut self, count: usize) -> Result<()> {
        let count = count.min(self.waiting.len());
        self.waiting.drain(..count);
        self.sent -= count.min(self.sent);
        self.write_mark()
    }

    /// Writes down what has arrived.
    pub fn write_mark(&mut self) -> Result<()> {
        let first = self.waiting.front().map(|entry| entry.number);
        let settled = first.unwrap_or(self.committed).min(self.committed);
        if settled > self.settled {
            self.settled = settled;
            self.mark.write(settled)?;
        }
        Ok(())
    }

    /// Writes what is due to the file, if it is one; how many entries.
    pub fn write_file(&mut self) -> Result<usize> {
        let Target::File(file, path) = &mut self.target else {
            return Ok(0);
        };
        let committed = self.committed;
        let count = self
            .waiting
            .iter()
            .take_while(|entry| entry.number < committed)
            .count();
        if count == 0 {
            return Ok(0);
        }
        let mut text = String::new();
        for entry in self.waiting.iter().take(count) {
            text.push_str(&entry.line);
            text.push('\n');
        }
        let before = file.metadata().map(|meta| meta.len()).ok();
        if let Err(cause) = file.write_all(text.as_bytes()) {
            // Half a line must not stay.
            if let Some(before) = before {
                let _ = file.set_len(before);
            }
            return Err(failed("write to", path, &cause));
        }
        self.settle(count)?;
        Ok(count)
    }
}

fn failed(action: &'static str, path: &str, cause: &std::io::Error) -> Error {
    Error::Io {
        action,
        path: path.to_owned(),
        cause: cause.to_string(),
    }
}

/// What the ladder asks of a lane.
pub(crate) fn batch(entries: usize, every: Duration) -> BatchOptions {
    let millis = u64::try_from(every.as_millis()).unwrap_or(u64::MAX);
    BatchOptions {
        entries,
        every: crate::deploy::Period::from_millis(millis),
    }
}
