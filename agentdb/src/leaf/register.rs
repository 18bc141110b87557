//! Values of which a write replaces those that it has seen: registers, extremes, statuses, flags.
//!
//! All of them keep the writes that no later one has seen (siblings) and differ in how those are read. A
//! loser among concurrent writes is kept until the next write, so that a read never depends on the order of
//! joins, and a conflict can be reported.

use serde_json::Value;

use crate::causal::{Dot, Dots, Join, Stamp};
use crate::schema::{Field, Wins};

/// One write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sibling {
    pub(crate) value: Value,
    pub(crate) stamp: Stamp,
    /// Whether the clock that made the stamp was found to be wrong: it then loses against all that are not
    /// marked. Once marked, always marked.
    pub(crate) suspect: bool,
}

pub(crate) type Register = Dots<Sibling>;

pub(crate) fn join(own: &mut Register, other: &Register, join: &mut Join<'_>) {
    let mut marked = false;
    own.join(other, join, |mine, theirs| {
        marked |= theirs.suspect && !mine.suspect;
        mine.suspect |= theirs.suspect;
    });
    join.marked |= marked;
}

/// Marks stamps later than `latest`; returns how many.
pub(crate) fn mark_after(register: &mut Register, latest: i64) -> usize {
    let late = register
        .iter_mut()
        .filter(|(_, sibling)| !sibling.suspect && sibling.stamp.millis > latest);
    late.map(|(_, sibling)| sibling.suspect = true).count()
}

/// The write that a last-write-wins register reads as.
pub(crate) fn winner(register: &Register) -> Option<(Dot, &Sibling)> {
    register
        .iter()
        .max_by_key(|(dot, sibling)| (!sibling.suspect, sibling.stamp, *dot))
}

fn extreme(register: &Register) -> impl Iterator<Item = f64> {
    register
        .values()
        .filter_map(|sibling| sibling.value.as_f64())
}

/// The largest number.
pub(crate) fn largest(register: &Register) -> Option<f64> {
    extreme(register).reduce(f64::max)
}

/// The smallest number.
pub(crate) fn smallest(register: &Register) -> Option<f64> {
    extreme(register).reduce(f64::min)
}

/// The place of a status in its order.
pub(crate) fn rank(order: &[String], status: &Value) -> Option<usize> {
    let status = status.as_str()?;
    order.iter().position(|known| known == status)
}

/// The furthest place.
pub(crate) fn furthest(register: &Register, order: &[String]) -> Option<usize> {
    let ranks = register.values().map(|sibling| rank(order, &sibling.value));
    ranks.flatten().max()
}

/// Whether a flag is on.
pub(crate) fn is_on(register: &Register, wins: Wins) -> bool {
    let mut values = register.values().map(|sibling| sibling.value == true);
    match wins {
        Wins::Add => values.any(|on| on),
        Wins::Remove => !register.is_empty() && values.all(|on| on),
    }
}

/// What the register reads as.
pub(crate) fn to_json(register: &Register, field: &Field) -> Option<Value> {
    Some(match field {
        Field::Lww => winner(register)?.1.value.clone(),
        Field::Mv => Value::Array(register.values().map(|s| s.value.clone()).collect()),
        Field::Max => number(largest(register)?),
        Field::Min => number(smallest(register)?),
        Field::Status(order) => order.get(furthest(register, order)?)?.as_str().into(),
        Field::Flag(wins) => is_on(register, *wins).into(),
        _ => return None,
    })
}

/// Whether a value from elsewhere is one that the field could hold.
pub(crate) fn fits(value: &Value, field: &Field) -> bool {
    match field {
        Field::Lww | Field::Mv => true,
        Field::Max | Field::Min => value.as_f64().is_some_and(f64::is_finite),
        Field::Status(order) => rank(order, value).is_some(),
        Field::Flag(_) => value.is_boolean(),
        _ => false,
    }
}

/// Whole numbers without a fraction, as people write them.
pub(crate) fn number(value: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT {
        (value as i64).into()
    } else {
        value.into()
    }
}
