//! Looking at runs.

use std::cmp::Reverse;

use serde_json::Value;

use super::{Engine, run_key, space};
use crate::error::{Error, Result};
use crate::journal::{Journal, Op};
use crate::run::{RunId, RunInfo, StepInfo};
use crate::time::Timestamp;

impl<J: Journal> Engine<J> {
    /// When something is due by itself: call [`step`](Self::step) then. `None` without timers.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.timers.peek().map(|Reverse((due, ..))| *due)
    }

    /// Whether a call of [`step`](Self::step) would do something without time passing.
    pub fn has_work(&self) -> bool {
        !self.queue.is_empty()
            || !self.commands.is_empty()
            || !self.batch.ops.is_empty()
            || self.holds_work_that_may_go()
    }

    /// Where a run stands, live or ended.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], or a journal that failed.
    pub fn status(&self, run: RunId) -> Result<RunInfo> {
        if let Some(found) = self.runs.get(&run) {
            return Ok(self.describe(found));
        }
        if let Some(info) = self.parked.get(&run) {
            return Ok(info.clone());
        }
        if let Some(ended) = self.unkept.iter().find(|ended| ended.id == run) {
            return Ok(RunInfo {
                id: run,
                workflow: ended.plan.definition.name.clone(),
                definition: ended.plan.hash,
                status: ended.status,
                started_at: ended.started_at,
                ended_at: Some(ended.ended_at),
                output: ended.output.clone(),
                failure: ended.failure.clone(),
                key: None,
                tenant: None,
            });
        }
        // An end that the next step() will commit is already true.
        let pending = self.batch.ops.iter().find_map(|op| match op {
            Op::Put {
                space: space::ENDED,
                key,
                value,
            } if *key == run_key(run) => Some(value.clone()),
            _ => None,
        });
        let stored = match pending {
            Some(value) => Some(value),
            None => self.journal.get(space::ENDED, &run_key(run))?,
        };
        let bytes = stored.ok_or(Error::UnknownRun { run })?;
        serde_json::from_slice(&bytes).map_err(|error| Error::Corrupt {
            run,
            message: error.to_string(),
        })
    }

    /// Every run that has not ended, by ascending number.
    pub fn live_runs(&self) -> Vec<RunInfo> {
        let live = self.runs.values().map(|run| self.describe(run));
        let parked = self.parked.values().cloned();
        let mut all: Vec<RunInfo> = live.chain(parked).collect();
        all.sort_by_key(|info| info.id);
        all
    }

    /// Up to `limit` ended runs after run `after` (0 from the beginning), by ascending number.
    ///
    /// # Errors
    /// A journal that failed.
    pub fn ended_runs(&self, after: RunId, limit: usize) -> Result<Vec<RunInfo>> {
        let page = self.journal.scan(space::ENDED, &run_key(after), limit)?;
        page.iter()
            .map(|(key, bytes)| {
                let run = RunId::new(key.parse().unwrap_or_default());
                serde_json::from_slice(bytes).map_err(|error| Error::Corrupt {
                    run,
                    message: error.to_string(),
                })
            })
            .collect()
    }

    /// The steps of a live run, in the order of the definition.
    ///
    /// # Errors
    /// [`Error::UnknownRun`] when no such run is live.
    pub fn steps(&self, run: RunId) -> Result<Vec<StepInfo>> {
        let run = self.live(run)?;
        let mut infos = Vec::new();
        for frame in &run.frames {
            let Some(block) = run.plan.blocks.get(frame.block as usize) else {
                continue;
            };
            infos.extend(
                block
                    .steps
                    .iter()
                    .zip(&frame.cells)
                    .map(|(step, cell)| StepInfo {
                        path: format!("{}{}", frame.path(), step.id),
                        status: cell.status,
                        attempts: cell.attempt,
                        output: if cell.status.has_output() {
                            cell.output.clone()
                        } else {
                            Value::Null
                        },
                        deadline: cell.deadline.get(),
                    }),
            );
        }
        Ok(infos)
    }

    /// Results that came for an attempt that had already timed out, been cancelled or answered.
    pub fn stale_results(&self) -> u64 {
        self.stale_results
    }
}
