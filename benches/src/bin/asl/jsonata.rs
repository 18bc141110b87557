//! JSONata: `{% … %}` in a payload, evaluated by `seuil`.
//!
//! Amazon States Language adds functions of its own. `seuil` takes none from outside, so they are
//! defined in a prelude that looks results up by name and arguments, and stops with the call that
//! is not there yet; it is computed here, and the expression evaluated again. The functions are
//! pure, so the second evaluation gets as far as the first and on.

use std::cell::Cell;

use serde_json::{Map, Value, json};
use seuil::clock::MockEnvironment;
use seuil::{EvalConfig, Seuil};

use super::data::{Fault, Scope};
use super::functions::{self, Arguments};

/// Calls of the added functions in one expression.
const CALLS_MAX: usize = 1_000;
/// Begins the message of an evaluation that stops for a call.
const CALL: char = '\u{E000}';

/// Whether a value is what an argument must be.
type Fits = fn(&Value) -> bool;

/// The added functions, the intrinsic functions that do their work, and what their arguments are.
const ADDED: [(&str, &str, &[Fits]); 4] = [
    ("parse", "StringToJson", &[Value::is_string]),
    ("hash", "Hash", &[|_| true, Value::is_string]),
    (
        "partition",
        "ArrayPartition",
        &[Value::is_array, Value::is_number],
    ),
    (
        "range",
        "ArrayRange",
        &[Value::is_number, Value::is_number, Value::is_number],
    ),
];

/// What an expression sees and where it stands.
pub struct Query<'a> {
    /// `$states` and the variables.
    pub bindings: &'a Map<String, Value>,
    /// Of `$random` and `$uuid`.
    pub seed: &'a Cell<u64>,
    /// Of `$now` and `$millis`.
    pub now_ms: u64,
}

/// The expression in a text that is one.
pub fn expression(text: &str) -> Option<&str> {
    Some(text.strip_prefix("{%")?.strip_suffix("%}")?.trim())
}

impl Query<'_> {
    /// A payload with its expressions evaluated; `place` is the field that it stands in.
    pub fn template(&self, template: &Value, place: &str) -> Result<Value, Fault> {
        Ok(match template {
            Value::String(text) => match expression(text) {
                Some(expression) => self.evaluate(expression, place)?,
                None => template.clone(),
            },
            Value::Array(items) => {
                let items = items.iter().enumerate();
                let filled = items.map(|(at, item)| self.template(item, &format!("{place}[{at}]")));
                Value::Array(filled.collect::<Result<_, _>>()?)
            }
            Value::Object(map) => {
                let fields = map.iter().map(|(name, value)| {
                    let value = self.template(value, &format!("{place}/{name}"))?;
                    Ok((name.clone(), value))
                });
                Value::Object(fields.collect::<Result<_, Fault>>()?)
            }
            other => other.clone(),
        })
    }

    fn evaluate(&self, expression: &str, place: &str) -> Result<Value, Fault> {
        let about = |what: &str| {
            Fault::query(
                place,
                format!(
                    "The JSONata expression '{expression}' specified for the field '{place}' {what}"
                ),
            )
        };
        let threw = |error: &dyn std::fmt::Display| {
            let message = plain(&error.to_string());
            // A message without a code is joined otherwise.
            let coded = message
                .split_once(':')
                .is_some_and(|(code, _)| is_code(code));
            let joint = if coded { '.' } else { ':' };
            about(&format!(
                "threw an error during evaluation{joint} {message}"
            ))
        };
        let program = Seuil::compile(&program(expression)).map_err(|error| threw(&error))?;
        let seed = functions::split_mix(self.seed.get());
        self.seed.set(seed);
        let mut bindings = self.bindings.clone();
        let mut results = Map::new();
        for _ in 0..CALLS_MAX {
            let environment = MockEnvironment::new(seed);
            environment.set_clock(self.now_ms);
            let config = EvalConfig::with_environment(&environment);
            bindings.insert("results".to_owned(), Value::Object(results.clone()));
            let found =
                program.evaluate_with_config_and_bindings(&Value::Null, &config, Some(&bindings));
            let message = match found {
                Ok(mut found) => {
                    if found["kind"] == "function" {
                        return Err(about("returned an unsupported result type."));
                    }
                    let value = found
                        .as_object_mut()
                        .and_then(|found| found.remove("value"));
                    let value = value.ok_or_else(|| about("returned nothing (undefined)."));
                    return value.map(whole_numbers);
                }
                Err(error) => error.to_string(),
            };
            let Some((_, call)) = message.split_once(CALL) else {
                return Err(threw(&message));
            };
            let result = perform(call).map_err(|fault| threw(&fault.cause))?;
            results.insert(call.to_owned(), json!({"value": result}));
        }
        Err(about(&format!("calls more than {CALLS_MAX} functions.")))
    }
}

/// The expression behind the prelude. As a field of an object, so that nothing and `null` differ.
fn program(expression: &str) -> String {
    let mut text = format!(
        "($added := function($name, $arguments) {{(
            $call := $name & $string($arguments);
            $found := $lookup($results, $call);
            $exists($found) ? $found.value : $error('{CALL}' & $call)
        )}};"
    );
    for (name, parameters, arguments) in [
        ("parse", "$a", "'a': $a"),
        ("hash", "$a, $b", "'a': $a, 'b': $b"),
        ("partition", "$a, $b", "'a': $a, 'b': $b"),
        ("range", "$a, $b, $c", "'a': $a, 'b': $b, 'c': $c"),
    ] {
        text.push_str(&format!(
            "${name} := function({parameters}) {{ $added('{name}', {{{arguments}}}) }};"
        ));
    }
    text + "$value := (" + expression + "\n); {'value': $value, 'kind': $type($value)})"
}

/// An error code of JSONata, such as `T0410`.
fn is_code(text: &str) -> bool {
    text.len() == 5
        && text.starts_with(|c: char| c.is_ascii_uppercase())
        && text[1..].chars().all(|c| c.is_ascii_digit())
}

/// A message of an error without the place, which is one in the program around the expression, and
/// with numbers and names as the original writes them.
fn plain(message: &str) -> String {
    let mut text = message.to_owned();
    if let Some((code, rest)) = message.split_once(" @ ")
        && is_code(code)
        && let Some((_, rest)) = rest.split_once(": ")
    {
        text = format!("{code}: {rest}");
    }
    if let Some((values, rest)) = text.split_once(" side of operator ")
        && let Some((_, rest)) = rest.split_once(' ')
    {
        text = format!("{values} side of the operator {rest}");
    }
    let whole = |word: &'_ str| {
        let digits = word.strip_suffix(".0");
        let digits = digits.filter(|digits| digits.parse::<i64>().is_ok());
        digits.unwrap_or(word).to_owned()
    };
    let words: Vec<String> = text.split(' ').map(whole).collect();
    words.join(" ").replace('`', "\"")
}

/// A call such as `hash{"a":"x","b":"MD5"}`.
fn perform(call: &str) -> Result<Value, Fault> {
    let unknown = || Fault::intrinsic(format!("`{call}` is no call"));
    let (name, arguments) = call.split_at(call.find('{').ok_or_else(unknown)?);
    let (_, intrinsic, kinds) = *ADDED
        .iter()
        .find(|(added, ..)| *added == name)
        .ok_or_else(unknown)?;
    let arguments: Map<String, Value> = serde_json::from_str(arguments).map_err(|_| unknown())?;
    // Fields sort by name, so they come in the order of the parameters.
    for (index, (parameter, fits)) in ["a", "b", "c"].iter().zip(kinds).enumerate() {
        if !arguments.get(*parameter).is_some_and(fits) {
            return Err(Fault::intrinsic(format!(
                "T0410: Argument {} of function \"{name}\" does not match function signature",
                index + 1
            )));
        }
    }
    let values: Vec<Value> = arguments.into_iter().map(|(_, value)| value).collect();
    let seed = Cell::new(0);
    let scope = Scope {
        input: &Value::Null,
        context: &Value::Null,
        variables: &Value::Null,
        seed: &seed,
    };
    let arguments = Arguments {
        name: intrinsic,
        values: &values,
    };
    functions::apply(&arguments, &scope)
}

/// Numbers are doubles in JSONata; without a fraction they print as integers.
fn whole_numbers(value: Value) -> Value {
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(double) if double.fract() == 0.0 && double.abs() <= EXACT_MAX => {
                Value::from(double as i64)
            }
            _ => Value::Number(number),
        },
        Value::Array(items) => items.into_iter().map(whole_numbers).collect(),
        Value::Object(map) => {
            let fields = map.into_iter();
            Value::Object(
                fields
                    .map(|(name, value)| (name, whole_numbers(value)))
                    .collect(),
            )
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluated(text: &str) -> Result<Value, Fault> {
        let bindings = json!({"states": {"input": {"a": [1, 2.5, "x"], "json": "{\"k\": [1]}", "n": null}},
            "count": 3});
        let query = Query {
            bindings: bindings.as_object().expect("an object"),
            seed: &Cell::new(7),
            now_ms: 1_767_323_045_000,
        };
        query.template(&json!(text), "Output")
    }

    #[test]
    fn expressions_see_states_and_variables() {
        let cases = [
            ("{% $states.input.a[1] + $count %}", json!(5.5)),
            ("{% $sum([1, 2]) %}", json!(3)),
            ("{% $states.input.n %}", json!(null)),
            ("{% $states.input.a %}", json!([1, 2.5, "x"])),
            (
                "{% $states.input %}",
                json!({"a": [1, 2.5, "x"], "json": "{\"k\": [1]}", "n": null}),
            ),
            ("{% ($x := 2; $x * $count) %}", json!(6)),
            ("{% [1..$count] %}", json!([1, 2, 3])),
            ("{% $map([1, 2], function($v) { $v * 2 }) %}", json!([2, 4])),
            ("{% $parse($states.input.json).k[0] %}", json!(1)),
            (
                "{% $hash('input data', 'SHA-1') %}",
                json!("aaff4a450a104cd177d28d18d74485e8cae074b7"),
            ),
            (
                "{% $partition([1, 2, 3, 4, 5], 2) %}",
                json!([[1, 2], [3, 4], [5]]),
            ),
            ("{% $range(1, 9, 2) %}", json!([1, 3, 5, 7, 9])),
            ("{% $parse('1') + $parse('2') %}", json!(3)),
            ("{% $now() %}", json!("2026-01-02T03:04:05.000Z")),
            (" {% $count %}", json!(" {% $count %}")),
            ("{% 'a' in ['a', 'b'] and $not(false) %}", json!(true)),
        ];
        for (text, expected) in cases {
            assert_eq!(evaluated(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_gives_nothing_or_fails_says_where() {
        for (text, expected) in [
            (
                "{% $states.input.nope %}",
                "The JSONata expression '$states.input.nope' specified for the field 'Output' returned nothing (undefined).",
            ),
            ("{% 1 + 'a' %}", "threw an error during evaluation"),
            ("{% ( %}", "threw an error during evaluation"),
            ("{% $error('mine') %}", "mine"),
            ("{% $parse('{') %}", "threw an error during evaluation"),
        ] {
            let fault = evaluated(text).expect_err(text);
            assert_eq!(fault.error, "States.QueryEvaluationError");
            assert!(fault.cause.contains(expected), "{}", fault.cause);
            assert_eq!(fault.location.as_deref(), Some("Output"));
        }
    }
}
