//! The flow of data through a state: paths, payload templates, `ResultPath`.

use std::cell::Cell;

use serde_json::{Map, Value};

use super::jsonpath::{Path, Root};
use super::{functions, intrinsics};

/// Largest input or output of a state, in bytes of JSON.
pub const DATA_LEN_MAX: usize = 262_144;

/// What a Task fails with that sent no heartbeat in time: retriers and catchers may name it, all
/// else sees `States.Timeout`.
pub const HEARTBEAT_TIMEOUT: &str = "States.HeartbeatTimeout";

/// What a reference path that cannot be followed shows as.
pub const REFERENCE_CONFLICT: &str = "States.ReferencePathConflict";

/// An error by name, as `Retry` and `Catch` see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    pub error: String,
    pub cause: String,
    /// The field whose JSONata expression failed.
    pub location: Option<String>,
    /// Whether a Fail state says so: then the cause is its own.
    pub is_said: bool,
}

impl Fault {
    pub fn new(error: &str, cause: impl Into<String>) -> Self {
        Self {
            error: error.to_owned(),
            cause: cause.into(),
            location: None,
            is_said: false,
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

    /// A function that cannot do its work: retriers and catchers may name it, all else sees a
    /// runtime error, as measured.
    pub fn intrinsic(cause: impl Into<String>) -> Self {
        Self::new("States.IntrinsicFailure", cause)
    }

    /// A step of a reference path that its data has not.
    pub fn conflict(error: &str, step: &str, data: &Value) -> Self {
        let cause = format!("Unable to apply step \"{step}\" to input {data}");
        Self::new(error, cause)
    }

    /// A result over the limit, of a state or of what a Task called.
    pub fn too_large(of: &str) -> Self {
        let cause = format!(
            "The state/task '{of}' returned a result with a size exceeding the maximum number of bytes service limit."
        );
        Self::new("States.DataLimitExceeded", cause)
    }

    /// The name that the history and the outcome show.
    pub fn public_name(&self) -> &str {
        public_name(&self.error)
    }
}

/// The name of an error that the history and the outcome show.
pub fn public_name(error: &str) -> &str {
    match error {
        HEARTBEAT_TIMEOUT => "States.Timeout",
        "States.IntrinsicFailure" => "States.Runtime",
        "States.ResultPathMatchFailure" => REFERENCE_CONFLICT,
        error => error,
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

    fn document(&self, path: &Path) -> &'a Value {
        match &path.root {
            Root::Input => self.input,
            Root::Context => self.context,
            Root::Variable(name) => self.variables.get(name).unwrap_or(&Value::Null),
        }
    }

    /// The value of a path; `field` is named in the error when there is none.
    pub fn path(&self, text: &str, field: Option<&str>) -> Result<Value, Fault> {
        let path = Path::parse(text).map_err(Fault::runtime)?;
        path.select(self.document(&path)).ok_or_else(|| {
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

    /// A field of a payload: unlike elsewhere, an index past the end of a list gives null.
    fn payload(&self, text: &str, field: &str) -> Result<Value, Fault> {
        let is_path = text.starts_with("$.") || text == "$";
        if is_path && self.input.is_null() {
            return Err(Fault::runtime(
                "Unable to apply Path transformation to null or empty input.",
            ));
        }
        self.expression(text, field).or_else(|fault| {
            let path = Path::parse(text).ok();
            let past = path.filter(|path| path.is_past_the_end(self.document(path)));
            past.map(|_| Value::Null).ok_or(fault)
        })
    }

    /// `InputPath`, `OutputPath`, `ItemsPath`: absent keeps the data, `null` gives `{}`.
    pub fn filter(&self, state: &Map<String, Value>, field: &str) -> Result<Value, Fault> {
        match state.get(field) {
            None => Ok(self.input.clone()),
            Some(Value::Null) => Ok(Value::Object(Map::new())),
            Some(Value::String(text)) if intrinsics::is_call(text) => {
                intrinsics::evaluate(text, self)
            }
            Some(Value::String(text)) => {
                let path = Path::parse(text).map_err(Fault::runtime)?;
                let document = self.document(&path);
                path.select(document).ok_or_else(|| {
                    let missing = path.missing(document);
                    Fault::runtime(format!("Invalid path '{text}' : {missing}"))
                })
            }
            Some(_) => Err(Fault::runtime(format!("{field} must be a path or null"))),
        }
    }

    /// As [`filter`](Self::filter), for a reference path.
    pub fn reference(&self, state: &Map<String, Value>, field: &str) -> Result<Value, Fault> {
        self.filter(state, field).map_err(|fault| {
            let path = state.get(field).and_then(Value::as_str);
            match path.and_then(|text| Path::parse(text).ok()) {
                Some(path) => {
                    let document = self.document(&path);
                    Fault::conflict(REFERENCE_CONFLICT, &path.missing_step(document), document)
                }
                None => fault,
            }
        })
    }

    /// Fills a payload template: fields whose name ends in `.$` hold paths or functions.
    pub fn template(&self, template: &Value) -> Result<Value, Fault> {
        Ok(match template {
            Value::Object(map) => {
                let mut filled = Map::new();
                for (name, value) in map {
                    match (name.strip_suffix(".$"), value) {
                        (Some(bare), Value::String(text)) => {
                            filled.insert(bare.to_owned(), self.payload(text, name)?);
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
    let parts = path
        .reference()
        .ok_or_else(|| Fault::runtime(format!("ResultPath '{text}' is no reference path")))?;
    let mut output = raw.clone();
    let mut target = &mut output;
    for part in parts {
        let mismatch = || {
            let step = part.map_or_else(|index| index.to_string(), str::to_owned);
            Fault::conflict("States.ResultPathMatchFailure", &step, raw)
        };
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
