//! A state machine as read: the states of all its levels by name, checked for what cannot run.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::choice;

/// A state machine with the states of its branches and iterators.
#[derive(Debug)]
pub struct Machine {
    pub states: HashMap<String, State>,
    pub top: Level,
    pub timeout_seconds: Option<u64>,
}

/// One `StartAt` with its `States`.
#[derive(Debug, Clone)]
pub struct Level {
    pub start: String,
    pub names: Vec<String>,
}

#[derive(Debug)]
pub struct State {
    pub number: usize,
    pub kind: Kind,
    pub fields: Map<String, Value>,
    /// Branches of Parallel, or the one body of Map.
    pub inner: Vec<Level>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Pass,
    Task,
    Choice,
    Wait,
    Succeed,
    Fail,
    Parallel,
    Map,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Pass => "Pass",
            Kind::Task => "Task",
            Kind::Choice => "Choice",
            Kind::Wait => "Wait",
            Kind::Succeed => "Succeed",
            Kind::Fail => "Fail",
            Kind::Parallel => "Parallel",
            Kind::Map => "Map",
        }
    }

    fn parse(name: &str) -> Option<Self> {
        use Kind::{Choice, Fail, Map, Parallel, Pass, Succeed, Task, Wait};
        [Pass, Task, Choice, Wait, Succeed, Fail, Parallel, Map]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

impl State {
    pub fn text(&self, field: &str) -> Option<&str> {
        self.fields.get(field).and_then(Value::as_str)
    }

    /// The objects in a list field, such as the retriers of `Retry`.
    pub fn objects(&self, field: &str) -> impl Iterator<Item = &Map<String, Value>> {
        let list = self.fields.get(field).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_object)
    }
}

impl Machine {
    pub fn parse(text: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(text)
            .map_err(|error| format!("the machine is no JSON: {error}"))?;
        let top = value.as_object().ok_or("the machine is no JSON object")?;
        let mut machine = Machine {
            states: HashMap::new(),
            top: Level {
                start: String::new(),
                names: Vec::new(),
            },
            timeout_seconds: top.get("TimeoutSeconds").and_then(Value::as_u64),
        };
        machine.top = machine.level(top, "the machine")?;
        Ok(machine)
    }

    fn level(&mut self, level: &Map<String, Value>, place: &str) -> Result<Level, String> {
        check_language(level, place)?;
        let start = level.get("StartAt").and_then(Value::as_str);
        let start = start
            .ok_or_else(|| format!("{place}: no StartAt"))?
            .to_owned();
        let states = level.get("States").and_then(Value::as_object);
        let states = states.ok_or_else(|| format!("{place}: no States"))?;
        if !states.contains_key(&start) {
            return Err(format!("{place}: StartAt `{start}` is no state here"));
        }
        for (name, state) in states {
            let fields = state
                .as_object()
                .ok_or_else(|| format!("state `{name}` is no object"))?;
            let state = self.state(name, fields, states)?;
            if self.states.insert(name.clone(), state).is_some() {
                return Err(format!("two states are called `{name}`"));
            }
        }
        Ok(Level {
            start,
            names: states.keys().cloned().collect(),
        })
    }

    fn state(
        &mut self,
        name: &str,
        fields: &Map<String, Value>,
        beside: &Map<String, Value>,
    ) -> Result<State, String> {
        let place = format!("state `{name}`");
        check_language(fields, &place)?;
        let kind = fields.get("Type").and_then(Value::as_str).unwrap_or("");
        let kind =
            Kind::parse(kind).ok_or_else(|| format!("{place}: there is no Type `{kind}`"))?;
        let next = fields.get("Next").and_then(Value::as_str);
        let ends = fields.get("End") == Some(&Value::Bool(true));
        match kind {
            Kind::Choice | Kind::Succeed | Kind::Fail => {}
            _ if next.is_some() == ends => {
                return Err(format!("{place}: needs exactly one of Next and End"));
            }
            _ => {}
        }
        let mut targets: Vec<&str> = next.into_iter().collect();
        let mut rules = Vec::new();
        for field in ["Choices", "Catch"] {
            rules.extend(
                fields
                    .get(field)
                    .and_then(Value::as_array)
                    .into_iter()
                    .flatten(),
            );
        }
        targets.extend(rules.iter().filter_map(|rule| rule.get("Next")?.as_str()));
        targets.extend(fields.get("Default").and_then(Value::as_str));
        for target in targets {
            if !beside.contains_key(target) {
                return Err(format!("{place}: Next `{target}` is no state beside it"));
            }
        }
        let mut inner = Vec::new();
        match kind {
            Kind::Parallel => {
                let branches = fields.get("Branches").and_then(Value::as_array);
                for branch in branches.ok_or_else(|| format!("{place}: no Branches"))? {
                    let branch = branch
                        .as_object()
                        .ok_or_else(|| format!("{place}: a branch is no object"))?;
                    inner.push(self.level(branch, &place)?);
                }
            }
            Kind::Map => {
                let body = fields
                    .get("ItemProcessor")
                    .or_else(|| fields.get("Iterator"));
                let body = body.and_then(Value::as_object);
                inner.push(self.level(
                    body.ok_or_else(|| format!("{place}: no ItemProcessor"))?,
                    &place,
                )?);
                for unsupported in ["ItemReader", "ResultWriter"] {
                    if fields.contains_key(unsupported) {
                        return Err(format!(
                            "{place}: {unsupported} reads or writes S3, which is not there"
                        ));
                    }
                }
            }
            Kind::Choice => {
                let choices = fields.get("Choices").and_then(Value::as_array);
                for rule in choices.ok_or_else(|| format!("{place}: no Choices"))? {
                    if rule.get("Next").is_none() {
                        return Err(format!("{place}: a choice rule has no Next"));
                    }
                    check_rule(rule, &place)?;
                }
            }
            Kind::Wait => {
                let given = ["Seconds", "SecondsPath", "Timestamp", "TimestampPath"]
                    .iter()
                    .filter(|field| fields.contains_key(**field))
                    .count();
                if given != 1 {
                    return Err(format!(
                        "{place}: needs exactly one of Seconds, SecondsPath, Timestamp and TimestampPath"
                    ));
                }
            }
            Kind::Task if !fields.contains_key("Resource") => {
                return Err(format!("{place}: no Resource"));
            }
            _ => {}
        }
        Ok(State {
            number: self.states.len() + 1,
            kind,
            fields: fields.clone(),
            inner,
        })
    }
}

fn check_language(fields: &Map<String, Value>, place: &str) -> Result<(), String> {
    match fields.get("QueryLanguage").and_then(Value::as_str) {
        None | Some("JSONPath") => Ok(()),
        Some(other) => Err(format!(
            "{place}: QueryLanguage {other} is not supported, only JSONPath"
        )),
    }
}

fn check_rule(rule: &Value, place: &str) -> Result<(), String> {
    let rule = rule
        .as_object()
        .ok_or_else(|| format!("{place}: a choice rule is no object"))?;
    for (name, value) in rule {
        match name.as_str() {
            "And" | "Or" => {
                for inner in value.as_array().into_iter().flatten() {
                    check_rule(inner, place)?;
                }
            }
            "Not" => check_rule(value, place)?,
            "Variable" | "Next" | "Comment" | "Assign" => {}
            name if choice::is_operator(name) => {}
            name => return Err(format!("{place}: there is no comparison `{name}`")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_run_is_refused_by_name() {
        let cases = [
            ("{", "the machine is no JSON"),
            (r#"{"States":{}}"#, "no StartAt"),
            (r#"{"StartAt":"A","States":{}}"#, "StartAt `A`"),
            (
                r#"{"StartAt":"A","States":{"A":{"Type":"Jump","End":true}}}"#,
                "there is no Type `Jump`",
            ),
            (
                r#"{"StartAt":"A","States":{"A":{"Type":"Pass"}}}"#,
                "exactly one of Next and End",
            ),
            (
                r#"{"StartAt":"A","States":{"A":{"Type":"Pass","Next":"B"}}}"#,
                "Next `B`",
            ),
            (
                r#"{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}"#,
                "JSONata",
            ),
            (
                r#"{"StartAt":"A","States":{"A":{"Type":"Choice","Choices":[{"Variable":"$.a","NumberEquals":1,"Next":"A"}]}}}"#,
                "there is no comparison `NumberEquals`",
            ),
            (
                r#"{"StartAt":"A","States":{"A":{"Type":"Wait","End":true}}}"#,
                "exactly one of Seconds",
            ),
            (
                r#"{"StartAt":"A","States":{"A":{"Type":"Parallel","End":true,"Branches":[{"StartAt":"A","States":{"A":{"Type":"Succeed"}}}]}}}"#,
                "two states are called `A`",
            ),
        ];
        for (text, expected) in cases {
            let error = Machine::parse(text).expect_err(text);
            assert!(error.contains(expected), "{error}");
        }
    }
}
