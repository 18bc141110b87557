//! The rows of a partition, and the match in hand.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::Variable;
use super::matcher::ROWS_MAX;
use super::navigate::Held;
use super::plan::Plan;
use super::program::{Instruction, Told};

/// The rows of a partition from `first` on, and the match in hand.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Partition {
    pub rows: VecDeque<Held>,
    /// The place of the first row that is held.
    pub first: i64,
    /// The place of the row from which a match is looked for, and of the next row it takes.
    pub start: i64,
    pub next: i64,
    /// In order of preference. Empty before the first row was looked at.
    pub ways: Vec<Way>,
    pub begun: bool,
    /// The best match so far.
    pub best: Option<Match>,
    pub number: u64,
    /// All rows before are told or part of a match.
    pub covered: i64,
    /// Its place in the queue is still to come. A restore queues it anew.
    #[serde(skip)]
    pub queued: bool,
    /// The taken rows of all ways.
    pub taken: Vec<Taken>,
}

/// A row that a way took.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Taken {
    /// The one before.
    pub before: u32,
    pub variable: Variable,
    pub told: Told,
}

/// A match: what each of its rows was taken as, and whether it is told.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Match {
    pub variables: Vec<Variable>,
    pub told: Vec<Told>,
}

/// A way to take the rows: where it waits in the program, and what it took last.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Way {
    pub at: usize,
    pub last: u32,
}

pub(super) const NOTHING: u32 = u32::MAX;

impl Partition {
    /// A row that is held.
    pub fn held(&self, place: i64) -> Option<&Held> {
        self.rows.get(usize::try_from(place - self.first).ok()?)
    }

    /// The variables of a way, in order.
    pub fn path(&self, last: u32, path: &mut Vec<Variable>) {
        path.extend(self.rows_of(last).map(|taken| taken.variable));
        path.reverse();
    }

    /// A way as a match.
    pub fn complete(&self, last: u32) -> Match {
        let mut rows: Vec<&Taken> = self.rows_of(last).collect();
        rows.reverse();
        Match {
            variables: rows.iter().map(|taken| taken.variable).collect(),
            told: rows.iter().map(|taken| taken.told).collect(),
        }
    }

    /// The rows of a way, the last first.
    fn rows_of(&self, last: u32) -> impl Iterator<Item = &Taken> {
        let at = |place: u32| self.taken.get(place as usize);
        std::iter::successors(at(last), move |taken| at(taken.before))
    }

    /// Whether it is what the plan can have made: every place is there, and ways end.
    pub fn is_sound(&self, plan: &Plan) -> bool {
        let places = 0..i64::MAX / 2;
        let end = self.first.saturating_add(self.rows.len() as i64);
        let known = |place: u32, below: usize| place == NOTHING || (place as usize) < below;
        let waits = |way: &Way| {
            matches!(
                plan.program.get(way.at),
                Some(Instruction::Take(..) | Instruction::End)
            ) && known(way.last, self.taken.len())
        };
        let named = |variable: Variable| usize::from(variable) < plan.variables.len();
        let best = self.best.as_ref().is_none_or(|best| {
            best.told.len() == best.variables.len()
                && self.start.saturating_add(best.told.len() as i64) <= end
                && best.variables.iter().all(|variable| named(*variable))
        });
        self.rows.len() <= ROWS_MAX
            && places.contains(&self.first)
            && places.contains(&self.covered)
            && self.number < u64::MAX / 2
            && (self.first..=end).contains(&self.start)
            && (!self.begun || (self.start..=end).contains(&self.next))
            && self.ways.iter().all(waits)
            && self
                .taken
                .iter()
                .enumerate()
                .all(|(place, taken)| known(taken.before, place) && named(taken.variable))
            && best
    }

    /// Looks for the next match from a row on; rows that none can ask for are let go.
    pub fn go_to(&mut self, start: i64, back: i64) {
        self.start = start;
        while self.first < start - back && !self.rows.is_empty() {
            self.rows.pop_front();
            self.first += 1;
        }
    }
}
