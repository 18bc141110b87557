//! Functions of strings. Positions count characters, not bytes.

use crate::expr::EvalError;
use crate::expr::eval::{Evaluated, Evaluation, no_overload};
use crate::expr::value::{List, Val};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    Contains,
    StartsWith,
    EndsWith,
    CharAt,
    IndexOf,
    LastIndexOf,
    Join,
    LowerAscii,
    UpperAscii,
    Replace,
    Reverse,
    Split,
    Substring,
    Trim,
    Quote,
}

impl Operation {
    pub(crate) fn named(name: &str, args: usize) -> Option<Self> {
        Some(match (name, args) {
            ("contains", 1) => Operation::Contains,
            ("startsWith", 1) => Operation::StartsWith,
            ("endsWith", 1) => Operation::EndsWith,
            ("charAt", 1) => Operation::CharAt,
            ("indexOf", 1 | 2) => Operation::IndexOf,
            ("lastIndexOf", 1 | 2) => Operation::LastIndexOf,
            ("join", 0 | 1) => Operation::Join,
            ("lowerAscii", 0) => Operation::LowerAscii,
            ("upperAscii", 0) => Operation::UpperAscii,
            ("replace", 2 | 3) => Operation::Replace,
            ("reverse", 0) => Operation::Reverse,
            ("split", 1 | 2) => Operation::Split,
            ("substring", 1 | 2) => Operation::Substring,
            ("trim", 0) => Operation::Trim,
            _ => return None,
        })
    }
}

/// A compiled pattern, of bounded size: patterns may come from data.
pub(crate) fn pattern(text: &str) -> Result<regex_lite::Regex, String> {
    let built = regex_lite::RegexBuilder::new(text)
        .size_limit(256 * 1024)
        .build();
    built.map_err(|error| format!("`{text}` is no pattern: {error}"))
}

pub(crate) fn call<'a>(
    evaluation: &mut Evaluation<'a, '_>,
    operation: Operation,
    args: &[Val<'a>],
) -> Evaluated<'a> {
    let mismatch = || no_overload(&format!("{operation:?}"), &args.iter().collect::<Vec<_>>());
    if operation == Operation::Join {
        let (list, separator) = match args {
            [Val::List(list)] => (list, ""),
            [Val::List(list), Val::Str(separator)] => (list, separator.as_str()),
            _ => return Err(mismatch()),
        };
        return join(evaluation, list, separator);
    }
    let Some(Val::Str(target)) = args.first() else {
        return Err(mismatch());
    };
    let target = target.as_str();
    evaluation.charge(target.len() / 4)?;
    let rest = &args[1..];
    match (operation, rest) {
        (Operation::Contains, [Val::Str(part)]) => Ok(Val::Bool(target.contains(part.as_str()))),
        (Operation::StartsWith, [Val::Str(part)]) => {
            Ok(Val::Bool(target.starts_with(part.as_str())))
        }
        (Operation::EndsWith, [Val::Str(part)]) => Ok(Val::Bool(target.ends_with(part.as_str()))),
        (Operation::CharAt, [Val::Int(index)]) => {
            let index = position(target, *index)?;
            Ok(Val::text(
                target
                    .chars()
                    .nth(index)
                    .map(String::from)
                    .unwrap_or_default(),
            ))
        }
        (Operation::IndexOf, [Val::Str(part)]) => Ok(Val::Int(index_of(target, part.as_str(), 0))),
        (Operation::IndexOf, [Val::Str(part), Val::Int(from)]) => Ok(Val::Int(index_of(
            target,
            part.as_str(),
            position(target, *from)?,
        ))),
        (Operation::LastIndexOf, [Val::Str(part)]) => {
            Ok(Val::Int(last_index_of(target, part.as_str(), None)))
        }
        (Operation::LastIndexOf, [Val::Str(part), Val::Int(until)]) => Ok(Val::Int(last_index_of(
            target,
            part.as_str(),
            Some(position(target, *until)?),
        ))),
        (Operation::LowerAscii, []) => Ok(Val::text(target.to_ascii_lowercase())),
        (Operation::UpperAscii, []) => Ok(Val::text(target.to_ascii_uppercase())),
        (Operation::Replace, [Val::Str(old), Val::Str(new)]) => {
            replace(evaluation, target, old.as_str(), new.as_str(), -1)
        }
        (Operation::Replace, [Val::Str(old), Val::Str(new), Val::Int(limit)]) => {
            replace(evaluation, target, old.as_str(), new.as_str(), *limit)
        }
        (Operation::Reverse, []) => Ok(Val::text(target.chars().rev().collect::<String>())),
        (Operation::Split, [Val::Str(separator)]) => {
            split(evaluation, target, separator.as_str(), -1)
        }
        (Operation::Split, [Val::Str(separator), Val::Int(limit)]) => {
            split(evaluation, target, separator.as_str(), *limit)
        }
        (Operation::Substring, [Val::Int(from)]) => {
            let from = position(target, *from)?;
            Ok(Val::text(target.chars().skip(from).collect::<String>()))
        }
        (Operation::Substring, [Val::Int(from), Val::Int(to)]) => {
            let (from, to) = (position(target, *from)?, position(target, *to)?);
            let len = to
                .checked_sub(from)
                .ok_or_else(|| EvalError::new(format!("substring from {from} to {to}")))?;
            Ok(Val::text(
                target.chars().skip(from).take(len).collect::<String>(),
            ))
        }
        (Operation::Trim, []) => Ok(Val::text(target.trim())),
        (Operation::Quote, []) => Ok(Val::text(quote(target))),
        _ => Err(mismatch()),
    }
}

/// An index between 0 and the number of characters, both included.
fn position(target: &str, index: i64) -> Result<usize, EvalError> {
    let found = usize::try_from(index)
        .ok()
        .filter(|index| *index <= target.chars().count());
    found.ok_or_else(|| {
        EvalError::new(format!(
            "index {index} is outside a string of {}",
            target.chars().count()
        ))
    })
}

fn index_of(target: &str, part: &str, from: usize) -> i64 {
    let start: usize = target.chars().take(from).map(char::len_utf8).sum();
    match target[start..].find(part) {
        Some(at) => (from + target[start..start + at].chars().count()) as i64,
        None => -1,
    }
}

fn last_index_of(target: &str, part: &str, until: Option<usize>) -> i64 {
    let end = match until {
        // The match may begin at `until` and reach beyond it.
        Some(until) => target
            .chars()
            .take(until)
            .map(char::len_utf8)
            .sum::<usize>()
            .saturating_add(part.len()),
        None => target.len(),
    };
    let mut end = end.min(target.len());
    while !target.is_char_boundary(end) {
        end -= 1;
    }
    target[..end]
        .rfind(part)
        .map_or(-1, |at| target[..at].chars().count() as i64)
}

fn replace<'a>(
    evaluation: &mut Evaluation<'a, '_>,
    target: &str,
    old: &str,
    new: &str,
    limit: i64,
) -> Evaluated<'a> {
    let found = target.matches(old).count();
    let count = usize::try_from(limit).map_or(found, |limit| limit.min(found));
    evaluation.charge(count.saturating_mul(new.len()))?;
    Ok(Val::text(target.replacen(old, new, count)))
}

fn split<'a>(
    evaluation: &mut Evaluation<'a, '_>,
    target: &str,
    separator: &str,
    limit: i64,
) -> Evaluated<'a> {
    let parts: Vec<String> = if limit == 0 {
        Vec::new()
    } else if separator.is_empty() {
        target.chars().map(String::from).collect()
    } else {
        match usize::try_from(limit) {
            Ok(limit) => target.splitn(limit, separator).map(str::to_owned).collect(),
            Err(_) => target.split(separator).map(str::to_owned).collect(),
        }
    };
    let parts = match usize::try_from(limit) {
        Ok(limit) if separator.is_empty() && limit > 0 && parts.len() > limit => {
            let mut kept = parts[..limit - 1].to_vec();
            kept.push(parts[limit - 1..].concat());
            kept
        }
        _ => parts,
    };
    evaluation.charge(parts.len())?;
    Ok(Val::list(parts.into_iter().map(Val::text).collect()))
}

fn join<'a>(
    evaluation: &mut Evaluation<'a, '_>,
    list: &List<'a>,
    separator: &str,
) -> Evaluated<'a> {
    let mut out = String::new();
    for (index, item) in list.iter().enumerate() {
        let Val::Str(text) = &item else {
            return Err(no_overload("join", &[&item]));
        };
        if index > 0 {
            out.push_str(separator);
        }
        out.push_str(text.as_str());
        evaluation.charge(1 + (text.as_str().len() + separator.len()) / 4)?;
    }
    Ok(Val::text(out))
}

/// The text as a literal that reads back as the same text.
pub(crate) fn quote(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{b}' => out.push_str("\\v"),
            '\\' => out.push_str("\\\\"),
            '"' => out.push_str("\\\""),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
