//! A run as one record, so that its log need not keep everything since the beginning: a loop of a
//! million iterations has a log of a few hundred records.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Changes, DeadlineState, Event, Frame, Origin, Rare, Record, Run, RunId, RunStatus, Scratch,
    Worklist,
};
use crate::definition::Durability;
use crate::plan::{DefinitionHash, Plan};
use crate::time::Timestamp;

/// Everything of a run that does not follow from its definition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) workflow: String,
    pub(crate) definition: DefinitionHash,
    pub(crate) origin: Origin,
    frames: Vec<Frame>,
    frame_next: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    agenda: Option<Box<Worklist>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rare: Option<Box<Rare>>,
    status: RunStatus,
    #[serde(default)]
    deadline: DeadlineState,
}

impl Run {
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            workflow: self.plan.definition.name.clone(),
            definition: self.plan.hash,
            origin: Origin::clone(&self.origin),
            frames: self.frames.clone(),
            frame_next: self.frame_next,
            agenda: self.agenda.clone(),
            rare: self.rare.clone(),
            status: self.status,
            deadline: self.deadline,
        }
    }

    /// The run that a log's first record describes.
    ///
    /// # Errors
    /// A record that is neither a start nor a snapshot of this plan, with the reason.
    pub(crate) fn from_first(
        id: RunId,
        plan: Arc<Plan>,
        first: &Record,
        now: Timestamp,
        changes: Option<Box<Changes>>,
    ) -> Result<Self, String> {
        match &first.event {
            Event::Start { input, tenant, .. } => {
                let origin = Origin {
                    input: input.clone(),
                    started_at: first.now,
                    tenant: tenant.clone(),
                };
                // A run without step records begins again, with its deadlines counted from now.
                let begin = match plan.durability {
                    Durability::Step => first.now,
                    _ => now,
                };
                let scratch = &mut Scratch::default();
                Ok(Run::start(id, plan, origin, begin, changes, scratch))
            }
            Event::Snapshot(snapshot) => {
                let mut run = Self::from_snapshot(id, plan, Snapshot::clone(snapshot))?;
                run.changes = changes;
                Ok(run)
            }
            _ => Err("its log does not begin with its start".to_owned()),
        }
    }

    /// The run that a snapshot was taken of.
    ///
    /// # Errors
    /// A snapshot that does not fit the plan, with the reason.
    fn from_snapshot(id: RunId, plan: Arc<Plan>, snapshot: Snapshot) -> Result<Self, String> {
        let mut before = None;
        for frame in &snapshot.frames {
            let steps = plan
                .blocks
                .get(frame.block as usize)
                .map(|block| block.steps.len());
            if steps != Some(frame.cells.len()) {
                return Err(format!("frame {} does not fit its block", frame.serial));
            }
            if before >= Some(frame.serial) || frame.serial >= snapshot.frame_next {
                return Err(format!("frame {} is out of order", frame.serial));
            }
            before = Some(frame.serial);
        }
        Ok(Run {
            id,
            plan,
            origin: Arc::new(snapshot.origin),
            frames: snapshot.frames,
            agenda: snapshot.agenda,
            output: Value::Null,
            rare: snapshot.rare,
            changes: None,
            seq: 0,
            log_len: 0,
            log_len_max: 0,
            frame_next: snapshot.frame_next,
            status: snapshot.status,
            deadline: snapshot.deadline,
        })
    }
}
