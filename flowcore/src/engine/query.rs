//! Looking at runs.

use std::cmp::Reverse;
use std::sync::Arc;

use super::{Engine, run_key, space};
use crate::error::{Error, Result};
use crate::journal::{Journal, Op};
use crate::plan::Workflow;
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
        Ok(self.live(run)?.step_infos())
    }

    /// The active version of a workflow, with its sub-workflows in it.
    pub fn workflow(&self, name: &str) -> Option<Workflow> {
        let plan = &self.deployed.get(&self.active.get(name)?.active)?.plan;
        Some(Workflow {
            plan: Arc::clone(plan),
        })
    }

    /// Results that came for an attempt that had already timed out, been cancelled or answered.
    pub fn stale_results(&self) -> u64 {
        self.stale_results
    }
}
