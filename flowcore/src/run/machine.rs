//! The rules: how a record changes a run and what follows from it. Pure: same records, same state,
//! same effects, on any machine at any time. What follows is worked off an agenda instead of by
//! recursion, so loops of any length need no stack.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::scope::RunScope;
use super::{
    Agenda, Cell, Effect, Event, Failure, Frame, Mail, Place, Run, RunId, RunStatus, StepStatus,
};
use crate::expr::{BUDGET_DEFAULT, EvalError, Program, Val};
use crate::plan::{Kind, Plan, Step, Template};
use crate::time::{Timestamp, parse_span};

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
        let mut run = Run {
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
        };
        run.enter(None, 0, Value::Null, 0, String::new());
        run.settle(now, effects);
        run
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
    fn settle(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
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

    pub(crate) fn frame(&self, serial: u32) -> Option<&Frame> {
        let index = self
            .frames
            .binary_search_by_key(&serial, |frame| frame.serial)
            .ok()?;
        self.frames.get(index)
    }

    pub(super) fn frame_mut(&mut self, serial: u32) -> Option<&mut Frame> {
        let index = self
            .frames
            .binary_search_by_key(&serial, |frame| frame.serial)
            .ok()?;
        self.frames.get_mut(index)
    }

    pub(crate) fn cell(&self, at: Place) -> Option<&Cell> {
        self.frame(at.frame)?.cells.get(at.step as usize)
    }

    pub(super) fn cell_mut(&mut self, at: Place) -> Option<&mut Cell> {
        self.frame_mut(at.frame)?.cells.get_mut(at.step as usize)
    }

    /// Every timer that is set, for an engine that has just read the run back.
    pub(crate) fn timers(&self) -> impl Iterator<Item = (Place, Timestamp)> + '_ {
        self.places()
            .filter_map(|at| Some((at, self.cell(at)?.deadline?)))
    }

    /// Every action that was handed out and has not answered.
    pub(crate) fn running(&self) -> impl Iterator<Item = Place> + '_ {
        self.places().filter(|at| {
            let action = matches!(
                self.step(*at),
                Some(Step {
                    kind: Kind::Action { .. },
                    ..
                })
            );
            // A running action with children is in the hands of its `catch`.
            action
                && self
                    .cell(*at)
                    .is_some_and(|cell| cell.status == StepStatus::Running && cell.aux.is_none())
        })
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

    pub(super) fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.frames.iter().flat_map(|frame| {
            let cells = frame.cells.iter().zip(0_u32..);
            cells.map(move |(cell, step)| Place {
                frame: frame.serial,
                step,
                attempt: cell.attempt,
            })
        })
    }

    pub(crate) fn step(&self, at: Place) -> Option<&Step> {
        self.plan.step(self.frame(at.frame)?.block, at.step)
    }

    /// Opens a frame for a block and puts its first steps on the agenda.
    pub(super) fn enter(
        &mut self,
        parent: Option<(u32, u32)>,
        block: u32,
        item: Value,
        index: u64,
        path: String,
    ) -> u32 {
        let plan = Arc::clone(&self.plan);
        let serial = self.frame_next;
        self.frame_next += 1;
        let Some(body) = plan.blocks.get(block as usize) else {
            return serial;
        };
        let cells = body.steps.iter().map(|step| Cell {
            status: StepStatus::Blocked,
            attempt: 0,
            needs: step.needs,
            deadline: None,
            output: Value::Null,
            aux: None,
        });
        let open = u32::try_from(body.steps.len()).unwrap_or(u32::MAX);
        let cells = cells.collect();
        self.frames.push(Frame {
            serial,
            block,
            parent,
            open,
            item,
            index,
            path: path.into(),
            cells,
        });
        let first = body.entry.iter().map(|step| {
            Agenda::Begin(Place {
                frame: serial,
                step: *step,
                attempt: 0,
            })
        });
        self.agenda.extend(first);
        serial
    }

    /// Starts a step whose needs are met, or skips it.
    fn begin(&mut self, at: Place, now: Timestamp, effects: &mut Vec<Effect>) {
        let plan = Arc::clone(&self.plan);
        let Some(step) = self
            .frame(at.frame)
            .and_then(|frame| plan.step(frame.block, at.step))
        else {
            return;
        };
        let wanted = match &step.condition {
            Some(condition) => self.test(condition, at.frame),
            None => Ok(true),
        };
        let failed = match wanted {
            Ok(true) => self.launch(step, at, now, effects).err(),
            Ok(false) => {
                self.close(at, StepStatus::Skipped, Value::Null);
                self.release(step, at.frame);
                None
            }
            Err(failure) => Some(failure),
        };
        if let Some(failure) = failed {
            let at = Place {
                attempt: self.cell(at).map_or(0, |cell| cell.attempt),
                ..at
            };
            self.step_failed(at, failure, effects);
        }
    }

    pub(super) fn test(&self, program: &Program, frame: u32) -> Result<bool, Failure> {
        let scope = RunScope { run: self, frame };
        match program.run(&scope, BUDGET_DEFAULT) {
            Ok(Val::Bool(flag)) => Ok(flag),
            Ok(other) => {
                let message = format!("the condition gives a {}, not a bool", other.type_name());
                Err(expression_failure(&EvalError::new(message)))
            }
            Err(error) => Err(expression_failure(&error)),
        }
    }

    pub(super) fn evaluate(&self, program: &Program, frame: u32) -> Result<Value, Failure> {
        let result = program
            .run(&RunScope { run: self, frame }, BUDGET_DEFAULT)
            .map(|value| value.to_json());
        result.map_err(|error| expression_failure(&error))
    }

    pub(super) fn fill(&self, template: &Template, frame: u32) -> Result<Value, Failure> {
        let filled = template.fill(&RunScope { run: self, frame }, BUDGET_DEFAULT);
        filled.map_err(|error| expression_failure(&error))
    }

    fn span(&self, template: &Template, frame: u32) -> Result<Duration, Failure> {
        let value = self.fill(template, frame)?;
        let span = match &value {
            Value::String(text) => parse_span(text),
            Value::Number(number) => number
                .as_f64()
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            _ => None,
        };
        span.ok_or_else(|| expression_failure(&EvalError::new(format!("{value} is no span"))))
    }

    fn deadline(
        &self,
        timeout: &Option<Template>,
        frame: u32,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, Failure> {
        timeout
            .as_ref()
            .map(|timeout| self.span(timeout, frame).map(|span| now.after(span)))
            .transpose()
    }

    /// Begins an attempt of a step.
    fn launch(
        &mut self,
        step: &Step,
        at: Place,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Launched {
        match &step.kind {
            Kind::Action { params, .. } => {
                let params = self.fill(params, at.frame)?;
                let deadline = step.timeout.map(|span| now.after(span));
                let at = self.set(at, StepStatus::Running, deadline);
                effects.push(Effect::Execute {
                    at,
                    params,
                    deadline,
                });
                effects.extend(deadline.map(|due| Effect::Timer { at, due }));
            }
            Kind::Set { value } => {
                let value = self.fill(value, at.frame)?;
                let at = self.set(at, StepStatus::Running, None);
                self.succeed(at, value);
            }
            Kind::Fail { error, message } => {
                let at = self.set(at, StepStatus::Running, None);
                let message = match message {
                    Some(message) => key_text(&self.fill(message, at.frame)?),
                    None => String::new(),
                };
                let failure = Failure {
                    name: error.to_string(),
                    message,
                    step: None,
                };
                self.attempt_failed(at, failure, now, effects);
            }
            Kind::WaitFor { span } => {
                let span = self.span(span, at.frame)?;
                self.park(at, Some(now.after(span)), effects);
            }
            Kind::WaitEvent {
                event,
                key,
                timeout,
            } => {
                let key = key
                    .as_ref()
                    .map(|key| self.fill(key, at.frame))
                    .transpose()?;
                let deadline = self.deadline(timeout, at.frame, now)?;
                let at = self.park(at, deadline, effects);
                let wanted = key.as_ref().map(key_text);
                if let Some(cell) = self.cell_mut(at) {
                    // Kept in the output until the event comes: the key was evaluated once.
                    cell.output = key.unwrap_or(Value::Null);
                }
                let fits =
                    |mail: &Mail| mail.name == **event && (wanted.is_none() || mail.key == wanted);
                if let Some(index) = self.inbox.iter().position(fits) {
                    let mail = self.inbox.remove(index);
                    self.succeed(at, json!({"timed_out": false, "event": mail.data}));
                }
            }
            Kind::Approval { prompt, timeout } => {
                let prompt = prompt
                    .as_ref()
                    .map(|prompt| self.fill(prompt, at.frame))
                    .transpose()?;
                let deadline = self.deadline(timeout, at.frame, now)?;
                let at = self.park(at, deadline, effects);
                if let Some(cell) = self.cell_mut(at) {
                    cell.output = json!({"prompt": prompt});
                }
            }
            _ => {
                let deadline = step.timeout.map(|span| now.after(span));
                let at = self.set(at, StepStatus::Running, deadline);
                effects.extend(deadline.map(|due| Effect::Timer { at, due }));
                self.open_block(step, at)?;
            }
        }
        Ok(())
    }

    fn set(&mut self, at: Place, status: StepStatus, deadline: Option<Timestamp>) -> Place {
        let Some(cell) = self.cell_mut(at) else {
            return at;
        };
        cell.status = status;
        cell.attempt += 1;
        cell.deadline = deadline;
        Place {
            attempt: cell.attempt,
            ..at
        }
    }

    fn park(&mut self, at: Place, deadline: Option<Timestamp>, effects: &mut Vec<Effect>) -> Place {
        let at = self.set(at, StepStatus::Waiting, deadline);
        effects.extend(deadline.map(|due| Effect::Timer { at, due }));
        at
    }

    pub(super) fn close(&mut self, at: Place, status: StepStatus, output: Value) {
        if let Some(cell) = self.cell_mut(at) {
            cell.status = status;
            cell.deadline = None;
            cell.output = output;
            cell.aux = None;
        }
        if let Some(frame) = self.frame_mut(at.frame) {
            frame.open = frame.open.saturating_sub(1);
        }
    }

    /// Counts a finished step towards its followers, and leaves the frame when it was the last.
    fn release(&mut self, step: &Step, serial: u32) {
        let Some(frame) = self.frame_mut(serial) else {
            return;
        };
        let mut ready = Vec::new();
        for follower in &step.next {
            if let Some(cell) = frame.cells.get_mut(*follower as usize) {
                cell.needs = cell.needs.saturating_sub(1);
                if cell.needs == 0 {
                    ready.push(Agenda::Begin(Place {
                        frame: serial,
                        step: *follower,
                        attempt: 0,
                    }));
                }
            }
        }
        let done = frame.open == 0;
        self.agenda.extend(ready);
        if done {
            self.agenda.push_back(Agenda::Leave(serial));
        }
    }

    pub(super) fn succeed(&mut self, at: Place, output: Value) {
        let plan = Arc::clone(&self.plan);
        self.close(at, StepStatus::Succeeded, output);
        let Some(step) = self
            .frame(at.frame)
            .and_then(|frame| plan.step(frame.block, at.step))
        else {
            return;
        };
        if let Some(compensate) = &step.compensate {
            // What undoing needs is evaluated while the data is there.
            let params = self.fill(&compensate.params, at.frame).unwrap_or_default();
            self.undo.push((compensate.block, params));
        }
        self.release(step, at.frame);
    }

    /// The output of a frame whose steps have all ended.
    fn frame_output(&mut self, serial: u32) -> Result<Value, Failure> {
        let plan = Arc::clone(&self.plan);
        let parent = self.frame(serial).and_then(|frame| frame.parent);
        let program = match parent {
            None => plan.output.as_ref(),
            Some((frame, step)) => match self
                .frame(frame)
                .and_then(|frame| plan.step(frame.block, step))
            {
                Some(Step {
                    kind:
                        Kind::Sub {
                            linked: Some((block, output)),
                            ..
                        },
                    ..
                }) => {
                    let own = self
                        .frame(serial)
                        .is_some_and(|frame| frame.block == *block);
                    output.as_ref().filter(|_| own)
                }
                _ => None,
            },
        };
        if let Some(program) = program {
            return self.evaluate(program, serial);
        }
        let cells = self.frame(serial).map(|frame| frame.cells.iter());
        let last = cells.and_then(|cells| {
            cells
                .rev()
                .find(|cell| cell.status == StepStatus::Succeeded)
        });
        Ok(last.map(|cell| cell.output.clone()).unwrap_or_default())
    }

    fn leave(&mut self, serial: u32, now: Timestamp, effects: &mut Vec<Effect>) {
        if self.frame(serial).is_none_or(|frame| frame.open > 0) {
            return;
        }
        let parent = self.frame(serial).and_then(|frame| frame.parent);
        if parent.is_none() && self.failing.is_some() {
            self.remove_frame(serial);
            self.undo_next(effects);
            return;
        }
        let output = self.frame_output(serial);
        let Some((frame, step)) = parent else {
            match output {
                Ok(output) => {
                    self.output = output;
                    self.end(RunStatus::Succeeded, None, effects);
                }
                Err(failure) => self.fail_run(failure, effects),
            }
            return;
        };
        let index = self.frame(serial).map_or(0, |frame| frame.index);
        self.remove_frame(serial);
        let at = Place {
            frame,
            step,
            attempt: 0,
        };
        let at = Place {
            attempt: self.cell(at).map_or(0, |cell| cell.attempt),
            ..at
        };
        let joined = output.and_then(|output| self.child_done(at, index, output));
        if let Err(failure) = joined {
            self.attempt_failed(at, failure, now, effects);
        }
    }

    fn remove_frame(&mut self, serial: u32) {
        if let Ok(index) = self
            .frames
            .binary_search_by_key(&serial, |frame| frame.serial)
        {
            self.frames.remove(index);
        }
    }

    fn timer(&mut self, at: Place, now: Timestamp, effects: &mut Vec<Effect>) {
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

/// Keys are compared as text, so that a number in a definition matches a text on the wire.
pub(super) fn key_text(key: &Value) -> String {
    match key {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

pub(super) fn expression_failure(error: &EvalError) -> Failure {
    Failure {
        name: "Expression".to_owned(),
        message: error.to_string(),
        step: None,
    }
}
