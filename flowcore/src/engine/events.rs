//! Events, decisions and orders from outside.

use serde_json::Value;

use super::{AuditAct, Engine};
use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::run::{Decision, Event, Mail, RunId};
use crate::time::Timestamp;

impl<J: Journal> Engine<J> {
    /// Hands an event to one run: to the step that waits for it, else it is kept for a later one.
    ///
    /// # Errors
    /// [`Error::UnknownRun`] when no such run is live.
    pub fn signal(
        &mut self,
        run: RunId,
        name: &str,
        key: Option<&str>,
        data: Value,
        now: Timestamp,
    ) -> Result<()> {
        self.ensure_recovered(now)?;
        self.live(run)?;
        self.audit(AuditAct::Signalled, Some(run), name, now);
        let event = Event::Signal {
            name: name.to_owned(),
            key: key.map(str::to_owned),
            data,
        };
        self.queue.push_back((run, event, Vec::new()));
        Ok(())
    }

    /// Hands an event to every live run with a step that waits for it now; returns how many.
    ///
    /// # Errors
    /// A journal that failed while runs were read back.
    pub fn publish(
        &mut self,
        name: &str,
        key: Option<&str>,
        data: Value,
        now: Timestamp,
    ) -> Result<usize> {
        self.ensure_recovered(now)?;
        let mail = Mail {
            name: name.to_owned(),
            key: key.map(str::to_owned),
            data,
        };
        let mut waiting: Vec<RunId> = self
            .runs
            .values()
            .filter(|run| run.awaits(&mail))
            .map(|run| run.id)
            .collect();
        waiting.sort_unstable();
        for run in &waiting {
            let event = Event::Signal {
                name: mail.name.clone(),
                key: mail.key.clone(),
                data: mail.data.clone(),
            };
            self.queue.push_back((*run, event, Vec::new()));
        }
        Ok(waiting.len())
    }

    /// Answers the approval step `step` of a run.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], or [`Error::WrongState`] when that step waits for nobody.
    pub fn decide(
        &mut self,
        run: RunId,
        step: &str,
        decision: Decision,
        now: Timestamp,
    ) -> Result<()> {
        self.ensure_recovered(now)?;
        let event = Event::Decide {
            step: step.to_owned(),
            decision,
        };
        if !self.live(run)?.accepts(&event, now) {
            return Err(Error::WrongState {
                run,
                message: format!("step `{step}` does not wait for a decision"),
            });
        }
        if let Event::Decide { decision, .. } = &event {
            let note = format!("{step}: {} by {}", decision.verdict.name(), decision.by);
            self.audit(AuditAct::Decided, Some(run), &note, now);
        }
        self.queue.push_back((run, event, Vec::new()));
        Ok(())
    }

    /// Ends a run; what its actions still return is dropped.
    ///
    /// # Errors
    /// [`Error::UnknownRun`] when no such run is live.
    pub fn cancel(&mut self, run: RunId, reason: &str, now: Timestamp) -> Result<()> {
        self.ensure_recovered(now)?;
        if self.parked.contains_key(&run) {
            self.audit(AuditAct::Cancelled, Some(run), reason, now);
            self.drop_parked(run, reason, now);
            return Ok(());
        }
        self.live(run)?;
        self.audit(AuditAct::Cancelled, Some(run), reason, now);
        self.queue.push_back((
            run,
            Event::Cancel {
                reason: reason.to_owned(),
            },
            Vec::new(),
        ));
        Ok(())
    }
}
