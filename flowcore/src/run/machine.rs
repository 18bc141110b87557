//! The rules: how a record changes a run and what follows from it. Pure: same records, same state,
//! same effects, on any machine at any time.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::scope::RunScope;
use super::{
    Cell, Decision, Effect, Event, Failure, Frame, Mail, Place, Run, RunId, RunStatus, StepStatus,
    Verdict,
};
use crate::definition::Jitter;
use crate::expr::{BUDGET_DEFAULT, EvalError, Val};
use crate::plan::{Kind, Plan, Retry, Step, Template};
use crate::time::{Timestamp, parse_span};

/// Events kept for steps that do not wait yet; the oldest makes room.
pub(crate) const INBOX_LEN_MAX: usize = 64;

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
            output: Value::Null,
            failure: None,
            inbox: Vec::new(),
            seq: 0,
        };
        run.enter(0, now, effects);
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
            Event::Done { at, output } => self.succeed(at, output, now, effects),
            Event::Fail { at, failure } => self.attempt_failed(at, failure, now, effects),
            Event::Timer { at } => self.timer(at, now, effects),
            Event::Signal { name, key, data } => {
                self.signal(Mail { name, key, data }, now, effects)
            }
            Event::Decide { step, decision } => self.decide(&step, decision, now, effects),
            Event::Cancel { reason } => {
                let failure = Failure {
                    name: "Cancelled".to_owned(),
                    message: reason,
                    step: None,
                };
                self.end(RunStatus::Cancelled, Some(failure), effects);
            }
        }
    }

    pub(crate) fn cell(&self, at: Place) -> Option<&Cell> {
        self.frames
            .get(at.frame as usize)?
            .cells
            .get(at.step as usize)
    }

    fn cell_mut(&mut self, at: Place) -> Option<&mut Cell> {
        self.frames
            .get_mut(at.frame as usize)?
            .cells
            .get_mut(at.step as usize)
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
            action
                && self
                    .cell(*at)
                    .is_some_and(|cell| cell.status == StepStatus::Running)
        })
    }

    /// Hands out again every action that had not answered when the process died: the same attempt,
    /// so the same idempotency key and the same place in the count of retries.
    pub(crate) fn execute_again(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let plan = Arc::clone(&self.plan);
        let running: Vec<Place> = self.running().collect();
        for at in running {
            let step = self
                .frames
                .get(at.frame as usize)
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
                Err(error) => self.step_failed(at, expression_failure(&error), effects),
            }
        }
    }

    fn places(&self) -> impl Iterator<Item = Place> + '_ {
        self.frames.iter().zip(0_u32..).flat_map(|(frame, index)| {
            let cells = frame.cells.iter().zip(0_u32..);
            cells.map(move |(cell, step)| Place {
                frame: index,
                step,
                attempt: cell.attempt,
            })
        })
    }

    pub(crate) fn step(&self, at: Place) -> Option<&Step> {
        self.plan
            .step(self.frames.get(at.frame as usize)?.block, at.step)
    }

    fn enter(&mut self, block: u32, now: Timestamp, effects: &mut Vec<Effect>) {
        let plan = Arc::clone(&self.plan);
        let Some(body) = plan.blocks.get(block as usize) else {
            return;
        };
        let frame = u32::try_from(self.frames.len()).unwrap_or(u32::MAX);
        let cells = body.steps.iter().map(|step| Cell {
            status: StepStatus::Blocked,
            attempt: 0,
            needs: step.needs,
            deadline: None,
            output: Value::Null,
        });
        self.frames.push(Frame {
            block,
            open: u32::try_from(body.steps.len()).unwrap_or(u32::MAX),
            cells: cells.collect(),
        });
        for step in &body.entry {
            self.begin(
                &plan,
                Place {
                    frame,
                    step: *step,
                    attempt: 0,
                },
                now,
                effects,
            );
        }
    }

    /// Starts a step whose needs are met, and every follower of steps that are skipped on the way.
    fn begin(&mut self, plan: &Arc<Plan>, first: Place, now: Timestamp, effects: &mut Vec<Effect>) {
        let mut ready = vec![first];
        while let Some(at) = ready.pop() {
            if self.status != RunStatus::Running {
                return;
            }
            let Some(step) = self
                .frames
                .get(at.frame as usize)
                .and_then(|frame| plan.step(frame.block, at.step))
            else {
                return;
            };
            match self.wanted(step, at.frame) {
                Ok(true) => match self.launch(step, at, now, effects) {
                    Ok(()) => {}
                    Err(error) => self.step_failed(at, expression_failure(&error), effects),
                },
                Ok(false) => {
                    self.close(at, StepStatus::Skipped, Value::Null);
                    self.release(step, at.frame, &mut ready);
                    self.finish_if_done(at.frame, effects);
                }
                Err(error) => self.step_failed(at, expression_failure(&error), effects),
            }
        }
    }

    fn wanted(&self, step: &Step, frame: u32) -> Result<bool, EvalError> {
        let Some(condition) = &step.condition else {
            return Ok(true);
        };
        let scope = RunScope { run: self, frame };
        match condition.run(&scope, BUDGET_DEFAULT)? {
            Val::Bool(flag) => Ok(flag),
            other => Err(EvalError::new(format!(
                "the condition gives a {}, not a bool",
                other.type_name()
            ))),
        }
    }

    fn fill(&self, template: &Template, frame: u32) -> Result<Value, EvalError> {
        template.fill(&RunScope { run: self, frame }, BUDGET_DEFAULT)
    }

    fn span(&self, template: &Option<Template>, frame: u32) -> Result<Option<Duration>, EvalError> {
        let Some(template) = template else {
            return Ok(None);
        };
        let value = self.fill(template, frame)?;
        let span = match &value {
            Value::String(text) => parse_span(text),
            Value::Number(number) => number
                .as_f64()
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
            _ => None,
        };
        span.map(Some)
            .ok_or_else(|| EvalError::new(format!("{value} is no span")))
    }

    /// Begins an attempt of a step.
    fn launch(
        &mut self,
        step: &Step,
        at: Place,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Result<(), EvalError> {
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
            Kind::WaitFor { span } => {
                let span = match self.fill(span, at.frame)? {
                    Value::String(text) => parse_span(&text),
                    Value::Number(number) => number
                        .as_f64()
                        .and_then(|s| Duration::try_from_secs_f64(s).ok()),
                    _ => None,
                };
                let span =
                    span.ok_or_else(|| EvalError::new("wait.for gives no span".to_owned()))?;
                self.park(at, Some(now.after(span)), effects);
            }
            Kind::WaitEvent {
                event,
                key,
                timeout,
            } => {
                let key = match key {
                    Some(key) => Some(self.fill(key, at.frame)?),
                    None => None,
                };
                let deadline = self.span(timeout, at.frame)?.map(|span| now.after(span));
                let at = self.park(at, deadline, effects);
                let wanted = key.as_ref().map(key_text);
                if let Some(cell) = self.cell_mut(at) {
                    // Kept in the output until the event comes: the key was evaluated once.
                    cell.output = key.unwrap_or(Value::Null);
                }
                let early = self.inbox.iter().position(|mail| {
                    mail.name == **event && (wanted.is_none() || mail.key == wanted)
                });
                if let Some(index) = early {
                    let mail = self.inbox.remove(index);
                    self.succeed(
                        at,
                        json!({"timed_out": false, "event": mail.data}),
                        now,
                        effects,
                    );
                }
            }
            Kind::Approval { prompt, timeout } => {
                let prompt = match prompt {
                    Some(prompt) => self.fill(prompt, at.frame)?,
                    None => Value::Null,
                };
                let deadline = self.span(timeout, at.frame)?.map(|span| now.after(span));
                let at = self.park(at, deadline, effects);
                if let Some(cell) = self.cell_mut(at) {
                    cell.output = json!({"prompt": prompt});
                }
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

    fn close(&mut self, at: Place, status: StepStatus, output: Value) {
        if let Some(cell) = self.cell_mut(at) {
            cell.status = status;
            cell.deadline = None;
            cell.output = output;
        }
        if let Some(frame) = self.frames.get_mut(at.frame as usize) {
            frame.open = frame.open.saturating_sub(1);
        }
    }

    /// Counts a finished step towards its followers and collects those that can start.
    fn release(&mut self, step: &Step, frame: u32, ready: &mut Vec<Place>) {
        let Some(body) = self.frames.get_mut(frame as usize) else {
            return;
        };
        // Reversed, because `ready` is a stack and steps should start in the order of the text.
        for follower in step.next.iter().rev() {
            if let Some(cell) = body.cells.get_mut(*follower as usize) {
                cell.needs = cell.needs.saturating_sub(1);
                if cell.needs == 0 {
                    ready.push(Place {
                        frame,
                        step: *follower,
                        attempt: 0,
                    });
                }
            }
        }
    }

    fn succeed(&mut self, at: Place, output: Value, now: Timestamp, effects: &mut Vec<Effect>) {
        self.close(at, StepStatus::Succeeded, output);
        let plan = Arc::clone(&self.plan);
        let mut ready = Vec::new();
        if let Some(step) = self
            .frames
            .get(at.frame as usize)
            .and_then(|frame| plan.step(frame.block, at.step))
        {
            self.release(step, at.frame, &mut ready);
        }
        while let Some(next) = ready.pop() {
            self.begin(&plan, next, now, effects);
        }
        self.finish_if_done(at.frame, effects);
    }

    fn finish_if_done(&mut self, frame: u32, effects: &mut Vec<Effect>) {
        let done = self
            .frames
            .get(frame as usize)
            .is_some_and(|body| body.open == 0);
        if !done || self.status != RunStatus::Running {
            return;
        }
        let plan = Arc::clone(&self.plan);
        let output = match &plan.output {
            Some(program) => {
                let result = program
                    .run(&RunScope { run: self, frame }, BUDGET_DEFAULT)
                    .map(|value| value.to_json());
                match result {
                    Ok(output) => output,
                    Err(error) => {
                        self.end(RunStatus::Failed, Some(expression_failure(&error)), effects);
                        return;
                    }
                }
            }
            None => {
                let cells = self
                    .frames
                    .get_mut(frame as usize)
                    .map(|body| body.cells.iter_mut());
                let last = cells.and_then(|cells| {
                    cells
                        .rev()
                        .find(|cell| cell.status == StepStatus::Succeeded)
                });
                last.map(|cell| cell.output.clone()).unwrap_or_default()
            }
        };
        self.output = output;
        self.end(RunStatus::Succeeded, None, effects);
    }

    fn attempt_failed(
        &mut self,
        at: Place,
        failure: Failure,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let plan = Arc::clone(&self.plan);
        let step = self
            .frames
            .get(at.frame as usize)
            .and_then(|frame| plan.step(frame.block, at.step));
        let pause = step
            .and_then(|step| step.retry.as_ref())
            .and_then(|retry| self.pause(retry, at, &failure));
        match pause {
            Some(pause) => {
                let due = now.after(pause);
                if let Some(cell) = self.cell_mut(at) {
                    cell.status = StepStatus::Retrying;
                    cell.deadline = Some(due);
                }
                effects.push(Effect::Timer { at, due });
            }
            None => self.step_failed(at, failure, effects),
        }
    }

    /// The pause before the next attempt, or `None` when there is none left.
    fn pause(&self, retry: &Retry, at: Place, failure: &Failure) -> Option<Duration> {
        let matches = retry
            .on
            .as_ref()
            .is_none_or(|names| names.contains(&failure.name));
        if !matches || at.attempt > retry.attempts_max {
            return None;
        }
        let pause = retry.pause(at.attempt - 1);
        Some(match retry.jitter {
            Jitter::None => pause,
            Jitter::Full => pause.mul_f64(unit_interval(self.id, self.started_at, at)),
        })
    }

    fn step_failed(&mut self, at: Place, mut failure: Failure, effects: &mut Vec<Effect>) {
        failure.step = self.step(at).map(|step| step.id.to_string());
        self.close(at, StepStatus::Failed, Value::Null);
        self.end(RunStatus::Failed, Some(failure), effects);
    }

    fn end(&mut self, status: RunStatus, failure: Option<Failure>, effects: &mut Vec<Effect>) {
        let running: Vec<Place> = self.running().collect();
        effects.extend(running.into_iter().map(|at| Effect::Cancel { at }));
        for frame in &mut self.frames {
            for cell in &mut frame.cells {
                if !matches!(
                    cell.status,
                    StepStatus::Succeeded | StepStatus::Skipped | StepStatus::Failed
                ) {
                    cell.status = StepStatus::Cancelled;
                    cell.deadline = None;
                    cell.output = Value::Null;
                }
            }
        }
        self.status = status;
        self.failure = failure;
        effects.push(Effect::Ended);
    }

    fn timer(&mut self, at: Place, now: Timestamp, effects: &mut Vec<Effect>) {
        let plan = Arc::clone(&self.plan);
        let Some(step) = self
            .frames
            .get(at.frame as usize)
            .and_then(|frame| plan.step(frame.block, at.step))
        else {
            return;
        };
        let status = self.cell(at).map(|cell| cell.status);
        match (status, &step.kind) {
            (Some(StepStatus::Retrying), _) => {
                if let Err(error) = self.launch(step, at, now, effects) {
                    self.step_failed(at, expression_failure(&error), effects);
                }
            }
            (Some(StepStatus::Running), _) => {
                effects.push(Effect::Cancel { at });
                let message = "the attempt took longer than its timeout".to_owned();
                let failure = Failure {
                    name: "Timeout".to_owned(),
                    message,
                    step: None,
                };
                self.attempt_failed(at, failure, now, effects);
            }
            (Some(StepStatus::Waiting), Kind::WaitFor { .. }) => {
                self.succeed(at, Value::Null, now, effects)
            }
            (Some(StepStatus::Waiting), Kind::Approval { .. }) => {
                self.succeed(
                    at,
                    json!({"approved": false, "timed_out": true, "by": null}),
                    now,
                    effects,
                );
            }
            (Some(StepStatus::Waiting), _) => {
                self.succeed(at, json!({"timed_out": true, "event": null}), now, effects);
            }
            _ => {}
        }
    }

    fn signal(&mut self, mail: Mail, now: Timestamp, effects: &mut Vec<Effect>) {
        let waiting = self.places().find(|at| self.waits_for(*at, &mail));
        match waiting {
            Some(at) => self.succeed(
                at,
                json!({"timed_out": false, "event": mail.data}),
                now,
                effects,
            ),
            None => {
                if self.inbox.len() >= INBOX_LEN_MAX {
                    self.inbox.remove(0);
                }
                self.inbox.push(mail);
            }
        }
    }

    /// Whether the step at this place waits for this event right now.
    pub(crate) fn waits_for(&self, at: Place, mail: &Mail) -> bool {
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

    fn waiting_approval(&self, id: &str) -> Option<Place> {
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

    fn decide(&mut self, id: &str, decision: Decision, now: Timestamp, effects: &mut Vec<Effect>) {
        if let Some(at) = self.waiting_approval(id) {
            let approved = decision.verdict == Verdict::Approved;
            let output = json!({"approved": approved, "timed_out": false, "by": decision.by, "note": decision.note});
            self.succeed(at, output, now, effects);
        }
    }
}

/// Keys are compared as text, so that a number in a definition matches a text on the wire.
fn key_text(key: &Value) -> String {
    match key {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn expression_failure(error: &EvalError) -> Failure {
    Failure {
        name: "Expression".to_owned(),
        message: error.to_string(),
        step: None,
    }
}

/// A number in 0..1 that depends only on the attempt (`SplitMix64` over its coordinates).
fn unit_interval(run: RunId, started_at: Timestamp, at: Place) -> f64 {
    let mut state = run.as_u64() ^ started_at.as_millis().unsigned_abs().rotate_left(32);
    for part in [at.frame, at.step, at.attempt] {
        state = state
            .wrapping_add(u64::from(part))
            .wrapping_add(0x9e37_79b9_7f4a_7c15);
        state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        state ^= state >> 31;
    }
    (state >> 11) as f64 / (1_u64 << 53) as f64
}
