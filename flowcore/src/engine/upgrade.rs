//! Versions of a workflow: trying a new one, going back, moving live runs.

use std::sync::Arc;

use super::{AuditAct, Engine, Versions, encode};
use crate::definition::Durability;
use crate::error::{Error, Result};
use crate::journal::{Journal, Op};
use crate::plan::{DefinitionHash, Workflow};
use crate::replay::{History, Replay, Upgrade, verify_upgrade};
use crate::run::{Event, Record, RunId};
use crate::time::Timestamp;

impl<J: Journal> Engine<J> {
    /// Makes a deployed version of a workflow the active one (blue/green): later triggers start it.
    ///
    /// # Errors
    /// [`Error::UnknownWorkflow`] when no such version is deployed.
    pub fn activate(&mut self, version: DefinitionHash, now: Timestamp) -> Result<()> {
        let Some(deployed) = self.deployed.get(&version) else {
            return Err(Error::UnknownWorkflow {
                workflow: version.to_string(),
            });
        };
        let name = deployed.plan.definition.name.clone();
        self.make_active(&name, version);
        let note = format!("{name} {version}");
        self.audit(AuditAct::Activated, None, &note, now);
        Ok(())
    }

    /// Makes the version before the active one the active one again, and returns it.
    ///
    /// # Errors
    /// [`Error::UnknownWorkflow`] when no workflow of this name was deployed twice.
    pub fn rollback(&mut self, workflow: &str, now: Timestamp) -> Result<DefinitionHash> {
        let before = self.active.get(workflow).and_then(|found| found.before);
        let before = before.ok_or_else(|| Error::UnknownWorkflow {
            workflow: format!("{workflow} (a version before the active one)"),
        })?;
        self.activate(before, now)?;
        Ok(before)
    }

    pub(super) fn make_active(&mut self, name: &str, version: DefinitionHash) {
        let before = match self.active.get(name) {
            Some(found) if found.active == version => found.before,
            Some(found) => Some(found.active),
            None => None,
        };
        let versions = Versions {
            active: version,
            before,
        };
        self.active.insert(name.to_owned(), versions);
    }

    /// The version of a workflow that triggers start now.
    pub fn active_version(&self, workflow: &str) -> Option<DefinitionHash> {
        Some(self.active.get(workflow)?.active)
    }

    /// Whether a live run could go on under another version: everything in its log must mean the
    /// same there.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], [`Error::WrongState`] when its workflow keeps no steps, or a journal
    /// that failed.
    pub fn check_upgrade(&mut self, run: RunId, version: &Workflow) -> Result<Upgrade> {
        let live = self.live(run)?;
        if live.plan.durability != Durability::Step {
            return Err(Error::WrongState {
                run,
                message: "its workflow keeps no steps".to_owned(),
            });
        }
        let old = Workflow {
            plan: Arc::clone(&live.plan),
        };
        self.flush_for_reading()?;
        let history = History::of(&self.journal, run)?;
        let new = self.link(version.clone())?;
        verify_upgrade(&old, &new, &history)
    }

    /// Moves a live run to another version of its workflow, which must be deployed. Steps that
    /// ended stay ended, steps at work go on; idempotency keys of later steps change with the
    /// version.
    ///
    /// # Errors
    /// [`Error::WrongState`] with the obstacle when the run cannot move, while it has an action at
    /// work, or when its workflow keeps no steps.
    pub fn upgrade(&mut self, run: RunId, version: DefinitionHash, now: Timestamp) -> Result<()> {
        self.ensure_recovered(now)?;
        let wrong = |message: String| Error::WrongState { run, message };
        let at_work = self.live(run)?.running().next().is_some();
        if at_work || !self.queue.is_empty() {
            return Err(wrong(
                "an action is at work; pause the run first".to_owned(),
            ));
        }
        let Some(deployed) = self.deployed.get(&version).cloned() else {
            return Err(Error::UnknownWorkflow {
                workflow: version.to_string(),
            });
        };
        let new = Workflow {
            plan: Arc::clone(&deployed.plan),
        };
        if new.plan.durability != Durability::Step {
            return Err(wrong("the other version keeps no steps".to_owned()));
        }
        if let Upgrade::Impossible { record, reason } = self.check_upgrade(run, &new)? {
            return Err(wrong(format!(
                "it cannot move, see record {record}: {reason}"
            )));
        }
        let history = History::of(&self.journal, run)?;
        let seq = self.live(run)?.seq;
        let (replay, _) = Replay::of(&new, &history)?;
        let mut moved = replay.into_run();
        (moved.id, moved.seq) = (run, seq);
        moved.changes = self.progress.is_some().then(Box::default);
        let record = Record {
            now,
            event: Event::Snapshot(Box::new(moved.snapshot())),
        };
        let before = moved.seq;
        self.batch.ops.push(Op::Append {
            run,
            seq: before,
            record: encode(&record)?,
        });
        self.batch.ops.push(Op::Truncate { run, before });
        moved.seq += 1;
        self.audit(AuditAct::Moved, Some(run), &version.to_string(), now);
        self.take_up(moved, None, now);
        Ok(())
    }
}
