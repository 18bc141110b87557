//! Changes that are kept together or not at all.

mod commit;
mod events;
mod records;

use std::collections::BTreeMap;
use std::sync::MutexGuard;

use serde_json::Value;

use super::open::note_incarnation;
use super::writer::Writer;
use super::{AgentDb, check_id, decode};
use crate::causal::{Context, ReplicaId, Stamp};
use crate::document::{Document, Edit, Joined};
use crate::error::{Error, Result};
use crate::query::key;
use crate::schema::Schema;
use crate::storage::Batch;
use crate::time::Timestamp;

pub use commit::Submitted;

/// A page of a scan.
const PAGE: usize = 1_000;

/// A document that this transaction has looked at.
struct Open {
    document: Document,
    version: i64,
    /// The values of its indexed fields before.
    indexed: Vec<(String, Vec<u8>)>,
    /// What it had seen before.
    before: Context,
    /// Whether a join has told anything.
    joined: bool,
}

/// Changes that are kept together or not at all.
pub struct Tx<'db> {
    db: &'db AgentDb,
    writer: Option<MutexGuard<'db, Writer>>,
    now: Timestamp,
    stamp: Stamp,
    documents: BTreeMap<String, Open>,
    batch: Batch,
    next_event: i64,
}

fn index_of(schema: &Schema, state: &Value) -> Vec<(String, Vec<u8>)> {
    let values = schema.indexes().filter_map(|field| {
        let key = key::of(state.get(field)?)?;
        Some((field.to_owned(), key))
    });
    values.collect()
}

impl<'db> Tx<'db> {
    pub(super) fn new(
        db: &'db AgentDb,
        mut writer: MutexGuard<'db, Writer>,
        now: Timestamp,
    ) -> Self {
        let stamp = writer.clock.stamp(now);
        Self {
            db,
            next_event: writer.last.event,
            writer: Some(writer),
            now,
            stamp,
            documents: BTreeMap::new(),
            batch: Batch::default(),
        }
    }

    fn writer(&self) -> Result<&Writer> {
        self.writer.as_deref().ok_or_else(closed)
    }

    fn schema_of(&self, name: &str) -> Result<&'db Schema> {
        let db = self.db;
        db.schema(name)
            .ok_or_else(|| Error::UnknownSchema(name.to_owned()))
    }

    /// The document `id` of this schema, made when it is not there and something is changed.
    ///
    /// # Errors
    /// [`Error::UnknownSchema`], [`Error::OtherSchema`], [`Error::Limit`], [`Error::Store`],
    /// [`Error::Damaged`].
    pub fn agent(&mut self, schema: &str, id: &str) -> Result<Edit<'_>> {
        let (replica, stamp) = (self.writer()?.replica, self.stamp);
        let schema = self.schema_of(schema)?;
        let open = self.open(schema, id)?;
        Ok(open.document.edit(schema, replica, stamp))
    }

    /// A document as this transaction sees it; none when it is not there.
    ///
    /// # Errors
    /// [`Error::Store`], [`Error::Damaged`].
    pub fn document(&self, id: &str) -> Result<Option<Document>> {
        if let Some(open) = self.documents.get(id) {
            return Ok(
                Some(open.document.clone()).filter(|document| !document.context().is_empty())
            );
        }
        let row = self.writer()?.storage.document(id)?;
        row.map(|row| decode(id, &row.crdt)).transpose()
    }

    fn open(&mut self, schema: &Schema, id: &str) -> Result<&mut Open> {
        check_id(id)?;
        if !self.documents.contains_key(id) {
            let open = match self.writer()?.storage.document(id)? {
                Some(row) => {
                    let document = decode(id, &row.crdt)?;
                    let indexed = match schema.indexes().next() {
                        Some(_) => index_of(schema, &super::parse(id, &row.state)?),
                        None => Vec::new(),
                    };
                    Open {
                        before: document.context().clone(),
                        joined: false,
                        document,
                        version: row.version,
                        indexed,
                    }
                }
                None => Open {
                    document: Document::new(schema),
                    before: Context::new(),
                    joined: false,
                    version: 0,
                    indexed: Vec::new(),
                },
            };
            self.documents.insert(id.to_owned(), open);
        }
        let Some(open) = self.documents.get_mut(id) else {
            return Err(closed());
        };
        if open.document.schema() != schema.name() {
            return Err(Error::OtherSchema {
                agent: id.to_owned(),
                is: open.document.schema().to_owned(),
                asked: schema.name().to_owned(),
            });
        }
        Ok(open)
    }

    /// Joins a document with a copy, or a delta, from another replica. One that is refused changes nothing.
    ///
    /// Stamps that are further ahead than [`clock_drift_max`](crate::Options::clock_drift_max) are marked. A copy that
    /// knows writes of this replica that are not here tells that this file is an older one: the replica goes
    /// on under a new incarnation.
    ///
    /// # Errors
    /// As [`agent`](Self::agent); [`Error::Refused`] for a copy that does not fit its schema,
    /// [`Error::ClockAhead`].
    pub fn merge(&mut self, id: &str, copy: &Document) -> Result<Joined> {
        let limit = self.db.inner.options.clock_ahead_max;
        let stamp = copy.stamp();
        let ahead = Timestamp::from_millis(stamp.millis).since(self.now);
        if ahead > limit {
            return Err(Error::ClockAhead {
                agent: id.to_owned(),
                ahead,
                limit,
            });
        }
        let schema = self.schema_of(copy.schema())?;
        copy.check(schema).map_err(|cause| Error::Refused {
            agent: id.to_owned(),
            cause,
        })?;
        let latest = self.now.after(self.db.inner.options.clock_drift_max);
        let now = self.now;
        let replica = self.writer()?.replica;
        let open = self.open(schema, id)?;
        let renewed = renewed(replica, copy, &open.document);
        let joined = open.document.merge(copy)?;
        let marked = open.document.mark_after(latest);
        open.joined |= joined == Joined::New || marked > 0;
        open.document.adopt(replica);
        if let Some(writer) = &mut self.writer {
            writer.clock.observe(stamp, now);
            if let Some(replica) = renewed {
                writer.replica = replica;
                note_incarnation(&mut self.batch, replica, self.next_event);
            }
        }
        Ok(joined)
    }

    /// The time at which the transaction began.
    pub fn now(&self) -> Timestamp {
        self.now
    }
}

/// Lets others write.
impl Drop for Tx<'_> {
    fn drop(&mut self) {
        if let Some(writer) = &mut self.writer {
            writer.end();
        }
    }
}

/// The replica under a new incarnation, where a copy knows writes of it that are not here.
fn renewed(replica: ReplicaId, copy: &Document, own: &Document) -> Option<ReplicaId> {
    let mine = copy
        .context()
        .replicas()
        .filter(|known| known.get() == replica.get());
    let unknown = mine.filter(|known| {
        // Old documents have incarnations of their own, far above any device's.
        *known >= replica
            && known.incarnation() < 1 << 31
            && own.context().last(*known) < copy.context().last(*known)
    });
    let latest = unknown.max()?;
    Some(latest.with_incarnation(latest.incarnation() + 1))
}

fn closed() -> Error {
    Error::Store("the transaction has ended".into())
}
