//! The activations of blocks and their steps.

use serde_json::Value;

use super::{Agenda, Cell, Deadline, Frame, Inner, Place, Run, StepInfo, StepStatus};
use crate::plan::{Kind, Plan, Step};
use crate::time::Timestamp;

impl Run {
    pub(super) fn frame_index(&self, serial: u32) -> Option<usize> {
        let last = self.frames.len().checked_sub(1)?;
        if self.frames.get(last)?.serial == serial {
            return Some(last);
        }
        self.frames
            .binary_search_by_key(&serial, |frame| frame.serial)
            .ok()
    }

    pub(crate) fn frame(&self, serial: u32) -> Option<&Frame> {
        self.frames.get(self.frame_index(serial)?)
    }

    pub(super) fn frame_mut(&mut self, serial: u32) -> Option<&mut Frame> {
        let index = self.frame_index(serial)?;
        self.frames.get_mut(index)
    }

    pub(crate) fn cell(&self, at: Place) -> Option<&Cell> {
        self.frame(at.frame)?.cells.get(at.step as usize)
    }

    pub(super) fn cell_mut(&mut self, at: Place) -> Option<&mut Cell> {
        self.frame_mut(at.frame)?.cells.get_mut(at.step as usize)
    }

    /// The place of a step with the attempt that it is at.
    pub(super) fn now_at(&self, frame: u32, step: u32) -> Place {
        let place = Place {
            frame,
            step,
            attempt: 0,
        };
        Place {
            attempt: self.cell(place).map_or(0, |cell| cell.attempt),
            ..place
        }
    }

    /// Every timer that is set, for an engine that has just read the run back.
    pub(crate) fn timers(&self) -> impl Iterator<Item = (Place, Timestamp)> + '_ {
        let of_run = self.deadline_at().map(|due| (Place::RUN, due));
        let of_steps = self
            .places()
            .filter_map(|at| Some((at, self.cell(at)?.deadline.get()?)));
        of_run.into_iter().chain(of_steps)
    }

    /// Every action that was handed out and has not answered.
    pub(crate) fn running(&self) -> impl Iterator<Item = Place> + '_ {
        self.places().filter(|at| {
            let action = self
                .step(*at)
                .is_some_and(|step| matches!(step.kind, Kind::Action { .. }));
            // A running action with children is in the hands of its `catch`.
            action
                && self
                    .cell(*at)
                    .is_some_and(|cell| cell.status == StepStatus::Running && cell.aux.is_none())
        })
    }

    pub(crate) fn places(&self) -> impl Iterator<Item = Place> + '_ {
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

    /// Path of a step with the iterations around it.
    pub(crate) fn path_of(&self, at: Place) -> String {
        let Some(frame) = self.frame(at.frame) else {
            return String::new();
        };
        let id = self
            .plan
            .step(frame.block, at.step)
            .map_or("", |step| &step.id);
        format!("{}{id}", frame.path())
    }

    /// Keeps a change for whoever watches.
    pub(super) fn note(&mut self, at: Place, status: StepStatus, output: &Value) {
        if self.changes.is_none() {
            return;
        }
        let cell = self.cell(at);
        let info = StepInfo {
            path: self.path_of(at),
            status,
            attempts: cell.map_or(0, |cell| cell.attempt),
            output: output.clone(),
            deadline: cell.and_then(|cell| cell.deadline.get()),
        };
        if let Some(changes) = &mut self.changes {
            changes.0.push(info);
        }
    }

    /// Opens a frame for a block and puts its first steps on the agenda.
    pub(super) fn enter(&mut self, plan: &Plan, block: u32, inner: Option<Inner>) -> u32 {
        let serial = self.frame_next;
        self.frame_next += 1;
        let Some(body) = plan.blocks.get(block as usize) else {
            return serial;
        };
        let cells = body.steps.iter().map(|step| Cell {
            output: Value::Null,
            aux: None,
            deadline: Deadline::NONE,
            attempt: 0,
            needs: step.needs,
            status: StepStatus::Blocked,
        });
        let cells: Box<[Cell]> = cells.collect();
        self.frames.push(Frame {
            serial,
            block,
            open: u32::try_from(cells.len()).unwrap_or(u32::MAX),
            inner: inner.map(Box::new),
            cells,
        });
        let first = body.entry.iter().map(|step| {
            Agenda::Begin(Place {
                frame: serial,
                step: *step,
                attempt: 0,
            })
        });
        self.worklist().extend(first);
        serial
    }
}
