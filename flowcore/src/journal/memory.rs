//! A journal in memory: for tests, and for runs that need not outlive the process.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::{Batch, Journal, JournalError, LeaseRequest, Op, StateWrites};
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
    logs: HashMap<RunId, BTreeMap<u64, Vec<u8>>>,
    spaces: HashMap<&'static str, BTreeMap<String, Vec<u8>>>,
    state: BTreeMap<(String, String), Value>,
    lease: Option<(String, Timestamp)>,
    epoch: u64,
    commits: u64,
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
                    let log = tables.logs.entry(*run).or_default();
                    log.entry(*seq).or_insert_with(|| record.clone());
                }
                Op::Truncate { run, before } => {
                    if let Some(log) = tables.logs.get_mut(run) {
                        *log = log.split_off(before);
                        if log.is_empty() {
                            tables.logs.remove(run);
                        }
                    }
                }
                Op::Put { space, key, value } => {
                    let values = tables.spaces.entry(space).or_default();
                    values.insert(key.clone(), value.clone());
                }
                Op::Delete { space, key } => {
                    if let Some(values) = tables.spaces.get_mut(space) {
                        values.remove(key);
                    }
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
        let log = tables.logs.get(&run).into_iter().flatten();
        Ok(log.map(|(seq, record)| (*seq, record.clone())).collect())
    }

    fn get(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let tables = self.tables();
        let values = tables.spaces.get(space);
        Ok(values.and_then(|values| values.get(key)).cloned())
    }

    fn scan(
        &self,
        space: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, JournalError> {
        let tables = self.tables();
        let values = tables.spaces.get(space).into_iter();
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
