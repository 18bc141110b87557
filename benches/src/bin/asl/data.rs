//! The flow of data through a state: paths, payload templates, `ResultPath`.

use std::cell::Cell;

use serde_json::{Map, Value};

use super::jsonpath::{Path, Root};
use super::{functions, intrinsics};

/// Largest input or output of a state, in bytes of JSON.
pub const DATA_LEN_MAX: usize = 262_144;

/// An error by name, as `Retry` and `Catch` see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub error: String,
    pub cause: String,
    /// The field whose JSONata expression failed.
    pub location: Option<String>,
}

impl Fault {
    pub fn new(error: &str, cause: impl Into<String>) -> Self {
        Self {
            error: error.to_owned(),
            cause: cause.into(),
            location: None,
        }
    }

    /// An expression of JSONata that gave nothing, the wrong thing, or failed.
    pub fn query(field: &str, cause: impl Into<String>) -> Self {
        Self {
            location: Some(field.to_owned()),
            ..Self::new("States.QueryEvaluationError", cause)
        }
    }

    /// A failure that only a catcher with its own name stops.
    pub fn runtime(cause: impl Into<String>) -> Self {
        Self::new("States.Runtime", cause)
    }

    pub fn intrinsic(cause: impl Into<String>) -> Self {
        Self::new("States.IntrinsicFailure", cause)
    }
}

/// What paths can see.
pub struct Scope<'a> {
    pub input: &'a Value,
    pub context: &'a Value,
    pub variables: &'a Value,
    /// State of the random numbers.
    pub seed: &'a Cell<u64>,
}

impl<'a> Scope<'a> {
    pub fn random(&self) -> u64 {
        let next = functions::split_mix(self.seed.get());
        self.seed.set(next);
        next
    }

    /// The same with other data behind `$`.
    pub fn over<'b>(&self, input: &'b Value) -> Scope<'b>
    where
        'a: 'b,
    {
        Scope { input, ..*self }
    }

    /// The value of a path; `field` is named in the error when there is none.
    pub fn path(&self, text: &str, field: Option<&str>) -> Result<Value, Fault> {
        let path = Path::parse(text).map_err(Fault::runtime)?;
        let found = match &path.root {
            Root::Input => path.select(self.input),
            Root::Context => path.select(self.context),
            Root::Variable(name) => match self.variables.get(name) {
                Some(value) => path.select(value),
                None => None,
            },
        };
        found.ok_or_else(|| {
            let specified = field.map_or_else(String::new, |field| {
                format!(" specified for the field '{field}'")
            });
            let document = if path.root == Root::Context {
                self.context
            } else {
                self.input
            };
            Fault::runtime(format!(
                "The JSONPath '{text}'{specified} could not be found in the input '{document}'"
            ))
        })
    }

    /// A path or an intrinsic function.
    pub fn expression(&self, text: &str, field: &str) -> Result<Value, Fault> {
        if intrinsics::is_call(text) {
            intrinsics::evaluate(text, self)
        } else {
            self.path(text, Some(field))
        }
    }

    /// `InputPath`, `OutputPath`, `ItemsPath`: absent keeps the data, `null` gives `{}`.
    pub fn filter(&self, state: &Map<String, Value>, field: &str) -> Result<Value, Fault> {
        match state.get(field) {
            None => Ok(self.input.clone()),
            Some(Value::Null) => Ok(Value::Object(Map::new())),
            Some(Value::String(text)) if intrinsics::is_call(text) => {
                intrinsics::evaluate(text, self)
            }
            Some(Value::String(text)) => self.path(text, None).map_err(|_| {
                Fault::runtime(format!(
                    "Invalid path '{text}' : No results for path: {text}"
                ))
            }),
            Some(_) => Err(Fault::runtime(format!("{field} must be a path or null"))),
        }
    }

    /// Fills a payload template: fields whose name ends in `.$` hold paths or functions.
    pub fn template(&self, template: &Value) -> Result<Value, Fault> {
        Ok(match template {
            Value::Object(map) => {
                let mut filled = Map::new();
                for (name, value) in map {
                    match (name.strip_suffix(".$"), value) {
                        (Some(bare), Value::String(text)) => {
                            filled.insert(bare.to_owned(), self.expression(text, name)?);
                        }
                        (Some(_), _) => {
                            return Err(Fault::runtime(format!(
                                "The value for the field '{name}' must be a valid JSONPath or a valid intrinsic function call"
                            )));
                        }
                        (None, value) => {
                            filled.insert(name.clone(), self.template(value)?);
                        }
                    }
                }
                Value::Object(filled)
            }
            Value::Array(items) => Value::Array(
                items
                    .iter()
                    .map(|item| self.template(item))
                    .collect::<Result<_, _>>()?,
            ),
            other => other.clone(),
        })
    }

    #[cfg(test)]
    pub fn of_input(input: &'a Value) -> Self {
        Scope {
            input,
            context: &Value::Null,
            variables: &Value::Null,
            seed: Box::leak(Box::new(Cell::new(1))),
        }
    }
}

/// `ResultPath`: where in the raw input the result goes.
pub fn place(state: &Map<String, Value>, raw: &Value, result: Value) -> Result<Value, Fault> {
    let text = match state.get("ResultPath") {
        None => return Ok(result),
        Some(Value::Null) => return Ok(raw.clone()),
        Some(Value::String(text)) => text,
        Some(_) => return Err(Fault::runtime("ResultPath must be a path or null")),
    };
    let path = Path::parse(text).map_err(Fault::runtime)?;
    let mismatch = || {
        Fault::new(
            "States.ResultPathMatchFailure",
            format!("Unable to apply ResultPath '{text}' to input '{raw}'"),
        )
    };
    let parts = path
        .reference()
        .ok_or_else(|| Fault::runtime(format!("ResultPath '{text}' is no reference path")))?;
    let mut output = raw.clone();
    let mut target = &mut output;
    for part in parts {
        target = match part {
            Ok(name) => {
                if target.is_null() {
                    *target = Value::Object(Map::new());
                }
                let map = target.as_object_mut().ok_or_else(mismatch)?;
                map.entry(name).or_insert(Value::Null)
            }
            Err(index) => usize::try_from(index)
                .ok()
                .and_then(|index| target.get_mut(index))
                .ok_or_else(mismatch)?,
        };
    }
    *target = result;
    Ok(output)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn placed(path: Value, raw: Value) -> Result<Value, String> {
        let state = Map::from_iter([("ResultPath".to_owned(), path)]);
        place(&state, &raw, json!(9)).map_err(|fault| fault.error)
    }

    #[test]
    fn results_go_where_result_path_says() {
        assert_eq!(placed(json!("$"), json!({"a": 1})), Ok(json!(9)));
        assert_eq!(placed(json!(null), json!({"a": 1})), Ok(json!({"a": 1})));
        assert_eq!(
            placed(json!("$.b"), json!({"a": 1})),
            Ok(json!({"a": 1, "b": 9}))
        );
        assert_eq!(
            placed(json!("$.b.c"), json!({})),
            Ok(json!({"b": {"c": 9}}))
        );
        assert_eq!(
            placed(json!("$.a[1]"), json!({"a": [1, 2]})),
            Ok(json!({"a": [1, 9]}))
        );
        let mismatch = Err("States.ResultPathMatchFailure".to_owned());
        assert_eq!(placed(json!("$.a[2]"), json!({"a": [1, 2]})), mismatch);
        assert_eq!(placed(json!("$.b"), json!(["x"])), mismatch);
        assert_eq!(placed(json!("$.b"), json!("x")), mismatch);
    }

    #[test]
    fn templates_fill_nested_fields() {
        let input = json!({"a": 1, "list": [{"b": 2}]});
        let template = json!({"x.$": "$.a", "deep": [{"y.$": "$.list[0].b"}, "$.a"], "$": 1});
        assert_eq!(
            Scope::of_input(&input).template(&template),
            Ok(json!({"x": 1, "deep": [{"y": 2}, "$.a"], "$": 1}))
        );
        let missing = Scope::of_input(&input).template(&json!({"m.$": "$.nope"}));
        assert_eq!(
            missing.map_err(|fault| fault.cause),
            Err("The JSONPath '$.nope' specified for the field 'm.$' could not be found in the input \
                 '{\"a\":1,\"list\":[{\"b\":2}]}'"
                .to_owned())
        );
    }
}
