//! Events and decisions from outside, and the steps that wait for them.

use serde_json::json;

use super::launch::key_text;
use super::machine::INBOX_LEN_MAX;
use super::{Decision, Mail, Place, Run, StepStatus, Verdict};
use crate::plan::{Kind, Plan, Step};

impl Run {
    pub(super) fn signal(&mut self, plan: &Plan, mail: Mail) {
        let waiting = self.places().find(|at| self.waits_for(*at, &mail));
        match waiting {
            Some(at) => self.succeed(plan, at, json!({"timed_out": false, "event": mail.data})),
            None => {
                let inbox = &mut self.rare_mut().inbox;
                if inbox.len() >= INBOX_LEN_MAX {
                    inbox.remove(0);
                }
                inbox.push(mail);
            }
        }
    }

    /// Whether the step at this place waits for this event right now.
    fn waits_for(&self, at: Place, mail: &Mail) -> bool {
        let Some(Step {
            kind: Kind::WaitEvent { event, .. },
            ..
        }) = self.step(at)
        else {
            return false;
        };
        let Some(cell) = self.cell(at) else {
            return false;
        };
        let key_fits =
            cell.output.is_null() || mail.key.as_deref() == Some(&key_text(&cell.output));
        cell.status == StepStatus::Waiting && **event == mail.name && key_fits
    }

    /// Whether any step waits for this event right now.
    pub(crate) fn awaits(&self, mail: &Mail) -> bool {
        self.places().any(|at| self.waits_for(at, mail))
    }

    pub(super) fn waiting_approval(&self, id: &str) -> Option<Place> {
        self.places().find(|at| {
            let approval = self
                .step(*at)
                .is_some_and(|step| matches!(step.kind, Kind::Approval { .. }) && *step.id == *id);
            approval
                && self
                    .cell(*at)
                    .is_some_and(|cell| cell.status == StepStatus::Waiting)
        })
    }

    pub(super) fn decide(&mut self, plan: &Plan, id: &str, decision: Decision) {
        if let Some(at) = self.waiting_approval(id) {
            let approved = decision.verdict == Verdict::Approved;
            self.succeed(plan, at, json!({"approved": approved, "timed_out": false, "by": decision.by, "note": decision.note}));
        }
    }
}
