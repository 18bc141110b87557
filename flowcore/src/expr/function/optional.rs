//! Values that may be none: `a.?b`, `optional.of(x)`, `x.orValue(y)`.

use std::rc::Rc;

use crate::expr::eval::{Evaluated, no_overload};
use crate::expr::value::Val;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Of,
    OfNonZero,
    None,
    HasValue,
    Value,
    Unwrap,
    First,
    Last,
}

impl Operation {
    pub(crate) fn global(name: &str, args: usize) -> Option<Self> {
        Some(match (name, args) {
            ("optional.of", 1) => Operation::Of,
            ("optional.ofNonZeroValue", 1) => Operation::OfNonZero,
            ("optional.none", 0) => Operation::None,
            ("optional.unwrap", 1) => Operation::Unwrap,
            _ => return None,
        })
    }

    pub(crate) fn method(name: &str, args: usize) -> Option<Self> {
        Some(match (name, args) {
            ("hasValue", 0) => Operation::HasValue,
            ("value", 0) => Operation::Value,
            ("unwrapOpt", 0) => Operation::Unwrap,
            ("first", 0) => Operation::First,
            ("last", 0) => Operation::Last,
            _ => return None,
        })
    }
}

pub(crate) fn call<'a>(operation: Operation, args: &[Val<'a>]) -> Evaluated<'a> {
    match (operation, args) {
        (Operation::Of, [value]) => Ok(Val::some(value.clone())),
        (Operation::OfNonZero, [value]) if is_zero(value) => Ok(Val::Optional(None)),
        (Operation::OfNonZero, [value]) => Ok(Val::some(value.clone())),
        (Operation::None, []) => Ok(Val::Optional(None)),
        (Operation::HasValue, [Val::Optional(value)]) => Ok(Val::Bool(value.is_some())),
        (Operation::Value, [Val::Optional(Some(value))]) => Ok(Val::clone(value)),
        (Operation::Value, [Val::Optional(None)]) => Err(crate::expr::EvalError::new(
            "optional.none() has no value; ask hasValue() or use orValue()".to_owned(),
        )),
        (Operation::Unwrap, [Val::List(list)]) => {
            let mut values = Vec::new();
            for item in list.iter() {
                match item {
                    Val::Optional(Some(value)) => values.push(Val::clone(&value)),
                    Val::Optional(None) => {}
                    other => return Err(no_overload("unwrapOpt", &[&other])),
                }
            }
            Ok(Val::list(values))
        }
        (Operation::First, [Val::List(list)]) => Ok(Val::Optional(list.get(0).map(Rc::new))),
        (Operation::Last, [Val::List(list)]) => {
            let last = list.len().checked_sub(1).and_then(|last| list.get(last));
            Ok(Val::Optional(last.map(Rc::new)))
        }
        _ => {
            let args: Vec<&Val<'_>> = args.iter().collect();
            Err(no_overload(&format!("optional {operation:?}"), &args))
        }
    }
}

/// The value that a field has when nobody set it.
fn is_zero(value: &Val<'_>) -> bool {
    match value {
        Val::Null => true,
        Val::Bool(flag) => !flag,
        Val::Int(int) => *int == 0,
        Val::Uint(uint) => *uint == 0,
        Val::Double(double) => *double == 0.0,
        Val::Str(text) => text.as_str().is_empty(),
        Val::Bytes(bytes) => bytes.is_empty(),
        Val::List(list) => list.is_empty(),
        Val::Map(map) => map.is_empty(),
        Val::Optional(value) => value.is_none(),
        Val::Duration(span) => span.seconds() == 0 && span.negated() == *span,
        Val::Timestamp(_) | Val::Type(_) | Val::Net(_) => false,
    }
}
