//! Finding which documents differ when nothing else is known: the driver of [ranges](super::ranges).
//!
//! One side asks, the other answers from a summary that does not change meanwhile; both learn which of
//! their own documents to send. What changes meanwhile has a later local sequence and goes its usual way.

use std::collections::BTreeSet;
use std::time::Duration;

use super::endpoint::Endpoint;
use super::error::SyncError;
use super::flight::{Flight, Message};
use super::frame::Kind;
use super::message::Ranges;
use super::ranges::{Entry, Summary};
use crate::db::Change;
use crate::time::Timestamp;

/// A question asks for no more than an answer of this size.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// What came of it: own documents to send, and up to which local sequence nothing else differs.
pub(super) struct Found {
    pub(super) ids: Vec<String>,
    pub(super) through: Change,
}

/// The last question, which is sent until the other side has it: only then it knows all that it must send.
pub(super) struct Closing {
    number: u32,
    flight: Flight,
}

impl Closing {
    /// Whether this answer is to it.
    pub(super) fn is_answered_by(&self, number: u32) -> bool {
        self.number == number
    }

    pub(super) fn due(&mut self, now: Timestamp, retry: Duration) -> Option<Message> {
        self.flight.due(now, retry)
    }
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
    fn question(&mut self) -> Ranges {
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
        let last = self.ask.is_empty() && entries.iter().all(Entry::is_last);
        Ranges {
            number: self.number,
            last: u8::from(last),
            entries,
        }
    }

    /// The first question, to go with another message at this time; it goes alone when no answer comes.
    pub(super) fn open(&mut self, now: Timestamp) -> Ranges {
        let question = self.question();
        self.flight = Some(Flight::sent(Kind::Ranges, question.encode(), now));
        question
    }

    /// The question that waits for its answer, or the first.
    pub(super) fn poll(&mut self, now: Timestamp, retry: Duration) -> Option<Message> {
        if self.flight.is_none() {
            let question = self.question();
            self.flight = Some(Flight::new(Kind::Ranges, question.encode()));
        }
        self.flight.as_mut()?.due(now, retry)
    }

    /// The asking side hears an answer. Once nothing is left to be answered: what was found, and what the other
    /// side must hear at last.
    pub(super) fn answered(
        &mut self,
        endpoint: &Endpoint,
        answer: Ranges,
    ) -> Option<(Found, Closing)> {
        if answer.number != self.number || self.flight.is_none() {
            return None;
        }
        for entry in &answer.entries {
            let mine = self.summary.answer(entry);
            self.differ.extend(mine.differ);
            self.ask.extend(mine.entries);
        }
        let question = self.question();
        let flight = Flight::new(Kind::Ranges, question.encode());
        if question.last == 0 {
            self.flight = Some(flight);
            return None;
        }
        let closing = Closing {
            number: question.number,
            flight,
        };
        Some((self.found(endpoint), closing))
    }

    /// The answering side hears a question: the answer, and what was found when it was the last.
    pub(super) fn asked(
        &mut self,
        endpoint: &Endpoint,
        question: &Ranges,
    ) -> (Message, Option<Found>) {
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
