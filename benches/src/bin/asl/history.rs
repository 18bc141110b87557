//! The history of an execution, with the events, fields and chains of `GetExecutionHistory`.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::machine::Kind;

/// Events so far, and where each lane stands. A lane is one line of states: the machine itself, a
/// branch, an iteration. `0/3.1` is the second branch of state 3 of the machine, `0/3[1]` its
/// second iteration; `0/3` is the group of all of them.
#[derive(Debug, Default)]
pub struct History {
    pub events: Vec<Value>,
    lanes: HashMap<String, Lane>,
    /// Groups whose lanes leave no events here: child executions of a distributed Map, and what one
    /// lane's failure has cut.
    silent: HashSet<String>,
    /// The last event of the lane that failed first, by group.
    failures: HashMap<String, u64>,
}

/// Where a lane stands.
#[derive(Debug, Clone, Default)]
pub struct Lane {
    /// The event that its next one follows.
    pub previous: u64,
    /// The event before a success that what comes next passes by: the exit of the state, or the
    /// next iteration.
    pub passed_by: Option<u64>,
    /// The `…StateEntered` event of its state.
    pub entered: u64,
    pub entered_at: String,
    pub retry_count: u64,
    /// The state that it is in.
    pub open: Option<Kind>,
    /// Details of the iteration that it is, until that ends.
    pub iteration: Option<Value>,
    order: usize,
}

/// The lane around, and the group of the state there, of a lane that is a branch or an iteration.
pub fn group(lane: &str) -> Option<(&str, &str)> {
    let (around, part) = lane.rsplit_once('/')?;
    let digits = part.find(|c: char| !c.is_ascii_digit())?;
    Some((around, &lane[..around.len() + 1 + digits]))
}

/// Whether a lane is in a group, or inside of a lane that is.
fn is_within(lane: &str, group: &str) -> bool {
    let rest = lane.strip_prefix(group);
    rest.is_some_and(|rest| rest.starts_with(['.', '[']))
}

impl History {
    pub fn lane(&mut self, lane: &str) -> &mut Lane {
        let order = self.lanes.len();
        self.lanes.entry(lane.to_owned()).or_insert_with(|| Lane {
            order,
            ..Lane::default()
        })
    }

    /// An attempt of a state with branches or iterations begins.
    pub fn begin(&mut self, group: &str) {
        self.silent.remove(group);
        self.failures.remove(group);
        for (name, lane) in &mut self.lanes {
            if is_within(name, group) {
                (lane.open, lane.iteration, lane.passed_by) = (None, None, None);
            }
        }
    }

    /// The lanes of this group leave no events from now on.
    pub fn silence(&mut self, group: &str) {
        self.silent.insert(group.to_owned());
    }

    /// Notes the first lane that fails in a group; false for a later one.
    pub fn fail_first(&mut self, group: &str, at: u64) -> bool {
        let first = !self.failures.contains_key(group);
        self.failures.entry(group.to_owned()).or_insert(at);
        first
    }

    /// The last event of the lane that failed first.
    pub fn failure(&self, group: &str) -> Option<u64> {
        self.failures.get(group).copied()
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
        if self.silent.iter().any(|group| is_within(lane, group)) {
            return self.lane(lane).previous;
        }
        let previous = self.lane(lane).previous;
        self.push(previous, at, kind, details)
    }

    fn push(&mut self, previous: u64, at: &str, kind: &str, details: Option<(&str, Value)>) -> u64 {
        let id = self.events.len() as u64 + 1;
        let mut event = Map::new();
        event.insert("id".to_owned(), Value::from(id));
        event.insert("previousEventId".to_owned(), Value::from(previous));
        event.insert("timestamp".to_owned(), Value::from(at));
        event.insert("type".to_owned(), Value::from(kind));
        if let Some((name, details)) = details {
            event.insert(name.to_owned(), details);
        }
        self.events.push(Value::Object(event));
        id
    }

    /// The first event, or the one that the whole execution timed out: they follow none.
    pub fn alone(&mut self, at: &str, kind: &str, details: Option<(&str, Value)>) {
        self.push(0, at, kind, details);
    }

    /// A lane failed and cuts all of its group: each iteration ends, and each state that one was
    /// in. The events follow the last one of the lane that failed.
    pub fn cut(&mut self, group: &str, failed: &str, at: &str, previous: u64) {
        let direct = |name: &&String| {
            let rest = name.strip_prefix(group);
            is_within(name, group) && rest.is_some_and(|rest| !rest.contains('/'))
        };
        let mut lanes: Vec<String> = self.lanes.keys().filter(direct).cloned().collect();
        lanes.sort_by_key(|name| self.lanes[name].order);
        for name in lanes {
            self.end(&name, name == failed, at, previous);
        }
    }

    /// A lane ends before its last state has, by its own failure or that of another.
    pub fn end(&mut self, name: &str, failed: bool, at: &str, previous: u64) {
        let silent = self.silent.iter().any(|group| is_within(name, group));
        let lane = self.lane(name);
        let (iteration, open) = (lane.iteration.take(), lane.open.take());
        if silent {
            return;
        }
        if let Some(details) = iteration {
            let (kind, field) = match failed {
                true => ("MapIterationFailed", "mapIterationFailedEventDetails"),
                false => ("MapIterationAborted", "mapIterationAbortedEventDetails"),
            };
            self.push(previous, at, kind, Some((field, details)));
        }
        let Some(kind) = open else { return };
        let mut inside: Vec<String> = self
            .lanes
            .iter()
            .filter(|(inner, lane)| {
                let goes_on = lane.open.is_some() || lane.iteration.is_some();
                goes_on && group(inner).is_some_and(|(around, _)| around == name)
            })
            .map(|(inner, _)| inner.clone())
            .collect();
        inside.sort_by_key(|inner| self.lanes[inner].order);
        for inner in inside {
            self.end(&inner, false, at, previous);
        }
        if matches!(kind, Kind::Task | Kind::Wait | Kind::Parallel | Kind::Map) {
            self.push(previous, at, &format!("{}StateAborted", kind.name()), None);
        }
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
