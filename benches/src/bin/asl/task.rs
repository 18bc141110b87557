//! Task states: the call, how long it takes, and the events that it leaves.

use serde_json::{Map, Value, json};

use super::data::{DATA_LEN_MAX, Fault, HEARTBEAT_TIMEOUT};
use super::interpreter::Visit;
use super::mocks::Response;

/// How the history calls a family of resources.
struct Family {
    /// Of event types, such as `LambdaFunctionScheduled`.
    kind: &'static str,
    /// Of the fields with their details.
    field: &'static str,
    /// `resource` and `resourceType` of a service integration, which all its events carry.
    about: Map<String, Value>,
}

impl Family {
    fn of(resource: &str) -> Self {
        if resource.contains(":states:::") {
            // `arn:aws:states:::service:action[.pattern]`
            let path = resource.rsplit_once(":::").map_or("", |(_, path)| path);
            let (service, action) = path.rsplit_once(':').unwrap_or((path, ""));
            let about = [("resource", action), ("resourceType", service)];
            let about = about.map(|(name, value)| (name.to_owned(), Value::from(value)));
            return Self {
                kind: "Task",
                field: "task",
                about: Map::from_iter(about),
            };
        }
        let (kind, field) = if resource.contains(":activity:") {
            ("Activity", "activity")
        } else {
            ("LambdaFunction", "lambdaFunction")
        };
        Self {
            kind,
            field,
            about: Map::new(),
        }
    }

    fn is_service(&self) -> bool {
        !self.about.is_empty()
    }

    /// Whether somebody else answers, who may send heartbeats meanwhile.
    fn is_answered(&self) -> bool {
        let pattern = self.about.get("resource").and_then(Value::as_str);
        self.kind == "Activity" || pattern.is_some_and(|text| text.ends_with(".waitForTaskToken"))
    }
}

impl Visit<'_> {
    fn task_event(&mut self, family: &Family, suffix: &str, extra: Value) {
        let mut details = family.about.clone();
        if let Value::Object(extra) = extra {
            details.extend(extra);
        }
        let name = format!("{}{suffix}EventDetails", family.field);
        let details = (!details.is_empty()).then_some((name.as_str(), Value::Object(details)));
        self.event(&format!("{}{suffix}", family.kind), details);
    }

    /// What is to be called, and for how long at most.
    pub fn schedule(&mut self, data: &Value) -> Result<Value, Fault> {
        let input = self.payload(data)?;
        let resource = self.state.text("Resource").unwrap_or_default();
        let family = Family::of(resource);
        let timeout = self.number("TimeoutSeconds", data)?;
        let heartbeat = self.number("HeartbeatSeconds", data)?;
        let mut scheduled = if family.is_service() {
            json!({"parameters": input.to_string(), "region": "us-east-1"})
        } else {
            json!({"resource": resource, "input": input.to_string(), "inputDetails": {"truncated": false}})
        };
        for (name, seconds) in [
            ("timeoutInSeconds", timeout),
            (
                "heartbeatInSeconds",
                heartbeat.filter(|_| family.kind != "LambdaFunction"),
            ),
        ] {
            if let Some(seconds) = seconds {
                scheduled[name] = Value::from(seconds as u64);
            }
        }
        self.task_event(&family, "Scheduled", scheduled);
        Ok(json!({"input": input, "timeout": timeout, "heartbeat": heartbeat}))
    }

    /// The call goes out: what will come back, and after how many seconds.
    pub fn call(&mut self, call: &Value) -> Result<Value, Fault> {
        let family = Family::of(self.state.text("Resource").unwrap_or_default());
        let (timeout, heartbeat) = (call["timeout"].as_f64(), call["heartbeat"].as_f64());
        self.task_event(&family, "Started", json!({}));
        let Response { after, result } = self.shared.mocks.call(self.name, call["input"].clone());
        let waits = family.about.get("resource").and_then(Value::as_str);
        if waits.is_some_and(|action| action.contains('.')) && result.is_ok() {
            let submitted = json!({"output": "{}", "outputDetails": {"truncated": false}});
            self.task_event(&family, "Submitted", submitted);
        }
        let limits = [
            ("States.Timeout", timeout),
            (
                HEARTBEAT_TIMEOUT,
                heartbeat.filter(|_| family.is_answered()),
            ),
        ];
        let passed = limits
            .into_iter()
            .filter_map(|(error, limit)| Some((error, limit.filter(|limit| after > *limit)?)))
            .min_by(|(_, a), (_, b)| a.total_cmp(b));
        Ok(match (passed, result) {
            (Some((error, limit)), _) => json!({"after": limit, "error": error, "cause": ""}),
            (None, Ok(value)) => json!({"after": after, "value": value}),
            (None, Err(fault)) => {
                json!({"after": after, "error": fault.error, "cause": fault.cause})
            }
        })
    }

    /// The answer of a call.
    pub fn answered(&mut self, call: &Value) -> Result<Value, Fault> {
        let resource = self.state.text("Resource").unwrap_or_default();
        let family = Family::of(resource);
        let fault = match call["error"].as_str() {
            Some(error) => Fault::new(error, call["cause"].as_str().unwrap_or_default()),
            None => {
                let value = call["value"].clone();
                let output = value.to_string();
                if output.len() <= DATA_LEN_MAX {
                    let details = json!({"output": output, "outputDetails": {"truncated": false}});
                    self.task_event(&family, "Succeeded", details);
                    return Ok(value);
                }
                let service = family.about.get("resourceType").and_then(Value::as_str);
                Fault::too_large(service.unwrap_or(resource))
            }
        };
        let suffix = match fault.error.as_str() {
            "States.Timeout" | HEARTBEAT_TIMEOUT => "TimedOut",
            _ => "Failed",
        };
        let mut details = json!({"error": fault.public_name()});
        if !fault.cause.is_empty() {
            details["cause"] = Value::from(fault.cause.as_str());
        }
        self.task_event(&family, suffix, details);
        Err(fault)
    }
}
