//! Results of actions from a file.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use flowcore::definition::{MockDef, MocksDef};
use flowcore::expr::{BUDGET_DEFAULT, Program, Val};
use flowcore::{ActionError, ActionResult, Call, parse_span};
use serde_json::Value;

/// Mocks by action, or `action@step`, and how often each was used.
#[derive(Default)]
pub struct Mocks {
    by_name: BTreeMap<String, MocksDef>,
    used: HashMap<String, usize>,
}

impl Mocks {
    pub fn new(by_name: BTreeMap<String, MocksDef>) -> Self {
        Self {
            by_name,
            used: HashMap::new(),
        }
    }

    pub fn covers(&self, action: &str) -> bool {
        self.by_name.keys().any(|name| {
            name == action || name.split_once('@').is_some_and(|(name, _)| name == action)
        })
    }

    /// The result of a call and how long it takes; `None` when there is no mock for it.
    pub fn perform(&mut self, call: &Call) -> Option<(ActionResult, Duration)> {
        let at_step = format!("{}@{}", call.action(), call.step());
        let (name, mocks) = self
            .by_name
            .get_key_value(&at_step)
            .or_else(|| self.by_name.get_key_value(call.action()))?;
        let mock = match mocks {
            MocksDef::Always(mock) => mock,
            MocksDef::Sequence(list) => {
                let used = self.used.entry(name.clone()).or_default();
                *used += 1;
                list.get(*used - 1).or_else(|| list.last())?
            }
        };
        let after = match mock.after.as_deref().map(|text| (text, parse_span(text))) {
            None => Duration::ZERO,
            Some((_, Some(span))) => span,
            Some((text, None)) => {
                let message = format!("the mock's `after: {text}` is no span");
                return Some((Err(ActionError::new("Mock", message)), Duration::ZERO));
            }
        };
        Some((result(mock, call), after))
    }
}

fn result(mock: &MockDef, call: &Call) -> ActionResult {
    if let Some(error) = &mock.error {
        let message = mock.message.clone().unwrap_or_default();
        return Err(ActionError::new(error.as_str(), message));
    }
    if let Some(text) = &mock.expression {
        let wrong = |error: &dyn std::fmt::Display| {
            ActionError::new("Mock", format!("expression `{text}`: {error}"))
        };
        let program = Program::standalone(text, &["params", "input", "attempt"])
            .map_err(|error| wrong(&error))?;
        let values = [
            Val::from_json(call.params()),
            Val::from_json(call.input()),
            Val::Int(i64::from(call.attempt())),
        ];
        let value = program
            .evaluate(&values, BUDGET_DEFAULT)
            .map_err(|error| wrong(&error))?;
        return Ok(value.to_json().into());
    }
    Ok(mock.output.clone().unwrap_or(Value::Null).into())
}
