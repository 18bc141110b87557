//! Opening and closing: which incarnation a store writes under.
//!
//! A dot must never be used twice. Dots are lost, and would be made anew, when a power cut takes the last
//! commits of [`Durability::Buffered`], and when an older copy of the file is put in its place. So a store
//! goes on under a new incarnation when it was not closed, when the file is another one than it was, and when
//! a peer knows writes of this replica that are not here.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::writer::{CLOCK, Shared, Writer};
use super::{AgentDb, Inner, Options};
use crate::causal::{Clock, ReplicaId, Stamp};
use crate::error::Result;
use crate::storage::{Batch, Storage, Sync};

fn incarnation_key(replica: ReplicaId) -> String {
    format!("incarnation/{}", replica.get())
}

fn running_key(replica: ReplicaId) -> String {
    format!("running/{}", replica.get())
}

const FILE: &str = "file";

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
        storage.begin()?;
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
        let reader = storage.reader()?.map(Mutex::new);
        let writer = Writer::new(storage, replica, clock, last);
        let schemas = options.schemas.iter().cloned();
        Ok(Self {
            inner: Arc::new(Inner {
                shared: Shared::new(writer, options.durability),
                reader,
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
        Some(was) => was + i64::from(unclean || moved || options.restored),
    };
    let mut batch = Batch::default();
    batch.meta.insert(key, incarnation);
    batch.meta.insert(running, 1);
    batch.meta.insert(FILE.to_owned(), file);
    storage.apply(&batch)?;
    storage.commit(Sync::Disk)?;
    let incarnation = u32::try_from(incarnation).unwrap_or(u32::MAX);
    Ok(options.replica.with_incarnation(incarnation))
}

/// What notes that a replica goes on under an incarnation.
pub(super) fn note_incarnation(batch: &mut Batch, replica: ReplicaId) {
    let incarnation = i64::from(replica.incarnation());
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
