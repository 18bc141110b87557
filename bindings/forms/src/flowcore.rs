//! Calls of actions, and the journals that a binding offers.

use flowcore::journal::{Batch, LeaseRequest};
use flowcore::{
    Call, DefinitionHash, Held, Journal, JournalError, MemoryJournal, RunId, SqliteJournal,
    StateWrites, Timestamp, Upgrade,
};
use serde::Deserialize;
use serde::de::IntoDeserializer;
use serde_json::{Value, json};

use crate::{Malformed, Result};

/// What an action is called with.
pub fn call(call: &Call) -> Value {
    json!({
        "action": call.action(),
        "params": call.params(),
        "input": call.input(),
        "run": call.run().as_u64(),
        "workflow": call.workflow(),
        "step": call.step(),
        "path": call.path(),
        "attempt": call.attempt(),
        "deadline": call.deadline().map(Timestamp::as_millis),
        "idempotency_key": call.idempotency_key(),
    })
}

/// A journal in memory or in one file.
pub enum Kept {
    /// Lost with the process.
    Memory(MemoryJournal),
    /// In a SQLite file.
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
    ///
    /// # Errors
    /// A store that failed.
    pub fn state(
        &self,
        collection: &str,
        key: &str,
    ) -> std::result::Result<Option<Value>, JournalError> {
        match self {
            Self::Memory(journal) => Ok(journal.state(collection, key)),
            Self::Sqlite(journal) => journal.state(collection, key),
        }
    }
}

impl Journal for Kept {
    fn commit(&mut self, batch: &Batch) -> std::result::Result<(), JournalError> {
        self.journal_mut().commit(batch)
    }

    fn log(&self, run: RunId) -> std::result::Result<Vec<(u64, Vec<u8>)>, JournalError> {
        self.journal().log(run)
    }

    fn get(&self, space: &str, key: &str) -> std::result::Result<Option<Vec<u8>>, JournalError> {
        self.journal().get(space, key)
    }

    fn scan(
        &self,
        space: &str,
        after: &str,
        limit: usize,
    ) -> std::result::Result<Vec<(String, Vec<u8>)>, JournalError> {
        self.journal().scan(space, after, limit)
    }

    fn state_writes(&self) -> StateWrites {
        self.journal().state_writes()
    }

    fn lease(&mut self, request: &LeaseRequest) -> std::result::Result<u64, JournalError> {
        self.journal_mut().lease(request)
    }
}

/// What a definition's hash is as text: 32 hexadecimal digits.
///
/// # Errors
/// Any other text.
pub fn hash(text: &str) -> Result<DefinitionHash> {
    DefinitionHash::deserialize(text.into_deserializer())
        .map_err(|error: serde::de::value::Error| Malformed::new(error))
}

/// Whether a run could move: `{"possible": true}`, or `{"possible": false, "record": …, "reason": …}`.
pub fn upgrade(upgrade: &Upgrade) -> Value {
    match upgrade {
        Upgrade::Possible => json!({"possible": true}),
        Upgrade::Impossible { record, reason } => {
            json!({"possible": false, "record": record, "reason": reason})
        }
    }
}

/// How many calls wait, and for what.
pub fn held(held: Held) -> Value {
    json!({"offline": held.offline, "budget": held.budget, "quota": held.quota})
}
