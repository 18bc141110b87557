//! The rules of a Choice state.

use std::cmp::Ordering;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::data::{Fault, Scope};

/// Whether a rule holds.
pub fn holds(rule: &Map<String, Value>, scope: &Scope<'_>) -> Result<bool, Fault> {
    if let Some(rules) = rule.get("And") {
        return all(rules, scope, false);
    }
    if let Some(rules) = rule.get("Or") {
        return all(rules, scope, true);
    }
    if let Some(inner) = rule.get("Not") {
        let inner = inner
            .as_object()
            .ok_or_else(|| Fault::runtime("Not holds one rule"))?;
        return Ok(!holds(inner, scope)?);
    }
    let variable = rule
        .get("Variable")
        .and_then(Value::as_str)
        .ok_or_else(|| Fault::runtime("a choice rule needs a Variable"))?;
    let (operator, operand) = rule
        .iter()
        .find(|(name, _)| !matches!(name.as_str(), "Variable" | "Next" | "Comment" | "Assign"))
        .ok_or_else(|| Fault::runtime("a choice rule needs a comparison"))?;
    let found = scope.path(variable, None);
    if operator == "IsPresent" {
        return Ok(Value::from(found.is_ok()) == *operand);
    }
    let invalid = |path: &str| {
        Fault::runtime(format!(
            "Invalid path '{path}': The choice state's condition path references an invalid value."
        ))
    };
    let value = found.map_err(|_| invalid(variable))?;
    let (operator, operand) = match operator.strip_suffix("Path") {
        Some(bare) => {
            let path = operand.as_str().unwrap_or_default();
            (bare, scope.path(path, None).map_err(|_| invalid(path))?)
        }
        None => (operator.as_str(), operand.clone()),
    };
    compare(operator, &value, &operand)
}

/// The first rule that decides, from the left: `And` stops at false, `Or` at true.
fn all(rules: &Value, scope: &Scope<'_>, decides: bool) -> Result<bool, Fault> {
    for rule in rules.as_array().into_iter().flatten() {
        let rule = rule
            .as_object()
            .ok_or_else(|| Fault::runtime("a choice rule is an object"))?;
        if holds(rule, scope)? == decides {
            return Ok(decides);
        }
    }
    Ok(!decides)
}

fn compare(operator: &str, value: &Value, operand: &Value) -> Result<bool, Fault> {
    let is = |kind: bool| Ok(Value::from(kind) == *operand);
    match operator {
        "IsNull" => return is(value.is_null()),
        "IsString" => return is(value.is_string()),
        "IsNumeric" => return is(value.is_number()),
        "IsBoolean" => return is(value.is_boolean()),
        "IsTimestamp" => return is(timestamp(value).is_some()),
        "BooleanEquals" => return Ok(value.is_boolean() && value == operand),
        "StringMatches" => {
            return Ok(value
                .as_str()
                .zip(operand.as_str())
                .is_some_and(|(text, pattern)| matches(text, pattern)));
        }
        _ => {}
    }
    // Values of another type than the operator's compare as false.
    let (order, relation) = if let Some(relation) = operator.strip_prefix("String") {
        let order = value.as_str().zip(operand.as_str());
        // By UTF-16 units, as the original (written in Java) compares.
        let order = order.map(|(a, b)| a.encode_utf16().cmp(b.encode_utf16()));
        (order, relation)
    } else if let Some(relation) = operator.strip_prefix("Numeric") {
        (numbers(value, operand), relation)
    } else if let Some(relation) = operator.strip_prefix("Timestamp") {
        let order = timestamp(value).zip(timestamp(operand));
        (order.map(|(a, b)| a.cmp(&b)), relation)
    } else {
        (None, "")
    };
    let fits: fn(Ordering) -> bool = match relation {
        "Equals" => Ordering::is_eq,
        "LessThan" => Ordering::is_lt,
        "LessThanEquals" => Ordering::is_le,
        "GreaterThan" => Ordering::is_gt,
        "GreaterThanEquals" => Ordering::is_ge,
        _ => {
            return Err(Fault::runtime(format!(
                "there is no comparison `{operator}`"
            )));
        }
    };
    Ok(order.is_some_and(fits))
}

/// Whether there is a comparison of this name.
pub fn is_operator(name: &str) -> bool {
    let bare = name.strip_suffix("Path").unwrap_or(name);
    let kind = matches!(
        name,
        "IsNull"
            | "IsPresent"
            | "IsString"
            | "IsNumeric"
            | "IsBoolean"
            | "IsTimestamp"
            | "StringMatches"
    );
    let relation = ["String", "Numeric", "Timestamp"]
        .iter()
        .find_map(|kind| bare.strip_prefix(kind));
    kind || bare == "BooleanEquals"
        || matches!(
            relation,
            Some("Equals" | "LessThan" | "LessThanEquals" | "GreaterThan" | "GreaterThanEquals")
        )
}

fn numbers(a: &Value, b: &Value) -> Option<Ordering> {
    match (a.as_i64(), b.as_i64()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        _ => a.as_f64()?.partial_cmp(&b.as_f64()?),
    }
}

/// RFC 3339 with a capital `T` and, where there is no offset, a capital `Z`.
pub fn timestamp(value: &Value) -> Option<Timestamp> {
    let text = value.as_str()?;
    let shape = text.len() >= 20
        && text.as_bytes().get(10) == Some(&b'T')
        && !text.contains(|c: char| c.is_ascii_lowercase() || c.is_whitespace());
    if shape { text.parse().ok() } else { None }
}

/// `*` stands for any run of characters; `\*` and `\\` for themselves.
fn matches(text: &str, pattern: &str) -> bool {
    let mut parts: Vec<Option<char>> = Vec::new();
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        parts.push(match c {
            '*' => None,
            '\\' => Some(chars.next().unwrap_or('\\')),
            c => Some(c),
        });
    }
    let text: Vec<char> = text.chars().collect();
    // Greedy with one step back to the last wildcard: linear but for the worst patterns.
    let (mut at, mut part) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while at < text.len() {
        match parts.get(part) {
            Some(None) => {
                back = Some((part, at));
                part += 1;
            }
            Some(Some(c)) if *c == text[at] => {
                part += 1;
                at += 1;
            }
            _ => match back {
                Some((wildcard, from)) => {
                    back = Some((wildcard, from + 1));
                    part = wildcard + 1;
                    at = from + 1;
                }
                None => return false,
            },
        }
    }
    parts[part..].iter().all(Option::is_none)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_operator_decides_its_cases() {
        let cases: Value =
            serde_json::from_str(include_str!("cases/choice.json")).expect("cases/choice.json");
        let mut operators = std::collections::BTreeSet::new();
        for case in cases.as_array().expect("a list") {
            let rule = case["rule"].as_object().expect("a rule");
            operators.extend(rule.keys().filter(|name| is_operator(name)).cloned());
            let scope = Scope::of_input(&case["input"]);
            let found = match holds(rule, &scope) {
                Ok(found) => Value::from(found),
                Err(fault) => Value::from(fault.error),
            };
            assert_eq!(found, case["holds"], "{case}");
        }
        let mut wanted: Vec<String> = Vec::new();
        for kind in ["String", "Numeric", "Timestamp"] {
            for relation in [
                "Equals",
                "LessThan",
                "LessThanEquals",
                "GreaterThan",
                "GreaterThanEquals",
            ] {
                wanted.extend([format!("{kind}{relation}"), format!("{kind}{relation}Path")]);
            }
        }
        for name in [
            "BooleanEquals",
            "BooleanEqualsPath",
            "StringMatches",
            "IsNull",
            "IsPresent",
            "IsString",
            "IsNumeric",
            "IsBoolean",
            "IsTimestamp",
        ] {
            wanted.push(name.to_owned());
        }
        let missing: Vec<_> = wanted
            .iter()
            .filter(|name| !operators.contains(*name))
            .collect();
        assert!(missing.is_empty(), "operators without a case: {missing:?}");
    }

    #[test]
    fn wildcards_match_runs_and_escapes_match_themselves() {
        let cases = [
            ("foo23.log", "foo*.log", true),
            ("foo.log", "foo*.log", true),
            ("foo.logs", "foo*.log", false),
            ("abcabd", "*abd", true),
            ("a*b", r"a\*b", true),
            ("axb", r"a\*b", false),
            (r"a\b", r"a\\b", true),
            ("", "*", true),
            ("", "", true),
            ("x", "", false),
            ("mississippi", "m*iss*pi", true),
        ];
        for (text, pattern, expected) in cases {
            assert_eq!(matches(text, pattern), expected, "{text} {pattern}");
        }
        assert!(timestamp(&json!("2016-03-14T01:59:00Z")).is_some());
    }
}
