//! What expressions of a run can see.

use serde_json::Value;

use super::{Frame, Parent, Run};
use crate::expr::{Map, Scope, Slot, Val};
use crate::plan::{SLOT_INDEX, SLOT_INPUT, SLOT_ITEM};

pub(crate) struct RunScope<'r> {
    pub(crate) run: &'r Run,
    pub(crate) frame: u32,
}

impl<'r> Scope<'r> for RunScope<'r> {
    fn value(&self, slot: Slot) -> Val<'r> {
        let run = self.run;
        let Some(frame) = self.frame_of(slot) else {
            return Val::Map(Map::Json(empty()));
        };
        match slot.index {
            SLOT_INPUT if frame.parent() == Parent::NONE => Val::from_json(&run.origin.input),
            SLOT_INPUT | SLOT_ITEM => frame
                .inner
                .as_ref()
                .map_or(Val::Null, |inner| Val::from_json(&inner.item)),
            SLOT_INDEX => Val::Int(i64::try_from(frame.index()).unwrap_or(i64::MAX)),
            index => match frame.cells.get(usize::from(index)) {
                // A step without output reads as an empty object: has(step.field) works on it.
                Some(cell) if cell.status.has_output() => Val::from_json(&cell.output),
                _ => Val::Map(Map::Json(empty())),
            },
        }
    }
}

impl<'r> RunScope<'r> {
    fn frame_of(&self, slot: Slot) -> Option<&'r Frame> {
        let mut frame = self.run.frame(self.frame)?;
        for _ in 0..slot.depth {
            frame = self.run.frame(frame.parent().get()?.0)?;
        }
        Some(frame)
    }
}

fn empty() -> &'static serde_json::Map<String, Value> {
    static EMPTY: std::sync::OnceLock<serde_json::Map<String, Value>> = std::sync::OnceLock::new();
    EMPTY.get_or_init(serde_json::Map::new)
}

impl super::StepStatus {
    pub(crate) fn has_output(self) -> bool {
        matches!(self, Self::Succeeded)
    }
}
