//! How a step begins: its condition, its parameters, its deadline.

use std::time::Duration;

use serde_json::{Value, json};

use super::machine::Launched;
use super::scope::RunScope;
use super::{Deadline, Effect, Failure, Mail, Place, Run, StepStatus};
use crate::expr::{BUDGET_DEFAULT, EvalError, Program, Val};
use crate::plan::{Kind, Params, Plan, Step, Template};
use crate::time::{Timestamp, parse_span};

impl Run {
    /// Starts a step whose needs are met, or skips it.
    pub(super) fn begin(
        &mut self,
        plan: &Plan,
        at: Place,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
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
            Ok(true) => self.launch(plan, step, at, now, effects).err(),
            Ok(false) => {
                self.close(at, StepStatus::Skipped, Value::Null);
                self.release(step, at.frame);
                None
            }
            Err(failure) => Some(failure),
        };
        if let Some(failure) = failed {
            let at = self.now_at(at.frame, at.step);
            self.step_failed(plan, at, failure, effects);
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

    pub(super) fn params(&self, template: &Template, frame: u32) -> Result<Params, Failure> {
        let filled = template.params(&RunScope { run: self, frame }, BUDGET_DEFAULT);
        filled.map_err(|error| expression_failure(&error))
    }

    pub(super) fn span(&self, template: &Template, frame: u32) -> Result<Duration, Failure> {
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

    pub(super) fn deadline(
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
    pub(super) fn launch(
        &mut self,
        plan: &Plan,
        step: &Step,
        at: Place,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) -> Launched {
        match &step.kind {
            Kind::Action { params, .. } => {
                let params = self.params(params, at.frame)?;
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
                self.succeed(plan, at, value);
            }
            Kind::Fail { error, message } => {
                let at = self.set(at, StepStatus::Running, None);
                let message = match message {
                    Some(message) => key_text(&self.fill(message, at.frame)?),
                    None => String::new(),
                };
                let failure = Failure::new(&**error, message);
                self.attempt_failed(plan, at, failure, now, effects);
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
                let inbox = self.rare.as_mut().map(|rare| &mut rare.inbox);
                let early = inbox.and_then(|inbox| {
                    let index = inbox.iter().position(fits)?;
                    Some(inbox.remove(index))
                });
                if let Some(mail) = early {
                    self.succeed(plan, at, json!({"timed_out": false, "event": mail.data}));
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
                self.open_block(plan, step, at)?;
            }
        }
        Ok(())
    }

    pub(super) fn set(
        &mut self,
        at: Place,
        status: StepStatus,
        deadline: Option<Timestamp>,
    ) -> Place {
        let Some(cell) = self.cell_mut(at) else {
            return at;
        };
        cell.status = status;
        cell.attempt += 1;
        cell.deadline = Deadline::from(deadline);
        let at = Place {
            attempt: cell.attempt,
            ..at
        };
        self.note(at, status, &Value::Null);
        at
    }

    pub(super) fn park(
        &mut self,
        at: Place,
        deadline: Option<Timestamp>,
        effects: &mut Vec<Effect>,
    ) -> Place {
        let at = self.set(at, StepStatus::Waiting, deadline);
        effects.extend(deadline.map(|due| Effect::Timer { at, due }));
        at
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
    Failure::new("Expression", error.to_string())
}
