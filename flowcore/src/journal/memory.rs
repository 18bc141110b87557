//! A journal in memory: for tests, and for runs that need not outlive the process. The records of
//! a run lie end to end in one piece of memory, so a record costs a copy and no allocation.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::{Batch, Journal, JournalError, LeaseRequest, Op, StateWrites};
use crate::numbers::ByNumber;
use crate::run::RunId;
use crate::time::Timestamp;

/// Keeps everything in maps. Clones share the content, so a test can drop an engine, as a crash
/// does, and open another one over what was committed.
#[derive(Debug, Clone, Default)]
pub struct MemoryJournal {
    tables: Arc<Mutex<Tables>>,
}

#[derive(Debug, Default)]
struct Tables {
    logs: HashMap<RunId, Log, ByNumber>,
    /// A handful of spaces, so a search finds one sooner than a hash.
    spaces: Vec<(&'static str, BTreeMap<String, Vec<u8>>)>,
    state: BTreeMap<(String, String), Value>,
    lease: Option<(String, Timestamp)>,
    epoch: u64,
    commits: u64,
}

/// The records of one run, end to end.
#[derive(Debug, Default)]
struct Log {
    /// Number of the first record.
    first: u64,
    /// Where each record ends in `bytes`.
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

impl Log {
    fn next(&self) -> u64 {
        self.first + self.ends.len() as u64
    }

    /// Adds a record, unless there is one under its number.
    fn append(&mut self, seq: u64, record: &[u8]) -> Result<(), JournalError> {
        if self.ends.is_empty() {
            self.first = seq;
        }
        if seq > self.next() {
            return Err(JournalError::store(format!(
                "record {seq} follows record {} of its run; records are missing between them",
                self.next().saturating_sub(1)
            )));
        }
        if seq == self.next() {
            self.bytes.extend_from_slice(record);
            self.ends.push(self.bytes.len());
        }
        Ok(())
    }

    fn truncate(&mut self, before: u64) {
        let gone = usize::try_from(before.saturating_sub(self.first)).unwrap_or(usize::MAX);
        let gone = gone.min(self.ends.len());
        let cut = self.ends[..gone].last().copied().unwrap_or(0);
        self.bytes.drain(..cut);
        self.ends.drain(..gone);
        for end in &mut self.ends {
            *end -= cut;
        }
        self.first += gone as u64;
    }

    fn records(&self) -> impl Iterator<Item = (u64, &[u8])> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let bounds = starts.zip(self.ends.iter().copied());
        (self.first..).zip(bounds.map(|(start, end)| &self.bytes[start..end]))
    }
}

impl Tables {
    fn space(&self, name: &str) -> Option<&BTreeMap<String, Vec<u8>>> {
        let found = self.spaces.iter().find(|(space, _)| *space == name);
        found.map(|(_, values)| values)
    }

    fn space_mut(&mut self, name: &'static str) -> &mut BTreeMap<String, Vec<u8>> {
        let found = self.spaces.iter().position(|(space, _)| *space == name);
        let at = found.unwrap_or_else(|| {
            self.spaces.push((name, BTreeMap::new()));
            self.spaces.len() - 1
        });
        &mut self.spaces[at].1
    }
}

impl MemoryJournal {
    /// An empty journal.
    pub fn new() -> Self {
        Self::default()
    }

    /// The application state that steps wrote at `key` of `collection`.
    pub fn state(&self, collection: &str, key: &str) -> Option<Value> {
        self.tables()
            .state
            .get(&(collection.to_owned(), key.to_owned()))
            .cloned()
    }

    /// How many batches were committed.
    pub fn commits(&self) -> u64 {
        self.tables().commits
    }

    // Every method leaves the maps whole, so a panic elsewhere while the lock was held harms nothing.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Journal for MemoryJournal {
    fn commit(&mut self, batch: &Batch) -> Result<(), JournalError> {
        let mut tables = self.tables();
        if batch.epoch < tables.epoch {
            return Err(JournalError::Fenced {
                ours: batch.epoch,
                current: tables.epoch,
            });
        }
        tables.commits += 1;
        for op in &batch.ops {
            match op {
                Op::Append { run, seq, record } => {
                    tables.logs.entry(*run).or_default().append(*seq, record)?;
                }
                Op::Truncate { run, before } => {
                    if let Some(log) = tables.logs.get_mut(run) {
                        log.truncate(*before);
                        if log.ends.is_empty() {
                            tables.logs.remove(run);
                        }
                    }
                }
                Op::Put { space, key, value } => {
                    tables.space_mut(space).insert(key.clone(), value.clone());
                }
                Op::Delete { space, key } => {
                    tables.space_mut(space).remove(key);
                }
                Op::State(write) => {
                    let place = (write.collection.clone(), write.key.clone());
                    if write.body.is_null() {
                        tables.state.remove(&place);
                    } else {
                        tables.state.insert(place, write.body.clone());
                    }
                }
            }
        }
        Ok(())
    }

    fn log(&self, run: RunId) -> Result<Vec<(u64, Vec<u8>)>, JournalError> {
        let tables = self.tables();
        let log = tables.logs.get(&run).into_iter().flat_map(Log::records);
        Ok(log.map(|(seq, record)| (seq, record.to_vec())).collect())
    }

    fn get(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let tables = self.tables();
        let values = tables.space(space);
        Ok(values.and_then(|values| values.get(key)).cloned())
    }

    fn scan(
        &self,
        space: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, JournalError> {
        let tables = self.tables();
        let values = tables.space(space).into_iter();
        let bounds = (Bound::Excluded(after), Bound::Unbounded);
        let inside = values.flat_map(|values| values.range::<str, _>(bounds));
        let pairs = inside.map(|(key, value)| (key.clone(), value.clone()));
        Ok(pairs.take(limit).collect())
    }

    fn state_writes(&self) -> StateWrites {
        StateWrites::Atomic
    }

    fn lease(&mut self, request: &LeaseRequest) -> Result<u64, JournalError> {
        let mut tables = self.tables();
        let until = request.now.after(request.ttl);
        match &tables.lease {
            Some((owner, _)) if *owner == request.owner => {}
            Some((owner, end)) if *end > request.now => {
                return Err(JournalError::Held {
                    owner: owner.clone(),
                    until: *end,
                });
            }
            _ => tables.epoch += 1,
        }
        tables.lease = Some((request.owner.clone(), until));
        Ok(tables.epoch)
    }
}
