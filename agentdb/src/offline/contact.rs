//! Whether there is a link, and for how long there has been none.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::db::{AgentDb, Tx};
use crate::error::Result;
use crate::time::Timestamp;

/// What changed; appended as an event of its name, so that whoever watches the store hears of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkChange {
    /// The last link went: the store works alone from now on.
    Degraded {
        /// When a peer was heard last.
        since: Timestamp,
    },
    /// There has been no link for as long as the alert waits.
    Alert {
        /// When a peer was heard last.
        since: Timestamp,
    },
    /// There is a link again.
    Restored {
        /// How long there was none.
        after: Duration,
    },
}

const NAMESPACE: &str = "agentdb.offline";
const CONTACT: &str = "contact";

impl LinkChange {
    /// The payload of the event.
    pub(crate) fn to_json(self) -> Value {
        match self {
            Self::Degraded { since } | Self::Alert { since } => json!({"since": since}),
            Self::Restored { after } => {
                let millis = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                json!({"after_ms": millis})
            }
        }
    }

    /// The type of the event.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Degraded { .. } => "sync_degraded",
            Self::Alert { .. } => "sync_offline_alert",
            Self::Restored { .. } => "sync_restored",
        }
    }
}

/// Follows the link of a store. Kept over restarts: a device that reboots without a link is still offline
/// since before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// When a peer was heard last; at first, when following began.
    last: Timestamp,
    degraded: bool,
    alerted: bool,
}

impl Contact {
    /// After so long without a link there is an alert, unless told otherwise.
    pub const ALERT: Duration = Duration::from_secs(60 * 60);

    /// Follows from now on; not degraded yet.
    pub fn new(now: Timestamp) -> Self {
        Self {
            last: now,
            degraded: false,
            alerted: false,
        }
    }

    /// As it was kept by a store; a store that was not offline begins anew.
    pub(crate) fn load(db: &AgentDb, now: Timestamp) -> Result<Self> {
        let kept = db.get_record(NAMESPACE, CONTACT)?;
        let kept = kept.and_then(|bytes| serde_json::from_slice::<Self>(&bytes).ok());
        Ok(kept.filter(|contact| contact.degraded).unwrap_or(Self::new(now)))
    }

    /// Keeps it in the transaction of the event that tells of it.
    pub(crate) fn save(&self, tx: &mut Tx<'_>) -> Result<()> {
        tx.put_record(NAMESPACE, CONTACT, json!(self).to_string().as_bytes())
    }

    /// Whether the store works alone.
    pub fn is_degraded(&self) -> bool {
        self.degraded
    }

    /// What changed, given how many links are up now. A clock that goes back changes nothing.
    pub fn step(&mut self, links: usize, now: Timestamp, alert: Duration) -> Option<LinkChange> {
        if links > 0 {
            let after = now.since(self.last);
            self.last = self.last.max(now);
            self.alerted = false;
            return std::mem::take(&mut self.degraded).then_some(LinkChange::Restored { after });
        }
        let since = self.last;
        if !std::mem::replace(&mut self.degraded, true) {
            return Some(LinkChange::Degraded { since });
        }
        if !self.alerted && now.since(since) > alert {
            self.alerted = true;
            return Some(LinkChange::Alert { since });
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::{Contact, LinkChange};
    use crate::time::Timestamp;
    use std::time::Duration;

    #[test]
    fn an_hour_without_a_link_is_told_once() {
        let at = |seconds: i64| Timestamp::from_millis(seconds * 1_000);
        let mut contact = Contact::new(at(0));
        let mut notices = Vec::new();
        for second in 0..10_000 {
            let links = usize::from(!(100..9_000).contains(&second));
            notices.extend(contact.step(links, at(second), Contact::ALERT));
        }
        let since = at(99);
        assert_eq!(
            notices,
            [
                LinkChange::Degraded { since },
                LinkChange::Alert { since },
                LinkChange::Restored {
                    after: Duration::from_secs(8_901)
                },
            ]
        );
    }
}
