//! How a step ends: its followers, its frame, the output of the frame.

use std::sync::Arc;

use serde_json::Value;

use super::{Agenda, Effect, Failure, Place, Run, RunStatus, StepStatus};
use crate::plan::{Kind, Step};
use crate::time::Timestamp;

impl Run {
    pub(super) fn close(&mut self, at: Place, status: StepStatus, output: Value) {
        self.note_ended(at, status, &output);
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
    pub(super) fn release(&mut self, step: &Step, serial: u32) {
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
    pub(super) fn frame_output(&mut self, serial: u32) -> Result<Value, Failure> {
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

    pub(super) fn leave(&mut self, serial: u32, now: Timestamp, effects: &mut Vec<Effect>) {
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

    pub(super) fn remove_frame(&mut self, serial: u32) {
        if let Ok(index) = self
            .frames
            .binary_search_by_key(&serial, |frame| frame.serial)
        {
            self.frames.remove(index);
        }
    }
}
