//! What conditions and measures ask of the rows of a match.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Variable;
use crate::aggregate::{Aggregate, Aggregates};
use crate::event::Value;
use crate::expression::{Place, Term, Values};

/// A value of the rows of a match, by name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Navigation {
    Pick(Pick),
    Aggregate {
        kind: Aggregate,
        variables: Vec<Variable>,
        /// None counts rows.
        of: Option<Term<String>>,
        semantics: Semantics,
    },
    /// The name of the variable that took a row.
    Classifier(Pick),
    MatchNumber,
    /// The time of the match's last row in milliseconds.
    RowTime,
}

/// A column of one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pick {
    /// Rows of these variables; of all where there are none.
    pub variables: Vec<Variable>,
    pub column: String,
    pub reach: Reach,
    pub semantics: Semantics,
    /// So many rows after (or before, where negative) that one.
    pub offset: i64,
}

/// Which of the rows of the variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The first and this many further on.
    First(u32),
    /// The last and this many back.
    Last(u32),
}

/// Of which rows of the match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Semantics {
    /// Up to the row in hand.
    Running,
    /// All.
    Final,
}

/// A value of the rows of a match, by place.
#[derive(Debug)]
pub(crate) enum Slot {
    Pick(Pick, Option<usize>),
    Aggregate {
        kind: Aggregate,
        variables: Vec<Variable>,
        of: Option<Term<Place>>,
        semantics: Semantics,
    },
    Classifier(Pick),
    MatchNumber,
    RowTime,
}

/// A row that is held.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Held {
    pub id: Arc<str>,
    pub at: i64,
    pub values: Vec<Option<Value>>,
}

impl Values for Held {
    fn value(&self, place: Place) -> Option<Value> {
        match place {
            Place::Field(field) => self.values.get(field)?.clone(),
            Place::Slot(_) => None,
        }
    }
}

/// Rows of a match before someone who asks.
pub(crate) struct Sight<'a, R: Fn(i64) -> Option<&'a Held>> {
    pub slots: &'a [Slot],
    /// A row by its place in the partition.
    pub row: R,
    /// The place of the match's first row.
    pub start: i64,
    /// The variables of its rows, as far as they are known.
    pub taken: &'a [Variable],
    /// How many of them are up to the row in hand.
    pub current: usize,
    pub names: &'a [Arc<str>],
    pub number: u64,
}

impl<'a, R: Fn(i64) -> Option<&'a Held>> Sight<'a, R> {
    fn rows(&self, semantics: Semantics) -> &'a [Variable] {
        match semantics {
            Semantics::Running => &self.taken[..self.current],
            Semantics::Final => self.taken,
        }
    }

    /// The place in the match of the row that is picked, before its offset.
    fn place(&self, pick: &Pick) -> Option<usize> {
        let rows = self.rows(pick.semantics);
        let fits =
            |place: &usize| pick.variables.is_empty() || pick.variables.contains(&rows[*place]);
        match pick.reach {
            Reach::First(further) => (0..rows.len()).filter(fits).nth(further as usize),
            Reach::Last(back) => (0..rows.len()).rev().filter(fits).nth(back as usize),
        }
    }

    fn value_of(&self, slot: &Slot) -> Option<Value> {
        match slot {
            Slot::Pick(pick, column) => {
                let place = self.start + self.place(pick)? as i64 + pick.offset;
                (self.row)(place)?.values.get((*column)?)?.clone()
            }
            Slot::Classifier(pick) => {
                let place = self.place(pick)? as i64 + pick.offset;
                let variable = self.taken.get(usize::try_from(place).ok()?)?;
                let name = self.names.get(usize::from(*variable))?;
                Some(Value::Text(name.clone()))
            }
            Slot::MatchNumber => i64::try_from(self.number).ok().map(Value::Int),
            Slot::RowTime => {
                let last = self.start + self.taken.len() as i64 - 1;
                Some(Value::Int((self.row)(last.max(self.start))?.at))
            }
            Slot::Aggregate {
                kind,
                variables,
                of,
                semantics,
            } => self.aggregate(*kind, variables, of.as_ref(), *semantics),
        }
    }

    /// Linear in the rows of the match.
    fn aggregate(
        &self,
        kind: Aggregate,
        variables: &[Variable],
        of: Option<&Term<Place>>,
        semantics: Semantics,
    ) -> Option<Value> {
        let mut all = Aggregates::default();
        let mut count = 0_i64;
        let mut whole = Some(0_i64);
        let mut best: Option<Value> = None;
        let mut seen = std::collections::BTreeSet::new();
        for (place, variable) in self.rows(semantics).iter().enumerate() {
            if !variables.is_empty() && !variables.contains(variable) {
                continue;
            }
            let Some(of) = of else {
                count += 1;
                continue;
            };
            let row = (self.row)(self.start + place as i64);
            let Some(value) = row.and_then(|row| of.value(row)) else {
                continue;
            };
            count += 1;
            if kind == Aggregate::Distinct {
                seen.insert(crate::key::Key::of(value.as_value_ref()));
            }
            if let Some(number) = value.as_f64() {
                all.push(number);
            }
            whole = match (whole, &value) {
                (Some(sum), Value::Int(value)) => sum.checked_add(*value),
                _ => None,
            };
            let better = best.as_ref().is_none_or(|best| {
                let order = crate::expression::compare(value.as_value_ref(), best.as_value_ref());
                match kind {
                    Aggregate::Min => order.is_some_and(std::cmp::Ordering::is_lt),
                    Aggregate::Max => order.is_some_and(std::cmp::Ordering::is_gt),
                    _ => false,
                }
            });
            if better {
                best = Some(value);
            }
        }
        match kind {
            Aggregate::Count => Some(Value::Int(count)),
            Aggregate::Distinct => Some(Value::Int(seen.len() as i64)),
            _ if count == 0 => None,
            Aggregate::Min | Aggregate::Max => best,
            Aggregate::Sum => Some(match whole {
                Some(sum) => Value::Int(sum),
                None => Value::Float(all.sum),
            }),
            other => all.get(other).map(Value::Float),
        }
    }
}

impl<'a, R: Fn(i64) -> Option<&'a Held>> Values for Sight<'a, R> {
    fn value(&self, place: Place) -> Option<Value> {
        match place {
            Place::Slot(slot) => self.value_of(self.slots.get(slot)?),
            Place::Field(_) => None,
        }
    }
}
