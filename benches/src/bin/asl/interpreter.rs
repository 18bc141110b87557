//! The actions behind the lowered workflow: they read and write data as the states say, and note
//! the history.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flowcore::{ActionError, Call, Engine, Journal};
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::choice;
use super::data::{DATA_LEN_MAX, Fault, Scope, place};
use super::history::{self, History};
use super::machine::{Kind, Machine, State};
use super::mocks::Mocks;

/// What the actions share.
pub struct Interpreter {
    pub machine: Machine,
    pub clock: Arc<AtomicI64>,
    pub execution: Value,
    pub shared: Mutex<Shared>,
}

pub struct Shared {
    pub history: History,
    pub mocks: Mocks,
    pub seed: Cell<u64>,
}

/// The call of one action, taken apart.
struct Visit<'a> {
    interpreter: &'a Interpreter,
    shared: &'a mut Shared,
    name: &'a str,
    state: &'a State,
    token: &'a Value,
    lane: &'a str,
    at: String,
}

type Step = fn(&mut Visit<'_>, &Value) -> Result<Value, Fault>;

const ACTIONS: [(&str, Step); 11] = [
    ("state", |visit, _| visit.whole()),
    ("wait", |visit, _| visit.wait()),
    ("waited", |visit, _| visit.waited()),
    ("enter", |visit, _| visit.enter()),
    ("begin", |visit, _| visit.begin()),
    ("task", |visit, params| visit.task(&params["input"])),
    ("finish", |visit, params| visit.finish(&params["result"])),
    ("failed", |visit, params| visit.failed(&params["error"])),
    ("iteration", |visit, _| visit.iteration()),
    ("iterated", |visit, _| visit.iterated()),
    ("iteration_failed", |visit, params| {
        visit.iteration_failed(&params["error"])
    }),
];

impl Interpreter {
    pub fn register<J: Journal>(self: &Arc<Self>, mut engine: Engine<J>) -> Engine<J> {
        for (name, step) in ACTIONS {
            let interpreter = Arc::clone(self);
            engine = engine.action(name, move |call: &Call| {
                interpreter.visit(call.params(), step)
            });
        }
        engine
    }

    pub fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_millisecond(self.clock.load(Ordering::Relaxed)).unwrap_or_default()
    }

    fn visit(&self, params: &Value, step: Step) -> Result<Value, ActionError> {
        let name = params["state"].as_str().unwrap_or_default();
        let Some(state) = self.machine.states.get(name) else {
            return Err(ActionError::new(
                "States.Runtime",
                format!("no state `{name}`"),
            ));
        };
        let token = &params["token"];
        let lane = token["lane"].as_str().unwrap_or_default();
        let mut shared = self.shared();
        let mut visit = Visit {
            interpreter: self,
            shared: &mut shared,
            name,
            state,
            token,
            lane,
            at: format!("{:.3}", self.now()),
        };
        let done = step(&mut visit, params);
        done.map_err(|fault| {
            let lane = shared.history.lane(lane);
            let (previous, entered) = (lane.previous, lane.entered);
            shared.history.failed_at = previous;
            let prefix = "An error occurred while executing the state";
            let place = matches!(
                fault.error.as_str(),
                "States.Runtime" | "States.IntrinsicFailure" | "States.ResultPathMatchFailure"
            ) && !fault.cause.starts_with(prefix);
            let cause = if place && state.kind != Kind::Fail {
                format!(
                    "{prefix} '{name}' (entered at the event id #{entered}). {}",
                    fault.cause
                )
            } else {
                fault.cause
            };
            ActionError::new(fault.error, cause)
        })
    }
}

impl Visit<'_> {
    fn event(&mut self, kind: &str, details: Option<(&str, Value)>) -> u64 {
        self.shared.history.add(self.lane, &self.at, kind, details)
    }

    fn kind(&self, suffix: &str) -> String {
        format!("{}State{suffix}", self.state.kind.name())
    }

    fn data(&self) -> &Value {
        &self.token["data"]
    }

    /// The context object, `$$`.
    fn context(&mut self) -> Value {
        let lane = self.shared.history.lane(self.lane);
        let mut context = self.interpreter.execution.clone();
        context["State"] = json!({
            "EnteredTime": lane.entered_at, "Name": self.name, "RetryCount": lane.retry_count,
        });
        if let Some(item) = self.token.get("map") {
            context["Map"] = json!({"Item": item});
        }
        if self.state.kind == Kind::Task {
            context["Task"] = json!({"Token": format!("{}-{}", self.lane, lane.entered)});
        }
        context
    }

    /// Runs `body` with what the state's paths can see.
    fn scoped<T>(&mut self, body: impl FnOnce(&Scope<'_>) -> Result<T, Fault>) -> Result<T, Fault> {
        let context = self.context();
        body(&Scope {
            input: self.data(),
            context: &context,
            variables: &self.token["vars"],
            seed: &self.shared.seed,
        })
    }

    fn note_entered(&mut self) {
        let (kind, details) = (
            self.kind("Entered"),
            history::entered(self.name, self.data()),
        );
        let id = self.event(&kind, details);
        let at = self.at.clone();
        let lane = self.shared.history.lane(self.lane);
        (lane.entered, lane.entered_at, lane.retry_count) = (id, at, 0);
    }

    /// The state is left: its output goes to `next`, or ends the level.
    fn exit(&mut self, output: Value, vars: Value, next: Option<&str>) -> Result<Value, Fault> {
        let text = output.to_string();
        if text.len() > DATA_LEN_MAX {
            return Err(Fault::new(
                "States.DataLimitExceeded",
                format!(
                    "The state/task '{}' returned a result with a size exceeding the maximum number of bytes service limit.",
                    self.name
                ),
            ));
        }
        let (kind, details) = (self.kind("Exited"), history::exited(self.name, &output));
        self.event(&kind, details);
        let mut token = self.token.as_object().cloned().unwrap_or_default();
        token.remove("tries");
        token.insert("data".to_owned(), output);
        token.insert("vars".to_owned(), vars);
        match next {
            Some(next) => token.insert("next".to_owned(), Value::from(next)),
            None => token.remove("next"),
        };
        Ok(Value::Object(token))
    }

    /// The variables after `Assign`, whose templates see `input`.
    fn assigned(&mut self, fields: &Map<String, Value>, input: &Value) -> Result<Value, Fault> {
        let mut vars = self.token["vars"].clone();
        if let Some(assign) = fields.get("Assign") {
            let new = self.scoped(|scope| scope.over(input).template(assign))?;
            if let (Some(vars), Value::Object(new)) = (vars.as_object_mut(), new) {
                vars.extend(new);
            }
        }
        Ok(vars)
    }

    /// The states that need nothing but data.
    fn whole(&mut self) -> Result<Value, Fault> {
        self.note_entered();
        let fields = &self.state.fields;
        match self.state.kind {
            Kind::Fail => Err(self.failure()?),
            Kind::Choice => {
                let input = self.scoped(|scope| scope.filter(fields, "InputPath"))?;
                let mut chosen = None;
                for rule in self.state.objects("Choices") {
                    if self.scoped(|scope| choice::holds(rule, &scope.over(&input)))? {
                        chosen = Some(rule);
                        break;
                    }
                }
                let next = match chosen {
                    Some(rule) => rule.get("Next").and_then(Value::as_str),
                    None => self.state.text("Default"),
                };
                // The specification has a name of its own for this; the service reports it so.
                let next = next.ok_or_else(|| {
                    Fault::runtime("Failed to transition out of the state. The state does not point to a next state.")
                })?;
                let vars = self.assigned(chosen.unwrap_or(fields), &input)?;
                let output =
                    self.scoped(|scope| scope.over(&input).filter(fields, "OutputPath"))?;
                self.exit(output, vars, Some(next))
            }
            _ => {
                let result = self.scoped(|scope| {
                    let input = scope.filter(fields, "InputPath")?;
                    if let Some(result) = fields.get("Result") {
                        return Ok(result.clone());
                    }
                    match fields.get("Parameters") {
                        Some(parameters) => scope.over(&input).template(parameters),
                        None => Ok(input),
                    }
                })?;
                self.leave(result)
            }
        }
    }

    /// `ResultSelector`, `ResultPath`, `OutputPath`, `Assign`, then the next state.
    fn leave(&mut self, result: Value) -> Result<Value, Fault> {
        let fields = &self.state.fields;
        let vars = self.assigned(fields, &result)?;
        let selected = match fields.get("ResultSelector") {
            Some(selector) => self.scoped(|scope| scope.over(&result).template(selector))?,
            None => result,
        };
        let placed = place(fields, self.data(), selected)?;
        let output = self.scoped(|scope| scope.over(&placed).filter(fields, "OutputPath"))?;
        let next = self.state.text("Next");
        self.exit(output, vars, next)
    }

    /// The error that a Fail state raises.
    fn failure(&mut self) -> Result<Fault, Fault> {
        let fields = &self.state.fields;
        let mut part = |name: &str| -> Result<String, Fault> {
            if let Some(text) = fields.get(name).and_then(Value::as_str) {
                return Ok(text.to_owned());
            }
            let field = format!("{name}Path");
            let Some(text) = fields.get(&field).and_then(Value::as_str) else {
                return Ok(String::new());
            };
            let value = self.scoped(|scope| scope.expression(text, &field))?;
            value.as_str().map(str::to_owned).ok_or_else(|| {
                Fault::runtime(format!(
                    "The {field} '{text}' must give a string, not {value}"
                ))
            })
        };
        Ok(Fault {
            error: part("Error")?,
            cause: part("Cause")?,
        })
    }

    fn wait(&mut self) -> Result<Value, Fault> {
        self.note_entered();
        let fields = &self.state.fields;
        let input = self.scoped(|scope| scope.filter(fields, "InputPath"))?;
        let now = self.interpreter.now();
        let seconds = self.scoped(|scope| {
            let scope = scope.over(&input);
            let by_path = |field: &str| match fields.get(field).and_then(Value::as_str) {
                Some(path) => scope.path(path, Some(field)).map(Some),
                None => Ok(None),
            };
            let seconds = by_path("SecondsPath")?.or_else(|| fields.get("Seconds").cloned());
            let moment = by_path("TimestampPath")?.or_else(|| fields.get("Timestamp").cloned());
            match (seconds, moment) {
                (Some(seconds), _) => {
                    let valid = seconds
                        .as_f64()
                        .filter(|seconds| (0.0..=1e10).contains(seconds));
                    valid.ok_or_else(|| {
                        Fault::runtime(format!(
                            "Seconds must be a number that is not negative, not {seconds}"
                        ))
                    })
                }
                (None, Some(moment)) => {
                    let until = choice::timestamp(&moment).ok_or_else(|| {
                        Fault::runtime(format!(
                            "{moment} is no timestamp such as 2016-03-14T01:59:00Z"
                        ))
                    })?;
                    Ok((until.as_millisecond() - now.as_millisecond()).max(0) as f64 / 1e3)
                }
                (None, None) => Ok(0.0),
            }
        })?;
        Ok(json!({"token": self.token, "seconds": seconds}))
    }

    fn waited(&mut self) -> Result<Value, Fault> {
        let fields = &self.state.fields;
        let input = self.scoped(|scope| scope.filter(fields, "InputPath"))?;
        let vars = self.assigned(fields, &input)?;
        let output = self.scoped(|scope| scope.over(&input).filter(fields, "OutputPath"))?;
        let next = self.state.text("Next");
        self.exit(output, vars, next)
    }

    fn enter(&mut self) -> Result<Value, Fault> {
        self.note_entered();
        let mut token = self.token.clone();
        token["tries"] = self
            .state
            .objects("Retry")
            .map(|_| Value::from(0))
            .collect();
        Ok(token)
    }

    /// An attempt begins: the input of a Task, the tokens of branches or iterations.
    fn begin(&mut self) -> Result<Value, Fault> {
        let fields = &self.state.fields;
        let input = self.scoped(|scope| scope.filter(fields, "InputPath"))?;
        match self.state.kind {
            Kind::Map => self.begin_map(&input),
            Kind::Parallel => {
                let input = self.parameters(&input)?;
                let started = self.event("ParallelStateStarted", None);
                let branches = self.state.inner.iter().enumerate();
                let tokens = branches.map(|(index, branch)| {
                    (
                        self.sub_token(&format!("{}.{index}", self.state.number), input.clone()),
                        branch,
                    )
                });
                let tokens: Vec<Value> = tokens
                    .map(|(mut token, branch)| {
                        token["next"] = Value::from(branch.start.as_str());
                        token
                    })
                    .collect();
                for token in &tokens {
                    self.open_lane(token, started);
                }
                Ok(json!({"tokens": tokens}))
            }
            _ => Ok(json!({"input": self.parameters(&input)?})),
        }
    }

    fn parameters(&mut self, input: &Value) -> Result<Value, Fault> {
        let parameters = self.state.fields.get("Parameters");
        match parameters {
            Some(parameters) => self.scoped(|scope| scope.over(input).template(parameters)),
            None => Ok(input.clone()),
        }
    }

    fn sub_token(&self, part: &str, data: Value) -> Value {
        let mut token = json!({
            "lane": format!("{}/{part}", self.lane), "data": data, "vars": self.token["vars"],
        });
        if let Some(item) = self.token.get("map") {
            token["map"] = item.clone();
        }
        token
    }

    fn open_lane(&mut self, token: &Value, previous: u64) {
        let lane = token["lane"].as_str().unwrap_or_default();
        self.shared.history.lane(lane).previous = previous;
    }

    fn begin_map(&mut self, input: &Value) -> Result<Value, Fault> {
        let fields = &self.state.fields;
        let items = self.scoped(|scope| scope.over(input).filter(fields, "ItemsPath"))?;
        let Value::Array(mut items) = items else {
            return Err(Fault::runtime(format!(
                "Reference path \"{}\" must point to array.",
                self.state.text("ItemsPath").unwrap_or("$")
            )));
        };
        if let Some(batcher) = fields.get("ItemBatcher") {
            items = self.batched(batcher, items, input)?;
        }
        let details = json!({"length": items.len()});
        self.event(
            "MapStateStarted",
            Some(("mapStateStartedEventDetails", details)),
        );
        // `Parameters` is the older name of `ItemSelector`.
        let selector = fields
            .get("ItemSelector")
            .or_else(|| fields.get("Parameters"));
        let start = self.state.inner.first().map_or("", |body| &body.start);
        let mut tokens = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let part = json!({"Index": index, "Value": item});
            let data = match selector {
                Some(selector) => {
                    let mut context = self.context();
                    context["Map"] = json!({"Item": part});
                    self.scoped(|scope| {
                        let scope = Scope {
                            context: &context,
                            ..scope.over(input)
                        };
                        scope.template(selector)
                    })?
                }
                None => item,
            };
            let mut token = self.sub_token(&format!("{}[{index}]", self.state.number), data);
            token["map"] = part;
            token["next"] = Value::from(start);
            tokens.push(token);
        }
        Ok(json!({"tokens": tokens}))
    }

    fn batched(
        &mut self,
        batcher: &Value,
        items: Vec<Value>,
        input: &Value,
    ) -> Result<Vec<Value>, Fault> {
        let size = batcher["MaxItemsPerBatch"]
            .as_u64()
            .filter(|size| *size > 0);
        let size = size
            .and_then(|size| usize::try_from(size).ok())
            .unwrap_or(items.len().max(1));
        let shared = match batcher.get("BatchInput") {
            Some(template) => Some(self.scoped(|scope| scope.over(input).template(template))?),
            None => None,
        };
        let batches = items.chunks(size).map(|batch| {
            let mut item = json!({"Items": batch});
            if let Some(shared) = &shared {
                item["BatchInput"] = shared.clone();
            }
            item
        });
        Ok(batches.collect())
    }

    fn finish(&mut self, result: &Value) -> Result<Value, Fault> {
        let result = match self.state.kind {
            Kind::Task => result.clone(),
            _ => {
                // The state goes on from the last event of its branches; fields of `parallel` sort
                // by branch.
                let tokens: Vec<&Value> = match result {
                    Value::Array(tokens) => tokens.iter().collect(),
                    Value::Object(branches) => branches.values().collect(),
                    _ => Vec::new(),
                };
                let last = tokens.iter().filter_map(|token| {
                    let lane = token["lane"].as_str()?;
                    Some(self.shared.history.lane(lane).previous)
                });
                let last = last.max();
                let lane = self.shared.history.lane(self.lane);
                lane.previous = last.unwrap_or(lane.previous).max(lane.previous);
                self.check_tolerance(&tokens)?;
                let kind = self.kind("Succeeded");
                self.shared.history.aside(self.lane, &self.at, &kind, None);
                let kept = tokens.iter().filter(|token| token.get("failed").is_none());
                kept.map(|token| token["data"].clone()).collect()
            }
        };
        self.leave(result)
    }

    /// Failed iterations of a Map that tolerates some.
    fn check_tolerance(&mut self, tokens: &[&Value]) -> Result<(), Fault> {
        let failed = tokens
            .iter()
            .filter(|token| token.get("failed").is_some())
            .count();
        if failed == 0 {
            return Ok(());
        }
        let count = self.bound("ToleratedFailureCount")?;
        let percentage = self.bound("ToleratedFailurePercentage")?;
        let over = count.is_some_and(|count| failed as f64 > count)
            || percentage.is_some_and(|most| failed as f64 * 100.0 > most * tokens.len() as f64);
        if over {
            return Err(Fault::new(
                "States.ExceedToleratedFailureThreshold",
                "The specified tolerated failure threshold was exceeded",
            ));
        }
        Ok(())
    }

    fn bound(&mut self, field: &str) -> Result<Option<f64>, Fault> {
        let fields = &self.state.fields;
        let value = match fields.get(&format!("{field}Path")).and_then(Value::as_str) {
            Some(path) => Some(self.scoped(|scope| scope.path(path, Some(field)))?),
            None => fields.get(field).cloned(),
        };
        Ok(value.and_then(|value| value.as_f64()))
    }

    fn task(&mut self, input: &Value) -> Result<Value, Fault> {
        let resource = self.state.text("Resource").unwrap_or_default().to_owned();
        let called = |shared: &mut Shared, name: &str| shared.mocks.call(name, input.clone());
        let scheduled = json!({"resource": resource, "input": input.to_string(), "inputDetails": {"truncated": false}});
        let family = if resource.contains(":activity:") {
            "Activity"
        } else if resource.contains(":states:::") {
            return self.service_task(&resource, input);
        } else {
            "LambdaFunction"
        };
        let lower = if family == "Activity" {
            "activity"
        } else {
            "lambdaFunction"
        };
        let name = |suffix: &str| format!("{lower}{suffix}EventDetails");
        self.event(
            &format!("{family}Scheduled"),
            Some((&name("Scheduled"), scheduled)),
        );
        self.event(&format!("{family}Started"), None);
        match called(self.shared, self.name) {
            Ok(result) => {
                let details =
                    json!({"output": result.to_string(), "outputDetails": {"truncated": false}});
                self.event(
                    &format!("{family}Succeeded"),
                    Some((&name("Succeeded"), details)),
                );
                Ok(result)
            }
            Err(fault) => {
                let ended = if fault.error == "States.Timeout" {
                    "TimedOut"
                } else {
                    "Failed"
                };
                let details = json!({"error": fault.error, "cause": fault.cause});
                self.event(&format!("{family}{ended}"), Some((&name(ended), details)));
                Err(fault)
            }
        }
    }

    /// A service integration, `arn:aws:states:::service:action[.pattern]`.
    fn service_task(&mut self, resource: &str, input: &Value) -> Result<Value, Fault> {
        let path = resource.rsplit_once(":::").map_or("", |(_, path)| path);
        let (service, action) = path.split_once(':').unwrap_or((path, ""));
        let about = json!({"resource": action, "resourceType": service});
        let with = |extra: Value| {
            let mut details = about.clone();
            if let (Some(details), Value::Object(extra)) = (details.as_object_mut(), extra) {
                details.extend(extra);
            }
            details
        };
        let scheduled = with(json!({"parameters": input.to_string(), "region": "us-east-1"}));
        self.event(
            "TaskScheduled",
            Some(("taskScheduledEventDetails", scheduled)),
        );
        self.event(
            "TaskStarted",
            Some(("taskStartedEventDetails", about.clone())),
        );
        let result = self.shared.mocks.call(self.name, input.clone());
        if action.contains('.') && result.is_ok() {
            let submitted = with(json!({"output": "{}", "outputDetails": {"truncated": false}}));
            self.event(
                "TaskSubmitted",
                Some(("taskSubmittedEventDetails", submitted)),
            );
        }
        match result {
            Ok(result) => {
                let details = with(
                    json!({"output": result.to_string(), "outputDetails": {"truncated": false}}),
                );
                self.event(
                    "TaskSucceeded",
                    Some(("taskSucceededEventDetails", details)),
                );
                Ok(result)
            }
            Err(fault) => {
                let details = with(json!({"error": fault.error, "cause": fault.cause}));
                if fault.error == "States.Timeout" {
                    self.event("TaskTimedOut", Some(("taskTimedOutEventDetails", details)));
                } else {
                    self.event("TaskFailed", Some(("taskFailedEventDetails", details)));
                }
                Err(fault)
            }
        }
    }

    fn iteration(&mut self) -> Result<Value, Fault> {
        let parent = self
            .lane
            .rsplit_once('/')
            .map_or("", |(parent, _)| parent)
            .to_owned();
        // One after the other, an iteration follows the one before it; else the start of the Map.
        let mut previous = self.shared.history.lane(&parent).previous;
        let index = self.token["map"]["Index"].as_u64().unwrap_or(0);
        if self.is_sequential() && index > 0 {
            let before = format!("{parent}/{}[{}]", self.state.number, index - 1);
            previous = self.shared.history.lane(&before).previous;
        }
        self.shared.history.lane(self.lane).previous = previous;
        let details = self.iteration_details();
        self.event(
            "MapIterationStarted",
            Some(("mapIterationStartedEventDetails", details)),
        );
        Ok(self.token.clone())
    }

    /// Whether the Map runs its iterations one after the other.
    fn is_sequential(&self) -> bool {
        self.state
            .fields
            .get("MaxConcurrency")
            .and_then(Value::as_u64)
            == Some(1)
    }

    fn iteration_details(&self) -> Value {
        json!({"name": self.name, "index": self.token["map"]["Index"]})
    }

    fn iterated(&mut self) -> Result<Value, Fault> {
        let details = Some((
            "mapIterationSucceededEventDetails",
            self.iteration_details(),
        ));
        if self.is_sequential() {
            self.shared
                .history
                .aside(self.lane, &self.at, "MapIterationSucceeded", details);
        } else {
            self.event("MapIterationSucceeded", details);
        }
        Ok(self.token.clone())
    }

    fn iteration_failed(&mut self, error: &Value) -> Result<Value, Fault> {
        let fault = fault_of(error);
        let failed_at = self.shared.history.failed_at;
        self.shared.history.lane(self.lane).previous = failed_at;
        if fault.error != "States.Runtime" {
            let details = Some(("mapIterationFailedEventDetails", self.iteration_details()));
            self.shared
                .history
                .aside(self.lane, &self.at, "MapIterationFailed", details);
        }
        let tolerant = self
            .state
            .fields
            .keys()
            .any(|field| field.starts_with("ToleratedFailure"));
        if tolerant {
            return Ok(json!({"lane": self.lane, "failed": fault.error}));
        }
        Err(fault)
    }

    /// An attempt failed: a retrier, a catcher, or the end of this level.
    fn failed(&mut self, error: &Value) -> Result<Value, Fault> {
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
        let fits = |catcher: &&Map<String, Value>| matches(catcher, &fault.error);
        let Some(catcher) = self.state.objects("Catch").find(fits) else {
            if !compound && !runtime && self.lane.contains('/') {
                self.shared
                    .history
                    .aside(self.lane, &self.at, "TaskStateAborted", None);
            }
            return Err(fault);
        };
        let error = json!({"Error": fault.error, "Cause": fault.cause});
        let vars = self.assigned(catcher, &error)?;
        let output = place(catcher, self.data(), error)?;
        self.exit(output, vars, catcher.get("Next").and_then(Value::as_str))
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
            let next = super::intrinsics::split_mix(self.shared.seed.get());
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
            name => name == error,
        })
}

/// An error of the engine's `catch`.
fn fault_of(error: &Value) -> Fault {
    let part = |name: &str| error[name].as_str().unwrap_or_default();
    Fault::new(part("name"), part("message"))
}
