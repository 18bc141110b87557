//! Opening and closing: which incarnation a store writes under.
//!
//! A dot must never be used twice. Dots are lost, and would be made anew, when a power cut takes the last
//! commits of [`Durability::Buffered`], and when an older copy of the file is put in its place. So a store
//! goes on under a new incarnation when it was not closed, when the file is another one than it was, and when
//! a peer knows writes of this replica that are not here.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::writer::{CLOCK, Shared, Writer};
use super::{AgentDb, Inner, Options, Readers};
use crate::causal::{Clock, ReplicaId, Stamp};
use crate::error::Result;
use crate::event::Sequence;
use crate::query::key;
use crate::schema::Schema;
use crate::storage::{Batch, IndexEntry, Storage, Sync};

fn incarnation_key(replica: ReplicaId) -> String {
    format!("incarnation/{}", replica.get())
}

fn running_key(replica: ReplicaId) -> String {
    format!("running/{}", replica.get())
}

const FILE: &str = "file";
/// Under which records the schemas are kept.
pub(crate) const SCHEMAS: &str = "agentdb.schemas";

/// The number that the file system gave the file; 0 where there is none.
pub(super) fn file_number(path: &Path) -> i64 {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt as _;
        std::fs::metadata(path).map_or(0, |data| data.ino().cast_signed())
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        0
    }
}

impl AgentDb {
    pub(super) fn over(
        mut storage: Box<dyn Storage>,
        options: Options,
        file: Option<i64>,
    ) -> Result<Self> {
        for schema in &options.schemas {
            schema.check()?;
        }
        if file.is_some() {
            storage.begin()?;
        }
        let started = start(&mut *storage, &options, file);
        let replica = match started {
            Ok(replica) => replica,
            Err(cause) => {
                storage.rollback();
                return Err(cause);
            }
        };
        let lease = storage.meta(CLOCK)?.unwrap_or(0);
        let stamp = Stamp {
            millis: lease,
            count: 0,
        };
        let clock = Clock::new(stamp, options.clock_ahead_max);
        let last = storage.last()?;
        let readers = match (storage.reader()?, storage.reader()?) {
            (Some(lookups), Some(scans)) => Some(Readers {
                lookups: Mutex::new(lookups),
                scans: Mutex::new(scans),
            }),
            _ => None,
        };
        let writer = Writer::new(storage, replica, clock, last);
        let schemas = options.schemas.iter().cloned();
        Ok(Self {
            inner: Arc::new(Inner {
                shared: Shared::new(writer, options.durability),
                readers,
                schemas: schemas
                    .map(|schema| (schema.name().to_owned(), schema))
                    .collect(),
                options,
                file: file.is_some(),
            }),
            handles: Arc::default(),
        })
    }
}

/// Notes in the file that it is open, before any dot is made, and under which incarnation.
fn start(storage: &mut dyn Storage, options: &Options, file: Option<i64>) -> Result<ReplicaId> {
    let Some(file) = file else {
        storage.rollback();
        return Ok(options.replica);
    };
    let (key, running) = (
        incarnation_key(options.replica),
        running_key(options.replica),
    );
    let was = storage.meta(&key)?;
    let unclean = storage.meta(&running)?.unwrap_or(0) != 0;
    let moved = storage.meta(FILE)?.is_some_and(|before| before != file);
    let incarnation = match was {
        None => 0,
        Some(was) if unclean || moved || options.restored => was + step(options),
        Some(was) => was,
    };
    let mut batch = Batch::default();
    if was != Some(incarnation) {
        note_life(&mut batch, incarnation, storage.last()?.event);
    }
    batch.meta.insert(key, incarnation);
    batch.meta.insert(running, 1);
    batch.meta.insert(FILE.to_owned(), file);
    // Kept with the file, so that it can be read by those who do not have them.
    for schema in &options.schemas {
        let key = (SCHEMAS.to_owned(), schema.name().to_owned());
        let json = schema.to_json().to_string();
        batch.records.insert(key, Some(json.into_bytes()));
    }
    reindex(storage, &options.schemas, &mut batch)?;
    storage.apply(&batch)?;
    storage.commit(Sync::Disk)?;
    let incarnation = u32::try_from(incarnation).unwrap_or(u32::MAX);
    Ok(options.replica.with_incarnation(incarnation))
}

/// Builds the indexes of schemas that had others before. Linear in their documents.
fn reindex(storage: &dyn Storage, schemas: &[Schema], batch: &mut Batch) -> Result<()> {
    for schema in schemas {
        let before = storage.record(SCHEMAS, schema.name())?;
        let before =
            before.and_then(|json| Schema::from_json(&String::from_utf8_lossy(&json)).ok());
        let had: Vec<&str> = before.iter().flat_map(Schema::indexes).collect();
        let new: Vec<&str> = schema
            .indexes()
            .filter(|field| !had.contains(field))
            .collect();
        let gone: Vec<&str> = had
            .into_iter()
            .filter(|field| schema.indexes().all(|has| has != *field))
            .collect();
        if new.is_empty() && gone.is_empty() {
            continue;
        }
        let mut after: Option<String> = None;
        loop {
            let page = storage.documents(Some(schema.name()), after.as_deref(), 256)?;
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
            for row in page {
                let state = super::parse(&row.id, &row.state)?;
                let entry = |field: &str| {
                    let key = key::of(state.get(field)?)?;
                    Some(IndexEntry {
                        schema: schema.name().to_owned(),
                        field: field.to_owned(),
                        key,
                        id: row.id.clone(),
                    })
                };
                batch
                    .indexed
                    .extend(new.iter().filter_map(|field| entry(field)));
                batch
                    .unindexed
                    .extend(gone.iter().filter_map(|field| entry(field)));
            }
        }
    }
    Ok(())
}

/// An older copy of a file does not know which incarnations its later life had: one that is next in line may
/// have been used, one at random hardly.
const STEP_MAX: u64 = 1 << 16;

fn step(options: &Options) -> i64 {
    let random = || 1 + (RandomState::new().hash_one(0) % STEP_MAX).cast_signed();
    options
        .incarnation_step
        .map_or_else(random, |step| i64::from(step.get()))
}

/// By the last event before it, each incarnation that events were appended under.
const LIVES: &str = "agentdb.lives";

fn note_life(batch: &mut Batch, incarnation: i64, last_event: i64) {
    let key = (LIVES.to_owned(), format!("{last_event:020}"));
    let value = incarnation.to_string().into_bytes();
    batch.records.insert(key, Some(value));
}

impl AgentDb {
    /// The replica that appended an event here, in the incarnation that it had then: with the place this names
    /// the event among all replicas.
    ///
    /// # Errors
    /// [`Error::Store`](crate::Error::Store).
    pub fn appender(&self, sequence: Sequence) -> Result<ReplicaId> {
        let lives = self.scan_records(LIVES, "", usize::MAX)?;
        let before = format!("{:020}", sequence.get());
        let life = lives.into_iter().rev().find(|(last, _)| *last < before);
        let life = life.and_then(|(_, value)| String::from_utf8(value).ok()?.parse().ok());
        let own = self.replica();
        Ok(life.map_or(own, |life| own.with_incarnation(life)))
    }
}

/// What notes that a replica goes on under an incarnation, after an event.
pub(super) fn note_incarnation(batch: &mut Batch, replica: ReplicaId, last_event: i64) {
    let incarnation = i64::from(replica.incarnation());
    note_life(batch, incarnation, last_event);
    batch.meta.insert(incarnation_key(replica), incarnation);
}

/// Notes that the file was closed with all its commits on the disk.
impl Drop for Inner {
    fn drop(&mut self) {
        if !self.file {
            return;
        }
        let mut writer = self.shared.lock();
        let replica = writer.replica;
        if writer.check().is_err() || writer.finish().is_err() {
            return;
        }
        let storage = &mut writer.storage;
        // Another process may have opened it under a later incarnation, and has yet to close it.
        let mine = storage
            .meta(&incarnation_key(replica))
            .is_ok_and(|now| now == Some(i64::from(replica.incarnation())));
        if mine && storage.begin().is_ok() {
            let mut batch = Batch::default();
            batch.meta.insert(running_key(replica), 0);
            if storage
                .apply(&batch)
                .and_then(|()| storage.commit(Sync::Disk))
                .is_err()
            {
                storage.rollback();
            }
        }
    }
}
