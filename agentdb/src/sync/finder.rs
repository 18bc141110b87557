//! Finding which documents differ when nothing else is known: the driver of [ranges](super::ranges).
//!
//! One side asks, the other answers from a summary that does not change meanwhile; both learn which of
//! their own documents to send. What changes meanwhile has a later local sequence and goes its usual way.

use std::collections::BTreeSet;

use super::endpoint::Endpoint;
use super::error::SyncError;
use super::flight::{Flight, Message};
use super::frame::Kind;
use super::message::Ranges;
use super::ranges::{Entry, Summary};
use crate::db::Change;
use crate::time::Timestamp;

/// A question asks for no more than an answer of this size.
const ANSWER_BYTES_MAX: usize = 1 << 20;

/// What came of it: own documents to send, and up to which local sequence nothing else differs.
pub(super) struct Found {
    pub(super) ids: Vec<String>,
    pub(super) through: Change,
}

pub(super) struct Finder {
    summary: Summary,
    through: Change,
    differ: BTreeSet<u64>,
    /// What is left to ask; of the asking side.
    ask: Vec<Entry>,
    number: u32,
    flight: Option<Flight>,
}

impl Finder {
    /// `number` is that of the last question before, of this session.
    pub(super) fn new(endpoint: &mut Endpoint, number: u32) -> Result<Self, SyncError> {
        let (summary, through) = endpoint.summary()?;
        Ok(Self {
            ask: vec![summary.opening()],
            summary,
            through,
            differ: BTreeSet::new(),
            number,
            flight: None,
        })
    }

    /// The number of the last question.
    pub(super) fn number(&self) -> u32 {
        self.number
    }

    fn found(&self, endpoint: &Endpoint) -> Found {
        let keys: Vec<u64> = self.differ.iter().copied().collect();
        Found {
            ids: endpoint.ids_of(&keys),
            through: self.through,
        }
    }

    /// The asking side's next question.
    pub(super) fn poll(&mut self, endpoint: &Endpoint, now: Timestamp) -> Option<Message> {
        let retry = endpoint.options().pace.retry;
        let flight = self.flight.get_or_insert_with(|| {
            let mut entries = Vec::new();
            let mut answer_bytes = 0;
            while let Some(entry) = self.ask.pop() {
                answer_bytes += entry.answer_bytes_max();
                if answer_bytes > ANSWER_BYTES_MAX && !entries.is_empty() {
                    self.ask.push(entry);
                    break;
                }
                entries.push(entry);
            }
            self.number += 1;
            let question = Ranges {
                number: self.number,
                last: u8::from(entries.is_empty()),
                entries,
            };
            Flight::new(Kind::Ranges, question.encode())
        });
        flight.due(now, retry)
    }

    /// The asking side hears an answer; what was found once nothing is left to ask and the other knows.
    pub(super) fn answered(&mut self, endpoint: &Endpoint, answer: Ranges) -> Option<Found> {
        if answer.number != self.number || self.flight.is_none() {
            return None;
        }
        self.flight = None;
        if answer.last != 0 {
            return Some(self.found(endpoint));
        }
        for entry in &answer.entries {
            let mine = self.summary.answer(entry);
            self.differ.extend(mine.differ);
            self.ask.extend(mine.entries);
        }
        None
    }

    /// The answering side hears a question: the answer, and what was found when it was the last.
    pub(super) fn asked(&mut self, endpoint: &Endpoint, question: &Ranges) -> (Message, Option<Found>) {
        self.number = question.number;
        let mut entries = Vec::new();
        for entry in &question.entries {
            let mine = self.summary.answer(entry);
            self.differ.extend(mine.differ);
            entries.extend(mine.entries);
        }
        let answer = Ranges {
            number: question.number,
            entries,
            last: question.last,
        };
        let found = (question.last != 0).then(|| self.found(endpoint));
        ((Kind::RangesAnswer, answer.encode()), found)
    }
}
