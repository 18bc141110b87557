//! The functions of the language. Names are resolved when a program is compiled; an unknown one
//! is an error there and never at run time.

mod convert;
mod format;
mod math;
mod net;
mod optional;
mod strings;
mod time;

use super::eval::{Evaluated, Evaluation, no_overload};
use super::value::Val;

pub(crate) use strings::pattern;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Function {
    Size,
    Type,
    Dyn,
    Range,
    Convert(convert::Target),
    Base64Encode,
    Base64Decode,
    Matches,
    Text(strings::Operation),
    Format,
    Math(math::Operation),
    Part(time::Part),
    Optional(optional::Operation),
    Net(net::Operation),
}

impl Function {
    /// `name(args)`; `name` may carry a namespace.
    pub(crate) fn global(name: &str, args: usize) -> Option<Self> {
        Some(match (name, args) {
            ("size", 1) => Function::Size,
            ("type", 1) => Function::Type,
            ("dyn", 1) => Function::Dyn,
            ("lists.range", 1) => Function::Range,
            ("matches", 2) => Function::Matches,
            ("base64.encode", 1) => Function::Base64Encode,
            ("base64.decode", 1) => Function::Base64Decode,
            ("strings.quote", 1) => Function::Text(strings::Operation::Quote),
            _ => {
                if let Some(name) = name.strip_prefix("math.") {
                    return math::Operation::named(name, args).map(Function::Math);
                }
                return convert::Target::named(name)
                    .filter(|_| args == 1)
                    .map(Function::Convert)
                    .or_else(|| optional::Operation::global(name, args).map(Function::Optional))
                    .or_else(|| net::Operation::global(name, args).map(Function::Net));
            }
        })
    }

    /// `target.name(args)`.
    pub(crate) fn method(name: &str, args: usize) -> Option<Self> {
        Some(match (name, args) {
            ("size", 0) => Function::Size,
            ("matches", 1) => Function::Matches,
            ("format", 1) => Function::Format,
            _ => {
                return strings::Operation::named(name, args)
                    .map(Function::Text)
                    .or_else(|| time::Part::named(name, args).map(Function::Part))
                    .or_else(|| optional::Operation::method(name, args).map(Function::Optional))
                    .or_else(|| net::Operation::method(name, args).map(Function::Net));
            }
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
        (Function::Type, [value]) => Ok(Val::Type(value.type_name())),
        (Function::Dyn, [value]) => Ok(value.clone()),
        (Function::Range, [Val::Int(count)]) => {
            let count = usize::try_from(*count).unwrap_or(0);
            evaluation.charge(count)?;
            Ok(Val::list((0..count as i64).map(Val::Int).collect()))
        }
        (Function::Convert(target), [value]) => convert::convert(evaluation, target, value),
        (Function::Base64Encode, [Val::Bytes(bytes)]) => {
            evaluation.charge(bytes.len() / 16)?;
            Ok(Val::text(super::base64::encode(bytes)))
        }
        (Function::Base64Decode, [Val::Str(text)]) => {
            evaluation.charge(text.as_str().len() / 16)?;
            let bytes = super::base64::decode(text.as_str());
            let bytes = bytes.ok_or_else(|| convert::format_error("base64 text", text.as_str()))?;
            Ok(Val::Bytes(bytes.into()))
        }
        (Function::Matches, [Val::Str(text), Val::Str(wanted)]) => {
            let wanted = pattern(wanted.as_str()).map_err(super::EvalError::new)?;
            evaluation.charge(text.as_str().len() / 4)?;
            Ok(Val::Bool(wanted.is_match(text.as_str())))
        }
        (Function::Text(operation), _) => strings::call(evaluation, operation, args),
        (Function::Format, [Val::Str(text), Val::List(list)]) => {
            evaluation.charge(text.as_str().len())?;
            let formatted = format::format(text.as_str(), list)?;
            evaluation.charge(formatted.len())?;
            Ok(Val::text(formatted))
        }
        (Function::Math(operation), _) => math::call(operation, args),
        (Function::Part(part), _) => time::part(part, args),
        (Function::Optional(operation), _) => optional::call(operation, args),
        (Function::Net(operation), _) => net::call(operation, args),
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
