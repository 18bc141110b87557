//! One message that waits for its answer, and is sent again until it has it.

use std::time::Duration;

use super::frame::Kind;
use crate::time::Timestamp;

/// A body on its way.
pub(super) type Message = (Kind, Vec<u8>);

#[derive(Debug)]
pub(super) struct Flight {
    kind: Kind,
    body: Vec<u8>,
    sent: Option<Timestamp>,
}

impl Flight {
    pub(super) fn new(kind: Kind, body: Vec<u8>) -> Self {
        Self {
            kind,
            body,
            sent: None,
        }
    }

    /// One whose body went out already, within another message.
    pub(super) fn sent(kind: Kind, body: Vec<u8>, now: Timestamp) -> Self {
        let sent = Some(now);
        Self { kind, body, sent }
    }

    /// The message when it is due: not sent yet, or not answered for `retry`.
    pub(super) fn due(&mut self, now: Timestamp, retry: Duration) -> Option<Message> {
        let waits = self
            .sent
            .is_some_and(|sent| now < sent.after(retry) && now >= sent);
        (!waits).then(|| {
            self.sent = Some(now);
            (self.kind, self.body.clone())
        })
    }
}
