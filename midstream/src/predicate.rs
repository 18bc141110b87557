//! Conditions on one event, with three values: true, false, unknown where a field is missing.

use std::cmp::Ordering;

use crate::batch::{Batch, Column, Row};
use crate::error::Result;
use crate::event::{Schema, Value, ValueRef};

/// A condition on the fields of one event.
#[derive(Clone, Debug, PartialEq)]
pub struct Predicate(Node<String>);

/// A condition whose fields are places.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Compiled(Node<usize>);

#[derive(Clone, Debug, PartialEq)]
enum Node<F> {
    Always,
    Compare(F, Comparison, Value),
    Not(Box<Node<F>>),
    And(Box<Node<F>>, Box<Node<F>>),
    Or(Box<Node<F>>, Box<Node<F>>),
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

fn compare(field: &str, comparison: Comparison, value: impl Into<Value>) -> Predicate {
    Predicate(Node::Compare(field.to_owned(), comparison, value.into()))
}

/// Every event.
pub fn always() -> Predicate {
    Predicate(Node::Always)
}

/// `field < value`.
pub fn lt(field: &str, value: impl Into<Value>) -> Predicate {
    compare(field, Comparison::Less, value)
}

/// `field <= value`.
pub fn le(field: &str, value: impl Into<Value>) -> Predicate {
    compare(field, Comparison::LessOrEqual, value)
}

/// `field > value`.
pub fn gt(field: &str, value: impl Into<Value>) -> Predicate {
    compare(field, Comparison::Greater, value)
}

/// `field >= value`.
pub fn ge(field: &str, value: impl Into<Value>) -> Predicate {
    compare(field, Comparison::GreaterOrEqual, value)
}

/// `field == value`; numbers compare across types, text and booleans only with their own.
pub fn eq(field: &str, value: impl Into<Value>) -> Predicate {
    compare(field, Comparison::Equal, value)
}

/// `field != value`.
pub fn ne(field: &str, value: impl Into<Value>) -> Predicate {
    compare(field, Comparison::NotEqual, value)
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

    pub(crate) fn compile(&self, schema: &Schema) -> Result<Compiled> {
        self.0.compile(schema).map(Compiled)
    }
}

impl Node<String> {
    fn compile(&self, schema: &Schema) -> Result<Node<usize>> {
        let inner = |node: &Self| node.compile(schema).map(Box::new);
        Ok(match self {
            Self::Always => Node::Always,
            Self::Compare(field, comparison, value) => {
                Node::Compare(schema.index(field)?, *comparison, value.clone())
            }
            Self::Not(node) => Node::Not(inner(node)?),
            Self::And(a, b) => Node::And(inner(a)?, inner(b)?),
            Self::Or(a, b) => Node::Or(inner(a)?, inner(b)?),
        })
    }
}

impl Compiled {
    /// Whether the event is known to satisfy the condition.
    pub fn holds(&self, row: Row<'_>) -> bool {
        self.0.test(row) == Some(true)
    }

    /// Calls `each` with the rows of a part of a batch that are known to satisfy the condition, in order. A
    /// comparison of a column of numbers is a loop over that column.
    pub fn each_row(
        &self,
        batch: &Batch,
        rows: std::ops::Range<usize>,
        mut each: impl FnMut(usize),
    ) {
        if let Node::Compare(field, comparison, limit) = &self.0
            && let (Some(Column::Float(values)), Some(limit)) =
                (batch.columns.get(*field), limit.as_f64())
            && let Some(values) = values.get(rows.clone())
        {
            // NaN compares with nothing, not even as unequal.
            let hold: fn(f64, f64) -> bool = match comparison {
                Comparison::Less => |a, b| a < b,
                Comparison::LessOrEqual => |a, b| a <= b,
                Comparison::Greater => |a, b| a > b,
                Comparison::GreaterOrEqual => |a, b| a >= b,
                Comparison::Equal => |a, b| a == b,
                Comparison::NotEqual => {
                    |a, b| matches!(a.partial_cmp(&b), Some(Ordering::Less | Ordering::Greater))
                }
            };
            for (place, value) in values.iter().enumerate() {
                if hold(*value, limit) {
                    each(rows.start + place);
                }
            }
            return;
        }
        for row in rows {
            if self.holds(Row::Batch(batch, row)) {
                each(row);
            }
        }
    }
}

impl Node<usize> {
    fn test(&self, row: Row<'_>) -> Option<bool> {
        match self {
            Self::Always => Some(true),
            Self::Compare(field, comparison, value) => {
                comparison.test(row.value(*field)?, value.as_value_ref())
            }
            Self::Not(node) => node.test(row).map(|held| !held),
            Self::And(a, b) => match (a.test(row), b.test(row)) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            },
            Self::Or(a, b) => match (a.test(row), b.test(row)) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            },
        }
    }
}

impl Comparison {
    /// Unknown for values that have no order, NaN among them.
    pub(crate) fn test(self, left: ValueRef<'_>, right: ValueRef<'_>) -> Option<bool> {
        let order = match (left, right) {
            (ValueRef::Text(a), ValueRef::Text(b)) => Some(a.cmp(b)),
            (ValueRef::Bool(a), ValueRef::Bool(b)) => Some(a.cmp(&b)),
            (ValueRef::Text(_) | ValueRef::Bool(_), _)
            | (_, ValueRef::Text(_) | ValueRef::Bool(_)) => None,
            (a, b) => a
                .as_f64()
                .zip(b.as_f64())
                .and_then(|(a, b)| a.partial_cmp(&b)),
        }?;
        Some(match self {
            Self::Less => order == Ordering::Less,
            Self::LessOrEqual => order != Ordering::Greater,
            Self::Greater => order == Ordering::Greater,
            Self::GreaterOrEqual => order != Ordering::Less,
            Self::Equal => order == Ordering::Equal,
            Self::NotEqual => order != Ordering::Equal,
        })
    }
}
