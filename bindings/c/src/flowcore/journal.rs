//! The journals that a C program may choose from.

use flowcore::journal::{Batch, LeaseRequest};
use flowcore::{Journal, JournalError, MemoryJournal, RunId, SqliteJournal, StateWrites};
use serde_json::Value;

pub enum Kept {
    Memory(MemoryJournal),
    Sqlite(SqliteJournal),
}

impl Kept {
    fn journal(&self) -> &dyn Journal {
        match self {
            Self::Memory(journal) => journal,
            Self::Sqlite(journal) => journal,
        }
    }

    fn journal_mut(&mut self) -> &mut dyn Journal {
        match self {
            Self::Memory(journal) => journal,
            Self::Sqlite(journal) => journal,
        }
    }

    /// The latest body that actions wrote at a place.
    pub fn state(&self, collection: &str, key: &str) -> Result<Option<Value>, JournalError> {
        match self {
            Self::Memory(journal) => Ok(journal.state(collection, key)),
            Self::Sqlite(journal) => journal.state(collection, key),
        }
    }
}

impl Journal for Kept {
    fn commit(&mut self, batch: &Batch) -> Result<(), JournalError> {
        self.journal_mut().commit(batch)
    }

    fn log(&self, run: RunId) -> Result<Vec<(u64, Vec<u8>)>, JournalError> {
        self.journal().log(run)
    }

    fn get(&self, space: &str, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        self.journal().get(space, key)
    }

    fn scan(
        &self,
        space: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, Vec<u8>)>, JournalError> {
        self.journal().scan(space, after, limit)
    }

    fn state_writes(&self) -> StateWrites {
        self.journal().state_writes()
    }

    fn lease(&mut self, request: &LeaseRequest) -> Result<u64, JournalError> {
        self.journal_mut().lease(request)
    }
}
