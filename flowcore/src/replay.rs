//! Histories: the log of a run read back record by record, without calling anything.
//!
//! ```
//! use flowcore::{Engine, History, MemoryJournal, Replay, Runner, Timestamp, Workflow};
//! use serde_json::json;
//!
//! # fn main() -> flowcore::Result<()> {
//! let text = r#"{"workflow": {"name": "two", "steps": [
//!     {"id": "a", "action": "work"}, {"id": "b", "set": "${a + 1}"}]}}"#;
//! let mut engine = Engine::new(MemoryJournal::new()).action("work", |_| Ok(json!(1)));
//! engine.deploy(Workflow::from_json(text)?)?;
//! let run = engine.start("two", None, json!({}), Timestamp::from_millis(0))?;
//! let mut runner = Runner::blocking(engine);
//! runner.run_until_idle()?;
//!
//! let history = History::of(runner.engine().journal(), run)?;
//! let (replay, steps) = Replay::of(&Workflow::from_json(text)?, &history)?;
//! assert_eq!(replay.output(), &json!(2));
//! assert_eq!(steps.len(), 2);
//! # Ok(()) }
//! ```

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::engine::recovery;
use crate::engine::upgrade::{Obstacle, follow};
use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::plan::Workflow;
use crate::run::{
    Event, Failure, Origin, Record, Run, RunId, RunStatus, Scratch, StepInfo, StepStatus,
};
use crate::time::Timestamp;

/// The records of one run, from its start, or from where its log was folded.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    records: Vec<Record>,
}

impl History {
    /// The history of a run, live or ended, as its journal has it.
    ///
    /// # Errors
    /// A journal that failed, a run without records, or records that cannot be read.
    pub fn of<J: Journal + ?Sized>(journal: &J, run: RunId) -> Result<Self> {
        let log = journal.log(run)?;
        let records = log.iter().map(|(_, bytes)| decode(run, bytes));
        Self::checked(run, records.collect::<Result<_>>()?)
    }

    /// Reads the lines that [`to_lines`](Self::to_lines) writes.
    ///
    /// # Errors
    /// [`Error::Corrupt`] for a line that is no record, or a first one that is no start.
    pub fn from_lines(text: &str) -> Result<Self> {
        let run = RunId::new(0);
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let records = lines.map(|line| decode(run, line.as_bytes()));
        Self::checked(run, records.collect::<Result<_>>()?)
    }

    fn checked(run: RunId, records: Vec<Record>) -> Result<Self> {
        match records.first().map(|record| &record.event) {
            Some(Event::Start { .. } | Event::Snapshot(_)) => Ok(Self { records }),
            _ => Err(corrupt(run, "a history begins with the start of its run")),
        }
    }

    /// One line of JSON a record.
    pub fn to_lines(&self) -> String {
        let mut text = String::new();
        for record in &self.records {
            text.push_str(&serde_json::to_string(record).unwrap_or_default());
            text.push('\n');
        }
        text
    }

    /// Name of the workflow that ran.
    pub fn workflow(&self) -> &str {
        match self.records.first().map(|record| &record.event) {
            Some(Event::Start { workflow, .. }) => workflow,
            Some(Event::Snapshot(snapshot)) => &snapshot.workflow,
            _ => "",
        }
    }

    /// Time of the first and of the last record.
    pub fn span(&self) -> (Timestamp, Timestamp) {
        let at = |record: Option<&Record>| record.map_or(Timestamp::default(), |record| record.now);
        (at(self.records.first()), at(self.records.last()))
    }
}

fn corrupt(run: RunId, message: impl Into<String>) -> Error {
    Error::Corrupt {
        run,
        message: message.into(),
    }
}

fn decode(run: RunId, bytes: &[u8]) -> Result<Record> {
    serde_json::from_slice(bytes)
        .map_err(|error| corrupt(run, format!("a record cannot be read: {error}")))
}

/// A run that follows a history.
pub struct Replay {
    run: Run,
    scratch: Scratch,
    /// What was told about open steps, by path.
    told: HashMap<String, (StepStatus, u32)>,
}

impl Replay {
    /// The run after the first record of a log, as the journal holds it. The workflow must have its
    /// sub-workflows in it: [`crate::Engine::workflow`].
    ///
    /// # Errors
    /// [`Error::Corrupt`] when this is no start.
    pub fn begin(workflow: &Workflow, run: RunId, record: &[u8]) -> Result<Self> {
        Self::start(workflow, run, &decode(run, record)?)
    }

    fn start(workflow: &Workflow, id: RunId, first: &Record) -> Result<Self> {
        let plan = Arc::clone(&workflow.plan);
        let mut scratch = Scratch::default();
        let run = match &first.event {
            Event::Start { input, tenant, .. } => {
                let origin = Origin {
                    input: input.clone(),
                    started_at: first.now,
                    tenant: tenant.clone(),
                };
                let changes = Some(Box::default());
                Run::start(id, plan, origin, first.now, changes, &mut scratch)
            }
            _ => {
                let begun = recovery::begin(id, plan, first, first.now);
                let mut run = begun.map_err(|message| corrupt(id, message))?;
                run.changes = Some(Box::default());
                run
            }
        };
        scratch.effects.clear();
        Ok(Self {
            run,
            scratch,
            told: HashMap::new(),
        })
    }

    /// Replays a whole history; returns the steps that ended, in order, beside the run.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when the history is not one of this workflow.
    pub fn of(workflow: &Workflow, history: &History) -> Result<(Self, Vec<StepInfo>)> {
        let id = RunId::new(0);
        let Some((first, rest)) = history.records.split_first() else {
            return Err(corrupt(id, "the history is empty"));
        };
        let mut replay = Self::start(workflow, id, first)?;
        for record in rest {
            replay.apply(record)?;
        }
        let ended = replay.ended();
        Ok((replay, ended))
    }

    fn apply(&mut self, record: &Record) -> Result<()> {
        // A snapshot says what is known already.
        if matches!(record.event, Event::Snapshot(_)) {
            return Ok(());
        }
        recovery::replay(&mut self.run, record, &mut self.scratch)
            .map_err(|message| corrupt(self.run.id, message))
    }

    /// Applies the next record of the log.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it does not follow from the ones before.
    pub fn push(&mut self, record: &[u8]) -> Result<()> {
        let record = decode(self.run.id, record)?;
        self.apply(&record)
    }

    /// Steps that ended since the last call.
    fn ended(&mut self) -> Vec<StepInfo> {
        use StepStatus::{Cancelled, Failed, Skipped, Succeeded};
        let Some(changes) = &mut self.run.changes else {
            return Vec::new();
        };
        let ended = changes
            .0
            .drain(..)
            .filter(|change| matches!(change.status, Succeeded | Skipped | Failed | Cancelled));
        ended
            .map(|change| StepInfo {
                path: change.path,
                status: change.status,
                attempts: change.attempt,
                output: change.output,
                deadline: None,
            })
            .collect()
    }

    /// What changed since the last call: steps that ended, then steps that began to run, retry or wait.
    pub fn changes(&mut self) -> Vec<StepInfo> {
        let mut changes = self.ended();
        for info in &changes {
            self.told.remove(&info.path);
        }
        for info in self.open_steps() {
            let state = (info.status, info.attempts);
            if self.told.insert(info.path.clone(), state) != Some(state) {
                changes.push(info);
            }
        }
        changes
    }

    /// The steps that run, retry or wait now.
    pub fn open_steps(&self) -> Vec<StepInfo> {
        use StepStatus::{Retrying, Running, Waiting};
        if self.run.status.is_ended() {
            return Vec::new();
        }
        let mut infos = self.run.step_infos();
        infos.retain(|info| matches!(info.status, Running | Retrying | Waiting));
        infos
    }

    /// Where the run stands.
    pub fn status(&self) -> RunStatus {
        self.run.status
    }

    /// Its output, when it ended well.
    pub fn output(&self) -> &Value {
        &self.run.output
    }

    /// Why it failed.
    pub fn failure(&self) -> Option<&Failure> {
        self.run.rare.as_ref()?.failure.as_ref()
    }
}

/// Replays a history under two definitions side by side: the run could move when each record means
/// the same step in both, and the same steps are under way at the end. Steps that are still to come
/// may differ as they like. `None` says that it could. Time and memory of two replays.
///
/// # Errors
/// [`Error::Corrupt`] when the history is not one of the old definition.
pub fn verify_upgrade(
    old: &Workflow,
    new: &Workflow,
    history: &History,
) -> Result<Option<Obstacle>> {
    // A history of another definition is a mistake of the caller, not an obstacle.
    Replay::of(old, history)?;
    let log: Vec<(u64, Record)> = (0..).zip(history.records.iter().cloned()).collect();
    Ok(follow(RunId::new(0), &old.plan, &new.plan, &log).err())
}
