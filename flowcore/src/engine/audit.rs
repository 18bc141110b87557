//! The audit log: who did what to which run, in the journal, in the transaction of the deed itself.
//! Entries are only ever added; the oldest make room when there are more than the log keeps.

use serde::{Deserialize, Serialize};

use super::{Engine, number_key, space};
use crate::error::{Error, Result};
use crate::journal::{Journal, Op};
use crate::run::RunId;
use crate::time::Timestamp;

#[derive(Debug, Default)]
pub(super) struct Audit {
    /// Entries kept; 0 without an audit log.
    keep: u64,
    /// Number of the next entry.
    next: u64,
    /// Number of the oldest entry.
    first: u64,
}

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AuditAct {
    /// A version of a workflow became the active one.
    Activated,
    /// A run was started.
    Started,
    /// A run ended.
    Ended,
    /// An event was handed to a run.
    Signalled,
    /// An approval was given or refused.
    Decided,
    /// A run was cancelled.
    Cancelled,
    /// A run was paused.
    Paused,
    /// A run went on.
    Resumed,
    /// A run was set aside because it could not go on.
    Parked,
    /// A run was made from another one.
    Forked,
    /// A run moved to another version of its workflow.
    Moved,
}

/// One line of the audit log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// Number of the entry, without gaps.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub act: AuditAct,
    /// To which run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Who, why, or what to.
    pub note: String,
}

impl<J: Journal> Engine<J> {
    /// Keeps an audit log of the latest `keep` entries in the journal (0: none).
    #[must_use]
    pub fn audited(mut self, keep: u64) -> Self {
        self.audit.keep = keep;
        self
    }

    pub(super) fn audit(&mut self, act: AuditAct, run: Option<RunId>, note: &str, at: Timestamp) {
        if self.audit.keep == 0 {
            return;
        }
        let entry = AuditEntry {
            number: self.audit.next,
            at,
            act,
            run,
            note: note.to_owned(),
        };
        self.audit.next += 1;
        self.batch.ops.push(Op::Put {
            space: space::AUDIT,
            key: number_key(entry.number),
            value: serde_json::to_vec(&entry).unwrap_or_default(),
        });
        while self.audit.next - self.audit.first > self.audit.keep {
            self.batch.ops.push(Op::Delete {
                space: space::AUDIT,
                key: number_key(self.audit.first),
            });
            self.audit.first += 1;
        }
    }

    /// Finds the ends of the log that is there.
    pub(super) fn recover_audit(&mut self) -> Result<()> {
        if self.audit.keep == 0 {
            return Ok(());
        }
        let mut after = String::new();
        let number = |key: &str| key.parse().unwrap_or_default();
        if let Some((first, _)) = self.journal.scan(space::AUDIT, "", 1)?.first() {
            self.audit.first = number(first);
            self.audit.next = self.audit.first;
        }
        loop {
            let page = self.journal.scan(space::AUDIT, &after, 1024)?;
            match page.last() {
                Some((last, _)) => {
                    self.audit.next = number(last) + 1;
                    after.clone_from(last);
                }
                None => return Ok(()),
            }
        }
    }

    /// Up to `limit` committed entries with numbers of `from` and above.
    ///
    /// # Errors
    /// A journal that failed, or an entry that cannot be read.
    pub fn audit_log(&self, from: u64, limit: usize) -> Result<Vec<AuditEntry>> {
        let after = from.checked_sub(1).map(number_key).unwrap_or_default();
        let page = self.journal.scan(space::AUDIT, &after, limit)?;
        let entry = |(key, bytes): &(String, Vec<u8>)| {
            serde_json::from_slice(bytes).map_err(|error| Error::Format {
                message: format!("entry {key} of the audit log: {error}"),
            })
        };
        page.iter().map(entry).collect()
    }
}
