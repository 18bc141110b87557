//! What expressions of a run can see.

use serde_json::Value;

use super::Run;
use crate::expr::{Map, Scope, Slot, Val};
use crate::plan::SLOT_INPUT;

pub(crate) struct RunScope<'r> {
    pub(crate) run: &'r Run,
    pub(crate) frame: u32,
}

impl<'r> Scope<'r> for RunScope<'r> {
    fn value(&self, slot: Slot) -> Val<'r> {
        if slot.index == SLOT_INPUT {
            return Val::from_json(&self.run.input);
        }
        let run = self.run;
        let cell = run
            .frames
            .get(self.frame as usize)
            .and_then(|frame| frame.cells.get(usize::from(slot.index)));
        match cell {
            // A step without output reads as an empty object: has(step.field) works on it.
            Some(cell) if cell.status.has_output() => Val::from_json(&cell.output),
            _ => Val::Map(Map::Json(empty())),
        }
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
