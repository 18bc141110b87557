//! The history of an execution, with the events, fields and chains of `GetExecutionHistory`.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

/// Events so far, and where each lane stands. A lane is one line of states: the machine itself, a
/// branch, an iteration.
#[derive(Debug, Default)]
pub struct History {
    pub events: Vec<Value>,
    pub lanes: HashMap<String, Lane>,
    /// Where the lane stood that failed last.
    pub failed_at: u64,
    /// Beginnings of lanes that have a history of their own: child executions of a distributed Map.
    pub apart: Vec<String>,
}

/// Where a lane stands.
#[derive(Debug, Clone, Default)]
pub struct Lane {
    /// The event that its next one follows.
    pub previous: u64,
    /// The `…StateEntered` event of its state.
    pub entered: u64,
    pub entered_at: String,
    pub retry_count: u64,
}

impl History {
    pub fn lane(&mut self, lane: &str) -> &mut Lane {
        self.lanes.entry(lane.to_owned()).or_default()
    }

    /// Adds an event to a lane that the lane's next event follows.
    pub fn add(&mut self, lane: &str, at: &str, kind: &str, details: Option<(&str, Value)>) -> u64 {
        let id = self.aside(lane, at, kind, details);
        self.lane(lane).previous = id;
        id
    }

    /// Adds an event that the lane's next event passes by.
    pub fn aside(
        &mut self,
        lane: &str,
        at: &str,
        kind: &str,
        details: Option<(&str, Value)>,
    ) -> u64 {
        if self.apart.iter().any(|lanes| lane.starts_with(lanes)) {
            return self.lane(lane).previous;
        }
        let id = self.events.len() as u64 + 1;
        let mut event = Map::new();
        event.insert("id".to_owned(), Value::from(id));
        event.insert(
            "previousEventId".to_owned(),
            Value::from(self.lane(lane).previous),
        );
        event.insert("timestamp".to_owned(), Value::from(at));
        event.insert("type".to_owned(), Value::from(kind));
        if let Some((name, details)) = details {
            event.insert(name.to_owned(), details);
        }
        self.events.push(Value::Object(event));
        id
    }
}

/// Details of `…StateEntered`: data travels as JSON text, as in the original.
pub fn entered(name: &str, input: &str) -> Option<(&'static str, Value)> {
    let details = json!({"name": name, "input": input, "inputDetails": {"truncated": false}});
    Some(("stateEnteredEventDetails", details))
}

/// Details of `…StateExited`.
pub fn exited(
    name: &str,
    output: &Value,
    assigned: &Map<String, Value>,
) -> Option<(&'static str, Value)> {
    let mut details =
        json!({"name": name, "output": output.to_string(), "outputDetails": {"truncated": false}});
    if !assigned.is_empty() {
        let texts = assigned.iter();
        let texts = texts.map(|(name, value)| (name.clone(), Value::from(value.to_string())));
        details["assignedVariables"] = Value::Object(texts.collect());
        details["assignedVariablesDetails"] = json!({"truncated": false});
    }
    Some(("stateExitedEventDetails", details))
}
