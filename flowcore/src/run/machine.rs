//! The rules: how a record changes a run and what follows from it. Pure: same records, same state,
//! same effects, on any machine at any time. What follows is worked off an agenda instead of by
//! recursion, so loops of any length need no stack.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Agenda, Effect, Event, Failure, Mail, Place, Run, RunId, RunStatus, StepStatus};
use crate::plan::{Kind, Plan, Step};
use crate::time::Timestamp;

/// Events kept for steps that do not wait yet; the oldest makes room.
pub(super) const INBOX_LEN_MAX: usize = 64;
/// Most things that may follow from one record before the run counts as running away.
const AGENDA_MAX: usize = 1_000_000;

pub(super) type Launched = Result<(), Failure>;

impl Run {
    /// A run at its beginning, and what to do first.
    pub(crate) fn start(
        id: RunId,
        plan: Arc<Plan>,
        input: Value,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Self {
        let mut run = Self::unstarted(id, plan, input, now);
        run.enter(None, 0, Value::Null, 0, String::new());
        run.settle(now, effects);
        run
    }

    /// The same, noting every step that ends.
    pub(crate) fn start_traced(id: RunId, plan: Arc<Plan>, input: Value, now: Timestamp) -> Self {
        let mut run = Self::unstarted(id, plan, input, now);
        run.trace = Some(Box::default());
        run.enter(None, 0, Value::Null, 0, String::new());
        run.settle(now, &mut Vec::new());
        run
    }

    fn unstarted(id: RunId, plan: Arc<Plan>, input: Value, now: Timestamp) -> Self {
        Run {
            id,
            plan,
            started_at: now,
            input: Arc::new(input),
            status: RunStatus::Running,
            frames: Vec::with_capacity(1),
            frame_next: 0,
            agenda: std::collections::VecDeque::new(),
            undo: Vec::new(),
            failing: None,
            output: Value::Null,
            failure: None,
            inbox: Vec::new(),
            seq: 0,
            trace: None,
        }
    }

    /// Whether `event` still means something here; a late result or an old timer does not, and
    /// must not be written to the log.
    pub(crate) fn accepts(&self, event: &Event, now: Timestamp) -> bool {
        if self.status.is_ended() {
            return false;
        }
        match event {
            Event::Done { at, .. } | Event::Fail { at, .. } => self.cell(*at).is_some_and(|cell| {
                cell.status == StepStatus::Running && cell.attempt == at.attempt
            }),
            Event::Timer { at } => self.cell(*at).is_some_and(|cell| {
                cell.attempt == at.attempt && cell.deadline.is_some_and(|deadline| deadline <= now)
            }),
            Event::Decide { step, .. } => self.waiting_approval(step).is_some(),
            Event::Start { .. } => false,
            Event::Signal { .. } | Event::Cancel { .. } => true,
        }
    }

    /// Applies an accepted event.
    pub(crate) fn apply(&mut self, event: Event, now: Timestamp, effects: &mut Vec<Effect>) {
        match event {
            Event::Start { .. } => {}
            Event::Done { at, output } => self.succeed(at, output),
            Event::Fail { at, failure } => self.attempt_failed(at, failure, now, effects),
            Event::Timer { at } => self.timer(at, now, effects),
            Event::Signal { name, key, data } => self.signal(Mail { name, key, data }),
            Event::Decide { step, decision } => self.decide(&step, decision),
            Event::Cancel { reason } => {
                let failure = Failure {
                    name: "Cancelled".to_owned(),
                    message: reason,
                    step: None,
                };
                self.end(RunStatus::Cancelled, Some(failure), effects);
            }
        }
        self.settle(now, effects);
    }

    /// Works off everything that follows.
    pub(super) fn settle(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let mut count = 0;
        while let Some(next) = self.agenda.pop_front() {
            if self.status != RunStatus::Running {
                self.agenda.clear();
                return;
            }
            count += 1;
            if count > AGENDA_MAX {
                self.agenda.clear();
                let message = format!("more than {AGENDA_MAX} steps followed from one event");
                self.end(
                    RunStatus::Failed,
                    Some(Failure {
                        name: "Runaway".to_owned(),
                        message,
                        step: None,
                    }),
                    effects,
                );
                return;
            }
            match next {
                Agenda::Begin(at) => self.begin(at, now, effects),
                Agenda::Advance(at) => {
                    if let Err(failure) = self.advance(at) {
                        self.attempt_failed(at, failure, now, effects);
                    }
                }
                Agenda::Leave(frame) => self.leave(frame, now, effects),
            }
        }
    }

    /// Hands out again every action that had not answered when the process died: the same attempt,
    /// so the same idempotency key and the same place in the count of retries.
    pub(crate) fn execute_again(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let plan = Arc::clone(&self.plan);
        let running: Vec<Place> = self.running().collect();
        for at in running {
            let step = self
                .frame(at.frame)
                .and_then(|frame| plan.step(frame.block, at.step));
            let Some(Step {
                kind: Kind::Action { params, .. },
                timeout,
                ..
            }) = step
            else {
                continue;
            };
            match self.fill(params, at.frame) {
                Ok(params) => {
                    // The attempt gets its whole time again: it may not even have begun.
                    let deadline = timeout.map(|span| now.after(span));
                    if let Some(cell) = self.cell_mut(at) {
                        cell.deadline = deadline;
                    }
                    effects.extend(deadline.map(|due| Effect::Timer { at, due }));
                    effects.push(Effect::Execute {
                        at,
                        params,
                        deadline,
                    });
                }
                Err(failure) => self.step_failed(at, failure, effects),
            }
        }
        self.settle(now, effects);
    }

    pub(super) fn timer(&mut self, at: Place, now: Timestamp, effects: &mut Vec<Effect>) {
        let plan = Arc::clone(&self.plan);
        let Some(step) = self
            .frame(at.frame)
            .and_then(|frame| plan.step(frame.block, at.step))
        else {
            return;
        };
        match (self.cell(at).map(|cell| cell.status), &step.kind) {
            (Some(StepStatus::Retrying), _) => {
                if let Err(failure) = self.launch(step, at, now, effects) {
                    self.step_failed(at, failure, effects);
                }
            }
            (Some(StepStatus::Running), kind) => {
                if matches!(kind, Kind::Action { .. }) {
                    effects.push(Effect::Cancel { at });
                }
                let message = "the attempt took longer than its timeout".to_owned();
                self.attempt_failed(
                    at,
                    Failure {
                        name: "Timeout".to_owned(),
                        message,
                        step: None,
                    },
                    now,
                    effects,
                );
            }
            (Some(StepStatus::Waiting), Kind::WaitFor { .. }) => self.succeed(at, Value::Null),
            (Some(StepStatus::Waiting), Kind::Approval { .. }) => {
                self.succeed(
                    at,
                    json!({"approved": false, "timed_out": true, "by": null}),
                );
            }
            (Some(StepStatus::Waiting), _) => {
                self.succeed(at, json!({"timed_out": true, "event": null}))
            }
            _ => {}
        }
    }
}
