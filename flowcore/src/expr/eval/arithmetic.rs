//! Arithmetic of numbers and of time.

use super::{Evaluated, no_overload};
use crate::expr::EvalError;
use crate::expr::ast::Binary;
use crate::expr::value::Val;

pub(super) fn symbol(op: Binary) -> &'static str {
    match op {
        Binary::Add => "+",
        Binary::Sub => "-",
        Binary::Mul => "*",
        Binary::Div => "/",
        Binary::Rem => "%",
        Binary::Lt => "<",
        Binary::Le => "<=",
        Binary::Gt => ">",
        Binary::Ge => ">=",
        Binary::Eq => "==",
        Binary::Ne => "!=",
        Binary::In => "in",
    }
}

/// Integers overflow to an error; doubles follow IEEE 754; types never mix.
pub(super) fn arithmetic<'a>(op: Binary, left: &Val<'a>, right: &Val<'a>) -> Evaluated<'a> {
    macro_rules! checked {
        ($a:ident, $b:ident, $kind:path) => {{
            let result = match op {
                Binary::Add => $a.checked_add(*$b),
                Binary::Sub => $a.checked_sub(*$b),
                Binary::Mul => $a.checked_mul(*$b),
                _ if *$b == 0 => return Err(EvalError::new("division by zero".to_owned())),
                Binary::Div => $a.checked_div(*$b),
                _ => $a.checked_rem(*$b),
            };
            result.map($kind).ok_or_else(EvalError::overflow)
        }};
    }
    match (left, right) {
        (Val::Int(a), Val::Int(b)) => checked!(a, b, Val::Int),
        (Val::Uint(a), Val::Uint(b)) => checked!(a, b, Val::Uint),
        (Val::Double(a), Val::Double(b)) => match op {
            Binary::Add => Ok(Val::Double(a + b)),
            Binary::Sub => Ok(Val::Double(a - b)),
            Binary::Mul => Ok(Val::Double(a * b)),
            Binary::Div => Ok(Val::Double(a / b)),
            _ => Err(no_overload("%", &[left, right])),
        },
        (Val::Timestamp(_) | Val::Duration(_), _) | (_, Val::Timestamp(_) | Val::Duration(_)) => {
            time_arithmetic(op, left, right)
        }
        // JSON writes one number as `5` or `5.0`: whichever it was, arithmetic must go on.
        (Val::Int(a), Val::Double(_)) => arithmetic(op, &Val::Double(*a as f64), right),
        (Val::Double(_), Val::Int(b)) => arithmetic(op, left, &Val::Double(*b as f64)),
        _ => Err(no_overload(symbol(op), &[left, right])),
    }
}

fn time_arithmetic<'a>(op: Binary, left: &Val<'a>, right: &Val<'a>) -> Evaluated<'a> {
    let result = match (op, left, right) {
        (Binary::Add, Val::Timestamp(at), Val::Duration(span)) => {
            at.plus(*span).map(Val::Timestamp)
        }
        (Binary::Add, Val::Duration(span), Val::Timestamp(at)) => {
            at.plus(*span).map(Val::Timestamp)
        }
        (Binary::Add, Val::Duration(a), Val::Duration(b)) => a.plus(*b).map(Val::Duration),
        (Binary::Sub, Val::Timestamp(a), Val::Timestamp(b)) => a.since(*b).map(Val::Duration),
        (Binary::Sub, Val::Timestamp(at), Val::Duration(span)) => {
            at.minus(*span).map(Val::Timestamp)
        }
        (Binary::Sub, Val::Duration(a), Val::Duration(b)) => a.minus(*b).map(Val::Duration),
        _ => return Err(no_overload(symbol(op), &[left, right])),
    };
    result.ok_or_else(|| EvalError::new("the result is outside the range of time".to_owned()))
}
