//! Circuit breakers: one an action, shared by all runs, kept over restarts.

use serde::{Deserialize, Serialize};

use super::{Engine, failed, space};
use crate::error::Result;
use crate::journal::{Journal, Op};
use crate::plan::Kind;
use crate::run::{Event, Place, RunId};
use crate::time::Timestamp;

const KEY_PREFIX: &str = "breaker/";

/// How an action has been doing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct BreakerState {
    /// Failures since the last success.
    failures: u32,
    /// Calls fail at once until then; the first one after it probes.
    open_until: Option<Timestamp>,
}

impl<J: Journal> Engine<J> {
    /// Whether a call must fail at once because its action's breaker is open.
    pub(crate) fn breaker_is_open(&self, action: &str, now: Timestamp) -> bool {
        let until = self.breakers.get(action).and_then(|state| state.open_until);
        until.is_some_and(|until| until > now)
    }

    /// Counts the result of a call towards its action's breaker, if its step has one.
    pub(crate) fn count_for_breaker(&mut self, run: RunId, event: &Event, now: Timestamp) {
        let (at, succeeded): (Place, bool) = match event {
            Event::Done { at, .. } => (*at, true),
            Event::Fail { at, failure } if failure.name != "CircuitOpen" => (*at, false),
            _ => return,
        };
        let Some(step) = self.runs.get(&run).and_then(|run| run.step(at)) else {
            return;
        };
        let (Some(breaker), Kind::Action { action, .. }) = (step.breaker, &step.kind) else {
            return;
        };
        let before = self.breakers.get(&**action).copied().unwrap_or_default();
        let mut state = before;
        if succeeded {
            state = BreakerState::default();
        } else {
            state.failures = state.failures.saturating_add(1);
            if state.failures >= breaker.failures {
                state.open_until = Some(now.after(breaker.reset));
            }
        }
        if state == before {
            return;
        }
        let value = serde_json::to_vec(&state).unwrap_or_default();
        self.batch.ops.push(Op::Put {
            space: space::META,
            key: format!("{KEY_PREFIX}{action}"),
            value,
        });
        self.breakers.insert(action.to_string(), state);
    }

    /// Reads the breakers back.
    pub(crate) fn recover_breakers(&mut self) -> Result<()> {
        let mut after = KEY_PREFIX.to_owned();
        loop {
            let page = self.journal.scan(space::META, &after, 64)?;
            for (key, bytes) in &page {
                let Some(action) = key.strip_prefix(KEY_PREFIX) else {
                    return Ok(());
                };
                let state = serde_json::from_slice(bytes).unwrap_or_default();
                self.breakers.insert(action.to_owned(), state);
            }
            match page.last() {
                Some((key, _)) => after.clone_from(key),
                None => return Ok(()),
            }
        }
    }
}

/// The event of a call that an open breaker stopped.
pub(crate) fn stopped(at: Place, action: &str) -> Event {
    failed(
        at,
        "CircuitOpen",
        &format!("the breaker of action `{action}` is open"),
    )
}
