//! Retriers and catchers: what happens to an attempt that failed.

use serde_json::{Map, Value, json};

use super::data::{Fault, HEARTBEAT_TIMEOUT, place, public_name};
use super::functions::split_mix;
use super::interpreter::Visit;
use super::machine::{Kind, Language};
use super::query::Seen;

impl Visit<'_> {
    /// An attempt failed: a retrier, a catcher, or the end of this level.
    pub fn failed(&mut self, error: &Value) -> Result<Value, Fault> {
        let fault = fault_of(error);
        let compound = self.state.kind != Kind::Task;
        let group = self.group();
        let history = &mut self.shared.history;
        let inside = history.failure(&group);
        let lane = history.lane(self.lane);
        lane.passed_by = None;
        lane.previous = inside.unwrap_or(lane.previous);
        let failed_at = lane.previous;
        if let Some(again) = self.retry(&fault) {
            return Ok(again);
        }
        self.end_failed(&fault);
        let fits = |(_, catcher): &(usize, &Map<String, Value>)| matches(catcher, &fault.error);
        let state = self.state;
        let Some((index, catcher)) = state.objects("Catch").enumerate().find(fits) else {
            return Err(fault);
        };
        // The history knows a missed heartbeat as a timeout only, also where it was caught by name.
        let name = match named(catcher).any(|name| name == fault.error) {
            true if fault.error != HEARTBEAT_TIMEOUT => &fault.error,
            _ => fault.public_name(),
        };
        let error = json!({"Error": name, "Cause": fault.cause});
        self.caught(index, catcher, error).map_err(|fault| {
            // It is noted from before the failure that was to be caught, and fails the state again.
            self.shared.history.lane(self.lane).previous = failed_at;
            let fault = self.note(fault);
            if compound {
                self.end_failed(&fault);
            }
            fault
        })
    }

    /// The event of a state with branches or iterations that failed.
    fn end_failed(&mut self, fault: &Fault) {
        let shown = fault.public_name() != "States.Runtime";
        if self.state.kind != Kind::Task && shown {
            let kind = self.kind("Failed");
            self.event(&kind, None);
            self.shared.history.lane(self.lane).open = None;
        }
    }

    /// A catcher takes over.
    fn caught(
        &mut self,
        index: usize,
        catcher: &Map<String, Value>,
        error: Value,
    ) -> Result<Value, Fault> {
        let within = format!("Catch[{index}]/");
        let assigned = self.assigned(catcher, &within, &error, Seen::Error(&error))?;
        let output = match self.state.language {
            Language::JsonPath => place(catcher, self.data(), error)?,
            Language::Jsonata => match catcher.get("Output") {
                Some(output) => {
                    self.jsonata(output, &format!("{within}Output"), Seen::Error(&error))?
                }
                None => error,
            },
        };
        self.exit(
            output,
            assigned,
            catcher.get("Next").and_then(Value::as_str),
        )
    }

    /// The pause before the next attempt, when the first retrier that fits has one left.
    fn retry(&mut self, fault: &Fault) -> Option<Value> {
        let (index, retrier) = self
            .state
            .objects("Retry")
            .enumerate()
            .find(|(_, retrier)| matches(retrier, &fault.error))?;
        let tried = self.token["tries"][index].as_u64().unwrap_or(0);
        let number =
            |name: &str, default: f64| retrier.get(name).and_then(Value::as_f64).unwrap_or(default);
        if tried as f64 >= number("MaxAttempts", 3.0) {
            return None;
        }
        let pause = number("IntervalSeconds", 1.0) * number("BackoffRate", 2.0).powf(tried as f64);
        let mut pause = pause.min(number("MaxDelaySeconds", 31_622_400.0));
        if retrier.get("JitterStrategy").and_then(Value::as_str) == Some("FULL") {
            let next = split_mix(self.shared.seed.get());
            self.shared.seed.set(next);
            pause *= (next >> 11) as f64 / (1_u64 << 53) as f64;
        }
        let mut token = self.token.clone();
        token["tries"][index] = Value::from(tried + 1);
        token["begun"] = Value::Null;
        self.shared.history.lane(self.lane).retry_count += 1;
        Some(json!({"again": pause, "token": token}))
    }
}

/// Whether a retrier or catcher takes this error, by its name or by one that stands for more.
fn matches(policy: &Map<String, Value>, error: &str) -> bool {
    named(policy).any(|name| match name {
        // Not what no wildcard stops.
        "States.ALL" => public_name(error) != "States.Runtime",
        "States.TaskFailed" => {
            error == name || !matches!(public_name(error), "States.Timeout" | "States.Runtime")
        }
        // Both kinds of a Task that took too long.
        "States.Timeout" => public_name(error) == name,
        name => name == error || name == public_name(error),
    })
}

fn named(policy: &Map<String, Value>) -> impl Iterator<Item = &str> {
    let names = policy.get("ErrorEquals").and_then(Value::as_array);
    names.into_iter().flatten().filter_map(Value::as_str)
}

/// An error of the engine's `catch`.
pub fn fault_of(error: &Value) -> Fault {
    let part = |name: &str| error[name].as_str().unwrap_or_default();
    Fault::new(part("name"), part("message"))
}
