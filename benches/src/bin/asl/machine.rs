//! A state machine as read: the states of all its levels by name, checked for what cannot run.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::choice;
use super::jsonata::expression;

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
    pub language: Language,
    /// A Map whose iterations are executions of their own.
    pub distributed: bool,
    pub fields: Map<String, Value>,
    /// Branches of Parallel, or the one body of Map.
    pub inner: Vec<Level>,
}

/// The query language of a state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Language {
    #[default]
    JsonPath,
    Jsonata,
}

impl Language {
    /// What `QueryLanguage` says; without it the language around.
    fn of(fields: &Map<String, Value>, around: Self, place: &str) -> Result<Self, String> {
        match fields.get("QueryLanguage").and_then(Value::as_str) {
            None => Ok(around),
            Some("JSONPath") => Ok(Language::JsonPath),
            Some("JSONata") => Ok(Language::Jsonata),
            Some(other) => Err(format!(
                "{place}: QueryLanguage {other} is neither JSONPath nor JSONata"
            )),
        }
    }

    /// Fields that only states of the other language have.
    fn foreign(self) -> &'static [&'static str] {
        match self {
            Language::JsonPath => &["Arguments", "Output", "Items"],
            Language::Jsonata => &[
                "InputPath",
                "OutputPath",
                "ResultPath",
                "ResultSelector",
                "Parameters",
                "ItemsPath",
                "SecondsPath",
                "TimestampPath",
                "ErrorPath",
                "CausePath",
                "TimeoutSecondsPath",
                "HeartbeatSecondsPath",
                "MaxConcurrencyPath",
                "ToleratedFailureCountPath",
                "ToleratedFailurePercentagePath",
            ],
        }
    }
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
    /// Whether a failed iteration is counted first: the threshold of a distributed Map is 0 without
    /// a field.
    pub fn tolerates_failures(&self) -> bool {
        let mut fields = self.fields.keys();
        self.distributed || fields.any(|field| field.starts_with("ToleratedFailure"))
    }

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
        let value: Value = serde_json::from_str(&plain(text))
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
        let language = Language::of(top, Language::default(), "the machine")?;
        machine.top = machine.level(top, language, "the machine")?;
        Ok(machine)
    }

    fn level(
        &mut self,
        level: &Map<String, Value>,
        language: Language,
        place: &str,
    ) -> Result<Level, String> {
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
            let state = self.state(name, fields, states, language)?;
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
        around: Language,
    ) -> Result<State, String> {
        let place = format!("state `{name}`");
        let language = Language::of(fields, around, &place)?;
        if around == Language::Jsonata && language == Language::JsonPath {
            return Err(format!(
                "{place}: QueryLanguage cannot be JSONPath where JSONata is said for the whole machine"
            ));
        }
        let foreign = language.foreign().iter();
        if let Some(field) = foreign.copied().find(|field| fields.contains_key(*field)) {
            return Err(format!(
                "{place}: {field} does not belong to a state in {language:?}"
            ));
        }
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
                    inner.push(self.level(branch, around, &place)?);
                }
            }
            Kind::Map => {
                let body = fields
                    .get("ItemProcessor")
                    .or_else(|| fields.get("Iterator"));
                let body = body.and_then(Value::as_object);
                inner.push(self.level(
                    body.ok_or_else(|| format!("{place}: no ItemProcessor"))?,
                    around,
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
                    check_rule(rule, language, &place)?;
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
                let computed =
                    |text: &str| language == Language::Jsonata && expression(text).is_some();
                if let Some(Value::String(text)) = fields.get("Timestamp")
                    && !computed(text)
                    && choice::timestamp(&Value::from(text.as_str())).is_none()
                {
                    return Err(format!(
                        "{place}: Timestamp `{text}` is none as RFC 3339 has it, such as 2016-03-14T01:59:00Z"
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
            language,
            distributed: ["ItemProcessor", "Iterator"]
                .into_iter()
                .filter_map(|body| fields.get(body))
                .any(|body| body["ProcessorConfig"]["Mode"] == "DISTRIBUTED"),
            fields: fields.clone(),
            inner,
        })
    }
}

/// The text without comments and commas before a closing bracket, which files of machines often
/// have; as long as before, so that places in errors hold.
fn plain(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let mut at = 0;
    let mut comma = None;
    while let Some(byte) = bytes.get(at).copied() {
        let end = match (byte, bytes.get(at + 1)) {
            (b'"', _) => {
                at += 1;
                while bytes.get(at).is_some_and(|byte| *byte != b'"') {
                    at += 1 + usize::from(bytes[at] == b'\\');
                }
                comma = None;
                at += 1;
                continue;
            }
            (b'/', Some(b'/')) => text[at..].find('\n'),
            (b'/', Some(b'*')) => text[at..].find("*/").map(|end| end + 2),
            _ => {
                match byte {
                    b',' => comma = Some(at),
                    b'}' | b']' => {
                        if let Some(comma) = comma.take() {
                            bytes[comma] = b' ';
                        }
                    }
                    byte if byte.is_ascii_whitespace() => {}
                    _ => comma = None,
                }
                at += 1;
                continue;
            }
        };
        let end = end.map_or(bytes.len(), |end| at + end);
        for byte in &mut bytes[at..end] {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
        at = end;
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

fn check_rule(rule: &Value, language: Language, place: &str) -> Result<(), String> {
    let rule = rule
        .as_object()
        .ok_or_else(|| format!("{place}: a choice rule is no object"))?;
    if language == Language::Jsonata {
        return match rule.contains_key("Condition") {
            true => Ok(()),
            false => Err(format!("{place}: a choice rule has no Condition")),
        };
    }
    for (name, value) in rule {
        match name.as_str() {
            "And" | "Or" => {
                for inner in value.as_array().into_iter().flatten() {
                    check_rule(inner, language, place)?;
                }
            }
            "Not" => check_rule(value, language, place)?,
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
    fn comments_and_commas_at_the_end_are_read_over() {
        let text = r#"{ // a machine, "quoted"
            "StartAt": "A", /* "B", } */ "States": {"A": {"Type": "Pass",
            "Comment": "no // comment, ] \\\" /* here", "End": true,},},
        }"#;
        let machine = Machine::parse(text).expect("a machine");
        let comment = machine.states["A"].text("Comment");
        assert_eq!(comment, Some(r#"no // comment, ] \" /* here"#));
        assert_eq!(plain("[1, 2,\n]é//é"), "[1, 2 \n]é    ");
    }

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
                r#"{"QueryLanguage":"XPath","StartAt":"A","States":{"A":{"Type":"Pass","End":true}}}"#,
                "neither JSONPath nor JSONata",
            ),
            (
                r#"{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Pass","ResultPath":"$.a","End":true}}}"#,
                "ResultPath does not belong",
            ),
            (
                r#"{"QueryLanguage":"JSONata","StartAt":"A","States":{"A":{"Type":"Choice","Choices":[{"Variable":"$.a","Next":"A"}]}}}"#,
                "no Condition",
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
