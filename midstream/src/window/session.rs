//! Sessions: events of one key, each at most a gap after the one before (inclusive), and no further apart from
//! the first than a limit. A session ends a gap after its last event, or at its limit.
//!
//! An event costs the logarithm of the open sessions; a session is told when no event can belong to it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use crate::batch::Row;
use crate::key::{Key, KeyTable};
use crate::operator::Operator;
use crate::output::Output;
use crate::time::Timestamp;
use crate::window::Frame;
use crate::window::paned::place_of;
use crate::window::summary::Summary;

#[derive(Debug)]
pub(super) struct Session<S: Summary> {
    frame: Frame<S>,
    gap: i64,
    longest: Option<i64>,
    keys: KeyTable<Open<S>>,
    /// When each open session may be over, with the key so that sessions that end together are told in its order.
    due: BinaryHeap<Reverse<(i64, Key, u32)>>,
}

#[derive(Debug, Default)]
struct Open<S> {
    first: i64,
    last: i64,
    all: S,
    /// Its place in the queue is still to come.
    queued: bool,
}

impl<S: Summary> Session<S> {
    pub fn new(frame: Frame<S>, gap: i64, longest: Option<i64>) -> Self {
        Self {
            frame,
            gap,
            longest,
            keys: KeyTable::default(),
            due: BinaryHeap::new(),
        }
    }

    /// The last instant at which an event belongs to a session.
    fn end(&self, open: &Open<S>) -> i64 {
        let end = open.last.saturating_add(self.gap);
        match self.longest {
            Some(longest) => end.min(open.first.saturating_add(longest)),
            None => end,
        }
    }
}

impl<S: Summary> Operator for Session<S> {
    fn push(&mut self, row: Row<'_>, _out: &mut Vec<Output>) {
        let Some((key, input)) = self.frame.read(row) else {
            return;
        };
        let mut dropped = 0;
        let place = place_of(&mut self.keys, key, &mut dropped);
        let at = row.at().as_millis();
        if let Some(place) = place {
            let open = self.keys.at_mut(place);
            if open.all.is_empty() {
                open.first = at;
            }
            open.last = at;
            open.all.take(input);
            if !std::mem::replace(&mut open.queued, true) {
                let end = self.end(self.keys.at(place));
                self.due
                    .push(Reverse((end, self.keys.key(place).clone(), place)));
            }
        }
        self.frame.dropped += dropped;
    }

    fn advance_to(&mut self, now: Timestamp, out: &mut Vec<Output>) {
        let now = now.as_millis();
        while let Some(Reverse((due, _, _))) = self.due.peek() {
            if *due >= now {
                return;
            }
            let Some(Reverse((due, key, place))) = self.due.pop() else {
                return;
            };
            let end = self.end(self.keys.at(place));
            if end > due {
                self.due.push(Reverse((end, key, place)));
                continue;
            }
            let open = self.keys.at_mut(place);
            let all = std::mem::take(&mut open.all);
            open.queued = false;
            let first = open.first;
            if let Some(edge) = self.frame.tells(&all, &mut false) {
                let name = first.to_string();
                out.push(self.frame.output(&all, &key, (first, end), &name, edge));
            }
            self.keys.remove(place);
        }
    }

    fn reads(&self, source: &Arc<str>) -> bool {
        self.frame.source == *source
    }

    fn dropped(&self) -> u64 {
        self.frame.dropped
    }
}
