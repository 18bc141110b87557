//! What starts runs: events, timers, cron, MQTT messages, HTTP requests. Nothing here has a clock, a
//! thread or a connection but [`MqttSource`] and [`HttpSource`], which work when they are called.
//!
//! ```
//! use flowcore::trigger::{Arrival, Triggers};
//! use flowcore::{Engine, MemoryJournal, Timestamp, Workflow};
//! use serde_json::json;
//!
//! # fn main() -> flowcore::Result<()> {
//! let workflow = Workflow::from_json(r#"{"workflow": {"name": "feed",
//!     "triggers": [{"every": "60 seconds"}, {"mqtt": "barn/+/low", "key": "input.payload.id"}],
//!     "steps": [{"id": "fill", "set": "${input}"}]}}"#)?;
//! let now = Timestamp::from_millis(30_000);
//! let mut triggers = Triggers::of([&workflow], now)?;
//! let mut engine = Engine::new(MemoryJournal::new());
//! engine.deploy(workflow)?;
//!
//! assert_eq!(triggers.next_due(), Some(Timestamp::from_millis(60_000)));
//! for firing in triggers.due(Timestamp::from_millis(60_000)) {
//!     firing.start(&mut engine, now)?;
//! }
//! // The same message twice is one run.
//! let message = Arrival::mqtt("barn/3/low", json!({"id": "m7"}));
//! let first = triggers.accept(&message)?.remove(0).start(&mut engine, now)?;
//! let again = triggers.accept(&message)?.remove(0).start(&mut engine, now)?;
//! assert_eq!(first, again);
//! # Ok(()) }
//! ```

#[cfg(feature = "zones")]
mod cron;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "mqtt")]
mod mqtt;

#[cfg(feature = "http")]
pub use http::{HttpCall, HttpSource};
#[cfg(feature = "mqtt")]
pub use mqtt::{MqttMessage, MqttSource};

use std::time::Duration;

use serde_json::{Value, json};

use crate::definition::TriggerDef;
use crate::engine::Engine;
use crate::error::{Error, Result};
use crate::expr::{BUDGET_DEFAULT, Program, Val};
use crate::journal::Journal;
use crate::plan::Workflow;
use crate::run::RunId;
use crate::time::{Timestamp, parse_span};

/// The sources of a set of workflows.
#[derive(Debug)]
pub struct Triggers {
    sources: Vec<Source>,
}

#[derive(Debug)]
struct Source {
    workflow: String,
    kind: SourceKind,
    key: Option<Program>,
}

#[derive(Debug)]
enum SourceKind {
    Event(String),
    Every {
        span_ms: i64,
        next: Timestamp,
    },
    #[cfg(feature = "zones")]
    Cron {
        schedule: Box<cron::Schedule>,
        next: Option<Timestamp>,
    },
    Mqtt(String),
    Http(String),
}

/// Something that came from outside.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival {
    kind: ArrivalKind,
    name: String,
    data: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ArrivalKind {
    Event,
    Mqtt,
    Http,
}

impl Arrival {
    /// An event with its data, such as a match of a stream engine.
    pub fn event(name: impl Into<String>, data: Value) -> Self {
        Self {
            kind: ArrivalKind::Event,
            name: name.into(),
            data,
        }
    }

    /// A message of a topic.
    pub fn mqtt(topic: impl Into<String>, payload: Value) -> Self {
        Self {
            kind: ArrivalKind::Mqtt,
            name: topic.into(),
            data: payload,
        }
    }

    /// A request for a path.
    pub fn http(path: impl Into<String>, body: Value) -> Self {
        Self {
            kind: ArrivalKind::Http,
            name: path.into(),
            data: body,
        }
    }

    /// The event's name, the topic or the path.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn input(&self) -> Value {
        match self.kind {
            ArrivalKind::Event => self.data.clone(),
            ArrivalKind::Mqtt => json!({"topic": self.name, "payload": self.data}),
            ArrivalKind::Http => json!({"path": self.name, "body": self.data}),
        }
    }
}

/// A run that should start.
#[derive(Debug, Clone, PartialEq)]
pub struct Firing {
    /// Name of the workflow.
    pub workflow: String,
    /// What it starts with.
    pub input: Value,
    /// The occasion: a second start with it attaches to the first one's run.
    pub key: Option<String>,
}

impl Firing {
    /// Starts the run, or finds the one that this occasion started before.
    ///
    /// # Errors
    /// As [`Engine::start`].
    pub fn start<J: Journal>(self, engine: &mut Engine<J>, now: Timestamp) -> Result<RunId> {
        engine.start(&self.workflow, self.key.as_deref(), self.input, now)
    }
}

impl Triggers {
    /// The triggers of these workflows, with timers and cron counted from `now`: what they would
    /// have started while nobody ran them is not made up for.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a trigger that makes no sense.
    pub fn of<'w>(
        workflows: impl IntoIterator<Item = &'w Workflow>,
        now: Timestamp,
    ) -> Result<Self> {
        let mut sources = Vec::new();
        for workflow in workflows {
            let definition = workflow.definition();
            if let Some(event) = &definition.trigger {
                sources.push(Source {
                    workflow: definition.name.clone(),
                    kind: SourceKind::Event(event.clone()),
                    key: None,
                });
            }
            for trigger in &definition.triggers {
                sources.push(source(&definition.name, trigger, now)?);
            }
        }
        Ok(Self { sources })
    }

    /// When a timer or cron fires next.
    pub fn next_due(&self) -> Option<Timestamp> {
        self.sources.iter().filter_map(Source::next).min()
    }

    /// What timers and cron start up to `now`. Of several times that have passed only the last one
    /// starts a run. The key is the time, so two processes that share a journal start one run.
    pub fn due(&mut self, now: Timestamp) -> Vec<Firing> {
        let mut firings = Vec::new();
        for source in &mut self.sources {
            if let Some((kind, at)) = source.advance(now) {
                firings.push(Firing {
                    workflow: source.workflow.clone(),
                    input: json!({"at": at.as_millis()}),
                    key: Some(format!("{kind}/{}", at.as_millis())),
                });
            }
        }
        firings
    }

    /// What an arrival starts. Linear in the number of sources.
    ///
    /// # Errors
    /// [`Error::Invalid`] when a key has no value for this input: with no key a repetition could
    /// start a second run, so nothing starts.
    pub fn accept(&self, arrival: &Arrival) -> Result<Vec<Firing>> {
        let mut firings = Vec::new();
        for source in self.sources.iter().filter(|source| source.fits(arrival)) {
            let input = arrival.input();
            let key = match &source.key {
                None => None,
                Some(program) => Some(key(program, &input).map_err(|message| {
                    invalid(&source.workflow, format!("the trigger's key: {message}"))
                })?),
            };
            firings.push(Firing {
                workflow: source.workflow.clone(),
                input,
                key,
            });
        }
        Ok(firings)
    }

    /// The MQTT topics to subscribe to.
    pub fn topics(&self) -> Vec<&str> {
        let topics = self.sources.iter().filter_map(|source| match &source.kind {
            SourceKind::Mqtt(filter) => Some(filter.as_str()),
            _ => None,
        });
        topics.collect()
    }
}

fn invalid(workflow: &str, message: String) -> Error {
    Error::Invalid {
        step: workflow.to_owned(),
        line: None,
        message,
    }
}

/// Why a trigger makes no sense, if so.
pub(crate) fn check(workflow: &str, trigger: &TriggerDef) -> Result<()> {
    source(workflow, trigger, Timestamp::default()).map(drop)
}

fn source(workflow: &str, trigger: &TriggerDef, now: Timestamp) -> Result<Source> {
    let wrong = |message: &str| invalid(workflow, message.to_owned());
    let given = [
        &trigger.event,
        &trigger.every,
        &trigger.cron,
        &trigger.mqtt,
        &trigger.http,
    ];
    if given.iter().filter(|field| field.is_some()).count() != 1 {
        return Err(wrong(
            "a trigger needs exactly one of event, every, cron, mqtt and http",
        ));
    }
    if trigger.zone.is_some() && trigger.cron.is_none() {
        return Err(wrong("`zone` belongs to `cron`"));
    }
    let timed = trigger.every.is_some() || trigger.cron.is_some();
    if timed && trigger.key.is_some() {
        return Err(wrong("timers and cron have their time as key"));
    }
    let kind = if let Some(event) = &trigger.event {
        SourceKind::Event(event.clone())
    } else if let Some(text) = &trigger.every {
        let span = parse_span(text).filter(|span| *span >= Duration::from_millis(1));
        let span = span.ok_or_else(|| invalid(workflow, format!("every: `{text}` is no span")))?;
        let span_ms = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        SourceKind::Every {
            span_ms,
            next: multiple_after(now, span_ms),
        }
    } else if let Some(text) = &trigger.cron {
        cron_kind(text, trigger.zone.as_deref().unwrap_or("UTC"), now)
            .map_err(|message| invalid(workflow, format!("cron `{text}`: {message}")))?
    } else if let Some(filter) = &trigger.mqtt {
        if !is_filter(filter) {
            return Err(invalid(
                workflow,
                format!("mqtt: `{filter}` is no topic filter"),
            ));
        }
        SourceKind::Mqtt(filter.clone())
    } else {
        let path = trigger.http.clone().unwrap_or_default();
        if !path.starts_with('/') {
            return Err(wrong("http: a path begins with `/`"));
        }
        SourceKind::Http(path)
    };
    let key = trigger.key.as_ref().map(|text| {
        let bare = text.trim();
        let bare = bare
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'));
        Program::standalone(bare.unwrap_or(text), &["input"])
            .map_err(|error| invalid(workflow, format!("key `{text}`: {error}")))
    });
    Ok(Source {
        workflow: workflow.to_owned(),
        kind,
        key: key.transpose()?,
    })
}

#[cfg(feature = "zones")]
fn cron_kind(text: &str, zone: &str, now: Timestamp) -> std::result::Result<SourceKind, String> {
    let schedule = cron::Schedule::parse(text, zone)?;
    let next = schedule.after(now);
    Ok(SourceKind::Cron {
        schedule: Box::new(schedule),
        next,
    })
}

#[cfg(not(feature = "zones"))]
fn cron_kind(_: &str, _: &str, _: Timestamp) -> std::result::Result<SourceKind, String> {
    Err("this build has no time zones; enable the feature `zones`".to_owned())
}

fn multiple_after(now: Timestamp, span_ms: i64) -> Timestamp {
    let passed = now.as_millis().div_euclid(span_ms);
    Timestamp::from_millis(passed.saturating_add(1).saturating_mul(span_ms))
}

fn key(program: &Program, input: &Value) -> std::result::Result<String, String> {
    let values = [Val::from_json(input)];
    let value = program
        .evaluate(&values, BUDGET_DEFAULT)
        .map_err(|error| error.to_string())?;
    match value {
        Val::Null => Err("it is null".to_owned()),
        value => Ok(value.display().into_owned()),
    }
}

impl Source {
    fn next(&self) -> Option<Timestamp> {
        match &self.kind {
            SourceKind::Every { next, .. } => Some(*next),
            #[cfg(feature = "zones")]
            SourceKind::Cron { next, .. } => *next,
            _ => None,
        }
    }

    /// The last time up to `now`, and what kind of source had it.
    fn advance(&mut self, now: Timestamp) -> Option<(&'static str, Timestamp)> {
        let due = self.next().filter(|due| *due <= now)?;
        match &mut self.kind {
            SourceKind::Every { span_ms, next } => {
                let last = now.as_millis().div_euclid(*span_ms) * *span_ms;
                *next = multiple_after(now, *span_ms);
                Some(("every", Timestamp::from_millis(last)))
            }
            #[cfg(feature = "zones")]
            SourceKind::Cron { schedule, next } => {
                let mut last = due;
                *next = schedule.after(last);
                while let Some(later) = next.filter(|later| *later <= now) {
                    last = later;
                    *next = schedule.after(last);
                }
                Some(("cron", last))
            }
            _ => {
                let _ = due;
                None
            }
        }
    }

    fn fits(&self, arrival: &Arrival) -> bool {
        match (&self.kind, arrival.kind) {
            (SourceKind::Event(name), ArrivalKind::Event) => *name == arrival.name,
            (SourceKind::Mqtt(filter), ArrivalKind::Mqtt) => topic_fits(filter, &arrival.name),
            (SourceKind::Http(path), ArrivalKind::Http) => *path == arrival.name,
            _ => false,
        }
    }
}

/// `+` stands alone on a level, `#` alone on the last one.
fn is_filter(filter: &str) -> bool {
    let levels: Vec<&str> = filter.split('/').collect();
    let last = levels.len() - 1;
    !filter.is_empty()
        && levels.iter().enumerate().all(|(at, level)| match *level {
            "+" => true,
            "#" => at == last,
            level => !level.contains(['+', '#', '\0']),
        })
}

/// MQTT's matching: `+` is one level, `#` the rest; neither matches a first level with `$`.
fn topic_fits(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let mut levels = topic.split('/');
    for wanted in filter.split('/') {
        match (wanted, levels.next()) {
            ("#", _) => return true,
            ("+", Some(_)) => {}
            (wanted, Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
    levels.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_match_as_mqtt_says() {
        let cases = [
            ("a/b", "a/b", true),
            ("a/+", "a/b", true),
            ("a/+", "a/b/c", false),
            ("a/#", "a", true),
            ("a/#", "a/b/c", true),
            ("#", "a/b", true),
            ("+/b", "/b", true),
            ("a/+", "a/", true),
            ("#", "$SYS/x", false),
            ("+/x", "$SYS/x", false),
            ("$SYS/#", "$SYS/x", true),
            ("a", "a/b", false),
        ];
        for (filter, topic, expected) in cases {
            assert_eq!(topic_fits(filter, topic), expected, "{filter} {topic}");
        }
        for filter in ["", "a/#/b", "a+", "a/b#"] {
            assert!(!is_filter(filter), "{filter}");
        }
    }
}
