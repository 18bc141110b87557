//! The `math` namespace.

use std::cmp::Ordering;

use crate::expr::EvalError;
use crate::expr::eval::{Evaluated, no_overload};
use crate::expr::value::Val;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Greatest,
    Least,
    Ceil,
    Floor,
    Round,
    Trunc,
    Abs,
    Sign,
    Sqrt,
    IsNan,
    IsInf,
    IsFinite,
    BitAnd,
    BitOr,
    BitXor,
    BitNot,
    ShiftLeft,
    ShiftRight,
}

impl Operation {
    pub(crate) fn named(name: &str, args: usize) -> Option<Self> {
        Some(match (name, args) {
            ("greatest", 1..) => Operation::Greatest,
            ("least", 1..) => Operation::Least,
            ("ceil", 1) => Operation::Ceil,
            ("floor", 1) => Operation::Floor,
            ("round", 1) => Operation::Round,
            ("trunc", 1) => Operation::Trunc,
            ("abs", 1) => Operation::Abs,
            ("sign", 1) => Operation::Sign,
            ("sqrt", 1) => Operation::Sqrt,
            ("isNaN", 1) => Operation::IsNan,
            ("isInf", 1) => Operation::IsInf,
            ("isFinite", 1) => Operation::IsFinite,
            ("bitAnd", 2) => Operation::BitAnd,
            ("bitOr", 2) => Operation::BitOr,
            ("bitXor", 2) => Operation::BitXor,
            ("bitNot", 1) => Operation::BitNot,
            ("bitShiftLeft", 2) => Operation::ShiftLeft,
            ("bitShiftRight", 2) => Operation::ShiftRight,
            _ => return None,
        })
    }
}

pub(crate) fn call<'a>(operation: Operation, args: &[Val<'a>]) -> Evaluated<'a> {
    let mismatch = || {
        no_overload(
            &format!("math.{operation:?}"),
            &args.iter().collect::<Vec<_>>(),
        )
    };
    match (operation, args) {
        (Operation::Greatest, _) => extreme(operation, args, Ordering::Greater),
        (Operation::Least, _) => extreme(operation, args, Ordering::Less),
        (Operation::Abs, [Val::Int(int)]) => int
            .checked_abs()
            .map(Val::Int)
            .ok_or_else(EvalError::overflow),
        (Operation::Abs | Operation::Trunc, [Val::Uint(uint)]) => Ok(Val::Uint(*uint)),
        (Operation::Sign, [Val::Int(int)]) => Ok(Val::Int(int.signum())),
        (Operation::Sign, [Val::Uint(uint)]) => Ok(Val::Uint(u64::from(*uint > 0))),
        (Operation::Sign, [Val::Double(double)]) if *double == 0.0 || double.is_nan() => {
            Ok(Val::Double(*double))
        }
        (Operation::Sqrt, [Val::Int(int)]) => Ok(Val::Double((*int as f64).sqrt())),
        (Operation::Sqrt, [Val::Uint(uint)]) => Ok(Val::Double((*uint as f64).sqrt())),
        (_, [Val::Double(double)]) => of_double(operation, *double).ok_or_else(mismatch),
        (Operation::BitNot, [Val::Int(int)]) => Ok(Val::Int(!int)),
        (Operation::BitNot, [Val::Uint(uint)]) => Ok(Val::Uint(!uint)),
        (Operation::BitAnd, [Val::Int(a), Val::Int(b)]) => Ok(Val::Int(a & b)),
        (Operation::BitAnd, [Val::Uint(a), Val::Uint(b)]) => Ok(Val::Uint(a & b)),
        (Operation::BitOr, [Val::Int(a), Val::Int(b)]) => Ok(Val::Int(a | b)),
        (Operation::BitOr, [Val::Uint(a), Val::Uint(b)]) => Ok(Val::Uint(a | b)),
        (Operation::BitXor, [Val::Int(a), Val::Int(b)]) => Ok(Val::Int(a ^ b)),
        (Operation::BitXor, [Val::Uint(a), Val::Uint(b)]) => Ok(Val::Uint(a ^ b)),
        (Operation::ShiftLeft | Operation::ShiftRight, [value, Val::Int(by)]) => {
            shift(operation, value, *by)?.ok_or_else(mismatch)
        }
        _ => Err(mismatch()),
    }
}

fn of_double<'a>(operation: Operation, double: f64) -> Option<Val<'a>> {
    Some(match operation {
        Operation::Ceil => Val::Double(double.ceil()),
        Operation::Floor => Val::Double(double.floor()),
        // `round` of the standard library goes away from zero on ties, as here.
        Operation::Round => Val::Double(double.round()),
        Operation::Trunc => Val::Double(double.trunc()),
        Operation::Abs => Val::Double(double.abs()),
        Operation::Sign => Val::Double(double.signum()),
        Operation::Sqrt => Val::Double(double.sqrt()),
        Operation::IsNan => Val::Bool(double.is_nan()),
        Operation::IsInf => Val::Bool(double.is_infinite()),
        Operation::IsFinite => Val::Bool(double.is_finite()),
        _ => return None,
    })
}

/// Shifts by 64 and more give zero; negative ones are an error; a right shift fills with zeros.
fn shift<'a>(operation: Operation, value: &Val<'a>, by: i64) -> Result<Option<Val<'a>>, EvalError> {
    let by =
        u32::try_from(by.min(64)).map_err(|_| EvalError::new(format!("a shift by {by} bits")))?;
    let shifted = |bits: u64| match operation {
        Operation::ShiftLeft => bits.checked_shl(by).unwrap_or(0),
        _ => bits.checked_shr(by).unwrap_or(0),
    };
    Ok(match value {
        Val::Int(int) => Some(Val::Int(shifted(int.cast_unsigned()).cast_signed())),
        Val::Uint(uint) => Some(Val::Uint(shifted(*uint))),
        _ => None,
    })
}

fn extreme<'a>(operation: Operation, args: &[Val<'a>], wanted: Ordering) -> Evaluated<'a> {
    let name = format!("math.{operation:?}");
    let values: Vec<Val<'a>> = match args {
        [Val::List(list)] => list.iter().collect(),
        other => other.to_vec(),
    };
    let mut best: Option<Val<'a>> = None;
    for value in values {
        if !matches!(value, Val::Int(_) | Val::Uint(_) | Val::Double(_)) {
            return Err(no_overload(&name, &[&value]));
        }
        let better = match &best {
            Some(best) => value.compare(best).ok().flatten() == Some(wanted),
            None => true,
        };
        if better {
            best = Some(value);
        }
    }
    best.ok_or_else(|| EvalError::new(format!("{name} of nothing")))
}
