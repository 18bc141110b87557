//! Parallel and Map: tokens of branches and iterations, and how they come together.

use serde_json::{Value, json};

use super::data::{Fault, Scope};
use super::interpreter::Visit;
use super::jsonata::expression;
use super::machine::{Kind, Language};
use super::query::{Seen, unexpected};
use super::rescue::fault_of;

impl Visit<'_> {
    pub fn begin_parallel(&mut self, input: &Value) -> Result<Value, Fault> {
        let input = self.payload(input)?;
        let started = self.event("ParallelStateStarted", None);
        let branches = self.state.inner.iter().enumerate();
        let tokens: Vec<Value> = branches
            .map(|(index, branch)| {
                let part = format!("{}.{index}", self.state.number);
                let mut token = self.sub_token(&part, input.clone());
                token["next"] = Value::from(branch.start.as_str());
                token
            })
            .collect();
        for token in &tokens {
            let lane = token["lane"].as_str().unwrap_or_default();
            self.shared.history.lane(lane).previous = started;
        }
        Ok(json!({"tokens": tokens}))
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

    /// The list that a Map goes over.
    fn items(&mut self, input: &Value) -> Result<Vec<Value>, Fault> {
        let fields = &self.state.fields;
        if self.state.language == Language::JsonPath {
            let items = self.scoped(|scope| scope.over(input).reference(fields, "ItemsPath"))?;
            return match items {
                Value::Array(items) => Ok(items),
                _ => Err(Fault::runtime(format!(
                    "Reference path \"{}\" must point to array.",
                    self.state.text("ItemsPath").unwrap_or("$")
                ))),
            };
        }
        let items = match fields.get("Items") {
            Some(items) => self.jsonata(items, "Items", Seen::Input)?,
            None => input.clone(),
        };
        match items {
            Value::Array(items) => Ok(items),
            other => Err(match self.state.text("Items").and_then(expression) {
                Some(expression) => unexpected(expression, "Items", "array", &other),
                None => Fault::query(
                    "Items",
                    format!("Map state input must be an array but was: {other}"),
                ),
            }),
        }
    }

    pub fn begin_map(&mut self, input: &Value) -> Result<Value, Fault> {
        let mut items = self.items(input)?;
        let fields = &self.state.fields;
        if let Some(batcher) = fields.get("ItemBatcher") {
            items = self.batched(batcher, items, input)?;
        }
        let limit = self.number("MaxConcurrency", input)?;
        let details = json!({"length": items.len()});
        self.event(
            "MapStateStarted",
            Some(("mapStateStartedEventDetails", details)),
        );
        // Checked again when iterations have failed; nonsense is told before they begin.
        self.number("ToleratedFailureCount", input)?;
        self.number("ToleratedFailurePercentage", input)?;
        if self.state.distributed {
            let entered = self.shared.history.lane(self.lane).entered;
            let account = "arn:aws:states:us-east-1:000000000000";
            let details = json!({"mapRunArn": format!("{account}:mapRun:machine/{entered}")});
            self.event(
                "MapRunStarted",
                Some(("mapRunStartedEventDetails", details)),
            );
            let group = self.group();
            self.shared.history.silence(&group);
        }
        // `Parameters` is the older name of `ItemSelector`.
        let selector = fields
            .get("ItemSelector")
            .or_else(|| fields.get("Parameters"));
        let start = self.state.inner.first().map_or("", |body| &body.start);
        let mut tokens = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            let part = json!({"Index": index, "Value": item});
            let data = match selector {
                Some(selector) => self.selected(selector, &part, input)?,
                None => item,
            };
            let mut token = self.sub_token(&format!("{}[{index}]", self.state.number), data);
            token["map"] = part;
            token["sequential"] = Value::from(limit == Some(1.0));
            token["next"] = Value::from(start);
            tokens.push(token);
        }
        Ok(json!({"tokens": tokens, "limit": limit.unwrap_or(0.0)}))
    }

    /// The input of an iteration, by `ItemSelector`.
    fn selected(&mut self, selector: &Value, part: &Value, input: &Value) -> Result<Value, Fault> {
        let mut context = self.context();
        context["Map"] = json!({"Item": part});
        if self.state.language == Language::Jsonata {
            return self.jsonata_within(context, selector, "ItemSelector", Seen::Input);
        }
        self.scoped(|scope| {
            let scope = Scope {
                context: &context,
                ..scope.over(input)
            };
            scope.template(selector)
        })
    }

    fn batched(
        &mut self,
        batcher: &Value,
        items: Vec<Value>,
        input: &Value,
    ) -> Result<Vec<Value>, Fault> {
        let jsonata = self.state.language == Language::Jsonata;
        let size = match (
            batcher.get("MaxItemsPerBatch"),
            batcher["MaxItemsPerBatchPath"].as_str(),
        ) {
            (Some(size), _) if jsonata => {
                self.jsonata(size, "ItemBatcher/MaxItemsPerBatch", Seen::Input)?
            }
            (Some(size), _) => size.clone(),
            (None, Some(path)) => {
                self.scoped(|scope| scope.over(input).path(path, Some("MaxItemsPerBatchPath")))?
            }
            (None, None) => Value::Null,
        };
        let size = size.as_u64().filter(|size| *size > 0);
        let size = size
            .and_then(|size| usize::try_from(size).ok())
            .unwrap_or(items.len().max(1));
        let shared = match batcher.get("BatchInput") {
            Some(template) if jsonata => {
                Some(self.jsonata(template, "ItemBatcher/BatchInput", Seen::Input)?)
            }
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

    pub fn finish(&mut self, result: &Value) -> Result<Value, Fault> {
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
                if self.state.distributed {
                    self.event("MapRunSucceeded", None);
                }
                let kind = self.kind("Succeeded");
                let passed_by = self.shared.history.lane(self.lane).previous;
                self.event(&kind, None);
                self.shared.history.lane(self.lane).passed_by = Some(passed_by);
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
        let data = self.data().clone();
        let count = self.number("ToleratedFailureCount", &data)?;
        let percentage = self.number("ToleratedFailurePercentage", &data)?;
        let over = count.is_some_and(|count| failed as f64 > count)
            || percentage.is_some_and(|most| failed as f64 * 100.0 > most * tokens.len() as f64)
            || (count.is_none() && percentage.is_none());
        if !over {
            return Ok(());
        }
        let fault = Fault::new(
            "States.ExceedToleratedFailureThreshold",
            "The specified tolerated failure threshold was exceeded",
        );
        if self.state.distributed {
            let details = json!({"error": fault.error, "cause": fault.cause});
            self.event("MapRunFailed", Some(("mapRunFailedEventDetails", details)));
        }
        Err(fault)
    }

    pub fn iteration(&mut self) -> Result<Value, Fault> {
        let parent = self
            .lane
            .rsplit_once('/')
            .map_or("", |(parent, _)| parent)
            .to_owned();
        // One after the other, an iteration follows the last state of the one before it; else the
        // start of the Map.
        let mut previous = self.shared.history.lane(&parent).previous;
        let index = self.token["map"]["Index"].as_u64().unwrap_or(0);
        if self.token["sequential"] == true && index > 0 {
            let before = format!("{parent}/{}[{}]", self.state.number, index - 1);
            let before = self.shared.history.lane(&before);
            previous = before.passed_by.unwrap_or(before.previous);
        }
        let details = self.iteration_details();
        let lane = self.shared.history.lane(self.lane);
        lane.previous = previous;
        lane.iteration = Some(details.clone());
        self.event(
            "MapIterationStarted",
            Some(("mapIterationStartedEventDetails", details)),
        );
        Ok(self.token.clone())
    }

    fn iteration_details(&self) -> Value {
        json!({"name": self.name, "index": self.token["map"]["Index"]})
    }

    pub fn iterated(&mut self) -> Result<Value, Fault> {
        let details = self.iteration_details();
        let lane = self.shared.history.lane(self.lane);
        (lane.iteration, lane.passed_by) = (None, Some(lane.previous));
        self.event(
            "MapIterationSucceeded",
            Some(("mapIterationSucceededEventDetails", details)),
        );
        Ok(self.token.clone())
    }

    pub fn iteration_failed(&mut self, error: &Value) -> Result<Value, Fault> {
        let fault = fault_of(error);
        if self.state.tolerates_failures() {
            return Ok(json!({"lane": self.lane, "failed": fault.error}));
        }
        Err(fault)
    }
}
