//! What happens after a failure: retries, `catch`, `fallback`, undoing, the end.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{Deadline, Effect, Failure, Inner, Parent, Place, Run, RunId, RunStatus, StepStatus};
use crate::definition::Jitter;
use crate::plan::{Plan, Retry};
use crate::time::Timestamp;

impl Run {
    /// Removes every frame below a step and takes back their actions.
    fn kill_children(&mut self, frame: u32, step: u32, effects: &mut Vec<Effect>) {
        let mut doomed: Vec<u32> = Vec::new();
        // Parents have smaller numbers than their children, so one pass finds all descendants.
        for child in &self.frames {
            let Some((parent, by)) = child.parent().get() else {
                continue;
            };
            if (parent, by) == (frame, step) || doomed.contains(&parent) {
                doomed.push(child.serial);
            }
        }
        let running: Vec<Place> = self
            .running()
            .filter(|at| doomed.contains(&at.frame))
            .collect();
        effects.extend(running.into_iter().map(|at| Effect::Cancel { at }));
        self.frames.retain(|child| !doomed.contains(&child.serial));
    }

    pub(super) fn attempt_failed(
        &mut self,
        plan: &Plan,
        at: Place,
        failure: Failure,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        self.kill_children(at.frame, at.step, effects);
        let catching = self
            .cell(at)
            .and_then(|cell| cell.aux.as_ref())
            .is_some_and(|aux| aux.catching);
        let step = self
            .frame(at.frame)
            .and_then(|frame| plan.step(frame.block, at.step));
        let retry = step
            .and_then(|step| step.retry.as_ref())
            .filter(|_| !catching);
        match retry.and_then(|retry| self.pause(retry, at, &failure)) {
            Some(pause) => {
                let due = now.after(pause);
                if let Some(cell) = self.cell_mut(at) {
                    cell.status = StepStatus::Retrying;
                    cell.deadline = Deadline::from(Some(due));
                    cell.aux = None;
                }
                self.note(at, StepStatus::Retrying, &Value::Null);
                effects.push(Effect::Timer { at, due });
            }
            None => self.step_failed(plan, at, failure, effects),
        }
    }

    /// The pause before the next attempt, or `None` when there is none left.
    fn pause(&self, retry: &Retry, at: Place, failure: &Failure) -> Option<Duration> {
        // Another attempt would not find the link up either; its return is not a matter of pauses.
        let matches = failure.name != "Offline"
            && retry
                .on
                .as_ref()
                .is_none_or(|names| names.contains(&failure.name));
        if !matches || at.attempt > retry.attempts_max {
            return None;
        }
        let pause = retry.pause(at.attempt.saturating_sub(1));
        Some(match retry.jitter {
            Jitter::None => pause,
            Jitter::Full => pause.mul_f64(unit_interval(self.id, self.origin.started_at, at)),
        })
    }

    /// A step failed for good: its `catch`, its `fallback`, else the step around it, else the run.
    pub(super) fn step_failed(
        &mut self,
        plan: &Plan,
        mut at: Place,
        mut failure: Failure,
        effects: &mut Vec<Effect>,
    ) {
        loop {
            let Some(frame) = self.frame(at.frame) else {
                return;
            };
            let Some(step) = plan.step(frame.block, at.step) else {
                return;
            };
            let parent = frame.parent().get();
            if failure.step.is_none() {
                failure.step = Some(format!("{}{}", frame.path(), step.id));
            }
            self.kill_children(at.frame, at.step, effects);
            let catching = self
                .cell(at)
                .and_then(|cell| cell.aux.as_ref())
                .is_some_and(|aux| aux.catching);
            if !catching {
                let fits = |on: &Option<Vec<String>>| {
                    on.as_ref()
                        .is_none_or(|names| names.contains(&failure.name))
                };
                if let Some(catch) = step.catch.iter().find(|catch| fits(&catch.on)) {
                    self.catch(plan, at, step, catch.block, &failure);
                    return;
                }
            }
            if let Some(Ok(value)) = step
                .fallback
                .as_ref()
                .map(|fallback| self.fill(fallback, at.frame))
            {
                self.succeed(plan, at, value);
                return;
            }
            self.close(at, StepStatus::Failed, Value::Null);
            match parent {
                Some((frame, step)) => at = self.now_at(frame, step),
                None => return self.fail_run(plan, failure, effects),
            }
        }
    }

    /// Nothing caught the failure: undo what can be undone, then end.
    pub(super) fn fail_run(&mut self, plan: &Plan, failure: Failure, effects: &mut Vec<Effect>) {
        let (undo, failing) = match &self.rare {
            Some(rare) => (!rare.undo.is_empty(), rare.failing.is_some()),
            None => (false, false),
        };
        if !failing {
            if !undo {
                self.end(RunStatus::Failed, Some(failure), effects);
                return;
            }
            self.cancel_open(effects);
            self.rare_mut().failing = Some(failure);
        }
        self.undo_next(plan, effects);
    }

    pub(super) fn undo_next(&mut self, plan: &Plan, effects: &mut Vec<Effect>) {
        match self.rare_mut().undo.pop() {
            Some((block, params)) => {
                let inner = Inner {
                    parent: Parent::NONE,
                    index: 0,
                    item: params,
                    path: Arc::from("compensate/"),
                };
                self.enter(plan, block, Some(inner));
            }
            None => {
                let failure = self.rare_mut().failing.take();
                self.end(RunStatus::Failed, failure, effects);
            }
        }
    }

    pub(super) fn cancel_open(&mut self, effects: &mut Vec<Effect>) {
        let running: Vec<Place> = self.running().collect();
        effects.extend(running.into_iter().map(|at| Effect::Cancel { at }));
        self.frames.truncate(1);
        self.worklist().clear();
        if self.changes.is_some() {
            let open: Vec<Place> = self
                .places()
                .filter(|at| self.cell(*at).is_some_and(|cell| cell.status.is_open()))
                .collect();
            for at in open {
                self.note(at, StepStatus::Cancelled, &Value::Null);
            }
        }
        for cell in self.frames.iter_mut().flat_map(|frame| &mut frame.cells) {
            if !cell.status.is_ended() {
                cell.status = StepStatus::Cancelled;
                cell.deadline = Deadline::NONE;
                cell.output = Value::Null;
            }
        }
    }

    pub(super) fn end(
        &mut self,
        status: RunStatus,
        failure: Option<Failure>,
        effects: &mut Vec<Effect>,
    ) {
        if status != RunStatus::Succeeded {
            self.cancel_open(effects);
        } else if self.frames.len() > 1 {
            // Only the answer to a missed deadline can still be going on.
            self.cancel_open(effects);
        }
        self.status = status;
        if failure.is_some() {
            self.rare_mut().failure = failure;
        }
        effects.push(Effect::Ended);
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
