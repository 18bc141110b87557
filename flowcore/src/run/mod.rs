//! One run of a workflow: a pure state machine from records to effects.

mod blocks;
mod failure;
mod finish;
mod frames;
mod launch;
mod machine;
mod record;
mod scope;
mod snapshot;
mod waits;

pub use record::{Decision, Failure, Verdict};

pub(crate) use record::{Event, Place, Record};
pub(crate) use snapshot::Snapshot;

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plan::{DefinitionHash, Params, Plan};
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
    /// Held by a person: what runs may end, nothing new starts.
    Paused,
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

impl StepStatus {
    /// Whether it has begun and not ended.
    pub(crate) fn is_open(self) -> bool {
        matches!(
            self,
            StepStatus::Running | StepStatus::Retrying | StepStatus::Waiting
        )
    }

    pub(crate) fn is_ended(self) -> bool {
        matches!(
            self,
            StepStatus::Succeeded | StepStatus::Skipped | StepStatus::Failed
        )
    }
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
    /// Its duplicate-suppression key, with the tenant's and the workflow's name before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// On whose account it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
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

/// Kept small, since thousands of runs wait at once: what few runs have is behind one pointer.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) id: RunId,
    pub(crate) plan: Arc<Plan>,
    pub(crate) origin: Arc<Origin>,
    /// By ascending serial number.
    pub(crate) frames: Vec<Frame>,
    /// What follows and is not done yet; none between two records, unless the run is paused.
    pub(crate) agenda: Option<Box<Worklist>>,
    pub(crate) output: Value,
    pub(crate) rare: Option<Box<Rare>>,
    /// Changes of steps since the engine last looked; `None` when nobody watches.
    pub(crate) changes: Option<Box<Changes>>,
    /// Next number in the run's log.
    pub(crate) seq: u64,
    /// Bytes of the log since its beginning or the last snapshot, and how many call for the next.
    pub(crate) log_len: u32,
    pub(crate) log_len_max: u32,
    pub(crate) frame_next: u32,
    pub(crate) status: RunStatus,
    pub(crate) deadline: DeadlineState,
}

/// What a run began with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) input: Value,
    pub(crate) started_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tenant: Option<Box<str>>,
}

/// Whether the deadline of the whole run has passed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DeadlineState {
    #[default]
    Ahead,
    Passed,
}

/// What few runs have.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Rare {
    /// How to undo what succeeded: block and parameters, the latest last.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) undo: Vec<(u32, Value)>,
    /// Why the run fails, while its steps are being undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failing: Option<Failure>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) failure: Option<Failure>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) inbox: Vec<Mail>,
}

/// What one record brings forth; kept by the engine from record to record.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    pub(crate) effects: Vec<Effect>,
    pub(crate) agenda: Option<Box<Worklist>>,
}

/// Steps that changed, in order; with their output when they ended.
#[derive(Debug, Default)]
pub(crate) struct Changes(pub(crate) Vec<StepInfo>);

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
        infos
    }
}

/// What follows and is not done yet, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Worklist(pub(crate) VecDeque<Agenda>);

/// Something that follows and is not done yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Agenda {
    /// Start a step whose needs are met.
    Begin(Place),
    /// Go on with a loop.
    Advance(Place),
    /// All steps of a frame ended.
    Leave(u32),
}

/// One activation of a block.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Frame {
    #[serde(rename = "f")]
    pub(crate) serial: u32,
    #[serde(rename = "b")]
    pub(crate) block: u32,
    /// Steps that have not ended.
    #[serde(rename = "o")]
    pub(crate) open: u32,
    /// What every frame but the outermost has.
    #[serde(rename = "i", default, skip_serializing_if = "Option::is_none")]
    pub(crate) inner: Option<Box<Inner>>,
    #[serde(rename = "c")]
    pub(crate) cells: Box<[Cell]>,
}

/// Where a frame stands, and what it was given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Inner {
    /// Frame and step that opened it.
    #[serde(rename = "p")]
    pub(crate) parent: Parent,
    /// Number of the iteration or branch.
    #[serde(rename = "i", default, skip_serializing_if = "is_default")]
    pub(crate) index: u64,
    /// The element of a loop, the error of a `catch`, the input of a sub-workflow.
    #[serde(rename = "v", default, skip_serializing_if = "Value::is_null")]
    pub(crate) item: Value,
    /// Path of the steps around with their iterations, such as `each[3]/`.
    #[serde(rename = "t")]
    pub(crate) path: Arc<str>,
}

impl Frame {
    pub(crate) fn parent(&self) -> Parent {
        self.inner
            .as_ref()
            .map_or(Parent::NONE, |inner| inner.parent)
    }

    pub(crate) fn index(&self) -> u64 {
        self.inner.as_ref().map_or(0, |inner| inner.index)
    }

    pub(crate) fn path(&self) -> &str {
        self.inner.as_ref().map_or("", |inner| &inner.path)
    }
}

/// The frame and the step that opened a frame; [`Parent::NONE`] at the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Parent(u32, u32);

impl Parent {
    pub(crate) const NONE: Self = Self(u32::MAX, u32::MAX);
    /// Of the action that answers a missed deadline: it ends without waking anybody.
    pub(crate) const NOBODY: Self = Self(u32::MAX - 1, 0);

    pub(crate) fn of(frame: u32, step: u32) -> Self {
        Self(frame, step)
    }

    pub(crate) fn get(self) -> Option<(u32, u32)> {
        (self != Self::NONE).then_some((self.0, self.1))
    }
}

/// What a step with blocks of its own keeps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Aux {
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) catching: bool,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(crate) items: Value,
    pub(crate) total: u64,
    pub(crate) next: u64,
    pub(crate) done: u64,
    pub(crate) active: u32,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) from: i64,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) by: i64,
    #[serde(skip_serializing_if = "Value::is_null")]
    pub(crate) last: Value,
    #[serde(skip_serializing_if = "BTreeMap::is_empty", with = "pairs")]
    pub(crate) results: BTreeMap<u64, Value>,
}

/// Numbers as the keys of a JSON object do not survive an internally buffered enum; pairs do.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serializer};
    use serde_json::Value;

    pub(super) fn serialize<S: Serializer>(
        map: &BTreeMap<u64, Value>,
        out: S,
    ) -> Result<S::Ok, S::Error> {
        out.collect_seq(map)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        input: D,
    ) -> Result<BTreeMap<u64, Value>, D::Error> {
        Ok(Vec::<(u64, Value)>::deserialize(input)?
            .into_iter()
            .collect())
    }
}

/// The state of one step in one frame.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Cell {
    #[serde(rename = "o", default, skip_serializing_if = "Value::is_null")]
    pub(crate) output: Value,
    #[serde(rename = "x", default, skip_serializing_if = "Option::is_none")]
    pub(crate) aux: Option<Box<Aux>>,
    #[serde(rename = "d", default, skip_serializing_if = "is_default")]
    pub(crate) deadline: Deadline,
    #[serde(rename = "n", default, skip_serializing_if = "is_default")]
    pub(crate) attempt: u32,
    #[serde(rename = "w", default, skip_serializing_if = "is_default")]
    pub(crate) needs: u16,
    #[serde(rename = "s")]
    pub(crate) status: StepStatus,
}

/// An instant or none, in eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Deadline(Timestamp);

impl Deadline {
    pub(crate) const NONE: Self = Self(Timestamp::from_millis(i64::MAX));

    pub(crate) fn get(self) -> Option<Timestamp> {
        (self != Self::NONE).then_some(self.0)
    }
}

impl From<Option<Timestamp>> for Deadline {
    fn from(due: Option<Timestamp>) -> Self {
        due.map_or(Self::NONE, Self)
    }
}

impl Default for Deadline {
    fn default() -> Self {
        Self::NONE
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// An event that came before a step waited for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
        params: Params,
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
