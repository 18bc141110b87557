//! The functions of the language. Names are resolved when a program is compiled; an unknown one
//! is an error there and never at run time.

use super::EvalError;
use super::eval::{Evaluated, Evaluation, no_overload};
use super::value::Val;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Size,
    Contains,
    StartsWith,
    EndsWith,
    Type,
    Dyn,
    Int,
    Uint,
    Double,
    Bool,
    String,
    Bytes,
    Base64Encode,
    Base64Decode,
}

impl Function {
    /// `name(args)`; `name` may carry a namespace.
    pub(crate) fn global(name: &str, args: usize) -> Option<Self> {
        Some(match (name, args) {
            ("size", 1) => Function::Size,
            ("type", 1) => Function::Type,
            ("dyn", 1) => Function::Dyn,
            ("int", 1) => Function::Int,
            ("uint", 1) => Function::Uint,
            ("double", 1) => Function::Double,
            ("bool", 1) => Function::Bool,
            ("string", 1) => Function::String,
            ("bytes", 1) => Function::Bytes,
            ("base64.encode", 1) => Function::Base64Encode,
            ("base64.decode", 1) => Function::Base64Decode,
            _ => return None,
        })
    }

    /// `target.name(args)`.
    pub(crate) fn method(name: &str, args: usize) -> Option<Self> {
        Some(match (name, args) {
            ("size", 0) => Function::Size,
            ("contains", 1) => Function::Contains,
            ("startsWith", 1) => Function::StartsWith,
            ("endsWith", 1) => Function::EndsWith,
            _ => return None,
        })
    }
}

pub(crate) fn call<'a>(
    evaluation: &mut Evaluation<'a, '_>,
    function: Function,
    args: &[Val<'a>],
) -> Evaluated<'a> {
    match (function, args) {
        (Function::Size, [value]) => size(evaluation, value),
        (Function::Contains, [Val::Str(text), Val::Str(part)]) => {
            evaluation.charge(text.as_str().len() / 16)?;
            Ok(Val::Bool(text.as_str().contains(part.as_str())))
        }
        (Function::StartsWith, [Val::Str(text), Val::Str(part)]) => {
            Ok(Val::Bool(text.as_str().starts_with(part.as_str())))
        }
        (Function::EndsWith, [Val::Str(text), Val::Str(part)]) => {
            Ok(Val::Bool(text.as_str().ends_with(part.as_str())))
        }
        (Function::Type, [value]) => Ok(Val::Type(value.type_name())),
        (Function::Dyn, [value]) => Ok(value.clone()),
        (Function::Int, [value]) => to_int(value),
        (Function::Uint, [value]) => to_uint(value),
        (Function::Double, [value]) => to_double(value),
        (Function::Bool, [value]) => to_bool(value),
        (Function::String, [value]) => to_string(value),
        (Function::Bytes, [value]) => to_bytes(value),
        (Function::Base64Encode, [Val::Bytes(bytes)]) => {
            evaluation.charge(bytes.len() / 16)?;
            Ok(Val::text(super::base64::encode(bytes)))
        }
        (Function::Base64Decode, [Val::Str(text)]) => {
            evaluation.charge(text.as_str().len() / 16)?;
            let bytes = super::base64::decode(text.as_str());
            bytes
                .map(|bytes| Val::Bytes(bytes.into()))
                .ok_or_else(|| format_error("base64 text", text.as_str()))
        }
        _ => {
            let args: Vec<&Val<'_>> = args.iter().collect();
            Err(no_overload(&format!("{function:?}"), &args))
        }
    }
}

fn size<'a>(evaluation: &mut Evaluation<'a, '_>, value: &Val<'a>) -> Evaluated<'a> {
    let count = match value {
        Val::Str(text) => {
            evaluation.charge(text.as_str().len() / 16)?;
            text.as_str().chars().count()
        }
        Val::Bytes(bytes) => bytes.len(),
        Val::List(list) => list.len(),
        Val::Map(map) => map.len(),
        other => return Err(no_overload("size", &[other])),
    };
    Ok(Val::Int(count as i64))
}

fn range_error(target: &str, value: &Val<'_>) -> EvalError {
    EvalError::new(format!(
        "{} is outside the range of {target}",
        value.display()
    ))
}

fn format_error(target: &str, text: &str) -> EvalError {
    EvalError::new(format!("`{text}` is not a {target}"))
}

fn to_int<'a>(value: &Val<'a>) -> Evaluated<'a> {
    match value {
        Val::Int(_) => Ok(value.clone()),
        Val::Uint(uint) => i64::try_from(*uint)
            .map(Val::Int)
            .map_err(|_| range_error("int", value)),
        // The bounds are exclusive: 2^63 as a double is already too large, and so is its negative.
        Val::Double(double)
            if *double > -9.223_372_036_854_775e18 && *double < 9.223_372_036_854_775e18 =>
        {
            Ok(Val::Int(*double as i64))
        }
        Val::Double(_) => Err(range_error("int", value)),
        Val::Str(text) => text
            .as_str()
            .parse()
            .map(Val::Int)
            .map_err(|_| format_error("int", text.as_str())),
        other => Err(no_overload("int", &[other])),
    }
}

fn to_uint<'a>(value: &Val<'a>) -> Evaluated<'a> {
    match value {
        Val::Uint(_) => Ok(value.clone()),
        Val::Int(int) => u64::try_from(*int)
            .map(Val::Uint)
            .map_err(|_| range_error("uint", value)),
        Val::Double(double) if *double >= 0.0 && *double < 18_446_744_073_709_551_616.0 => {
            Ok(Val::Uint(*double as u64))
        }
        Val::Double(_) => Err(range_error("uint", value)),
        Val::Str(text) => text
            .as_str()
            .parse()
            .map(Val::Uint)
            .map_err(|_| format_error("uint", text.as_str())),
        other => Err(no_overload("uint", &[other])),
    }
}

fn to_double<'a>(value: &Val<'a>) -> Evaluated<'a> {
    match value {
        Val::Double(_) => Ok(value.clone()),
        Val::Int(int) => Ok(Val::Double(*int as f64)),
        Val::Uint(uint) => Ok(Val::Double(*uint as f64)),
        Val::Str(text) => text
            .as_str()
            .parse()
            .map(Val::Double)
            .map_err(|_| format_error("double", text.as_str())),
        other => Err(no_overload("double", &[other])),
    }
}

fn to_bool<'a>(value: &Val<'a>) -> Evaluated<'a> {
    match value {
        Val::Bool(_) => Ok(value.clone()),
        Val::Str(text) => match text.as_str() {
            "1" | "t" | "true" | "TRUE" | "True" | "T" => Ok(Val::Bool(true)),
            "0" | "f" | "false" | "FALSE" | "False" | "F" => Ok(Val::Bool(false)),
            other => Err(format_error("bool", other)),
        },
        other => Err(no_overload("bool", &[other])),
    }
}

fn to_string<'a>(value: &Val<'a>) -> Evaluated<'a> {
    match value {
        Val::Str(_) => Ok(value.clone()),
        Val::Bool(flag) => Ok(Val::text(if *flag { "true" } else { "false" })),
        Val::Int(int) => Ok(Val::text(int.to_string())),
        Val::Uint(uint) => Ok(Val::text(uint.to_string())),
        Val::Double(double) => Ok(Val::text(double_text(*double))),
        Val::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Val::text(text)),
            Err(_) => Err(EvalError::new("the bytes are no UTF-8 text".to_owned())),
        },
        other => Err(no_overload("string", &[other])),
    }
}

/// The shortest text that reads back as the same double; exponents beyond 10^-5 and 10^17.
pub(crate) fn double_text(double: f64) -> String {
    if double.is_nan() {
        return "NaN".to_owned();
    }
    if double.is_infinite() {
        return if double > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    let magnitude = double.abs();
    if magnitude != 0.0 && !(1e-5..1e17).contains(&magnitude) {
        let text = format!("{double:e}");
        return match text.split_once('e') {
            Some((mantissa, exponent)) => match exponent.strip_prefix('-') {
                Some(digits) => format!("{mantissa}e-{digits:0>2}"),
                None => format!("{mantissa}e+{exponent:0>2}"),
            },
            None => text,
        };
    }
    format!("{double}")
}

fn to_bytes<'a>(value: &Val<'a>) -> Evaluated<'a> {
    match value {
        Val::Bytes(_) => Ok(value.clone()),
        Val::Str(text) => Ok(Val::Bytes(text.as_str().as_bytes().into())),
        other => Err(no_overload("bytes", &[other])),
    }
}
