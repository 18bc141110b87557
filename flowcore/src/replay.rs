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

use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::plan::{Kind, Plan, Step, Workflow};
use crate::run::{
    Event, Failure, Place, Record, Run, RunId, RunStatus, Scratch, StepInfo, StepStatus,
};
use crate::time::Timestamp;

/// The records of one run, from its start, or from the snapshot that a long log was folded into.
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
        let records = log
            .iter()
            .map(|(_, bytes)| decode(run, bytes))
            .collect::<Result<Vec<_>>>()?;
        Self::checked(run, records)
    }

    /// Reads the lines that [`to_lines`](Self::to_lines) writes.
    ///
    /// # Errors
    /// [`Error::Corrupt`] with the line's number.
    pub fn from_lines(text: &str) -> Result<Self> {
        let run = RunId::new(0);
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        let records = lines
            .map(|line| decode(run, line.as_bytes()))
            .collect::<Result<Vec<_>>>()?;
        Self::checked(run, records)
    }

    fn checked(run: RunId, records: Vec<Record>) -> Result<Self> {
        match records.first() {
            Some(Record {
                event: Event::Start { .. } | Event::Snapshot(_),
                ..
            }) => Ok(Self { records }),
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

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none; never so for a history that was read.
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
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
    /// What was told about open steps, by path.
    told: HashMap<String, (StepStatus, u32)>,
    scratch: Scratch,
}

impl Replay {
    /// The run after the first record of a log, as the journal holds it. The workflow must have its
    /// sub-workflows in it: [`crate::Engine::workflow`].
    ///
    /// # Errors
    /// [`Error::Corrupt`] when this is no start.
    pub fn begin(workflow: &Workflow, run: RunId, record: &[u8]) -> Result<Self> {
        Self::start(workflow, run, decode(run, record)?)
    }

    fn start(workflow: &Workflow, id: RunId, record: Record) -> Result<Self> {
        let plan = Arc::clone(&workflow.plan);
        let watched = Some(Box::default());
        let run = Run::from_first(id, plan, &record, record.now, watched);
        Ok(Self {
            run: run.map_err(|message| corrupt(id, message))?,
            told: HashMap::new(),
            scratch: Scratch::default(),
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
        let mut replay = Self::start(workflow, id, first.clone())?;
        for (number, record) in rest.iter().enumerate() {
            if !replay.accepts(record) {
                let message = format!(
                    "record {} does not follow from the ones before it",
                    number + 1
                );
                return Err(corrupt(id, message));
            }
            replay.apply(record.clone());
        }
        let ended = replay.ended();
        Ok((replay, ended))
    }

    /// A snapshot among the records changes nothing: it says what the run is by then.
    fn accepts(&self, record: &Record) -> bool {
        matches!(record.event, Event::Snapshot(_)) || self.run.accepts(&record.event, record.now)
    }

    fn apply(&mut self, record: Record) {
        self.run.apply(record.event, record.now, &mut self.scratch);
        self.scratch.effects.clear();
        self.run.seq += 1;
    }

    /// Takes the steps that ended since the last call.
    fn ended(&mut self) -> Vec<StepInfo> {
        let changes = self.run.changes.as_mut();
        let mut ended = changes
            .map(|changes| std::mem::take(&mut changes.0))
            .unwrap_or_default();
        ended.retain(|info| info.status.is_ended());
        ended
    }

    /// The run that the history leads to.
    pub(crate) fn into_run(self) -> Run {
        self.run
    }

    /// Applies the next record of the log.
    ///
    /// # Errors
    /// [`Error::Corrupt`] when it does not follow from the ones before.
    pub fn push(&mut self, record: &[u8]) -> Result<()> {
        let record = decode(self.run.id, record)?;
        if !self.accepts(&record) {
            return Err(corrupt(
                self.run.id,
                "a record does not follow from the ones before it",
            ));
        }
        self.apply(record);
        Ok(())
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
        let mut infos = if self.run.status.is_ended() {
            Vec::new()
        } else {
            self.run.step_infos()
        };
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

/// Whether a live run could go on under another definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upgrade {
    /// The new definition would have come to the same point by the same records.
    Possible,
    /// It would not.
    Impossible {
        /// Number of the record at which the definitions part.
        record: usize,
        /// What differs.
        reason: String,
    },
}

/// Replays a history under two definitions side by side: the run could move when each record means
/// the same step in both, and the same steps are under way at the end. Steps that are still to come
/// may differ as they like. Time and memory of two replays.
///
/// # Errors
/// [`Error::Corrupt`] when the history is not one of the old definition.
pub fn verify_upgrade(old: &Workflow, new: &Workflow, history: &History) -> Result<Upgrade> {
    let id = RunId::new(0);
    let Some((first, rest)) = history.records.split_first() else {
        return Err(corrupt(id, "the history is empty"));
    };
    let mut before = Replay::start(old, id, first.clone())?;
    if matches!(first.event, Event::Snapshot(_)) && !same_steps(&old.plan, &new.plan) {
        let reason = "the beginning of the log was folded, and the definitions have other steps";
        return Ok(Upgrade::Impossible {
            record: 0,
            reason: reason.to_owned(),
        });
    }
    let mut after = Replay::start(new, id, first.clone())?;
    if let Some(reason) = difference(&before.run, &after.run) {
        return Ok(Upgrade::Impossible { record: 0, reason });
    }
    for (record, number) in rest.iter().zip(1..) {
        if !before.accepts(record) {
            let message = format!("record {number} is not one of the old definition");
            return Err(corrupt(id, message));
        }
        let impossible = |reason: String| {
            Ok(Upgrade::Impossible {
                record: number,
                reason,
            })
        };
        if !after.accepts(record) {
            return impossible("the new definition waits for nothing like it".to_owned());
        }
        before.apply(record.clone());
        after.apply(record.clone());
        if let Some(reason) = difference(&before.run, &after.run) {
            return impossible(reason);
        }
    }
    Ok(Upgrade::Possible)
}

/// Whether two plans number the same steps the same way.
fn same_steps(old: &Plan, new: &Plan) -> bool {
    let same = |old: &Step, new: &Step| {
        let kinds = std::mem::discriminant(&old.kind) == std::mem::discriminant(&new.kind);
        old.id == new.id && kinds && old.next == new.next
    };
    old.blocks.len() == new.blocks.len()
        && old.blocks.iter().zip(&new.blocks).all(|(old, new)| {
            let mut steps = old.steps.iter().zip(&new.steps);
            old.steps.len() == new.steps.len() && steps.all(|(old, new)| same(old, new))
        })
}

/// What is under way in one run and not in the other.
fn difference(old: &Run, new: &Run) -> Option<String> {
    if old.status != new.status {
        return Some(format!(
            "the run is {} in the old definition and {} in the new one",
            word(&old.status),
            word(&new.status)
        ));
    }
    let (old, new) = (under_way(old), under_way(new));
    let missing = old.iter().find(|step| !new.contains(step));
    let added = new.iter().find(|step| !old.contains(step));
    match (missing, added) {
        (Some((_, what)), Some((_, other))) if what != other => Some(format!(
            "{what} is under way in the old definition, {other} in the new one"
        )),
        (Some((_, what)), Some(_)) => Some(format!(
            "{what} stands at another place in the new definition"
        )),
        (Some((_, what)), None) => Some(format!("{what} is under way in the old definition alone")),
        (None, Some((_, what))) => Some(format!("{what} is under way in the new definition alone")),
        (None, None) => None,
    }
}

fn word(status: &impl serde::Serialize) -> String {
    match serde_json::to_value(status) {
        Ok(Value::String(word)) => word,
        _ => String::new(),
    }
}

/// The steps that answers or timers will come for: their place in the records, and what they are.
fn under_way(run: &Run) -> Vec<(Place, String)> {
    use StepStatus::{Retrying, Running, Waiting};
    let mut found = Vec::new();
    for at in run.places() {
        let (Some(cell), Some(step), Some(frame)) =
            (run.cell(at), run.step(at), run.frame(at.frame))
        else {
            continue;
        };
        if !matches!(cell.status, Running | Retrying | Waiting) {
            continue;
        }
        let what = match &step.kind {
            Kind::Action { action, .. } => format!("action `{action}`"),
            Kind::WaitEvent { event, .. } => format!("the wait for `{event}`"),
            Kind::WaitFor { .. } => "the wait".to_owned(),
            Kind::Approval { .. } => "the approval".to_owned(),
            _ => "the block".to_owned(),
        };
        let status = word(&cell.status);
        found.push((
            at,
            format!("{what} of step `{}{}` ({status})", frame.path(), step.id),
        ));
    }
    found
}
