//! `'%s has %d'.format([a, b])`.

use super::convert::double_text;
use crate::expr::EvalError;
use crate::expr::eval::no_overload;
use crate::expr::value::{List, Map, Val};

/// Most decimals that may be asked for.
const PRECISION_MAX: usize = 100;

pub(crate) fn format(text: &str, args: &List<'_>) -> Result<String, EvalError> {
    let mut out = String::new();
    let mut used = 0;
    let mut rest = text;
    while let Some(percent) = rest.find('%') {
        out.push_str(&rest[..percent]);
        rest = &rest[percent + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let mut precision = None;
        if let Some(after) = rest.strip_prefix('.') {
            let digits = after.bytes().take_while(u8::is_ascii_digit).count();
            let wanted: usize = after[..digits]
                .parse()
                .map_err(|_| fail("a precision has digits"))?;
            if wanted > PRECISION_MAX {
                return Err(fail(&format!(
                    "a precision of {wanted} is over {PRECISION_MAX}"
                )));
            }
            precision = Some(wanted);
            rest = &after[digits..];
        }
        let clause = rest
            .chars()
            .next()
            .ok_or_else(|| fail("the text ends in a clause"))?;
        rest = &rest[clause.len_utf8()..];
        let value = args
            .get(used)
            .ok_or_else(|| fail(&format!("argument {used} is missing")))?;
        used += 1;
        out.push_str(&clause_text(clause, precision, &value)?);
    }
    out.push_str(rest);
    Ok(out)
}

fn fail(message: &str) -> EvalError {
    EvalError::new(format!("format: {message}"))
}

fn special(double: f64) -> Option<String> {
    (!double.is_finite()).then(|| double_text(double))
}

fn clause_text(
    clause: char,
    precision: Option<usize>,
    value: &Val<'_>,
) -> Result<String, EvalError> {
    let mismatch = || fail(&format!("%{clause} does not take a {}", value.type_name()));
    let as_double = || match value {
        Val::Double(double) => Some(*double),
        Val::Int(int) => Some(*int as f64),
        Val::Uint(uint) => Some(*uint as f64),
        Val::Str(text) if matches!(text.as_str(), "NaN" | "Infinity" | "-Infinity") => {
            text.as_str().parse().ok()
        }
        _ => None,
    };
    match clause {
        's' => shown(value),
        'd' => match value {
            Val::Int(int) => Ok(int.to_string()),
            Val::Uint(uint) => Ok(uint.to_string()),
            Val::Double(double) => special(*double).ok_or_else(mismatch),
            _ => Err(mismatch()),
        },
        'f' => {
            let double = as_double().ok_or_else(mismatch)?;
            Ok(special(double).unwrap_or_else(|| format!("{double:.*}", precision.unwrap_or(6))))
        }
        'e' => {
            let double = as_double().ok_or_else(mismatch)?;
            let plain = format!("{double:.*e}", precision.unwrap_or(6));
            Ok(
                special(double).unwrap_or_else(|| match plain.split_once('e') {
                    Some((mantissa, exponent)) => match exponent.strip_prefix('-') {
                        Some(digits) => format!("{mantissa}e-{digits:0>2}"),
                        None => format!("{mantissa}e+{exponent:0>2}"),
                    },
                    None => plain.clone(),
                }),
            )
        }
        'b' => match value {
            Val::Bool(flag) => Ok(u8::from(*flag).to_string()),
            Val::Int(int) => Ok(signed(*int, format!("{:b}", int.unsigned_abs()))),
            Val::Uint(uint) => Ok(format!("{uint:b}")),
            _ => Err(mismatch()),
        },
        'o' => match value {
            Val::Int(int) => Ok(signed(*int, format!("{:o}", int.unsigned_abs()))),
            Val::Uint(uint) => Ok(format!("{uint:o}")),
            _ => Err(mismatch()),
        },
        'x' | 'X' => {
            let lower = match value {
                Val::Int(int) => signed(*int, format!("{:x}", int.unsigned_abs())),
                Val::Uint(uint) => format!("{uint:x}"),
                Val::Str(text) => hex(text.as_str().as_bytes()),
                Val::Bytes(bytes) => hex(bytes),
                _ => return Err(mismatch()),
            };
            Ok(if clause == 'X' {
                lower.to_uppercase()
            } else {
                lower
            })
        }
        other => Err(fail(&format!("no clause %{other}"))),
    }
}

fn signed(int: i64, digits: String) -> String {
    if int < 0 {
        format!("-{digits}")
    } else {
        digits
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What `%s` writes.
fn shown(value: &Val<'_>) -> Result<String, EvalError> {
    Ok(match value {
        Val::Null => "null".to_owned(),
        Val::Bool(flag) => flag.to_string(),
        Val::Int(int) => int.to_string(),
        Val::Uint(uint) => uint.to_string(),
        Val::Double(double) => double_text(*double),
        Val::Str(text) => text.as_str().to_owned(),
        Val::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Val::Timestamp(instant) => instant.format(),
        Val::Duration(span) => span.format(),
        Val::Type(name) => (*name).to_owned(),
        Val::Net(net) => net.to_string(),
        Val::List(list) => {
            let items = list
                .iter()
                .map(|item| shown(&item))
                .collect::<Result<Vec<_>, _>>()?;
            format!("[{}]", items.join(", "))
        }
        Val::Map(map) => shown_map(map)?,
        Val::Optional(_) => return Err(no_overload("%s", &[value])),
    })
}

fn shown_map(map: &Map<'_>) -> Result<String, EvalError> {
    let mut entries = Vec::with_capacity(map.len());
    for (key, value) in map.entries() {
        entries.push(format!("{}: {}", shown(&key)?, shown(&value)?));
    }
    entries.sort();
    Ok(format!("{{{}}}", entries.join(", ")))
}
