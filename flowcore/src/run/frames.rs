//! The activations of blocks and their steps.

use std::sync::Arc;

use serde_json::Value;

use super::{Agenda, Cell, Frame, Place, Run, StepStatus};
use crate::plan::{Kind, Step};
use crate::time::Timestamp;

impl Run {
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
}
