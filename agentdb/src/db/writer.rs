//! The one place where changes are written, and when they are on disk.
//!
//! A transaction holds the writer; a commit applies its batch and gives the writer back. With
//! [`Durability::Group`] the batches of several handles are then kept by one commit of the backend: whoever
//! finds that all handles wait, or has waited for the window, does it for all.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

use super::options::Durability;
use super::watch::Watchers;
use crate::causal::{Clock, ReplicaId};
use crate::error::{Error, Result};
use crate::storage::{Batch, Last, Storage, Sync};
use crate::time::Timestamp;

/// How far the persisted clock is ahead of the last stamp: so it need not be written with each commit.
const LEASE_MILLIS: i64 = 1_000;
pub(super) const CLOCK: &str = "clock";

/// How far the writer is: readers ask without waiting for it.
struct Progress {
    /// The latest time that a transaction began at.
    now: AtomicI64,
    /// The last change that is on disk.
    durable: AtomicI64,
}

/// What is written by one at a time.
pub(super) struct Writer {
    pub(super) storage: Box<dyn Storage>,
    pub(super) replica: ReplicaId,
    pub(super) clock: Clock,
    /// Up to where the clock was persisted.
    pub(super) lease: i64,
    pub(super) last: Last,
    pub(super) watchers: Watchers,
    /// Whether batches were applied and not committed.
    open: bool,
    /// When the first of them began.
    opened: Timestamp,
    /// How many handles wait for them.
    members: usize,
    /// What becomes of them.
    outcome: Outcome,
    progress: Arc<Progress>,
    /// Why nothing is written any more.
    poison: Option<String>,
}

impl Writer {
    pub(super) fn new(
        storage: Box<dyn Storage>,
        replica: ReplicaId,
        clock: Clock,
        last: Last,
    ) -> Self {
        Self {
            storage,
            replica,
            clock,
            lease: clock.last().millis,
            last,
            watchers: Watchers::default(),
            open: false,
            opened: Timestamp::default(),
            members: 0,
            outcome: Outcome::default(),
            progress: Arc::new(Progress {
                now: AtomicI64::new(i64::MIN),
                durable: AtomicI64::new(last.changed),
            }),
            poison: None,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        match &self.poison {
            None => Ok(()),
            Some(cause) => Err(Error::Poisoned {
                cause: cause.clone(),
            }),
        }
    }

    /// Takes the right to write. Other processes may have written since.
    fn begin(&mut self, now: Timestamp) -> Result<()> {
        self.check()?;
        if !self.open {
            self.storage.begin()?;
            self.last = self.storage.last()?;
            self.opened = now;
        }
        self.progress
            .now
            .fetch_max(now.as_millis(), Ordering::Relaxed);
        Ok(())
    }

    /// Gives the right to write back where nothing was written.
    pub(super) fn end(&mut self) {
        if !self.open {
            self.storage.rollback();
        }
    }

    /// Applies a batch after those before it.
    fn apply(&mut self, batch: &mut Batch) -> Result<()> {
        let stamp = self.clock.last();
        if stamp.millis > self.lease || self.lease.saturating_sub(stamp.millis) > 2 * LEASE_MILLIS {
            self.lease = stamp.millis.saturating_add(LEASE_MILLIS);
            batch.meta.insert(CLOCK.to_owned(), self.lease);
        }
        match self.storage.apply(batch) {
            Ok(()) => self.open = true,
            Err(Error::GroupLost { cause }) if self.open => {
                // Batches of others were lost with this one.
                self.lose(&cause);
                return Err(Error::GroupLost { cause });
            }
            Err(cause) => return Err(cause),
        }
        for row in &batch.documents {
            self.last.changed = self.last.changed.max(row.changed);
        }
        for event in &batch.events {
            self.last.event = self.last.event.max(event.sequence.get());
        }
        self.watchers.hold(batch);
        Ok(())
    }

    /// Keeps what was applied. After a failure nobody knows what is on the disk: the store is poisoned. A full
    /// disk is no such failure: nothing was kept, and there may be room again.
    fn keep(&mut self, sync: Sync) -> Result<()> {
        match self.storage.commit(sync) {
            Ok(()) => {
                self.close(None);
                if sync == Sync::Disk {
                    let durable = self.last.changed;
                    self.progress.durable.store(durable, Ordering::Release);
                }
                self.watchers.tell();
                Ok(())
            }
            Err(cause) => {
                self.lose(&cause.to_string());
                if !matches!(cause, Error::DiskFull) {
                    self.poison = Some(cause.to_string());
                }
                Err(cause)
            }
        }
    }

    /// Keeps what was applied, and everything before it, on the disk.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.keep(Sync::Disk)
    }

    /// Forgets what was applied.
    fn lose(&mut self, cause: &str) {
        self.storage.rollback();
        self.watchers.forget();
        self.close(Some(cause.to_owned()));
    }

    /// Tells all who wait what became of their batches.
    fn close(&mut self, lost: Option<String>) {
        self.open = false;
        self.members = 0;
        // Set once, here, for each group.
        let _ = std::mem::take(&mut self.outcome).set(lost);
    }
}

/// Why a group was lost; none when it is kept. Empty as long as it is neither.
type Outcome = Arc<OnceLock<Option<String>>>;

/// The writer, shared by all handles.
pub(super) struct Shared {
    writer: Mutex<Writer>,
    progress: Arc<Progress>,
    kept: Condvar,
    durability: Durability,
}

impl Shared {
    pub(super) fn new(writer: Writer, durability: Durability) -> Self {
        Self {
            progress: writer.progress.clone(),
            writer: Mutex::new(writer),
            kept: Condvar::new(),
            durability,
        }
    }

    /// A thread that panicked within a transaction left none of it: the writer is whole.
    pub(super) fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(&self, now: Timestamp) -> Result<MutexGuard<'_, Writer>> {
        let mut writer = self.lock();
        if let Durability::Group(window) = self.durability
            && writer.open
            && writer.members == 0
            && now.since(writer.opened) >= window
        {
            // Nobody waits for those that were submitted; their window is over.
            writer.keep(Sync::Disk)?;
            self.kept.notify_all();
        }
        if let Err(cause) = writer.begin(now) {
            writer.end();
            return Err(cause);
        }
        Ok(writer)
    }

    /// Applies a batch, to be kept soon; returns the group that keeps it.
    pub(super) fn submit(
        &self,
        mut writer: MutexGuard<'_, Writer>,
        mut batch: Batch,
    ) -> Result<Group> {
        if let Err(cause) = writer.apply(&mut batch) {
            writer.end();
            return Err(cause);
        }
        let sequence = writer.last.changed;
        let outcome = writer.outcome.clone();
        match self.durability {
            Durability::Immediate => writer.keep(Sync::Disk)?,
            Durability::Buffered => writer.keep(Sync::System)?,
            Durability::Group(_) => {}
        }
        Ok(Group { outcome, sequence })
    }

    /// Returns when a group is kept. `handles` may wait at the same time.
    pub(super) fn wait(&self, group: &Group, handles: usize) -> Result<()> {
        let Durability::Group(window) = self.durability else {
            return Ok(());
        };
        let mut writer = self.lock();
        if group.outcome.get().is_none() {
            writer.members += 1;
            if writer.members < handles {
                let waiting = self
                    .kept
                    .wait_timeout_while(writer, window, |_| group.outcome.get().is_none());
                writer = waiting.unwrap_or_else(PoisonError::into_inner).0;
            }
        }
        if let Some(lost) = group.outcome.get() {
            return match lost {
                None => Ok(()),
                Some(cause) => Err(Error::GroupLost {
                    cause: cause.clone(),
                }),
            };
        }
        let kept = writer.keep(Sync::Disk);
        drop(writer);
        self.kept.notify_all();
        kept
    }

    /// Keeps all that was applied, on the disk; returns the last change.
    pub(super) fn flush(&self) -> Result<i64> {
        let mut writer = self.lock();
        writer.check()?;
        let kept = writer.keep(Sync::Disk);
        drop(writer);
        self.kept.notify_all();
        kept.map(|()| self.durable())
    }

    /// The last change that is on disk.
    pub(super) fn durable(&self) -> i64 {
        self.progress.durable.load(Ordering::Acquire)
    }

    /// The latest time that a transaction began at; none before the first.
    pub(super) fn now(&self) -> Option<Timestamp> {
        let now = self.progress.now.load(Ordering::Relaxed);
        (now != i64::MIN).then_some(Timestamp::from_millis(now))
    }
}

/// Batches that are kept together.
#[derive(Clone, Debug)]
pub(super) struct Group {
    outcome: Outcome,
    /// The last change of a document when the batch was applied.
    pub(super) sequence: i64,
}

/// The handles of a store.
pub(super) type Handles = Arc<()>;
