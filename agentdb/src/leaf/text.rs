//! A list as a field.
//!
//! The list has its own versions. Marks tell which version a replica's writes of the document had made, so
//! that a delta beyond a context is a delta of the list beyond a version.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::causal::{Context, Dot, ReplicaId};
use crate::list::{List, ListError, Merged, Version};

/// How many marks of a replica are kept: older ones are thinned, which makes deltas for those who are far
/// behind a little larger, never wrong.
pub(crate) const MARKS_MAX: usize = 32;

/// A write of the document, and how much of the list its replica had made with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) count: u64,
    pub(crate) inserted: u32,
    pub(crate) deleted: u32,
}

/// A list, or deltas of one that is elsewhere.
#[derive(Clone, Debug, Default)]
pub(crate) struct Text {
    /// None in a delta.
    pub(crate) list: Option<List>,
    /// Deltas that are not in the list.
    pub(crate) deltas: BTreeSet<Vec<u8>>,
    /// By replica, upwards.
    pub(crate) marks: BTreeMap<ReplicaId, Vec<Mark>>,
}

/// Two are the same that read the same and wait for the same, whether or not their deltas are in a list yet.
impl PartialEq for Text {
    fn eq(&self, other: &Self) -> bool {
        let (own, other) = (self.whole(), other.whole());
        let same = own.version() == other.version() && own.text() == other.text();
        same && own.waiting_deltas().eq(other.waiting_deltas())
    }
}

impl Text {
    pub(crate) fn is_empty(&self) -> bool {
        self.list.is_none() && self.deltas.is_empty()
    }

    pub(crate) fn to_json(&self) -> Value {
        self.whole().text().into()
    }

    /// The list with all deltas that it takes.
    fn whole(&self) -> Cow<'_, List> {
        match &self.list {
            Some(list) if self.deltas.is_empty() => Cow::Borrowed(list),
            _ => {
                let mut whole = self.clone();
                whole.adopt(ReplicaId::new(0));
                Cow::Owned(whole.list.unwrap_or_else(|| List::new(ReplicaId::new(0))))
            }
        }
    }

    /// Makes a list of what came as deltas.
    pub(crate) fn adopt(&mut self, replica: ReplicaId) {
        if self.list.is_none() {
            self.list = Some(List::new(replica));
        }
        self.settle();
    }

    /// The list for writing as a replica.
    pub(crate) fn edit(&mut self, replica: ReplicaId) -> &mut List {
        self.adopt(replica);
        let list = self.list.get_or_insert_with(|| List::new(replica));
        if list.replica() != replica {
            list.write_as(replica);
        }
        list
    }

    /// Notes what a write of the document has made.
    pub(crate) fn mark(&mut self, dot: Dot) {
        let Some(list) = &self.list else { return };
        let (inserted, deleted) = list.version().seen(dot.replica);
        let mark = Mark {
            count: dot.count,
            inserted,
            deleted,
        };
        self.add_mark(dot.replica, mark);
    }

    fn add_mark(&mut self, replica: ReplicaId, mark: Mark) {
        let marks = self.marks.entry(replica).or_default();
        match marks.binary_search_by_key(&mark.count, |known| known.count) {
            Ok(_) => return,
            Err(at) => marks.insert(at, mark),
        }
        if marks.len() > MARKS_MAX {
            let mut at = 0;
            marks.retain(|_| {
                at += 1;
                at > MARKS_MAX / 2 || at % 2 == 0
            });
        }
    }

    /// The deltas that were not taken: they wait for others, in the list or beside it.
    pub(crate) fn waiting(&self) -> BTreeSet<Vec<u8>> {
        let mut deltas = self.deltas.clone();
        if let Some(list) = &self.list {
            deltas.extend(list.waiting_deltas().map(<[u8]>::to_vec));
        }
        deltas
    }

    /// Joins with another. A delta that the list does not take now is kept beside it.
    pub(crate) fn join(&mut self, other: &Self) {
        for (replica, marks) in &other.marks {
            for mark in marks {
                self.add_mark(*replica, *mark);
            }
        }
        let mut deltas = other.waiting();
        match (&self.list, &other.list) {
            (Some(own), Some(theirs)) => {
                let delta = theirs.delta_since(&own.version());
                deltas.insert(delta);
            }
            (None, Some(theirs)) => self.list = Some(theirs.clone()),
            (_, None) => {}
        }
        deltas.append(&mut self.deltas);
        self.deltas = deltas;
        self.settle();
    }

    /// Brings the deltas that it can into the list.
    pub(crate) fn settle(&mut self) {
        let Some(list) = &mut self.list else { return };
        for delta in std::mem::take(&mut self.deltas) {
            match list.merge(&delta) {
                Ok(Merged::New | Merged::Known | Merged::Waits) => {}
                Err(_) => {
                    self.deltas.insert(delta);
                }
            }
        }
    }

    /// Whether each delta can be read, and the list has room.
    pub(crate) fn check(&self) -> Result<(), ListError> {
        self.deltas.iter().try_for_each(|delta| List::check(delta))
    }

    /// What one who has seen `since` lacks.
    pub(crate) fn since(&self, since: &Context) -> Self {
        let mut version = Version::new();
        let mut marks = BTreeMap::new();
        for (replica, known) in &self.marks {
            let seen = since.seen(*replica);
            let at = known.partition_point(|mark| mark.count <= seen);
            if let Some(mark) = at.checked_sub(1).and_then(|at| known.get(at)) {
                version.see(*replica, mark.inserted, mark.deleted);
            }
            if let Some(last) = known.get(at..).and_then(<[Mark]>::last) {
                marks.insert(*replica, vec![*last]);
            }
        }
        let mut deltas = self.waiting();
        if let Some(list) = &self.list
            && !version.covers(&list.version())
        {
            deltas.insert(list.delta_since(&version));
        }
        if deltas.is_empty() {
            marks.clear();
        }
        Self {
            list: None,
            deltas,
            marks,
        }
    }
}
