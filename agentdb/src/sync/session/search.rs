//! Where documents differ: the search before or after everything else was sent, and the comparison at the end.

use std::time::Duration;

use super::{Phase, Session};
use crate::sync::endpoint::Endpoint;
use crate::sync::error::SyncError;
use crate::sync::finder::{Closing, Finder, Found};
use crate::sync::flight::{Flight, Message};
use crate::sync::frame::Kind;
use crate::sync::message::{Ranges, decode_pair, encode_pair};
use crate::time::Timestamp;

const SAME: u64 = 1;
const DIFFERENT: u64 = 0;
/// Not everything was sent yet.
const BUSY: u64 = 2;
/// How long a busy peer is left alone.
const COMPARE_AGAIN: Duration = Duration::from_secs(1);

impl Session {
    /// A question where documents differ.
    pub(super) fn asked(
        &mut self,
        endpoint: &mut Endpoint,
        question: &Ranges,
    ) -> Result<(), SyncError> {
        if self.asks {
            return Err(SyncError::Unexpected(
                "both sides ask where documents differ",
            ));
        }
        let stale = match &self.finder {
            Some(finder) => question.number < finder.number(),
            None => question.number <= self.finder_number,
        };
        if stale {
            // It came twice, or late: another was asked since, or the search has ended.
            let answer = Ranges {
                number: question.number,
                entries: Vec::new(),
                last: 1,
            };
            self.reply(Kind::RangesAnswer, answer.encode());
            return Ok(());
        }
        if self.finder.is_none() {
            self.finder = Some(Finder::new(endpoint, self.finder_number)?);
            self.searching = true;
        }
        let Some(finder) = &mut self.finder else {
            return Ok(());
        };
        let ((kind, body), found) = finder.asked(endpoint, question);
        self.reply(kind, body);
        if let Some(found) = found {
            self.found(found);
        }
        Ok(())
    }

    /// An answer to a question, or the word that the last one came.
    pub(super) fn answered(&mut self, endpoint: &Endpoint, answer: Ranges) {
        let last = |closing: &Closing| closing.is_answered_by(answer.number);
        if self.closing.as_ref().is_some_and(last) {
            self.closing = None;
            return;
        }
        let finder = self.finder.as_mut().filter(|_| self.asks);
        if let Some((found, closing)) = finder.and_then(|finder| finder.answered(endpoint, answer))
        {
            self.closing = Some(closing);
            self.found(found);
        }
    }

    fn found(&mut self, found: Found) {
        self.finder_number = self.finder.take().map_or(0, |finder| finder.number());
        self.searching = false;
        self.outgoing.list(found.ids, found.through);
        if self.phase == Phase::Compare {
            self.agreed = true;
            self.phase = Phase::State;
        }
    }

    /// Asks whether both have the same.
    pub(super) fn comparison(
        &mut self,
        endpoint: &mut Endpoint,
        now: Timestamp,
    ) -> Result<Option<Message>, SyncError> {
        if self.compare.is_none() && now >= self.compare_again {
            let (summary, _) = endpoint.summary()?;
            self.compare_number += 1;
            let body = [
                encode_pair(self.compare_number, summary.len() as u64),
                summary.fingerprint().to_le_bytes().to_vec(),
            ]
            .concat();
            self.compare = Some((self.compare_number, Flight::new(Kind::Compare, body)));
        }
        let retry = endpoint.options().pace.retry;
        let due = self.compare.as_mut();
        Ok(due.and_then(|(_, flight)| flight.due(now, retry)))
    }

    /// The peer has sent everything and asks whether both have the same.
    pub(super) fn compared(
        &mut self,
        endpoint: &mut Endpoint,
        body: &[u8],
    ) -> Result<(), SyncError> {
        if body.len() < 8 || self.asks {
            return Err(SyncError::Unexpected("a comparison of the wrong side"));
        }
        let (head, fingerprint) = body.split_at(body.len() - 8);
        let (number, count) = decode_pair(head)?;
        let (summary, _) = endpoint.summary()?;
        let same = summary.len() as u64 == count
            && summary.fingerprint().to_le_bytes().as_slice() == fingerprint;
        // Here something is still to be sent: it is too early to say.
        let busy = self.phase < Phase::Compare && !same;
        let word = if same {
            SAME
        } else if busy {
            BUSY
        } else {
            DIFFERENT
        };
        self.agreed |= same;
        self.reply(Kind::CompareAnswer, encode_pair(number, word));
        Ok(())
    }

    pub(super) fn compare_answered(
        &mut self,
        endpoint: &mut Endpoint,
        (number, word): (u32, u64),
        now: Timestamp,
    ) -> Result<(), SyncError> {
        if self.compare.as_ref().map(|(asked, _)| *asked) != Some(number) {
            return Ok(());
        }
        self.compare = None;
        match word {
            SAME => self.agreed = true,
            BUSY => self.compare_again = now.after(COMPARE_AGAIN),
            _ => {
                self.stats.differences += 1;
                self.compare_again = now.after(COMPARE_AGAIN);
                self.searching = true;
                self.finder = Some(Finder::new(endpoint, self.finder_number)?);
            }
        }
        Ok(())
    }
}
