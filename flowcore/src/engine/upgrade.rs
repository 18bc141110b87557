//! Versions of a workflow: trying a new one, going back, moving live runs.

use std::sync::Arc;

use super::{AuditAct, Engine, Versions, encode, recovery};
use crate::definition::Durability;
use crate::error::{Error, Result};
use crate::journal::{Journal, Op};
use crate::plan::{DefinitionHash, Plan, Workflow};
use crate::run::{Event, Record, Run, RunId};
use crate::time::Timestamp;

/// Why a run cannot move to another version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Obstacle {
    /// Path of the step where the versions part, when it is one step.
    pub step: Option<String>,
    /// What is different there.
    pub message: String,
}

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
    /// same there. `Ok(None)` says that it could.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], or a journal that failed.
    pub fn check_upgrade(&mut self, run: RunId, version: &Workflow) -> Result<Option<Obstacle>> {
        self.live(run)?;
        self.flush_for_reading()?;
        let log = self.records(run)?;
        let old = match log.first() {
            Some((_, first)) => self.plan_of(run, &first.event)?,
            None => {
                return Err(Error::WrongState {
                    run,
                    message: "its workflow keeps no log".to_owned(),
                });
            }
        };
        let linked = self.link(version.clone())?;
        Ok(follow(run, &old, &linked.plan, &log).err())
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
        let durable = deployed.plan.durability == Durability::Step;
        if !durable || self.live(run)?.plan.durability != Durability::Step {
            return Err(wrong("its workflow keeps no steps".to_owned()));
        }
        self.flush_for_reading()?;
        let log = self.records(run)?;
        let Some((_, first)) = log.first() else {
            return Err(Error::UnknownRun { run });
        };
        let old = self.plan_of(run, &first.event)?;
        let mut moved =
            follow(run, &old, &deployed.plan, &log).map_err(|obstacle| wrong(obstacle.message))?;
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

/// Plays a log under two versions side by side; they must agree on what every record is about.
fn follow(
    id: RunId,
    old: &Arc<Plan>,
    new: &Arc<Plan>,
    log: &[(u64, Record)],
) -> std::result::Result<Run, Obstacle> {
    let whole = |message: String| Obstacle {
        step: None,
        message,
    };
    let Some(((seq, first), rest)) = log.split_first() else {
        return Err(whole("its log is empty".to_owned()));
    };
    if matches!(first.event, Event::Snapshot(_)) && !same_shape(old, new) {
        return Err(whole(
            "the beginning of its log was folded, and the versions have different steps".to_owned(),
        ));
    }
    let mut scratch = crate::run::Scratch::default();
    let mut before = recovery::begin(id, Arc::clone(old), first, first.now).map_err(whole)?;
    let mut after = recovery::begin(id, Arc::clone(new), first, first.now).map_err(whole)?;
    after.seq = seq + 1;
    before.seq = after.seq;
    for (_, record) in rest {
        let at = match &record.event {
            Event::Done { at, .. }
            | Event::Fail { at, .. }
            | Event::Skip { at }
            | Event::Timer { at } => Some(*at),
            _ => None,
        };
        let path = at.map(|at| before.path_of(at));
        if let (Some(at), Some(path)) = (at, &path) {
            let there = after.path_of(at);
            let [was, is] = [&before, &after].map(|run| run.step(at).map(|step| step.kind.name()));
            if there != *path || was != is {
                return Err(Obstacle {
                    step: Some(path.clone()),
                    message: format!("where it ran `{path}`, the other version has `{there}`"),
                });
            }
        }
        let obstacle = |message| Obstacle {
            step: path.clone(),
            message,
        };
        recovery::replay(&mut before, record, &mut scratch).map_err(obstacle)?;
        recovery::replay(&mut after, record, &mut scratch).map_err(|_| Obstacle {
            step: path.clone(),
            message: match &path {
                Some(path) => format!("the other version would not have run `{path}` then"),
                None => "the other version would not have been there then".to_owned(),
            },
        })?;
    }
    if after.status.is_ended() {
        return Err(whole(
            "under the other version it would have ended".to_owned(),
        ));
    }
    Ok(after)
}

/// Whether two plans number the same steps the same way.
fn same_shape(old: &Plan, new: &Plan) -> bool {
    old.blocks.len() == new.blocks.len()
        && old.blocks.iter().zip(&new.blocks).all(|(old, new)| {
            old.steps.len() == new.steps.len()
                && old.steps.iter().zip(&new.steps).all(|(old, new)| {
                    old.id == new.id && old.kind.name() == new.kind.name() && old.next == new.next
                })
        })
}
