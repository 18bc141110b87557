//! The end of a transaction: its batch goes to the writer.

use super::{Tx, closed, index_of};
use crate::db::writer::Group;
use crate::db::{AgentDb, Change};
use crate::document::DOCUMENT_BYTES_MAX;
use crate::error::{Error, Result};
use crate::offline::Account;
use crate::storage::{DocumentRow, IndexEntry};

/// A commit that will be kept soon.
#[derive(Clone, Debug)]
pub struct Submitted {
    group: Group,
}

impl Submitted {
    /// The last change of a document when it was submitted.
    pub fn change(&self) -> Change {
        Change(self.group.sequence)
    }
}

impl AgentDb {
    /// Returns when what was [submitted](Tx::submit) is kept.
    ///
    /// # Errors
    /// [`Error::GroupLost`] where it was lost; [`Error::Store`], [`Error::DiskFull`] where this handle kept
    /// the group.
    pub fn wait(&self, submitted: &Submitted) -> Result<()> {
        self.inner.shared.wait(&submitted.group, self.handles())
    }
}

impl Tx<'_> {
    /// Keeps everything; returns the last change that is kept. When it is on disk the store's
    /// [`Durability`](crate::Durability) tells.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::DiskFull`], [`Error::GroupLost`], [`Error::DocumentTooLarge`]: nothing was kept;
    /// [`Error::Poisoned`].
    pub fn commit(self) -> Result<Change> {
        let db = self.db;
        let submitted = self.submit()?;
        db.wait(&submitted)?;
        Ok(submitted.change())
    }

    /// Hands everything over to be kept soon, in the order of submissions: with [`Durability::Group`] when
    /// someone [waits](AgentDb::wait) or commits, or a transaction begins after the window. One thread may so
    /// have many commits under way. Reads see it once it is kept.
    ///
    /// [`Durability::Group`]: crate::Durability::Group
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn submit(mut self) -> Result<Submitted> {
        let mut batch = std::mem::take(&mut self.batch);
        let mut changed = self.writer()?.last.changed;
        for (id, open) in std::mem::take(&mut self.documents) {
            if !open.joined && *open.document.context() == open.before {
                continue;
            }
            let schema = self.schema_of(open.document.schema())?;
            let state = open.document.to_json(schema);
            let entry = |(field, key)| IndexEntry {
                schema: schema.name().to_owned(),
                field,
                key,
                id: id.clone(),
            };
            let now = index_of(schema, &state);
            let (gone, new): (Vec<_>, Vec<_>) = (
                open.indexed
                    .iter()
                    .filter(|pair| !now.contains(pair))
                    .cloned()
                    .collect(),
                now.iter()
                    .filter(|pair| !open.indexed.contains(pair))
                    .cloned()
                    .collect(),
            );
            batch.unindexed.extend(gone.into_iter().map(entry));
            batch.indexed.extend(new.into_iter().map(entry));
            changed += 1;
            let crdt = open.document.encode_stored();
            if crdt.len() > DOCUMENT_BYTES_MAX {
                return Err(Error::DocumentTooLarge {
                    agent: id,
                    found: crdt.len(),
                    limit: DOCUMENT_BYTES_MAX,
                });
            }
            batch.documents.push(DocumentRow {
                schema: schema.name().to_owned(),
                state: state.to_string(),
                crdt,
                version: open.version + 1,
                at: self.now,
                changed,
                id,
            });
        }
        let writer = self.writer.take().ok_or_else(closed)?;
        let account = Account {
            rows: &*writer.storage,
            batch: &mut batch,
            policy: &self.db.inner.options.offline,
            last_event: &mut self.next_event,
            now: self.now,
        };
        if let Err(cause) = account.settle() {
            self.writer = Some(writer);
            return Err(cause);
        }
        let group = self.db.inner.shared.submit(writer, batch)?;
        Ok(Submitted { group })
    }
}
