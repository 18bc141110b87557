//! The two query languages of states behind the same questions.

use serde_json::{Map, Value, json};

use super::choice;
use super::data::{Fault, Scope, place};
use super::interpreter::{Visit, shown};
use super::jsonata::{Query, expression};
use super::machine::Language;

/// What `$states` of JSONata holds beside the input and the context.
#[derive(Clone, Copy)]
pub enum Seen<'v> {
    Input,
    Result(&'v Value),
    Error(&'v Value),
}

/// What `Assign` of a state set, and all variables after it.
pub struct Assigned {
    pub new: Map<String, Value>,
    pub all: Value,
}

/// A rule of a Choice state and its number; `None` is its default.
pub type Chosen<'m> = Option<(usize, &'m Map<String, Value>)>;

impl<'m> Visit<'m> {
    /// Runs `body` with what JSONPath can see.
    pub fn scoped<T>(
        &mut self,
        body: impl FnOnce(&Scope<'_>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let context = self.context();
        body(&Scope {
            input: self.data(),
            context: &context,
            variables: &self.token["vars"],
            seed: &self.shared.seed,
        })
    }

    /// A payload of a JSONata state; `field` names it in errors.
    pub fn jsonata(
        &mut self,
        template: &Value,
        field: &str,
        seen: Seen<'_>,
    ) -> Result<Value, Fault> {
        let context = self.context();
        self.jsonata_within(context, template, field, seen)
    }

    pub fn jsonata_within(
        &mut self,
        context: Value,
        template: &Value,
        field: &str,
        seen: Seen<'_>,
    ) -> Result<Value, Fault> {
        let mut states = json!({"input": self.data(), "context": context});
        match seen {
            Seen::Input => {}
            Seen::Result(result) => states["result"] = result.clone(),
            Seen::Error(error) => states["errorOutput"] = error.clone(),
        }
        let mut bindings = self.token["vars"].as_object().cloned().unwrap_or_default();
        bindings.insert("states".to_owned(), states);
        let query = Query {
            bindings: &bindings,
            seed: &self.shared.seed,
            now_ms: u64::try_from(self.interpreter.now().as_millisecond()).unwrap_or(0),
        };
        query.template(template, field)
    }

    /// What the state works on: its data, through `InputPath`.
    pub fn input(&mut self) -> Result<Value, Fault> {
        match self.state.language {
            Language::JsonPath => {
                self.scoped(|scope| scope.filter(&self.state.fields, "InputPath"))
            }
            Language::Jsonata => Ok(self.data().clone()),
        }
    }

    /// What is handed to a Task or to branches: `Parameters` or `Arguments`, else the input.
    pub fn payload(&mut self, input: &Value) -> Result<Value, Fault> {
        let fields = &self.state.fields;
        match self.state.language {
            Language::JsonPath => match fields.get("Parameters") {
                Some(parameters) => self.scoped(|scope| scope.over(input).template(parameters)),
                None => Ok(input.clone()),
            },
            Language::Jsonata => match fields.get("Arguments") {
                Some(arguments) => self.jsonata(arguments, "Arguments", Seen::Input),
                None => Ok(input.clone()),
            },
        }
    }

    /// A field that may be computed: by a path or function in `…Path`, or by an expression.
    pub fn field(&mut self, name: &str, input: &Value) -> Result<Option<Value>, Fault> {
        let fields = &self.state.fields;
        let by_path = format!("{name}Path");
        match (self.state.language, fields.get(&by_path), fields.get(name)) {
            (Language::JsonPath, Some(Value::String(path)), _) => {
                let found = self.scoped(|scope| scope.over(input).expression(path, &by_path));
                found.map(Some)
            }
            (Language::Jsonata, _, Some(value)) => self.jsonata(value, name, Seen::Input).map(Some),
            (_, _, value) => Ok(value.cloned()),
        }
    }

    /// As [`field`](Self::field), which must give a number that is not negative.
    pub fn number(&mut self, name: &str, input: &Value) -> Result<Option<f64>, Fault> {
        let Some(value) = self.field(name, input)? else {
            return Ok(None);
        };
        let by_path = self.state.text(&format!("{name}Path"));
        // A path may lead to a number in a text.
        let number = match (&value, by_path) {
            (Value::String(text), Some(_)) => text.parse().ok(),
            (value, _) => value.as_f64(),
        };
        let Some(number) = number else {
            let expression = self.state.text(name).and_then(expression);
            return Err(match (expression, by_path) {
                (Some(expression), _) => unexpected(expression, name, "number", &value),
                (None, path) => {
                    let kind = if name.ends_with("Percentage") {
                        "float"
                    } else {
                        "integer"
                    };
                    Fault::runtime(format!(
                        "The {name}Path field refers to value \"{}\" which is not a valid {kind}: {}",
                        shown(&value),
                        path.unwrap_or_default()
                    ))
                }
            });
        };
        let allowed = match name {
            "ToleratedFailurePercentage" => 0.0..=100.0,
            _ => 0.0..=1e10,
        };
        if allowed.contains(&number) {
            return Ok(Some(number));
        }
        Err(Fault::runtime(match name {
            "ToleratedFailurePercentage" => format!("{name} must be between 0 and 100."),
            "ToleratedFailureCount" => format!("{name} cannot be negative."),
            _ => {
                let value = shown(&value);
                format!("Expected non-negative integer for {name}, got '{value}' instead.")
            }
        }))
    }

    /// The rule of a Choice state that holds first.
    pub fn choose(&mut self, input: &Value) -> Result<Chosen<'m>, Fault> {
        let state = self.state;
        for (index, rule) in state.objects("Choices").enumerate() {
            let holds = match state.language {
                Language::JsonPath => {
                    self.scoped(|scope| choice::holds(rule, &scope.over(input)))?
                }
                Language::Jsonata => {
                    let field = format!("Choices[{index}]/Condition");
                    let condition = rule.get("Condition").unwrap_or(&Value::Null);
                    match self.jsonata(condition, &field, Seen::Input)? {
                        Value::Bool(holds) => holds,
                        other => {
                            let text = condition.as_str().and_then(expression);
                            return Err(unexpected(
                                text.unwrap_or_default(),
                                &field,
                                "boolean",
                                &other,
                            ));
                        }
                    }
                }
            };
            if holds {
                return Ok(Some((index, rule)));
            }
        }
        Ok(None)
    }

    /// The variables after `Assign` of a state, a rule or a catcher; JSONPath sees `input`.
    pub fn assigned(
        &mut self,
        fields: &Map<String, Value>,
        within: &str,
        input: &Value,
        seen: Seen<'_>,
    ) -> Result<Assigned, Fault> {
        let new = match (fields.get("Assign"), self.state.language) {
            (None, _) => Value::Null,
            (Some(assign), Language::JsonPath) => {
                self.scoped(|scope| scope.over(input).template(assign))?
            }
            (Some(assign), Language::Jsonata) => {
                self.jsonata(assign, &format!("{within}Assign"), seen)?
            }
        };
        let new = match new {
            Value::Object(new) => new,
            _ => Map::new(),
        };
        let mut all = self.token["vars"].clone();
        if let Some(all) = all.as_object_mut() {
            all.extend(new.clone());
        }
        Ok(Assigned { new, all })
    }

    /// `ResultSelector`, `ResultPath` and `OutputPath`, or `Output`: the data that goes on.
    pub fn output(&mut self, result: Value) -> Result<Value, Fault> {
        let fields = &self.state.fields;
        if self.state.language == Language::Jsonata {
            return match fields.get("Output") {
                Some(output) => self.jsonata(output, "Output", self.seen(&result)),
                None => Ok(result),
            };
        }
        let selected = match fields.get("ResultSelector") {
            Some(selector) => self.scoped(|scope| scope.over(&result).template(selector))?,
            None => result,
        };
        let placed = place(fields, self.data(), selected)?;
        self.scoped(|scope| scope.over(&placed).filter(fields, "OutputPath"))
    }
}

/// A value of another type than the field wants.
pub fn unexpected(expression: &str, field: &str, wanted: &str, found: &Value) -> Fault {
    let kind = match found {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    Fault::query(
        field,
        format!(
            "The JSONata expression '{expression}' specified for the field '{field}' returned an unexpected result type. Expected '{wanted}', but was '{kind}' for value: {found}"
        ),
    )
}
