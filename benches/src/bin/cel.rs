//! Runs CEL conformance files (protobuf text format) against the expressions of `flowcore`.
//!
//! `cel FILE.textproto…` prints a line per file, the failures, and a last line of JSON. Cases that
//! need protobuf messages, enums or other things that JSON does not have are out of scope and
//! counted by reason; everything else is in scope. Exit code 2 when a file could not be read.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

#[path = "../workflows/textproto.rs"]
mod textproto;

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::rc::Rc;

use flowcore::expr::{Instant, List, Map, Program, Span, Text, Val};
use textproto::{Item, Message};

const BUDGET: u64 = 10_000_000;

enum Outcome {
    Passed,
    Failed(String),
    OutOfScope(&'static str),
}

fn main() -> ExitCode {
    let files: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--json")
        .collect();
    if files.is_empty() {
        eprintln!("usage: cel FILE.textproto…");
        return ExitCode::from(2);
    }
    let (mut passed, mut failed) = (0_u64, 0_u64);
    let mut reasons: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut failures = Vec::new();
    let mut exit = ExitCode::SUCCESS;
    for file in &files {
        let tests = match read(file) {
            Ok(tests) => tests,
            Err(error) => {
                eprintln!("{file}: {error}");
                exit = ExitCode::from(2);
                continue;
            }
        };
        let mut counts = [0_u64; 3];
        for (name, test) in tests {
            match run(&test) {
                Outcome::Passed => counts[0] += 1,
                Outcome::Failed(message) => {
                    counts[1] += 1;
                    failures.push(format!("{file}: {name}: {message}"));
                }
                Outcome::OutOfScope(reason) => {
                    counts[2] += 1;
                    *reasons.entry(reason).or_default() += 1;
                }
            }
        }
        println!(
            "{file}: {} passed, {} failed, {} out of scope",
            counts[0], counts[1], counts[2]
        );
        passed += counts[0];
        failed += counts[1];
    }
    for (reason, count) in &reasons {
        println!("out of scope: {count} ({reason})");
    }
    for failure in &failures {
        println!("FAILED {failure}");
    }
    let summary = serde_json::json!({
        "in_scope": passed + failed,
        "passed": passed,
        "out_of_scope": reasons.values().sum::<u64>(),
        "out_of_scope_reasons": reasons,
        "failures": failures,
    });
    println!("{summary}");
    exit
}

/// All cases of a file as `section/name`.
fn read(file: &str) -> Result<Vec<(String, Message)>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let root = textproto::parse(&text)?;
    let mut tests = Vec::new();
    for section in root.all("section") {
        let Item::Message(section) = section else {
            continue;
        };
        let name = section.text("name").unwrap_or_default();
        for test in section.all("test") {
            if let Item::Message(test) = test {
                tests.push((
                    format!("{name}/{}", test.text("name").unwrap_or_default()),
                    test.clone(),
                ));
            }
        }
    }
    Ok(tests)
}

/// Why a case cannot be put to expressions over JSON, if so.
fn out_of_scope(test: &Message, expr: &str) -> Option<&'static str> {
    if test.get("unknown").is_some() || test.get("any_unknowns").is_some() {
        return Some("unknown values");
    }
    if test.word("check_only") == Some("true") {
        return Some("static types only");
    }
    if test.word("disable_macros") == Some("true") {
        return Some("macros switched off");
    }
    let container = test.text("container").unwrap_or_default();
    if container.contains("conformance.proto")
        || container == "google.protobuf"
        || expr.contains("TestAllTypes")
        || expr.contains("proto.getExt")
        || expr.contains("proto.hasExt")
    {
        return Some("protobuf messages");
    }
    let messages = expr
        .replace("google.protobuf.Timestamp", "")
        .replace("google.protobuf.Duration", "");
    if messages.contains("google.protobuf")
        || expr.contains("google.protobuf.Timestamp{")
        || expr.contains("google.protobuf.Duration{")
    {
        return Some("protobuf messages");
    }
    if mentions(test, "enum_value") {
        return Some("enums");
    }
    if foreign_message(test) {
        return Some("protobuf messages");
    }
    None
}

fn mentions(message: &Message, name: &str) -> bool {
    message.0.iter().any(|field| {
        field.name == name || matches!(&field.value, Item::Message(inner) if mentions(inner, name))
    })
}

/// Whether a value in the case is a message other than a timestamp or a duration.
fn foreign_message(message: &Message) -> bool {
    message.0.iter().any(|field| match &field.value {
        Item::Message(inner) if field.name == "object_value" => inner.0.iter().any(|object| {
            !object.name.ends_with("Timestamp]") && !object.name.ends_with("Duration]")
        }),
        Item::Message(inner) => foreign_message(inner),
        Item::Text(name) if field.name == "message_type" => {
            !name.ends_with(b"Timestamp") && !name.ends_with(b"Duration")
        }
        _ => false,
    })
}

fn run(test: &Message) -> Outcome {
    let expr = test.text("expr").unwrap_or_default();
    if let Some(reason) = out_of_scope(test, &expr) {
        return Outcome::OutOfScope(reason);
    }
    let mut bindings = Vec::new();
    for binding in test.all("bindings") {
        let Item::Message(binding) = binding else {
            continue;
        };
        let name = binding.text("key").unwrap_or_default();
        let value = binding
            .message("value")
            .and_then(|value| value.message("value"));
        match value.ok_or("no value").and_then(|value| value_of(value)) {
            Ok(value) => bindings.push((name, value)),
            Err(reason) => return Outcome::OutOfScope(reason),
        }
    }
    // Inside a container `c`, the variable `c.x` is also `x`, and that reading comes first.
    let container = test.text("container").unwrap_or_default();
    if !container.is_empty() {
        let inner: Vec<_> = bindings
            .iter()
            .filter_map(|(name, value)| {
                Some((
                    name.strip_prefix(&container)?.strip_prefix('.')?.to_owned(),
                    value.clone(),
                ))
            })
            .collect();
        bindings.splice(0..0, inner);
    }
    let names: Vec<&str> = bindings.iter().map(|(name, _)| name.as_str()).collect();
    let values: Vec<Val<'_>> = bindings.iter().map(|(_, value)| value.clone()).collect();
    // Without a static check an unknown name is an error only where it is reached.
    let unchecked = test.word("disable_check") == Some("true");
    let program = if unchecked {
        Program::unchecked(&expr, &names)
    } else {
        Program::standalone(&expr, &names)
    };
    let program = program.map_err(|error| error.to_string());
    let found = program.as_ref().map_err(Clone::clone).and_then(|program| {
        program
            .evaluate(&values, BUDGET)
            .map_err(|error| error.to_string())
    });
    let wants_error = test.get("eval_error").is_some() || test.get("any_eval_errors").is_some();
    if wants_error {
        return match found {
            Err(_) => Outcome::Passed,
            Ok(value) => Outcome::Failed(format!("`{expr}` gave {value:?} instead of an error")),
        };
    }
    let typed = test
        .message("typed_result")
        .and_then(|typed| typed.message("result"));
    if test.get("typed_result").is_some() && typed.is_none() {
        return Outcome::OutOfScope("static types only");
    }
    let expected = match test.message("value").or(typed) {
        Some(value) => match value_of(value) {
            Ok(value) => value,
            Err(reason) => return Outcome::OutOfScope(reason),
        },
        None => Val::Bool(true),
    };
    match found {
        Ok(value) if same(&value, &expected) => Outcome::Passed,
        Ok(value) => Outcome::Failed(format!("`{expr}` gave {value:?}, expected {expected:?}")),
        Err(error) => Outcome::Failed(format!("`{expr}` gave the error {error}")),
    }
}

/// Equal in value and in type.
fn same(found: &Val<'_>, expected: &Val<'_>) -> bool {
    match (found, expected) {
        (Val::Double(a), Val::Double(b)) => a == b || a.is_nan() && b.is_nan(),
        (Val::List(a), Val::List(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| same(&a, &b))
        }
        (Val::Map(a), Val::Map(b)) => {
            a.len() == b.len()
                && a.entries()
                    .iter()
                    .all(|(key, value)| b.get(key).is_some_and(|other| same(value, &other)))
        }
        _ => found.type_name() == expected.type_name() && found.equals(expected),
    }
}

/// A `cel.expr.Value` message as a value; the error is the reason why it is none here.
fn value_of(message: &Message) -> Result<Val<'static>, &'static str> {
    let Some(field) = message.0.first() else {
        return Ok(Val::Null);
    };
    let bad = "a value that this reader does not know";
    let number = |item: &Item| match item {
        Item::Word(word) => word.parse::<i64>().map_err(|_| bad),
        _ => Err(bad),
    };
    Ok(match (field.name.as_str(), &field.value) {
        ("null_value", _) => Val::Null,
        ("bool_value", Item::Word(word)) => Val::Bool(word == "true" || word == "t" || word == "1"),
        ("int64_value", Item::Word(word)) => Val::Int(
            integer(word)
                .and_then(|wide| i64::try_from(wide).ok())
                .ok_or(bad)?,
        ),
        ("uint64_value", Item::Word(word)) => Val::Uint(
            integer(word)
                .and_then(|wide| u64::try_from(wide).ok())
                .ok_or(bad)?,
        ),
        ("double_value", Item::Word(word)) => Val::Double(word.parse().map_err(|_| bad)?),
        ("string_value", Item::Text(bytes)) => Val::Str(Text::Owned(Rc::from(
            String::from_utf8(bytes.clone()).map_err(|_| bad)?,
        ))),
        ("bytes_value", Item::Text(bytes)) => Val::Bytes(Rc::from(bytes.as_slice())),
        ("type_value", Item::Text(name)) => {
            let name = String::from_utf8_lossy(name).into_owned();
            Val::Type(Box::leak(name.into_boxed_str()))
        }
        ("list_value", Item::Message(list)) => {
            let items = list.all("values").map(|item| match item {
                Item::Message(value) => value_of(value),
                _ => Err(bad),
            });
            Val::List(List::Owned(Rc::new(items.collect::<Result<_, _>>()?)))
        }
        ("map_value", Item::Message(map)) => {
            let entries = map.all("entries").map(|entry| {
                let Item::Message(entry) = entry else {
                    return Err(bad);
                };
                let part = |name| entry.message(name).ok_or(bad).and_then(value_of);
                Ok((part("key")?, part("value")?))
            });
            Val::Map(Map::Owned(Rc::new(entries.collect::<Result<_, _>>()?)))
        }
        ("object_value", Item::Message(object)) => {
            let Some(object) = object.0.first() else {
                return Err(bad);
            };
            let Item::Message(fields) = &object.value else {
                return Err(bad);
            };
            let part = |name| fields.get(name).map_or(Ok(0), number);
            let (secs, nanos) = (part("seconds")?, part("nanos")?);
            if object.name.ends_with("Timestamp]") {
                Val::Timestamp(
                    Instant::new(secs, u32::try_from(nanos).map_err(|_| bad)?).ok_or(bad)?,
                )
            } else if object.name.ends_with("Duration]") {
                Val::Duration(Span::new(secs, i32::try_from(nanos).map_err(|_| bad)?).ok_or(bad)?)
            } else {
                return Err("protobuf messages");
            }
        }
        ("enum_value", _) => return Err("enums"),
        _ => return Err(bad),
    })
}

fn integer(word: &str) -> Option<i128> {
    match word.strip_prefix("0x") {
        Some(digits) => i128::from_str_radix(digits, 16).ok(),
        None => word.parse().ok(),
    }
}
