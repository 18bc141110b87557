//! Changes as they are kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use crate::event::StoredEvent;
use crate::query::Condition;
use crate::storage::Batch;

/// How many notices wait for a watch to be read.
pub const WATCH_NOTICES_MAX: usize = 4_096;

/// What has happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// A document was committed here: changed, or joined with a copy.
    Document {
        /// Which.
        id: String,
        /// The name of its schema.
        schema: String,
        /// Its fields now.
        state: serde_json::Value,
    },
    /// An event was appended, or received.
    Event(StoredEvent),
}

/// What a watch is told of.
#[derive(Clone, Debug, Default)]
pub struct WatchFilter {
    schema: Option<String>,
    id: Option<String>,
    event_type: Option<String>,
    condition: Option<Condition>,
    only: Option<Kind>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Documents,
    Events,
}

impl WatchFilter {
    /// Everything.
    pub fn all() -> Self {
        Self::default()
    }

    /// Documents of a schema.
    pub fn documents(schema: &str) -> Self {
        Self {
            schema: Some(schema.to_owned()),
            only: Some(Kind::Documents),
            ..Self::default()
        }
    }

    /// Events of a type.
    pub fn events(event_type: &str) -> Self {
        Self {
            event_type: Some(event_type.to_owned()),
            only: Some(Kind::Events),
            ..Self::default()
        }
    }

    /// Only of one document, and events about it.
    #[must_use]
    pub fn of(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// Only documents that satisfy a query after the change.
    ///
    /// # Errors
    /// [`Error::Query`](crate::Error::Query).
    pub fn matching(mut self, query: &str) -> crate::Result<Self> {
        self.condition = Some(Condition::parse(query)?);
        Ok(self)
    }

    fn takes(&self, notice: &Notice) -> bool {
        let of = |id: &str| self.id.as_deref().is_none_or(|wanted| wanted == id);
        match notice {
            Notice::Document { id, schema, state } => {
                self.only != Some(Kind::Events)
                    && of(id)
                    && self.schema.as_deref().is_none_or(|wanted| wanted == schema)
                    && self
                        .condition
                        .as_ref()
                        .is_none_or(|condition| condition.holds(state))
            }
            Notice::Event(event) => {
                let wanted = self.event_type.as_deref();
                self.only != Some(Kind::Documents)
                    && of(&event.agent)
                    && wanted.is_none_or(|wanted| wanted == event.event_type)
            }
        }
    }
}

/// Notices of what is committed through the store's handles, in the order in which it is kept. Dropping it
/// ends it.
#[derive(Debug)]
pub struct Watch {
    notices: Receiver<Notice>,
    missed: Arc<AtomicU64>,
}

impl Watch {
    /// The next notice that is there.
    pub fn try_next(&self) -> Option<Notice> {
        self.notices.try_recv().ok()
    }

    /// The next notice; none when there is none within a time, or when the store is closed.
    pub fn next_within(&self, wait: Duration) -> Option<Notice> {
        self.notices.recv_timeout(wait).ok()
    }

    /// How many notices were given up because [`WATCH_NOTICES_MAX`] waited already.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

struct Watcher {
    filter: WatchFilter,
    notices: SyncSender<Notice>,
    missed: Arc<AtomicU64>,
}

/// All watches of a store, and what they will be told once it is kept.
#[derive(Default)]
pub(super) struct Watchers {
    watchers: Vec<Watcher>,
    held: Vec<Notice>,
}

impl Watchers {
    pub(super) fn add(&mut self, filter: WatchFilter) -> Watch {
        let (sender, receiver) = sync_channel(WATCH_NOTICES_MAX);
        let missed = Arc::new(AtomicU64::new(0));
        self.watchers.push(Watcher {
            filter,
            notices: sender,
            missed: missed.clone(),
        });
        Watch {
            notices: receiver,
            missed,
        }
    }

    /// Holds what a batch changes, where anybody watches.
    pub(super) fn hold(&mut self, batch: &Batch) {
        if self.watchers.is_empty() {
            return;
        }
        let documents = batch.documents.iter().map(|row| Notice::Document {
            id: row.id.clone(),
            schema: row.schema.clone(),
            state: serde_json::from_str(&row.state).unwrap_or_default(),
        });
        let events = batch.events.iter().cloned().map(Notice::Event);
        self.held.extend(documents.chain(events));
    }

    pub(super) fn forget(&mut self) {
        self.held.clear();
    }

    pub(super) fn tell(&mut self) {
        for notice in std::mem::take(&mut self.held) {
            self.watchers.retain(|watcher| {
                if !watcher.filter.takes(&notice) {
                    return true;
                }
                match watcher.notices.try_send(notice.clone()) {
                    Ok(()) => true,
                    Err(TrySendError::Full(_)) => {
                        watcher.missed.fetch_add(1, Ordering::Relaxed);
                        true
                    }
                    Err(TrySendError::Disconnected(_)) => false,
                }
            });
        }
    }
}
