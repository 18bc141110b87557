//! The rules: how a record changes a run and what follows from it. Pure: same records, same state,
//! same effects, on any machine at any time. What follows is worked off an agenda instead of by
//! recursion, so loops of any length need no stack.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Agenda, Deadline};
use super::{
    DeadlineState, Effect, Event, Failure, Inner, Mail, Origin, Parent, Place, Rare, Run, RunId,
    RunStatus, Scratch, StepStatus,
};
use crate::plan::{Kind, Missed, Plan};
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
        origin: Origin,
        now: Timestamp,
        changes: Option<Box<super::Changes>>,
        scratch: &mut Scratch,
    ) -> Self {
        let mut run = Run {
            id,
            plan: Arc::clone(&plan),
            origin: Arc::new(origin),
            frames: Vec::with_capacity(1),
            agenda: scratch.agenda.take(),
            output: Value::Null,
            rare: None,
            changes,
            seq: 1,
            log_len: 0,
            log_len_max: 0,
            frame_next: 0,
            status: RunStatus::Running,
            deadline: DeadlineState::Ahead,
        };
        let due = run.deadline_at().map(|due| Effect::Timer {
            at: Place::RUN,
            due,
        });
        scratch.effects.extend(due);
        run.enter(&plan, 0, None);
        run.settle(&plan, now, scratch);
        run
    }

    pub(super) fn worklist(&mut self) -> &mut std::collections::VecDeque<Agenda> {
        &mut self.agenda.get_or_insert_default().0
    }

    pub(super) fn rare_mut(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// When the whole run should have ended, until that was noticed.
    pub(crate) fn deadline_at(&self) -> Option<Timestamp> {
        let deadline = self.plan.deadline.as_ref()?;
        (self.deadline == DeadlineState::Ahead)
            .then(|| self.origin.started_at.after(deadline.within))
    }

    /// Whether `event` still means something here; a late result or an old timer does not, and
    /// must not be written to the log.
    pub(crate) fn accepts(&self, event: &Event, now: Timestamp) -> bool {
        if self.status.is_ended() {
            return false;
        }
        match event {
            Event::Done { at, .. } | Event::Fail { at, .. } | Event::Skip { at } => {
                self.cell(*at).is_some_and(|cell| {
                    cell.status == StepStatus::Running && cell.attempt == at.attempt
                })
            }
            // Timers that pass while a run is paused are set again when it resumes.
            Event::Timer { .. } if self.status == RunStatus::Paused => false,
            Event::Timer { at } if *at == Place::RUN => {
                self.deadline_at().is_some_and(|due| due <= now)
            }
            Event::Timer { at } => self.cell(*at).is_some_and(|cell| {
                cell.attempt == at.attempt && cell.deadline.get().is_some_and(|due| due <= now)
            }),
            Event::Decide { step, .. } => self.waiting_approval(step).is_some(),
            Event::Start { .. } | Event::Snapshot(_) => false,
            Event::Signal { .. } | Event::Cancel { .. } => true,
            Event::Pause { .. } => self.status == RunStatus::Running,
            Event::Resume {} => self.status == RunStatus::Paused,
        }
    }

    /// Applies an accepted event.
    pub(crate) fn apply(&mut self, event: Event, now: Timestamp, scratch: &mut Scratch) {
        let plan = Arc::clone(&self.plan);
        if self.agenda.is_none() {
            self.agenda = scratch.agenda.take();
        }
        let effects = &mut scratch.effects;
        match event {
            Event::Start { .. } | Event::Snapshot(_) => {}
            Event::Done { at, output } => self.succeed(&plan, at, output),
            Event::Fail { at, failure } => {
                self.attempt_failed(&plan, at, failure, now, effects);
            }
            Event::Skip { at } => self.skip(&plan, at),
            Event::Timer { at } if at == Place::RUN => self.deadline_passed(&plan, effects),
            Event::Timer { at } => self.timer(&plan, at, now, effects),
            Event::Signal { name, key, data } => self.signal(&plan, Mail { name, key, data }),
            Event::Decide { step, decision } => self.decide(&plan, &step, decision),
            Event::Cancel { reason } => {
                let failure = Failure::new("Cancelled", reason);
                self.end(RunStatus::Cancelled, Some(failure), effects);
            }
            Event::Pause { reason } => {
                self.status = RunStatus::Paused;
                self.rare_mut().failure = Some(Failure::new("Paused", reason));
            }
            Event::Resume {} => {
                self.status = RunStatus::Running;
                self.rare_mut().failure = None;
                effects.extend(self.timers().map(|(at, due)| Effect::Timer { at, due }));
            }
        }
        self.settle(&plan, now, scratch);
    }

    /// Works off everything that follows, and gives the agenda's memory back.
    pub(super) fn settle(&mut self, plan: &Plan, now: Timestamp, scratch: &mut Scratch) {
        let mut count = 0;
        while self.status == RunStatus::Running {
            let Some(next) = self.worklist().pop_front() else {
                break;
            };
            count += 1;
            let effects = &mut scratch.effects;
            if count > AGENDA_MAX {
                let message = format!("more than {AGENDA_MAX} steps followed from one event");
                let failure = Failure::new("Runaway", message);
                self.end(RunStatus::Failed, Some(failure), effects);
                break;
            }
            match next {
                Agenda::Begin(at) => self.begin(plan, at, now, effects),
                Agenda::Advance(at) => {
                    if let Err(failure) = self.advance(plan, at) {
                        self.attempt_failed(plan, at, failure, now, effects);
                    }
                }
                Agenda::Leave(frame) => self.leave(plan, frame, now, effects),
            }
        }
        if self.status.is_ended() {
            self.worklist().clear();
        }
        if self.worklist().is_empty() {
            scratch.agenda = self.agenda.take();
        }
    }

    /// Hands out again every action that had not answered when the process died: the same attempt,
    /// so the same idempotency key and the same place in the count of retries.
    pub(crate) fn execute_again(&mut self, now: Timestamp, scratch: &mut Scratch) {
        let plan = Arc::clone(&self.plan);
        let running: Vec<Place> = self.running().collect();
        for at in running {
            let step = self
                .frame(at.frame)
                .and_then(|frame| plan.step(frame.block, at.step));
            let Some(step) = step else {
                continue;
            };
            let Kind::Action { params, .. } = &step.kind else {
                continue;
            };
            match self.params(params, at.frame) {
                Ok(params) => {
                    // The attempt gets its whole time again: it may not even have begun.
                    let deadline = step.timeout.map(|span| now.after(span));
                    if let Some(cell) = self.cell_mut(at) {
                        cell.deadline = Deadline::from(deadline);
                    }
                    let timer = deadline.map(|due| Effect::Timer { at, due });
                    scratch.effects.extend(timer);
                    scratch.effects.push(Effect::Execute {
                        at,
                        params,
                        deadline,
                    });
                }
                Err(failure) => self.step_failed(&plan, at, failure, &mut scratch.effects),
            }
        }
        self.settle(&plan, now, scratch);
    }

    /// The run should have ended by now.
    fn deadline_passed(&mut self, plan: &Plan, effects: &mut Vec<Effect>) {
        self.deadline = DeadlineState::Passed;
        let Some(deadline) = &plan.deadline else {
            return;
        };
        let input = self.origin.input.clone();
        match deadline.then {
            Missed::Continue => {
                if let Some(block) = deadline.block {
                    let inner = Inner {
                        parent: Parent::NOBODY,
                        index: 0,
                        item: input,
                        path: Arc::from("deadline/"),
                    };
                    self.enter(plan, block, Some(inner));
                }
            }
            Missed::Fail => {
                // Its action comes before whatever the run undoes.
                let answer = deadline.block.map(|block| (block, input));
                self.rare_mut().undo.extend(answer);
                let message = format!("not ended within {} ms", deadline.within.as_millis());
                self.fail_run(plan, Failure::new("Deadline", message), effects);
            }
        }
    }

    fn timer(&mut self, plan: &Plan, at: Place, now: Timestamp, effects: &mut Vec<Effect>) {
        let Some(step) = self
            .frame(at.frame)
            .and_then(|frame| plan.step(frame.block, at.step))
        else {
            return;
        };
        match (self.cell(at).map(|cell| cell.status), &step.kind) {
            (Some(StepStatus::Retrying), _) => {
                if let Err(failure) = self.launch(plan, step, at, now, effects) {
                    self.step_failed(plan, at, failure, effects);
                }
            }
            (Some(StepStatus::Running), kind) => {
                if matches!(kind, Kind::Action { .. }) {
                    effects.push(Effect::Cancel { at });
                }
                let message = "the attempt took longer than its timeout";
                let failure = Failure::new("Timeout", message);
                self.attempt_failed(plan, at, failure, now, effects);
            }
            (Some(StepStatus::Waiting), Kind::WaitFor { .. }) => {
                self.succeed(plan, at, Value::Null);
            }
            (Some(StepStatus::Waiting), Kind::Approval { .. }) => {
                let output = json!({"approved": false, "timed_out": true, "by": null});
                self.succeed(plan, at, output);
            }
            (Some(StepStatus::Waiting), _) => {
                self.succeed(plan, at, json!({"timed_out": true, "event": null}));
            }
            _ => {}
        }
    }
}
