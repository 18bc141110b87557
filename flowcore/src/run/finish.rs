//! How a step ends: its followers, its frame, the output of the frame.

use serde_json::Value;

use super::{Agenda, Deadline, Effect, Failure, Place, Run, RunStatus, StepStatus};
use crate::plan::{Kind, Plan, Step};
use crate::time::Timestamp;

impl Run {
    pub(super) fn close(&mut self, at: Place, status: StepStatus, output: Value) {
        self.note(at, status, &output);
        let Some(frame) = self.frame_mut(at.frame) else {
            return;
        };
        if let Some(cell) = frame.cells.get_mut(at.step as usize) {
            cell.status = status;
            cell.deadline = Deadline::NONE;
            cell.output = output;
            cell.aux = None;
        }
        frame.open = frame.open.saturating_sub(1);
    }

    /// Counts a finished step towards its followers, and leaves the frame when it was the last.
    pub(super) fn release(&mut self, step: &Step, serial: u32) {
        let Some(index) = self.frame_index(serial) else {
            return;
        };
        let Some(frame) = self.frames.get_mut(index) else {
            return;
        };
        let agenda = &mut self.agenda.get_or_insert_default().0;
        for follower in &step.next {
            if let Some(cell) = frame.cells.get_mut(*follower as usize) {
                cell.needs = cell.needs.saturating_sub(1);
                if cell.needs == 0 {
                    agenda.push_back(Agenda::Begin(Place {
                        frame: serial,
                        step: *follower,
                        attempt: 0,
                    }));
                }
            }
        }
        if frame.open == 0 {
            agenda.push_back(Agenda::Leave(serial));
        }
    }

    pub(super) fn succeed(&mut self, plan: &Plan, at: Place, output: Value) {
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
            self.rare_mut().undo.push((compensate.block, params));
        }
        self.release(step, at.frame);
    }

    pub(super) fn skip(&mut self, plan: &Plan, at: Place) {
        self.close(at, StepStatus::Skipped, Value::Null);
        let step = self
            .frame(at.frame)
            .and_then(|frame| plan.step(frame.block, at.step));
        if let Some(step) = step {
            self.release(step, at.frame);
        }
    }

    /// The output of a frame whose steps have all ended.
    fn frame_output(&mut self, plan: &Plan, serial: u32) -> Result<Value, Failure> {
        let parent = self.frame(serial).and_then(|frame| frame.parent().get());
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
        let Some(frame) = self.frame_mut(serial) else {
            return Ok(Value::Null);
        };
        let last = frame
            .cells
            .iter_mut()
            .rev()
            .find(|cell| cell.status == StepStatus::Succeeded);
        // The frame is about to go, so its output moves.
        Ok(last.map(|cell| cell.output.take()).unwrap_or_default())
    }

    pub(super) fn leave(
        &mut self,
        plan: &Plan,
        serial: u32,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        let Some(frame) = self.frame(serial).filter(|frame| frame.open == 0) else {
            return;
        };
        let (parent, index) = (frame.parent().get(), frame.index());
        let failing = self
            .rare
            .as_ref()
            .is_some_and(|rare| rare.failing.is_some());
        if parent.is_none() && failing {
            self.remove_frame(serial);
            self.undo_next(plan, effects);
            return;
        }
        let output = self.frame_output(plan, serial);
        let Some((frame, step)) = parent else {
            match output {
                Ok(output) => {
                    self.output = output;
                    self.end(RunStatus::Succeeded, None, effects);
                }
                Err(failure) => self.fail_run(plan, failure, effects),
            }
            return;
        };
        self.remove_frame(serial);
        let at = self.now_at(frame, step);
        let joined = output.and_then(|output| self.child_done(plan, at, index, output));
        if let Err(failure) = joined {
            self.attempt_failed(plan, at, failure, now, effects);
        }
    }

    fn remove_frame(&mut self, serial: u32) {
        if let Some(index) = self.frame_index(serial) {
            self.frames.remove(index);
        }
    }
}
