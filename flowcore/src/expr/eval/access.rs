//! What stands in a value: fields of maps, elements of lists.

use std::rc::Rc;

use super::{Evaluated, no_overload};
use crate::expr::EvalError;
use crate::expr::value::{List, Map, Val};

#[inline]
pub(super) fn select<'a>(operand: &Val<'a>, field: &str) -> Evaluated<'a> {
    match operand {
        Val::Map(map) => map
            .field(field)
            .ok_or_else(|| EvalError::new(format!("no such key: {field}"))),
        Val::Optional(_) => maybe_field(operand, field),
        other => Err(EvalError::new(format!(
            "no field `{field}` in a {}",
            other.type_name()
        ))),
    }
}

/// `a.?b`: none where `a` is none or has no `b`.
pub(super) fn maybe_field<'a>(operand: &Val<'a>, field: &str) -> Evaluated<'a> {
    match operand {
        Val::Optional(None) => Ok(Val::Optional(None)),
        Val::Optional(Some(value)) => maybe_field(value, field),
        Val::Map(map) => Ok(Val::Optional(map.field(field).map(Rc::new))),
        other => Err(EvalError::new(format!(
            "no field `{field}` in a {}",
            other.type_name()
        ))),
    }
}

/// `a[?b]`: none where `a` is none or has nothing at `b`.
pub(super) fn maybe_element<'a>(operand: &Val<'a>, index: &Val<'a>) -> Evaluated<'a> {
    match (operand, index) {
        (Val::Optional(None), _) => Ok(Val::Optional(None)),
        (Val::Optional(Some(value)), _) => maybe_element(value, index),
        (Val::Map(map), _) => Ok(Val::Optional(map.get(index).map(Rc::new))),
        (Val::List(list), Val::Int(_) | Val::Uint(_) | Val::Double(_)) => Ok(Val::Optional(
            element_of_list(list, index).ok().map(Rc::new),
        )),
        _ => Err(no_overload("[?]", &[operand, index])),
    }
}

pub(super) fn element<'a>(operand: &Val<'a>, index: &Val<'a>) -> Evaluated<'a> {
    match operand {
        Val::Optional(_) => maybe_element(operand, index),
        Val::List(list) => element_of_list(list, index),
        Val::Map(map) => element_of_map(map, index),
        other => Err(no_overload("[]", &[other, index])),
    }
}

fn element_of_list<'a>(list: &List<'a>, index: &Val<'_>) -> Evaluated<'a> {
    let position = match index {
        Val::Int(int) => usize::try_from(*int).ok(),
        Val::Uint(uint) => usize::try_from(*uint).ok(),
        Val::Double(double) if double.fract() == 0.0 && (0.0..1e15).contains(double) => {
            Some(*double as usize)
        }
        other => {
            return Err(EvalError::new(format!(
                "a {} is no index of a list",
                other.type_name()
            )));
        }
    };
    let found = position.and_then(|position| list.get(position));
    found.ok_or_else(|| {
        EvalError::new(format!(
            "index {} is outside a list of {}",
            index.display(),
            list.len()
        ))
    })
}

fn element_of_map<'a>(map: &Map<'a>, key: &Val<'_>) -> Evaluated<'a> {
    if !matches!(
        key,
        Val::Bool(_) | Val::Int(_) | Val::Uint(_) | Val::Double(_) | Val::Str(_)
    ) {
        return Err(EvalError::new(format!(
            "a {} is no key of a map",
            key.type_name()
        )));
    }
    map.get(key)
        .ok_or_else(|| EvalError::new(format!("no such key: {}", key.display())))
}
