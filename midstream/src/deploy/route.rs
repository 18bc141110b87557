//! What goes where: outputs by rule, events by condition, dead letters.

use std::collections::BTreeMap;

use serde_json::json;

use crate::batch::Row;
use crate::decode::Rejection;
use crate::deploy::Deployment;
use crate::error::{Error, Result};
use crate::event::{Event, Schema};
use crate::language::parse_rules;
use crate::output::{Found, Output};
use crate::predicate::Compiled;
use crate::rule::Rule;
use crate::spill::Class;

/// Something for a sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The sink's place among [`Router::sinks`].
    pub sink: usize,
    /// How long it is worth keeping.
    pub class: Class,
    /// The match or the event, for sampling and for whoever gets it twice.
    pub id: String,
    /// One line of JSON.
    pub line: String,
}

#[derive(Debug)]
struct Target {
    sinks: Vec<usize>,
    class: Option<Class>,
}

/// Sends what the engine tells, events and dead letters to sinks.
#[derive(Debug)]
pub struct Router {
    sinks: Vec<String>,
    by_rule: BTreeMap<String, Vec<Target>>,
    all_rules: Vec<Target>,
    events: Vec<(String, Option<Compiled>, Target)>,
    dead_letters: Vec<Target>,
    schemas: BTreeMap<String, Schema>,
}

impl Router {
    pub(crate) fn new(deployment: &Deployment) -> Result<Self> {
        let sinks: Vec<String> = deployment.sinks.keys().cloned().collect();
        let mut router = Self {
            sinks,
            by_rule: BTreeMap::new(),
            all_rules: Vec::new(),
            events: Vec::new(),
            dead_letters: Vec::new(),
            schemas: BTreeMap::new(),
        };
        for (name, schema) in deployment.schemas() {
            router.schemas.insert(name.to_owned(), schema);
        }
        let rules = deployment.engine()?;
        let known: Vec<&str> = rules.rule_names().collect();
        for (place, route) in deployment.routes.iter().enumerate() {
            let wrong = |cause: String| Error::Deployment(format!("routes[{place}]: {cause}"));
            let target = || -> Result<Target> {
                let find = |name: &String| {
                    let found = router.sinks.iter().position(|sink| sink == name);
                    found.ok_or_else(|| wrong(format!("no sink is called `{name}`")))
                };
                Ok(Target {
                    sinks: route.to.iter().map(find).collect::<Result<_>>()?,
                    class: route.class,
                })
            };
            if route.to.is_empty() {
                return Err(wrong("`to` names no sink".to_owned()));
            }
            let kinds = [
                !route.rules.is_empty(),
                route.events.is_some(),
                route.dead_letters,
            ];
            if kinds.iter().filter(|given| **given).count() != 1 {
                return Err(wrong(
                    "give one of `rules`, `events` and `dead_letters`".to_owned(),
                ));
            }
            if route.condition.is_some() && route.events.is_none() {
                return Err(wrong("`where` is for `events`".to_owned()));
            }
            for name in &route.rules {
                let target = target()?;
                if name == "*" {
                    router.all_rules.push(target);
                } else if known.contains(&name.as_str()) {
                    router.by_rule.entry(name.clone()).or_default().push(target);
                } else {
                    return Err(wrong(format!(
                        "no rule is called `{name}`; there are {}",
                        known.join(", ")
                    )));
                }
            }
            if let Some(source) = &route.events {
                let target = target()?;
                let schema = router.schemas.get(source);
                let schema =
                    schema.ok_or_else(|| wrong(format!("no source is called `{source}`")))?;
                let condition = route
                    .condition
                    .as_deref()
                    .map(|text| condition(text, schema).map_err(|cause| wrong(cause.to_string())));
                router
                    .events
                    .push((source.clone(), condition.transpose()?, target));
            }
            if route.dead_letters {
                let target = target()?;
                router.dead_letters.push(target);
            }
        }
        Ok(router)
    }

    /// The sinks' names, in the order of their places.
    pub fn sinks(&self) -> &[String] {
        &self.sinks
    }

    /// Adds where an output goes.
    pub fn output(&self, output: &Output, entries: &mut Vec<Entry>) {
        let own = self.by_rule.get(&*output.rule);
        let targets = own.into_iter().flatten().chain(&self.all_rules);
        let mut line = None;
        for target in targets {
            let class = target.class.unwrap_or(match output.found {
                Found::Window(_) => Class::Aggregate,
                _ => Class::Critical,
            });
            let line = line.get_or_insert_with(|| {
                serde_json::to_string(output).unwrap_or_else(|_| "null".to_owned())
            });
            for sink in &target.sinks {
                entries.push(Entry {
                    sink: *sink,
                    class,
                    id: output.id.to_string(),
                    line: line.clone(),
                });
            }
        }
    }

    /// Adds where an event goes.
    pub fn event(&self, event: &Event, entries: &mut Vec<Entry>) {
        let mut line = None;
        for (source, condition, target) in &self.events {
            let holds = condition
                .as_ref()
                .is_none_or(|condition| condition.holds(Row::Event(event)));
            if event.source() != source || !holds {
                continue;
            }
            let line = line.get_or_insert_with(|| self.event_line(event));
            for sink in &target.sinks {
                entries.push(Entry {
                    sink: *sink,
                    class: target.class.unwrap_or(Class::Raw),
                    id: event.id().to_owned(),
                    line: line.clone(),
                });
            }
        }
    }

    fn event_line(&self, event: &Event) -> String {
        let mut fields = serde_json::Map::new();
        fields.insert("source".to_owned(), json!(event.source()));
        fields.insert("id".to_owned(), json!(event.id()));
        fields.insert("at".to_owned(), json!(event.at()));
        if let Some(schema) = self.schemas.get(event.source()) {
            for (place, (name, _)) in schema.fields().enumerate() {
                if let Some(value) = event.value(place) {
                    fields.insert(name.to_owned(), json!(value));
                }
            }
        }
        serde_json::Value::Object(fields).to_string()
    }

    /// Adds where a payload goes that is no event.
    pub fn dead_letter(
        &self,
        source: &str,
        payload: &[u8],
        rejection: &Rejection,
        entries: &mut Vec<Entry>,
    ) {
        if self.dead_letters.is_empty() {
            return;
        }
        let line = json!({
            "dead_letter": rejection.reason(),
            "cause": rejection.to_string(),
            "source": source,
            "payload": String::from_utf8_lossy(payload),
        })
        .to_string();
        for target in &self.dead_letters {
            for sink in &target.sinks {
                entries.push(Entry {
                    sink: *sink,
                    class: target.class.unwrap_or(Class::Aggregate),
                    id: String::new(),
                    line: line.clone(),
                });
            }
        }
    }
}

/// A condition on the fields of a source.
fn condition(text: &str, schema: &Schema) -> Result<Compiled> {
    let rule = format!("SELECT * FROM \"{}\" WHERE {text}", schema.name());
    match parse_rules(&rule, schema.name())?.as_slice() {
        [Rule::Select(rule)] if rule.within.is_none() => rule.filter.compile(schema),
        _ => Err(Error::Deployment(format!("`{text}` is no condition"))),
    }
}
