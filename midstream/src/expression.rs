//! Values computed from an event's fields, from what a pattern took before, or from a window's aggregates.
//!
//! A missing field makes what is computed from it missing; so do a division by zero, an overflow of
//! integers and an operand of the wrong type.

use std::sync::Arc;

use crate::aggregate::Aggregate;
use crate::error::Result;
use crate::event::{Value, ValueRef};
use crate::pattern::Earlier;
use crate::predicate::Node;

/// A value computed from an event, from earlier steps of a pattern, or from a window's aggregates.
///
/// ```
/// use midstream::{Expr, avg, field};
///
/// let fahrenheit = field("celsius") * 1.8 + 32.0;
/// let swing = avg("celsius") - Expr::from(20.0);
/// # let _ = (fahrenheit, swing);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Expr(pub(crate) Term<Leaf>);

/// What an expression asks for, by name.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Leaf {
    Field(String),
    Earlier(Box<Earlier>),
    Aggregate(Aggregate, Option<Box<Expr>>),
}

/// Where the value of a leaf lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A field of the event.
    Field(usize),
    /// A value that whoever evaluates knows: a pick of earlier steps, or an aggregate.
    Slot(usize),
}

/// Whoever knows the values of places.
pub(crate) trait Values {
    fn value(&self, place: Place) -> Option<Value>;
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Term<L> {
    Literal(Value),
    Leaf(L),
    Negative(Box<Term<L>>),
    Arithmetic(Operator, Box<Term<L>>, Box<Term<L>>),
    Call(Function, Vec<Term<L>>),
    /// Whether it holds; missing where that is unknown.
    Condition(Box<Node<L>>),
    /// The value of the first condition that holds, or the last value.
    Case(Vec<(Node<L>, Term<L>)>, Option<Box<Term<L>>>),
    #[cfg(feature = "sql")]
    Cast(Box<Term<L>>, Kind),
}

/// What a value is made into.
#[cfg(feature = "sql")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The nearest whole number; halves go away from zero.
    Whole,
    Number,
    /// A number rounded to so many digits behind the point.
    Digits(u8),
    Text,
    Truth,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operator {
    Plus,
    Minus,
    Times,
    Over,
    Modulo,
}

/// Functions of values; see `LANGUAGE.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Function {
    Abs,
    Round,
    Floor,
    Ceil,
    Sqrt,
    Power,
    Lower,
    Upper,
    Trim,
    Length,
    Concat,
    Substring,
    Coalesce,
    Least,
    Greatest,
}

impl Function {
    /// Name, function, fewest and most operands.
    pub const ALL: [(&str, Self, usize, usize); 15] = [
        ("ABS", Self::Abs, 1, 1),
        ("ROUND", Self::Round, 1, 2),
        ("FLOOR", Self::Floor, 1, 1),
        ("CEIL", Self::Ceil, 1, 1),
        ("SQRT", Self::Sqrt, 1, 1),
        ("POWER", Self::Power, 2, 2),
        ("LOWER", Self::Lower, 1, 1),
        ("UPPER", Self::Upper, 1, 1),
        ("TRIM", Self::Trim, 1, 1),
        ("LENGTH", Self::Length, 1, 1),
        ("CONCAT", Self::Concat, 1, 16),
        ("SUBSTRING", Self::Substring, 2, 3),
        ("COALESCE", Self::Coalesce, 1, 16),
        ("LEAST", Self::Least, 1, 16),
        ("GREATEST", Self::Greatest, 1, 16),
    ];
}

/// The field of this name.
pub fn field(name: &str) -> Expr {
    Expr(Term::Leaf(Leaf::Field(name.to_owned())))
}

/// What a pattern took before; only in the conditions of a pattern's steps.
pub fn earlier(what: Earlier) -> Expr {
    Expr(Term::Leaf(Leaf::Earlier(Box::new(what))))
}

/// An aggregate of an expression over a window; only in what a window rule selects and asks for.
pub fn aggregate(kind: Aggregate, of: impl Into<Expr>) -> Expr {
    Expr(Term::Leaf(Leaf::Aggregate(kind, Some(Box::new(of.into())))))
}

/// How many events a window has.
pub fn count() -> Expr {
    Expr(Term::Leaf(Leaf::Aggregate(Aggregate::Count, None)))
}

/// The sum of a field over a window.
pub fn sum(name: &str) -> Expr {
    aggregate(Aggregate::Sum, field(name))
}

/// The average of a field over a window.
pub fn avg(name: &str) -> Expr {
    aggregate(Aggregate::Avg, field(name))
}

/// The smallest of a field over a window.
pub fn min(name: &str) -> Expr {
    aggregate(Aggregate::Min, field(name))
}

/// The largest of a field over a window.
pub fn max(name: &str) -> Expr {
    aggregate(Aggregate::Max, field(name))
}

impl<T: Into<Value>> From<T> for Expr {
    fn from(value: T) -> Self {
        Self(Term::Literal(value.into()))
    }
}

macro_rules! arithmetic {
    ($trait:ident, $method:ident, $operator:ident) => {
        impl<T: Into<Expr>> std::ops::$trait<T> for Expr {
            type Output = Expr;

            fn $method(self, other: T) -> Expr {
                Expr::arithmetic(Operator::$operator, self, other.into())
            }
        }
    };
}
arithmetic!(Add, add, Plus);
arithmetic!(Sub, sub, Minus);
arithmetic!(Mul, mul, Times);
arithmetic!(Div, div, Over);
arithmetic!(Rem, rem, Modulo);

impl std::ops::Neg for Expr {
    type Output = Self;

    fn neg(self) -> Self {
        Self(Term::Negative(Box::new(self.0)))
    }
}

impl Expr {
    pub(crate) fn arithmetic(operator: Operator, left: Self, right: Self) -> Self {
        Self(Term::Arithmetic(
            operator,
            Box::new(left.0),
            Box::new(right.0),
        ))
    }

    pub(crate) fn is_literal(&self) -> bool {
        matches!(self.0, Term::Literal(_))
    }

    pub(crate) fn is_field(&self) -> bool {
        matches!(self.0, Term::Leaf(Leaf::Field(_)))
    }

    pub(crate) fn call(function: Function, operands: Vec<Self>) -> Self {
        let operands = operands.into_iter().map(|operand| operand.0);
        Self(Term::Call(function, operands.collect()))
    }
}

impl<L> Term<L> {
    /// The same expression with other leaves.
    pub fn map<M>(&self, leaf: &mut impl FnMut(&L) -> Result<M>) -> Result<Term<M>> {
        Ok(match self {
            Self::Literal(value) => Term::Literal(value.clone()),
            Self::Leaf(own) => Term::Leaf(leaf(own)?),
            Self::Negative(inner) => Term::Negative(Box::new(inner.map(leaf)?)),
            Self::Arithmetic(operator, a, b) => {
                Term::Arithmetic(*operator, Box::new(a.map(leaf)?), Box::new(b.map(leaf)?))
            }
            Self::Call(function, operands) => Term::Call(
                *function,
                operands
                    .iter()
                    .map(|operand| operand.map(leaf))
                    .collect::<Result<_>>()?,
            ),
            Self::Condition(condition) => Term::Condition(Box::new(condition.map(leaf)?)),
            Self::Case(branches, otherwise) => {
                let mut mapped = Vec::with_capacity(branches.len());
                for (condition, value) in branches {
                    mapped.push((condition.map(leaf)?, value.map(leaf)?));
                }
                let otherwise = otherwise
                    .as_ref()
                    .map(|value| value.map(leaf).map(Box::new));
                Term::Case(mapped, otherwise.transpose()?)
            }
            #[cfg(feature = "sql")]
            Self::Cast(inner, kind) => Term::Cast(Box::new(inner.map(leaf)?), *kind),
        })
    }

    /// Whether any leaf is such.
    pub fn any(&self, is: &impl Fn(&L) -> bool) -> bool {
        match self {
            Self::Literal(_) => false,
            Self::Leaf(leaf) => is(leaf),
            Self::Negative(inner) => inner.any(is),
            #[cfg(feature = "sql")]
            Self::Cast(inner, _) => inner.any(is),
            Self::Condition(condition) => condition.any(is),
            Self::Case(branches, otherwise) => {
                let branch =
                    |(condition, value): &(Node<L>, Self)| condition.any(is) || value.any(is);
                branches.iter().any(branch) || otherwise.as_ref().is_some_and(|value| value.any(is))
            }
            Self::Arithmetic(_, a, b) => a.any(is) || b.any(is),
            Self::Call(_, operands) => operands.iter().any(|operand| operand.any(is)),
        }
    }
}

impl Term<Place> {
    /// The value; none where it is missing.
    pub fn value(&self, values: &impl Values) -> Option<Value> {
        match self {
            Self::Literal(value) => Some(value.clone()),
            Self::Leaf(place) => values.value(*place),
            Self::Negative(inner) => match inner.value(values)? {
                Value::Int(number) => number.checked_neg().map(Value::Int),
                other => Some(Value::Float(-number(&other)?)),
            },
            Self::Arithmetic(operator, a, b) => {
                operator.apply(&a.value(values)?, &b.value(values)?)
            }
            Self::Call(Function::Coalesce, operands) => {
                operands.iter().find_map(|operand| operand.value(values))
            }
            Self::Call(function, operands) => {
                let operands = operands.iter().map(|operand| operand.value(values));
                function.apply(&operands.collect::<Option<Vec<_>>>()?)
            }
            Self::Condition(condition) => condition.test_with(values).map(Value::Bool),
            Self::Case(branches, otherwise) => {
                let mut branches = branches.iter();
                let held =
                    branches.find(|(condition, _)| condition.test_with(values) == Some(true));
                match held {
                    Some((_, value)) => value.value(values),
                    None => otherwise.as_ref()?.value(values),
                }
            }
            #[cfg(feature = "sql")]
            Self::Cast(inner, kind) => kind.of(&inner.value(values)?),
        }
    }
}

#[cfg(feature = "sql")]
impl Kind {
    /// The value as this; none where it has no such form.
    fn of(self, value: &Value) -> Option<Value> {
        let as_number = || match value {
            Value::Text(text) => text.trim().parse().ok(),
            other => other.as_f64(),
        };
        match self {
            Self::Text => Some(Value::Text(value.to_string().into())),
            Self::Number => as_number().map(Value::Float),
            Self::Digits(digits) => {
                let scale = 10_f64.powi(digits.into());
                as_number().map(|number| Value::Float((number * scale).round() / scale))
            }
            Self::Whole => match value {
                Value::Int(number) => Some(Value::Int(*number)),
                Value::Text(text) => text.trim().parse().ok().map(Value::Int),
                other => {
                    let number = other.as_f64()?.round();
                    // The bounds of the integers are powers of two, so that floats hold them exactly.
                    let fits = (i64::MIN as f64..-(i64::MIN as f64)).contains(&number);
                    fits.then_some(Value::Int(number as i64))
                }
            },
            Self::Truth => match value {
                Value::Bool(truth) => Some(Value::Bool(*truth)),
                Value::Text(text) => match text.trim().to_ascii_lowercase().as_str() {
                    "true" | "t" | "1" => Some(Value::Bool(true)),
                    "false" | "f" | "0" => Some(Value::Bool(false)),
                    _ => None,
                },
                other => other.as_f64().map(|number| Value::Bool(number != 0.0)),
            },
        }
    }
}

/// A number that is one; neither text nor truth counts in arithmetic.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Float(value) => Some(*value),
        Value::Int(value) => Some(*value as f64),
        Value::Bool(_) | Value::Text(_) => None,
    }
}

impl Operator {
    /// Integers stay integers but in a division; numbers else.
    fn apply(self, left: &Value, right: &Value) -> Option<Value> {
        if let (Value::Int(a), Value::Int(b)) = (left, right) {
            let whole = match self {
                Self::Plus => a.checked_add(*b),
                Self::Minus => a.checked_sub(*b),
                Self::Times => a.checked_mul(*b),
                Self::Modulo => a.checked_rem(*b),
                Self::Over if *b == 0 => None,
                Self::Over => return Some(Value::Float(*a as f64 / *b as f64)),
            };
            return whole.map(Value::Int);
        }
        let (a, b) = (number(left)?, number(right)?);
        Some(Value::Float(match self {
            Self::Plus => a + b,
            Self::Minus => a - b,
            Self::Times => a * b,
            Self::Over | Self::Modulo if b == 0.0 => return None,
            Self::Over => a / b,
            Self::Modulo => a % b,
        }))
    }
}

impl Function {
    fn apply(self, operands: &[Value]) -> Option<Value> {
        let first = operands.first()?;
        let text = |value: &Value| match value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        };
        let made = |text: String| Some(Value::Text(Arc::from(text)));
        let of_number = |apply: fn(f64) -> f64| match first {
            Value::Int(number) => Some(Value::Int(*number)),
            other => Some(Value::Float(apply(number(other)?))),
        };
        match self {
            Self::Abs => match first {
                Value::Int(number) => number.checked_abs().map(Value::Int),
                other => Some(Value::Float(number(other)?.abs())),
            },
            Self::Floor => of_number(f64::floor),
            Self::Ceil => of_number(f64::ceil),
            Self::Round => match operands.get(1) {
                None => of_number(f64::round),
                Some(digits) => {
                    let scale = 10_f64.powf(number(digits)?.clamp(-15.0, 15.0).trunc());
                    Some(Value::Float((number(first)? * scale).round() / scale))
                }
            },
            Self::Sqrt => Some(number(first)?.sqrt())
                .filter(|root| !root.is_nan())
                .map(Value::Float),
            Self::Power => Some(Value::Float(number(first)?.powf(number(operands.get(1)?)?))),
            Self::Lower => made(text(first)?.to_lowercase()),
            Self::Upper => made(text(first)?.to_uppercase()),
            Self::Trim => made(text(first)?.trim().to_owned()),
            Self::Length => Some(Value::Int(text(first)?.chars().count() as i64)),
            Self::Concat => made(operands.iter().map(Value::to_string).collect()),
            Self::Substring => {
                let from = number(operands.get(1)?)?.max(1.0) as usize - 1;
                let count = operands.get(2).map_or(Some(f64::MAX), number)?;
                let text = text(first)?;
                made(text.chars().skip(from).take(count as usize).collect())
            }
            Self::Coalesce => Some(first.clone()),
            Self::Least | Self::Greatest => {
                let mut best = first;
                for other in &operands[1..] {
                    let order = compare(other.as_value_ref(), best.as_value_ref())?;
                    let better = (self == Self::Least) == order.is_lt();
                    if better && !order.is_eq() {
                        best = other;
                    }
                }
                Some(best.clone())
            }
        }
    }
}

/// How two values are ordered; none for values of different kinds, and for NaN.
pub(crate) fn compare(left: ValueRef<'_>, right: ValueRef<'_>) -> Option<std::cmp::Ordering> {
    match (left, right) {
        (ValueRef::Text(a), ValueRef::Text(b)) => Some(a.cmp(b)),
        (ValueRef::Bool(a), ValueRef::Bool(b)) => Some(a.cmp(&b)),
        (ValueRef::Int(a), ValueRef::Int(b)) => Some(a.cmp(&b)),
        (ValueRef::Text(_) | ValueRef::Bool(_), _) | (_, ValueRef::Text(_) | ValueRef::Bool(_)) => {
            None
        }
        (a, b) => a
            .as_f64()
            .zip(b.as_f64())
            .and_then(|(a, b)| a.partial_cmp(&b)),
    }
}
