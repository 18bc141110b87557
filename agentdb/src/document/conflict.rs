//! Which writes were concurrent.

use serde_json::Value;

use super::Document;
use crate::causal::{Dot, Stamp};
use crate::leaf::register;
use crate::schema::{Field, Schema};

/// A write of a register.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    /// What was written.
    pub value: Value,
    /// By whom.
    pub dot: Dot,
    /// When, by the writer's clock.
    pub stamp: Stamp,
    /// Whether that clock was found to be wrong.
    pub suspect: bool,
}

/// Writes of one register of which none had seen another.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// Where: `mode`, `tasks/weld_a`.
    pub path: String,
    /// The one that is read; of a multi-value register the latest.
    pub winner: Write,
    /// The others. A write that has seen them ends the conflict.
    pub others: Vec<Write>,
}

impl Document {
    /// The concurrent writes of last-write-wins and multi-value registers, by path.
    pub fn conflicts(&self, schema: &Schema) -> Vec<Conflict> {
        let mut conflicts = Vec::new();
        self.registers(&mut |path, siblings| {
            if siblings.len() < 2 || !keeps_one(schema, &path) {
                return;
            }
            let Some((won, _)) = register::winner(siblings) else {
                return;
            };
            let write = |(dot, sibling): (Dot, &register::Sibling)| Write {
                value: sibling.value.clone(),
                dot,
                stamp: sibling.stamp,
                suspect: sibling.suspect,
            };
            let (winner, others) = siblings.iter().map(write).partition(|w| w.dot == won);
            let winner: Vec<Write> = winner;
            conflicts.extend(winner.into_iter().map(|winner| Conflict {
                path: path.clone(),
                winner,
                others: Vec::clone(&others),
            }));
        });
        conflicts
    }
}

/// Whether concurrent writes at a path are a conflict: extremes, statuses and flags have a rule for them.
fn keeps_one(schema: &Schema, path: &str) -> bool {
    let mut keys = path.split('/');
    let mut field = keys.next().and_then(|name| schema.get(name));
    for _ in keys {
        field = match field {
            Some(Field::OrMap(value, _)) => Some(value),
            _ => None,
        };
    }
    matches!(field, Some(Field::Lww | Field::Mv))
}
