//! The actions behind the lowered workflow: they read and write data as the states say, and note
//! the history.

use std::cell::Cell;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flowcore::{ActionError, Call, Engine, Journal};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::choice;
use super::data::{DATA_LEN_MAX, Fault};
use super::history::{self, History};
use super::jsonata::expression;
use super::machine::{Kind, Language, Machine, State};
use super::mocks::Mocks;
use super::query::{Assigned, Seen, unexpected};

/// What the actions share.
pub struct Interpreter {
    pub machine: Machine,
    pub clock: Arc<AtomicI64>,
    pub execution: Value,
    /// The input as it was written: the first events show it so.
    pub input_text: String,
    pub shared: Mutex<Shared>,
}

pub struct Shared {
    pub history: History,
    pub mocks: Mocks,
    pub seed: Cell<u64>,
}

/// The call of one action, taken apart.
pub struct Visit<'a> {
    pub interpreter: &'a Interpreter,
    pub shared: &'a mut Shared,
    pub name: &'a str,
    pub state: &'a State,
    pub token: &'a Value,
    pub lane: &'a str,
    pub at: String,
}

type Step = fn(&mut Visit<'_>, &Value) -> Result<Value, Fault>;

const ACTIONS: [(&str, Step); 12] = [
    ("state", |visit, _| {
        let done = visit.whole();
        visit.or_fail(done)
    }),
    ("wait", |visit, _| {
        let done = visit.wait();
        visit.or_fail(done)
    }),
    ("waited", |visit, _| {
        let done = visit.waited();
        visit.or_fail(done)
    }),
    ("enter", |visit, _| visit.enter()),
    ("begin", |visit, _| visit.begin()),
    ("call", |visit, params| visit.call(&params["call"])),
    ("task", |visit, params| visit.answered(&params["call"])),
    ("finish", |visit, params| visit.finish(&params["result"])),
    ("failed", |visit, params| {
        let done = visit.failed(&params["error"]);
        visit.or_fail(done)
    }),
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
        step(&mut visit, params).map_err(|fault| {
            let fault = visit.note(fault);
            ActionError::new(fault.error, fault.cause)
        })
    }

    /// The state of a group of lanes.
    fn state_of(&self, group: &str) -> Option<&State> {
        let number: usize = group.rsplit_once('/')?.1.parse().ok()?;
        self.machine
            .states
            .values()
            .find(|state| state.number == number)
    }
}

impl Visit<'_> {
    pub fn event(&mut self, kind: &str, details: Option<(&str, Value)>) -> u64 {
        self.shared.history.add(self.lane, &self.at, kind, details)
    }

    pub fn kind(&self, suffix: &str) -> String {
        format!("{}State{suffix}", self.state.kind.name())
    }

    pub fn data(&self) -> &Value {
        &self.token["data"]
    }

    /// What `$states` holds when the state has come to `result`.
    pub fn seen<'v>(&self, result: &'v Value) -> Seen<'v> {
        match self.state.kind {
            Kind::Task | Kind::Parallel | Kind::Map => Seen::Result(result),
            _ => Seen::Input,
        }
    }

    /// The error as it goes on: its cause says which state it was, unless it comes from further
    /// inside, and the history shows an expression that failed.
    pub fn note(&mut self, fault: Fault) -> Fault {
        const PREFIX: &str = "An error occurred while executing the state";
        let named = matches!(
            fault.error.as_str(),
            "States.Runtime" | "States.IntrinsicFailure"
        ) && !fault.is_said;
        let mut cause = fault.cause;
        if (named || fault.location.is_some()) && !cause.starts_with(PREFIX) {
            let entered = self.shared.history.lane(self.lane).entered;
            let name = self.name;
            cause = format!("{PREFIX} '{name}' (entered at the event id #{entered}). {cause}");
        }
        if let Some(location) = fault.location {
            let details = json!({
                "cause": cause, "error": fault.error, "location": location, "state": self.name,
            });
            self.event(
                "EvaluationFailed",
                Some(("evaluationFailedEventDetails", details)),
            );
        }
        Fault::new(&fault.error, cause)
    }

    /// A step whose error nothing in this lane catches: the lane fails with it, which may cut those
    /// beside it.
    fn or_fail(&mut self, done: Result<Value, Fault>) -> Result<Value, Fault> {
        done.map_err(|fault| {
            let fault = self.note(fault);
            self.fail_lane(&fault);
            fault
        })
    }

    fn fail_lane(&mut self, fault: &Fault) {
        let Some((_, group)) = history::group(self.lane) else {
            return;
        };
        // Runtime errors end the execution, and nothing is shown of what they end with it.
        let is_shown = fault.error != "States.Runtime" && fault.error != "States.IntrinsicFailure";
        let tolerates = self
            .interpreter
            .state_of(group)
            .is_some_and(State::tolerates_failures);
        let history = &mut self.shared.history;
        let last = history.lane(self.lane).previous;
        if tolerates {
            if is_shown {
                history.end(self.lane, true, &self.at, last);
            }
        } else if history.fail_first(group, last) {
            if is_shown {
                history.cut(group, self.lane, &self.at, last);
            }
            history.silence(group);
        }
    }

    /// The group of this state's branches or iterations.
    pub fn group(&self) -> String {
        format!("{}/{}", self.lane, self.state.number)
    }

    /// The context object, `$$` or `$states.context`.
    pub fn context(&mut self) -> Value {
        let lane = self.shared.history.lane(self.lane);
        let mut context = self.interpreter.execution.clone();
        context["State"] = json!({"EnteredTime": lane.entered_at, "Name": self.name});
        if matches!(self.state.kind, Kind::Task | Kind::Parallel | Kind::Map) {
            context["State"]["RetryCount"] = Value::from(lane.retry_count);
        }
        if self.state.kind == Kind::Task {
            context["Task"] = json!({"Token": format!("{}-{}", self.lane, lane.entered)});
        }
        if let Some(item) = self.token.get("map") {
            context["Map"] = json!({"Item": item});
        }
        context
    }

    fn note_entered(&mut self) {
        let input = match self.shared.history.events.len() {
            1 => self.interpreter.input_text.clone(),
            _ => self.data().to_string(),
        };
        let (kind, details) = (self.kind("Entered"), history::entered(self.name, &input));
        let id = self.event(&kind, details);
        let at = self.at.clone();
        let lane = self.shared.history.lane(self.lane);
        (lane.entered, lane.entered_at, lane.retry_count) = (id, at, 0);
        lane.open = Some(self.state.kind);
    }

    /// The state is left: its output goes to `next`, or ends the level.
    pub fn exit(
        &mut self,
        output: Value,
        assigned: Assigned,
        next: Option<&str>,
    ) -> Result<Value, Fault> {
        if output.to_string().len() > DATA_LEN_MAX {
            return Err(Fault::too_large(self.name));
        }
        let (kind, details) = (
            self.kind("Exited"),
            history::exited(self.name, &output, &assigned.new),
        );
        let lane = self.shared.history.lane(self.lane);
        lane.previous = lane.passed_by.take().unwrap_or(lane.previous);
        lane.open = None;
        self.event(&kind, details);
        let mut token = self.token.as_object().cloned().unwrap_or_default();
        for part in ["tries", "begun"] {
            token.remove(part);
        }
        token.insert("data".to_owned(), output);
        token.insert("vars".to_owned(), assigned.all);
        match next {
            Some(next) => token.insert("next".to_owned(), Value::from(next)),
            None => token.remove("next"),
        };
        Ok(Value::Object(token))
    }

    /// The states that need nothing but data.
    fn whole(&mut self) -> Result<Value, Fault> {
        self.note_entered();
        let fields = &self.state.fields;
        match self.state.kind {
            Kind::Fail => Err(Fault {
                is_said: true,
                ..self.failure()?
            }),
            Kind::Choice => self.choice(),
            _ => {
                let input = self.input()?;
                let result = match (fields.get("Result"), self.state.language) {
                    (Some(result), _) => result.clone(),
                    (None, Language::JsonPath) => self.payload(&input)?,
                    (None, Language::Jsonata) => input,
                };
                self.leave(result)
            }
        }
    }

    /// Output and `Assign` of the result, then the next state.
    pub fn leave(&mut self, result: Value) -> Result<Value, Fault> {
        let fields = &self.state.fields;
        let assigned = self.assigned(fields, "", &result, self.seen(&result))?;
        let output = self.output(result)?;
        let next = self.state.text("Next");
        self.exit(output, assigned, next)
    }

    fn choice(&mut self) -> Result<Value, Fault> {
        let fields = &self.state.fields;
        let input = self.input()?;
        let chosen = self.choose(&input)?;
        let (rule, within) = match chosen {
            Some((index, rule)) => (rule, format!("Choices[{index}]/")),
            None => (fields, String::new()),
        };
        let next = match chosen {
            Some(_) => rule.get("Next").and_then(Value::as_str),
            None => self.state.text("Default"),
        };
        // The specification has a name of its own for this; the service reports it so.
        let next = next.ok_or_else(|| {
            Fault::runtime(
                "Failed to transition out of the state. The state does not point to a next state.",
            )
        })?;
        let assigned = self.assigned(rule, &within, &input, Seen::Input)?;
        let output = match (self.state.language, rule.get("Output")) {
            (Language::JsonPath, _) => {
                self.scoped(|scope| scope.over(&input).filter(fields, "OutputPath"))?
            }
            (Language::Jsonata, Some(output)) => {
                self.jsonata(output, &format!("{within}Output"), Seen::Input)?
            }
            (Language::Jsonata, None) => input,
        };
        self.exit(output, assigned, Some(next))
    }

    /// The error that a Fail state raises.
    fn failure(&mut self) -> Result<Fault, Fault> {
        let data = self.token["data"].clone();
        let mut part = |name: &str| -> Result<String, Fault> {
            match self.field(name, &data)? {
                None => Ok(String::new()),
                Some(Value::String(text)) => Ok(text),
                Some(other) => Err(match self.state.text(name).and_then(expression) {
                    Some(expression) => unexpected(expression, name, "string", &other),
                    None => Fault::runtime(format!(
                        "The {name}Path '{}' must give a string, not {other}",
                        self.state.text(&format!("{name}Path")).unwrap_or_default()
                    )),
                }),
            }
        };
        let (error, cause) = (part("Error")?, part("Cause")?);
        Ok(Fault::new(&error, cause))
    }

    fn wait(&mut self) -> Result<Value, Fault> {
        self.note_entered();
        let input = self.input()?;
        let seconds = self.pause(&input)?;
        Ok(json!({"token": self.token, "seconds": seconds}))
    }

    /// How long a Wait state waits.
    fn pause(&mut self, input: &Value) -> Result<f64, Fault> {
        if let Some(path) = self.state.text("SecondsPath") {
            let seconds = self.referenced("SecondsPath", input)?;
            let shown = shown(&seconds);
            return match seconds.as_i64() {
                Some(seconds) if seconds >= 0 => Ok(seconds as f64),
                Some(_) => Err(Fault::runtime(format!(
                    "The SecondsPath parameter references a negative value: {path} == {shown}"
                ))),
                None => Err(Fault::runtime(format!(
                    "The SecondsPath parameter cannot be parsed as a long value: {path} == {shown}"
                ))),
            };
        }
        if let Some(seconds) = self.number("Seconds", input)? {
            return Ok(seconds);
        }
        let (moment, path) = match self.state.text("TimestampPath") {
            Some(path) => (self.referenced("TimestampPath", input)?, Some(path)),
            None => (self.field("Timestamp", input)?.unwrap_or_default(), None),
        };
        let until = choice::timestamp(&moment).ok_or_else(|| {
            let shown = shown(&moment);
            Fault::runtime(match path {
                Some(path) => format!(
                    "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time format string: {path} == {shown}"
                ),
                None => format!(
                    "The Timestamp parameter is not a valid ISO-8601 extended offset date-time format string: {shown}"
                ),
            })
        })?;
        let left = until.as_millisecond() - self.interpreter.now().as_millisecond();
        Ok(left.max(0) as f64 / 1e3)
    }

    /// What a field of a Wait state points to.
    fn referenced(&mut self, field: &str, input: &Value) -> Result<Value, Fault> {
        let path = self.state.text(field).unwrap_or_default();
        self.scoped(|scope| scope.over(input).expression(path, field))
            .map_err(|_| {
                Fault::runtime(format!(
                    "The {field} parameter does not reference an input value: {path}"
                ))
            })
    }

    fn waited(&mut self) -> Result<Value, Fault> {
        let input = self.input()?;
        let fields = &self.state.fields;
        let assigned = self.assigned(fields, "", &input, Seen::Input)?;
        let output = match self.state.language {
            Language::JsonPath => {
                self.scoped(|scope| scope.over(&input).filter(fields, "OutputPath"))?
            }
            Language::Jsonata => self.output(input)?,
        };
        let next = self.state.text("Next");
        self.exit(output, assigned, next)
    }

    /// A state that is tried is entered, and its first attempt begins with it, so that states that
    /// start together show in their order. What comes of it waits in the token.
    fn enter(&mut self) -> Result<Value, Fault> {
        self.note_entered();
        let begun = self.begin_attempt();
        let mut token = self.token.clone();
        token["begun"] = match begun {
            Ok(begun) => json!({"value": begun}),
            Err(fault) => {
                let fault = self.note(fault);
                json!({"error": fault.error, "cause": fault.cause})
            }
        };
        token["tries"] = self
            .state
            .objects("Retry")
            .map(|_| Value::from(0))
            .collect();
        Ok(token)
    }

    /// An attempt begins, the first as [`enter`](Self::enter) has begun it.
    fn begin(&mut self) -> Result<Value, Fault> {
        let begun = &self.token["begun"];
        match (begun.get("value"), begun["error"].as_str()) {
            (Some(value), _) => Ok(value.clone()),
            (None, Some(error)) => Err(Fault {
                is_said: true,
                ..Fault::new(error, begun["cause"].as_str().unwrap_or_default())
            }),
            (None, None) => self.begin_attempt(),
        }
    }

    /// The call of a Task, the tokens of branches or iterations.
    fn begin_attempt(&mut self) -> Result<Value, Fault> {
        let group = self.group();
        self.shared.history.begin(&group);
        let input = self.input()?;
        match self.state.kind {
            Kind::Map => self.begin_map(&input),
            Kind::Parallel => self.begin_parallel(&input),
            _ => self.schedule(&input),
        }
    }
}

/// A value in a message: text without quotes.
pub fn shown(value: &Value) -> String {
    let text = value.as_str().map(str::to_owned);
    text.unwrap_or_else(|| value.to_string())
}
