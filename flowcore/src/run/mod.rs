//! One run of a workflow: a pure state machine from records to effects.

mod blocks;
mod failure;
mod finish;
mod frames;
mod launch;
mod machine;
mod record;
mod scope;
mod waits;

pub use record::{Decision, Failure, Verdict};

pub(crate) use record::{Event, Place, Record};

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plan::{DefinitionHash, Plan};
use crate::time::Timestamp;

/// Number of a run in its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(u64);

impl RunId {
    /// The run with this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn as_u64(self) -> u64 {
        self.0
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RunStatus {
    /// Steps run or wait.
    Running,
    /// Ended well.
    Succeeded,
    /// A step failed and nothing caught it.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
    /// Set aside: it cannot go on in this process (see the reason), and is kept.
    Parked,
}

impl RunStatus {
    /// Whether the status is final.
    pub fn is_ended(self) -> bool {
        matches!(
            self,
            RunStatus::Succeeded | RunStatus::Failed | RunStatus::Cancelled
        )
    }
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum StepStatus {
    /// Steps before it have not ended.
    Blocked,
    /// Its action was handed out.
    Running,
    /// It pauses before its next attempt.
    Retrying,
    /// It waits for a time, an event or a person.
    Waiting,
    /// Ended well.
    Succeeded,
    /// Its condition was false.
    Skipped,
    /// Failed for good.
    Failed,
    /// The run ended before it did.
    Cancelled,
}

/// A run as seen from outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// The run.
    pub id: RunId,
    /// Name of its workflow.
    pub workflow: String,
    /// The definition that it is pinned to.
    pub definition: DefinitionHash,
    /// Where it stands.
    pub status: RunStatus,
    /// When it was triggered.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Its result, when it ended well.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub output: Value,
    /// Why it failed, was cancelled or is parked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Its duplicate-suppression key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
}

/// A step of a live run as seen from outside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepInfo {
    /// Its path in the definition.
    pub path: String,
    /// Where it stands.
    pub status: StepStatus,
    /// Attempts begun.
    pub attempts: u32,
    /// Its output, `null` until it ended.
    pub output: Value,
    /// When it goes on or gives up by itself.
    pub deadline: Option<Timestamp>,
}

#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: RunId,
    pub(crate) plan: Arc<Plan>,
    pub(crate) started_at: Timestamp,
    pub(crate) input: Arc<Value>,
    pub(crate) status: RunStatus,
    /// By ascending serial number.
    pub(crate) frames: Vec<Frame>,
    pub(crate) frame_next: u32,
    pub(crate) agenda: VecDeque<Agenda>,
    /// How to undo what succeeded: block and parameters, the latest last.
    pub(crate) undo: Vec<(u32, Value)>,
    /// Why the run fails, while its steps are being undone.
    pub(crate) failing: Option<Failure>,
    pub(crate) output: Value,
    pub(crate) failure: Option<Failure>,
    pub(crate) inbox: Vec<Mail>,
    /// Next number in the run's log.
    pub(crate) seq: u64,
    /// Steps that ended, in order, for whoever reads a history; the engine keeps none.
    pub(crate) trace: Option<Box<Vec<StepInfo>>>,
}

impl Run {
    /// Every step of the frames that are open.
    pub(crate) fn step_infos(&self) -> Vec<StepInfo> {
        let mut infos = Vec::new();
        for frame in &self.frames {
            let Some(block) = self.plan.blocks.get(frame.block as usize) else {
                continue;
            };
            infos.extend(
                block
                    .steps
                    .iter()
                    .zip(&frame.cells)
                    .map(|(step, cell)| StepInfo {
                        path: format!("{}{}", frame.path, step.id),
                        status: cell.status,
                        attempts: cell.attempt,
                        output: if cell.status.has_output() {
                            cell.output.clone()
                        } else {
                            Value::Null
                        },
                        deadline: cell.deadline,
                    }),
            );
        }
        infos
    }

    /// Notes that a step ended.
    pub(crate) fn note_ended(&mut self, at: Place, status: StepStatus, output: &Value) {
        if self.trace.is_none() {
            return;
        }
        let Some(frame) = self.frame(at.frame) else {
            return;
        };
        let Some(step) = self.plan.step(frame.block, at.step) else {
            return;
        };
        let info = StepInfo {
            path: format!("{}{}", frame.path, step.id),
            status,
            attempts: self.cell(at).map_or(0, |cell| cell.attempt),
            output: output.clone(),
            deadline: None,
        };
        if let Some(trace) = &mut self.trace {
            trace.push(info);
        }
    }
}

/// Something that follows and is not done yet.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Agenda {
    /// Start a step whose needs are met.
    Begin(Place),
    /// Go on with a loop.
    Advance(Place),
    /// All steps of a frame ended.
    Leave(u32),
}

/// One activation of a block.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) serial: u32,
    pub(crate) block: u32,
    /// Frame and step that opened it.
    pub(crate) parent: Option<(u32, u32)>,
    /// Steps that have not ended.
    pub(crate) open: u32,
    /// The element of a loop, the error of a `catch`, the input of a sub-workflow.
    pub(crate) item: Value,
    /// Number of the iteration or branch.
    pub(crate) index: u64,
    /// Path of the steps around with their iterations, such as `each[3]/`.
    pub(crate) path: Arc<str>,
    pub(crate) cells: Box<[Cell]>,
}

/// What a step with blocks of its own keeps.
#[derive(Debug, Default)]
pub(crate) struct Aux {
    pub(crate) catching: bool,
    pub(crate) items: Value,
    pub(crate) total: u64,
    pub(crate) next: u64,
    pub(crate) done: u64,
    pub(crate) active: u32,
    pub(crate) from: i64,
    pub(crate) by: i64,
    pub(crate) last: Value,
    pub(crate) results: BTreeMap<u64, Value>,
}

/// The state of one step in one frame.
#[derive(Debug)]
pub(crate) struct Cell {
    pub(crate) status: StepStatus,
    pub(crate) attempt: u32,
    pub(crate) needs: u32,
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) output: Value,
    pub(crate) aux: Option<Box<Aux>>,
}

/// An event that came before a step waited for it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mail {
    pub(crate) name: String,
    pub(crate) key: Option<String>,
    pub(crate) data: Value,
}

/// What the engine must do after a record was applied.
#[derive(Debug)]
pub(crate) enum Effect {
    Execute {
        at: Place,
        params: Value,
        deadline: Option<Timestamp>,
    },
    Timer {
        at: Place,
        due: Timestamp,
    },
    Cancel {
        at: Place,
    },
    Ended,
}
