//! Conversions between types: `int(x)`, `string(x)`, `timestamp(x)`, …

use crate::expr::EvalError;
use crate::expr::civil::{Instant, Span};
use crate::expr::eval::{Evaluated, Evaluation, no_overload};
use crate::expr::value::Val;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Target {
    Int,
    Uint,
    Double,
    Bool,
    String,
    Bytes,
    Timestamp,
    Duration,
}

impl Target {
    pub(crate) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "int" => Target::Int,
            "uint" => Target::Uint,
            "double" => Target::Double,
            "bool" => Target::Bool,
            "string" => Target::String,
            "bytes" => Target::Bytes,
            "timestamp" => Target::Timestamp,
            "duration" => Target::Duration,
            _ => return None,
        })
    }
}

pub(crate) fn convert<'a>(
    evaluation: &mut Evaluation<'a, '_>,
    target: Target,
    value: &Val<'a>,
) -> Evaluated<'a> {
    if let Val::Str(text) = value {
        evaluation.charge(text.as_str().len() / 16)?;
    }
    match target {
        Target::Int => to_int(value),
        Target::Uint => to_uint(value),
        Target::Double => to_double(value),
        Target::Bool => to_bool(value),
        Target::String => to_string(value),
        Target::Bytes => to_bytes(value),
        Target::Timestamp => to_timestamp(value),
        Target::Duration => to_duration(value),
    }
}

fn range_error(target: &str, value: &Val<'_>) -> EvalError {
    EvalError::new(format!(
        "{} is outside the range of {target}",
        value.display()
    ))
}

pub(crate) fn format_error(target: &str, text: &str) -> EvalError {
    EvalError::new(format!("`{text}` is not a {target}"))
}

fn to_int<'a>(value: &Val<'a>) -> Evaluated<'a> {
    match value {
        Val::Int(_) => Ok(value.clone()),
        Val::Uint(uint) => i64::try_from(*uint)
            .map(Val::Int)
            .map_err(|_| range_error("int", value)),
        // The bounds are exclusive: 2^63 as a double is already too large, and CEL leaves out -2^63.
        Val::Double(double)
            if *double > -9_223_372_036_854_775_808.0 && *double < 9_223_372_036_854_775_808.0 =>
        {
            Ok(Val::Int(*double as i64))
        }
        Val::Double(_) => Err(range_error("int", value)),
        Val::Timestamp(instant) => Ok(Val::Int(instant.seconds())),
        Val::Duration(span) => Ok(Val::Int(span.seconds())),
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
        Val::Timestamp(instant) => Ok(Val::text(instant.format())),
        Val::Duration(span) => Ok(Val::text(span.format())),
        Val::Bytes(bytes) => match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Val::text(text)),
            Err(_) => Err(EvalError::new("the bytes are no UTF-8 text".to_owned())),
        },
        Val::Net(net) => Ok(Val::text(net.to_string())),
        other => Err(no_overload("string", &[other])),
    }
}

/// The shortest text that reads back as the same double; exponents beyond 10^-5 and 10^21.
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
    if magnitude != 0.0 && !(1e-5..1e21).contains(&magnitude) {
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

fn to_timestamp<'a>(value: &Val<'a>) -> Evaluated<'a> {
    match value {
        Val::Timestamp(_) => Ok(value.clone()),
        Val::Int(secs) => Instant::new(*secs, 0)
            .map(Val::Timestamp)
            .ok_or_else(|| range_error("timestamp", value)),
        Val::Str(text) => Instant::parse(text.as_str())
            .map(Val::Timestamp)
            .ok_or_else(|| format_error("timestamp (RFC 3339, years 1 to 9999)", text.as_str())),
        other => Err(no_overload("timestamp", &[other])),
    }
}

fn to_duration<'a>(value: &Val<'a>) -> Evaluated<'a> {
    match value {
        Val::Duration(_) => Ok(value.clone()),
        Val::Int(secs) => Span::new(*secs, 0)
            .map(Val::Duration)
            .ok_or_else(|| range_error("duration", value)),
        Val::Str(text) => Span::parse(text.as_str())
            .map(Val::Duration)
            .ok_or_else(|| format_error("duration", text.as_str())),
        other => Err(no_overload("duration", &[other])),
    }
}
