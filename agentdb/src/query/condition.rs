//! What a query asks of a document.

use std::cmp::Ordering;

use serde_json::{Number, Value};

use super::parse;
use crate::error::Result;

/// How a value is compared with a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Operator {
    /// As it is written.
    pub(crate) const ALL: [(&'static str, Self); 6] = [
        ("==", Self::Equal),
        ("!=", Self::Unequal),
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("<", Self::Less),
        (">", Self::Greater),
    ];
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Node {
    /// Every document.
    Every,
    Compare(Vec<String>, Operator, Value),
    In(Vec<String>, Vec<Value>),
    Not(Box<Node>),
    And(Vec<Node>),
    Or(Vec<Node>),
}

/// A condition on a document. Its text is described at [`AgentDb::query`](crate::AgentDb::query)'s module.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Condition(pub(crate) Node);

impl Condition {
    /// Reads a condition.
    pub(crate) fn parse(text: &str) -> Result<Self> {
        parse::parse(text).map(Self)
    }

    /// Whether a document's fields satisfy it.
    pub(crate) fn holds(&self, state: &Value) -> bool {
        self.0.holds(state)
    }
}

impl Node {
    fn holds(&self, state: &Value) -> bool {
        match self {
            Self::Every => true,
            Self::Compare(path, operator, literal) => {
                let order = at(state, path).and_then(|value| compare(value, literal));
                match operator {
                    Operator::Equal => order == Some(Ordering::Equal),
                    Operator::Unequal => order != Some(Ordering::Equal),
                    Operator::Less => order.is_some_and(Ordering::is_lt),
                    Operator::AtMost => order.is_some_and(Ordering::is_le),
                    Operator::Greater => order.is_some_and(Ordering::is_gt),
                    Operator::AtLeast => order.is_some_and(Ordering::is_ge),
                }
            }
            Self::In(path, literals) => at(state, path).is_some_and(|value| {
                let mut orders = literals.iter().map(|literal| compare(value, literal));
                orders.any(|order| order == Some(Ordering::Equal))
            }),
            Self::Not(node) => !node.holds(state),
            Self::And(nodes) => nodes.iter().all(|node| node.holds(state)),
            Self::Or(nodes) => nodes.iter().any(|node| node.holds(state)),
        }
    }
}

/// The value at a path.
pub(crate) fn at<'v>(state: &'v Value, path: &[String]) -> Option<&'v Value> {
    path.iter().try_fold(state, |value, key| value.get(key))
}

/// How two values of one type compare; none for others.
pub(crate) fn compare(a: &Value, b: &Value) -> Option<Ordering> {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => numbers(a, b),
        (Value::String(a), Value::String(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        _ => None,
    }
}

fn numbers(a: &Number, b: &Number) -> Option<Ordering> {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}
