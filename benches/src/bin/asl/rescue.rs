//! Retriers and catchers: what happens to an attempt that failed.

use serde_json::{Map, Value, json};

use super::data::{Fault, place};
use super::functions::split_mix;
use super::interpreter::Visit;
use super::machine::{Kind, Language};
use super::query::Seen;

impl Visit<'_> {
    /// An attempt failed: a retrier, a catcher, or the end of this level.
    pub fn failed(&mut self, error: &Value) -> Result<Value, Fault> {
        let fault = fault_of(error);
        let compound = self.state.kind != Kind::Task;
        let failed_at = self.shared.history.failed_at;
        if compound {
            self.shared.history.lane(self.lane).previous = failed_at;
        }
        if let Some(again) = self.retry(&fault) {
            return Ok(again);
        }
        let runtime = fault.error == "States.Runtime";
        if compound && !runtime {
            let kind = self.kind("Failed");
            self.event(&kind, None);
        }
        let fits = |(_, catcher): &(usize, &Map<String, Value>)| matches(catcher, &fault.error);
        let state = self.state;
        let Some((index, catcher)) = state.objects("Catch").enumerate().find(fits) else {
            if !compound && !runtime && self.lane.contains('/') {
                self.shared
                    .history
                    .aside(self.lane, &self.at, "TaskStateAborted", None);
            }
            return Err(fault);
        };
        let error = json!({"Error": fault.error, "Cause": fault.cause});
        let within = format!("Catch[{index}]/");
        let assigned = self.assigned(catcher, &within, &error, Seen::Error(&error))?;
        let output = match state.language {
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
        self.shared.history.lane(self.lane).retry_count += 1;
        Some(json!({"again": pause, "token": token}))
    }
}

/// Whether a retrier or catcher names this error.
fn matches(policy: &Map<String, Value>, error: &str) -> bool {
    let names = policy.get("ErrorEquals").and_then(Value::as_array);
    names
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .any(|name| match name {
            // Not what no wildcard stops.
            "States.ALL" => !matches!(error, "States.Runtime" | "States.DataLimitExceeded"),
            "States.TaskFailed" => {
                error == name || !error.starts_with("States.") || error == "States.Permissions"
            }
            // Both kinds of a Task that took too long.
            "States.Timeout" => matches!(error, "States.Timeout" | "States.HeartbeatTimeout"),
            name => name == error,
        })
}

/// An error of the engine's `catch`.
pub fn fault_of(error: &Value) -> Fault {
    let part = |name: &str| error[name].as_str().unwrap_or_default();
    Fault::new(part("name"), part("message"))
}
