//! Conditions, with three values: true, false, unknown where a value is missing.

use std::cmp::Ordering;
use std::ops::Range;
use std::sync::Arc;

use crate::batch::{Batch, Column, Row};
use crate::error::{Error, Result};
use crate::event::{Schema, Value, ValueRef};
use crate::expression::{Expr, Leaf, Place, Term, Values, compare, field};

/// A condition on the fields of one event; in a pattern's step also on what was taken before, in a window rule
/// on its aggregates.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicate(pub(crate) Node<Leaf>);

/// A condition whose fields are places.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Compiled(pub(crate) Node<Place>);

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node<L> {
    Always,
    Compare(Term<L>, Comparison, Term<L>),
    /// A text with `%` for any characters and `_` for one.
    Like(Term<L>, Arc<str>),
    Missing(Term<L>),
    Not(Box<Node<L>>),
    And(Box<Node<L>>, Box<Node<L>>),
    Or(Box<Node<L>>, Box<Node<L>>),
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `>`
    Greater,
    /// `>=`
    GreaterOrEqual,
    /// `=`
    Equal,
    /// `!=`
    NotEqual,
}

/// Every event.
pub fn always() -> Predicate {
    Predicate(Node::Always)
}

/// `field < value`.
pub fn lt(name: &str, value: impl Into<Expr>) -> Predicate {
    field(name).is(Comparison::Less, value)
}

/// `field <= value`.
pub fn le(name: &str, value: impl Into<Expr>) -> Predicate {
    field(name).is(Comparison::LessOrEqual, value)
}

/// `field > value`.
pub fn gt(name: &str, value: impl Into<Expr>) -> Predicate {
    field(name).is(Comparison::Greater, value)
}

/// `field >= value`.
pub fn ge(name: &str, value: impl Into<Expr>) -> Predicate {
    field(name).is(Comparison::GreaterOrEqual, value)
}

/// `field == value`; numbers compare across types, text and booleans only with their own.
pub fn eq(name: &str, value: impl Into<Expr>) -> Predicate {
    field(name).is(Comparison::Equal, value)
}

/// `field != value`.
pub fn ne(name: &str, value: impl Into<Expr>) -> Predicate {
    field(name).is(Comparison::NotEqual, value)
}

impl Expr {
    /// This compared with another value.
    pub fn is(self, comparison: Comparison, other: impl Into<Self>) -> Predicate {
        Predicate(Node::Compare(self.0, comparison, other.into().0))
    }

    /// There is no such value.
    pub fn is_missing(self) -> Predicate {
        Predicate(Node::Missing(self.0))
    }

    /// A text that looks so: `%` stands for any characters, `_` for one.
    pub fn like(self, pattern: &str) -> Predicate {
        Predicate(Node::Like(self.0, pattern.into()))
    }
}

impl Predicate {
    /// Both hold.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(Node::And(Box::new(self.0), Box::new(other.0)))
    }

    /// At least one holds.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(Node::Or(Box::new(self.0), Box::new(other.0)))
    }

    /// It does not hold; unknown stays unknown.
    #[must_use]
    pub fn negate(self) -> Self {
        Self(Node::Not(Box::new(self.0)))
    }

    /// Whether any leaf is such.
    pub(crate) fn any(&self, is: &impl Fn(&Leaf) -> bool) -> bool {
        self.0.any(is)
    }

    /// Its parts, all of which must hold.
    pub(crate) fn conjuncts(&self) -> Vec<Self> {
        let (mut parts, mut left) = (Vec::new(), vec![&self.0]);
        while let Some(node) = left.pop() {
            match node {
                Node::And(a, b) => left.extend([&**b, &**a]),
                other => parts.push(Self(other.clone())),
            }
        }
        parts
    }

    pub(crate) fn compile(&self, schema: &Schema) -> Result<Compiled> {
        self.compile_with(&mut |leaf| place(schema, leaf))
    }

    /// Compiles with what the caller makes of each leaf.
    pub(crate) fn compile_with(
        &self,
        leaf: &mut impl FnMut(&Leaf) -> Result<Place>,
    ) -> Result<Compiled> {
        self.0.map(leaf).map(Compiled)
    }
}

/// The place of a field; other leaves have none in an event.
pub(crate) fn place(schema: &Schema, leaf: &Leaf) -> Result<Place> {
    match leaf {
        Leaf::Field(name) => Ok(Place::Field(schema.index(name)?)),
        Leaf::Earlier(_) => Err(Error::Misplaced(
            "a reference to an earlier step stands only in the conditions of a pattern's steps",
        )),
        Leaf::Aggregate(..) => Err(Error::Misplaced(
            "an aggregate stands only in what a window rule selects or asks of a window",
        )),
    }
}

impl<L> Node<L> {
    /// The same condition with other leaves.
    pub fn map<M>(&self, leaf: &mut impl FnMut(&L) -> Result<M>) -> Result<Node<M>> {
        Ok(match self {
            Self::Always => Node::Always,
            Self::Compare(a, comparison, b) => {
                Node::Compare(a.map(leaf)?, *comparison, b.map(leaf)?)
            }
            Self::Like(text, pattern) => Node::Like(text.map(leaf)?, pattern.clone()),
            Self::Missing(of) => Node::Missing(of.map(leaf)?),
            Self::Not(node) => Node::Not(Box::new(node.map(leaf)?)),
            Self::And(a, b) => Node::And(Box::new(a.map(leaf)?), Box::new(b.map(leaf)?)),
            Self::Or(a, b) => Node::Or(Box::new(a.map(leaf)?), Box::new(b.map(leaf)?)),
        })
    }

    pub fn any(&self, is: &impl Fn(&L) -> bool) -> bool {
        match self {
            Self::Always => false,
            Self::Compare(a, _, b) => a.any(is) || b.any(is),
            Self::Like(of, _) | Self::Missing(of) => of.any(is),
            Self::Not(node) => node.any(is),
            Self::And(a, b) | Self::Or(a, b) => a.any(is) || b.any(is),
        }
    }
}

impl Values for Row<'_> {
    fn value(&self, place: Place) -> Option<Value> {
        match place {
            Place::Field(field) => Row::value(*self, field).map(Value::from),
            Place::Slot(_) => None,
        }
    }
}

impl Compiled {
    /// Whether the event is known to satisfy the condition.
    pub fn holds(&self, row: Row<'_>) -> bool {
        self.0.test(row) == Some(true)
    }

    /// Whether the condition is known to hold with these values.
    pub fn holds_with(&self, values: &impl Values) -> bool {
        self.0.test_with(values) == Some(true)
    }

    /// Sets the bit of each row of a part of a batch that is known to satisfy the condition; the first row's
    /// is bit 0 of the first word. A comparison of a column of numbers is a loop over that column.
    pub fn rows(&self, batch: &Batch, rows: Range<usize>, words: &mut Vec<u64>) {
        words.clear();
        words.resize(rows.len().div_ceil(64), 0);
        self.0.rows(batch, rows, words);
    }
}

/// Sets the bits of the numbers for which `hold`s.
fn fill(values: &[f64], words: &mut [u64], hold: impl Fn(f64) -> bool) {
    for (values, word) in values.chunks(64).zip(words) {
        let mut bits = 0;
        for (place, value) in values.iter().enumerate() {
            bits |= u64::from(hold(*value)) << place;
        }
        *word = bits;
    }
}

impl Node<Place> {
    fn rows(&self, batch: &Batch, rows: Range<usize>, words: &mut [u64]) {
        match self {
            Self::Always => {
                for (word, first) in words.iter_mut().zip((0..rows.len()).step_by(64)) {
                    *word = u64::MAX >> 64_usize.saturating_sub(rows.len() - first);
                }
            }
            Self::Compare(
                Term::Leaf(Place::Field(field)),
                comparison,
                Term::Literal(limit @ (Value::Float(_) | Value::Int(_))),
            ) if matches!(batch.columns.get(*field), Some(Column::Float(_))) => {
                let (Some(Column::Float(values)), Some(limit)) =
                    (batch.columns.get(*field), limit.as_f64())
                else {
                    return;
                };
                let values = values.get(rows).unwrap_or_default();
                // NaN compares with nothing, not even as unequal.
                match comparison {
                    Comparison::Less => fill(values, words, |value| value < limit),
                    Comparison::LessOrEqual => fill(values, words, |value| value <= limit),
                    Comparison::Greater => fill(values, words, |value| value > limit),
                    Comparison::GreaterOrEqual => fill(values, words, |value| value >= limit),
                    Comparison::Equal => fill(values, words, |value| value == limit),
                    Comparison::NotEqual => {
                        let order = |value: f64| value.partial_cmp(&limit);
                        fill(values, words, |value| {
                            order(value).is_some_and(Ordering::is_ne)
                        });
                    }
                }
            }
            Self::And(a, b) | Self::Or(a, b) => {
                a.rows(batch, rows.clone(), words);
                let mut others = vec![0; words.len()];
                b.rows(batch, rows, &mut others);
                for (word, other) in words.iter_mut().zip(others) {
                    match self {
                        Self::And(..) => *word &= other,
                        _ => *word |= other,
                    }
                }
            }
            _ => {
                for (place, row) in rows.enumerate() {
                    let holds = self.test(Row::Batch(batch, row)) == Some(true);
                    words[place / 64] |= u64::from(holds) << (place % 64);
                }
            }
        }
    }

    fn test(&self, row: Row<'_>) -> Option<bool> {
        match self {
            // No value is copied.
            Self::Compare(Term::Leaf(Place::Field(field)), comparison, Term::Literal(value)) => {
                comparison.test(Row::value(row, *field)?, value.as_value_ref())
            }
            Self::Not(node) => node.test(row).map(|held| !held),
            Self::And(a, b) => both(a.test(row), || b.test(row)),
            Self::Or(a, b) => either(a.test(row), || b.test(row)),
            _ => self.test_with(&row),
        }
    }

    pub fn test_with(&self, values: &impl Values) -> Option<bool> {
        match self {
            Self::Always => Some(true),
            Self::Compare(a, comparison, b) => comparison.test(
                a.value(values)?.as_value_ref(),
                b.value(values)?.as_value_ref(),
            ),
            Self::Like(text, pattern) => match text.value(values)? {
                Value::Text(text) => Some(looks_like(&text, pattern)),
                _ => None,
            },
            Self::Missing(of) => Some(of.value(values).is_none()),
            Self::Not(node) => node.test_with(values).map(|held| !held),
            Self::And(a, b) => both(a.test_with(values), || b.test_with(values)),
            Self::Or(a, b) => either(a.test_with(values), || b.test_with(values)),
        }
    }
}

fn both(left: Option<bool>, right: impl FnOnce() -> Option<bool>) -> Option<bool> {
    if left == Some(false) {
        return left;
    }
    match (left, right()) {
        (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

fn either(left: Option<bool>, right: impl FnOnce() -> Option<bool>) -> Option<bool> {
    if left == Some(true) {
        return left;
    }
    match (left, right()) {
        (_, Some(true)) => Some(true),
        (Some(false), Some(false)) => Some(false),
        _ => None,
    }
}

/// Whether a text fits a pattern with `%` and `_`. At most the product of their lengths.
fn looks_like(text: &str, pattern: &str) -> bool {
    let mut text = text.chars();
    let mut pattern = pattern.chars();
    // Where the last `%` stands, and the text that it takes up to now.
    let mut back = None;
    loop {
        match (pattern.next(), text.clone().next()) {
            (Some('%'), _) => back = Some((pattern.clone(), text.clone())),
            (Some('_'), Some(_)) => {
                text.next();
            }
            (Some(wanted), Some(found)) if wanted == found => {
                text.next();
            }
            (None, None) => return true,
            _ => {
                let Some((after, mut from)) = back.take() else {
                    return false;
                };
                if from.next().is_none() {
                    return false;
                }
                pattern = after.clone();
                text = from.clone();
                back = Some((after, from));
            }
        }
    }
}

impl Comparison {
    /// Unknown for values that have no order, NaN among them.
    pub(crate) fn test(self, left: ValueRef<'_>, right: ValueRef<'_>) -> Option<bool> {
        compare(left, right).map(|order| self.is(order))
    }

    /// Whether this is what values in such an order are.
    pub(crate) fn is(self, order: Ordering) -> bool {
        match self {
            Self::Less => order == Ordering::Less,
            Self::LessOrEqual => order != Ordering::Greater,
            Self::Greater => order == Ordering::Greater,
            Self::GreaterOrEqual => order != Ordering::Less,
            Self::Equal => order == Ordering::Equal,
            Self::NotEqual => order != Ordering::Equal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::looks_like;

    #[test]
    fn like_knows_any_and_one() {
        for (text, pattern, wanted) in [
            ("pump-7", "pump%", true),
            ("pump-7", "%7", true),
            ("pump-7", "p%p-_", true),
            ("pump", "pump_", false),
            ("", "%", true),
            ("aab", "%ab", true),
            ("abc", "a%d", false),
            ("größe", "gr__e", true),
        ] {
            assert_eq!(looks_like(text, pattern), wanted, "{text} {pattern}");
        }
    }
}
