//! What the expressions of a block may name, and where the values are.

use std::collections::HashMap;

use super::{SLOT_INDEX, SLOT_INPUT, SLOT_ITEM};
use crate::definition::StepDef;
use crate::expr::{Names, Slot};

/// The names of one block and of the blocks around it.
pub(crate) struct BlockNames<'p> {
    pub(crate) steps: HashMap<String, u16>,
    /// Extra names of the block's frame, such as the element of a loop.
    pub(crate) extra: Vec<(String, u16)>,
    pub(crate) parent: Option<&'p BlockNames<'p>>,
}

impl<'p> BlockNames<'p> {
    /// The outermost block of a workflow: knows `input`, and nothing of a caller.
    pub(crate) fn root(steps: &[StepDef]) -> Self {
        Self {
            steps: numbered(steps),
            extra: vec![("input".to_owned(), SLOT_INPUT)],
            parent: None,
        }
    }

    /// A block inside another one.
    pub(crate) fn inner(
        steps: &[StepDef],
        extra: &[(&str, u16)],
        parent: &'p BlockNames<'p>,
    ) -> Self {
        let extra = extra
            .iter()
            .map(|(name, slot)| ((*name).to_owned(), *slot))
            .collect();
        Self {
            steps: numbered(steps),
            extra,
            parent: Some(parent),
        }
    }
}

/// The names of a loop's frame.
pub(crate) fn loop_names(item: &str) -> [(&str, u16); 2] {
    [(item, SLOT_ITEM), ("index", SLOT_INDEX)]
}

fn numbered(steps: &[StepDef]) -> HashMap<String, u16> {
    let number = |index| u16::try_from(index).unwrap_or(SLOT_INDEX - 1);
    steps
        .iter()
        .enumerate()
        .map(|(index, step)| (step.id.clone(), number(index)))
        .collect()
}

impl Names for BlockNames<'_> {
    fn slot(&self, name: &str) -> Option<Slot> {
        let mut depth = 0;
        let mut scope = self;
        loop {
            let extra = scope
                .extra
                .iter()
                .find(|(known, _)| known == name)
                .map(|(_, slot)| *slot);
            if let Some(index) = scope.steps.get(name).copied().or(extra) {
                return Some(Slot { depth, index });
            }
            scope = scope.parent?;
            depth += 1;
        }
    }

    fn explain(&self, name: &str) -> String {
        let mut known: Vec<&str> = Vec::new();
        let mut scope = Some(self);
        while let Some(found) = scope {
            known.extend(found.extra.iter().map(|(name, _)| name.as_str()));
            known.extend(found.steps.keys().map(String::as_str));
            scope = found.parent;
        }
        known.sort_unstable();
        known.truncate(20);
        format!("unknown name `{name}`; known here are {}", known.join(", "))
    }
}
