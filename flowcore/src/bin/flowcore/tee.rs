//! A journal that lets progress be watched: what was committed is also handed to the driver.

use std::sync::{Arc, Mutex, PoisonError};

use flowcore::journal::{Batch, LeaseRequest, Op};
use flowcore::{Journal, JournalError, RunId, StateWrites};

/// Records of runs in the order of their commits.
pub type Committed = Arc<Mutex<Vec<(RunId, u64, Vec<u8>)>>>;

pub struct Tee<J> {
    pub inner: J,
    pub committed: Committed,
}

impl<J: Journal> Journal for Tee<J> {
    fn commit(&mut self, batch: &Batch) -> Result<(), JournalError> {
        self.inner.commit(batch)?;
        let mut committed = self
            .committed
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for op in &batch.ops {
            if let Op::Append { run, seq, record } = op {
                committed.push((*run, *seq, record.clone()));
            }
        }
        Ok(())
    }

    fn log(&self, run: RunId) -> Result<Vec<(u64, Vec<u8>)>, JournalError> {
        self.inner.log(run)
    }

    fn get(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        self.inner.get(space, key)
    }

    fn scan(
        &self,
        space: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, JournalError> {
        self.inner.scan(space, after, limit)
    }

    fn state_writes(&self) -> StateWrites {
        self.inner.state_writes()
    }

    fn lease(&mut self, request: &LeaseRequest) -> Result<u64, JournalError> {
        self.inner.lease(request)
    }
}
