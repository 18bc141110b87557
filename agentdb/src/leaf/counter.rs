//! A number that replicas add to and take from.
//!
//! Each replica keeps what it has added and taken in all; a reset notes how much of each it has seen. So a
//! reset takes away exactly what it saw, and an addition made at the same time stays, exactly.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::causal::{Context, Dot, Dots, Join, ReplicaId};

/// What one replica has added and taken in all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) up: u64,
    pub(crate) down: u64,
}

impl Tally {
    fn max(self, other: Self) -> Self {
        Self {
            up: self.up.max(other.up),
            down: self.down.max(other.down),
        }
    }
}

/// What a reset has seen of each replica.
pub(crate) type Floors = BTreeMap<ReplicaId, Tally>;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Counter {
    /// One of each replica that ever wrote.
    pub(crate) tallies: Dots<Tally>,
    pub(crate) resets: Dots<Floors>,
}

impl Counter {
    /// Notes an addition under a new dot; none when the replica's tally would overflow.
    pub(crate) fn add(&self, replica: ReplicaId, by: i64) -> Option<Tally> {
        let mine = self
            .tallies
            .iter()
            .filter(|(dot, _)| dot.replica == replica);
        let tally = mine.fold(Tally::default(), |sum, (_, tally)| sum.max(*tally));
        let amount = by.unsigned_abs();
        Some(match by >= 0 {
            true => Tally {
                up: tally.up.checked_add(amount)?,
                ..tally
            },
            false => Tally {
                down: tally.down.checked_add(amount)?,
                ..tally
            },
        })
    }

    pub(crate) fn set_tally(&mut self, dot: Dot, tally: Tally, dead: &mut Context) {
        self.tallies
            .take(|known, _| known.replica == dot.replica, dead);
        self.tallies.insert(dot, tally);
    }

    pub(crate) fn reset(&mut self, dot: Dot, dead: &mut Context) {
        let mut floors = self.floors();
        for (made, tally) in self.tallies.iter() {
            let floor = floors.entry(made.replica).or_default();
            *floor = floor.max(*tally);
        }
        self.resets.clear(dead);
        self.resets.insert(dot, floors);
    }

    fn floors(&self) -> Floors {
        let mut floors = Floors::new();
        for (replica, tally) in self.resets.values().flatten() {
            let floor = floors.entry(*replica).or_default();
            *floor = floor.max(*tally);
        }
        floors
    }

    pub(crate) fn join(&mut self, other: &Self, join: &mut Join<'_>) {
        self.tallies.join(&other.tallies, join, |_, _| {});
        self.resets.join(&other.resets, join, |_, _| {});
    }

    /// The sum; at the end of its range where it leaves 64 bits.
    pub(crate) fn to_json(&self) -> Value {
        let floors = self.floors();
        let above = |(dot, tally): (Dot, &Tally)| {
            let floor = floors.get(&dot.replica).copied().unwrap_or_default();
            i128::from(tally.up.saturating_sub(floor.up))
                - i128::from(tally.down.saturating_sub(floor.down))
        };
        let sum: i128 = self.tallies.iter().map(above).sum();
        i64::try_from(sum)
            .unwrap_or(if sum > 0 { i64::MAX } else { i64::MIN })
            .into()
    }
}
