//! Checks a definition and turns names into numbers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::{Block, DefinitionHash, Kind, Plan, Retry, SLOT_INPUT, Step, Template};
use crate::definition::{StepDef, WorkflowDef};
use crate::error::{Error, Result};
use crate::expr::{ExprError, Names, Program, Slot};
use crate::time::parse_span;

/// Most steps in one workflow.
pub(crate) const STEPS_MAX: usize = 4_096;

/// Line of the step with this path (ids joined by `/`).
pub(crate) type Lines<'l> = &'l dyn Fn(&str) -> Option<u64>;

pub(crate) fn compile(definition: WorkflowDef, lines: Lines<'_>) -> Result<Plan> {
    let whole = Site {
        path: &definition.name,
        line: None,
    };
    if definition.name.trim().is_empty() {
        return Err(whole.invalid("a workflow needs a name"));
    }
    if definition.steps.is_empty() {
        return Err(whole.invalid("a workflow needs at least one step"));
    }
    if definition.steps.len() > STEPS_MAX {
        let found = definition.steps.len() as u64;
        return Err(Error::Limit {
            what: "steps of a workflow",
            found,
            limit: STEPS_MAX as u64,
        });
    }
    let names = BlockNames::new(&definition.steps, lines)?;
    let mut steps = Vec::with_capacity(definition.steps.len());
    for step in &definition.steps {
        let site = Site {
            path: &step.id,
            line: lines(&step.id),
        };
        steps.push(compile_step(step, &site, &names)?);
    }
    let entry = connect(&definition.steps, &mut steps, &names, lines)?;
    let output = match &definition.output {
        Some(text) => Some(
            Program::compile(text, &names)
                .map_err(|error| whole.expression("output", text, &error))?,
        ),
        None => None,
    };
    let source = serde_json::to_vec(&definition).map_err(|error| Error::Format {
        message: error.to_string(),
    })?;
    Ok(Plan {
        hash: DefinitionHash::of(&source),
        durability: definition.durability,
        blocks: vec![Block { steps, entry }],
        output,
        definition,
    })
}

/// The place in a definition that a message is about.
struct Site<'s> {
    path: &'s str,
    line: Option<u64>,
}

impl Site<'_> {
    fn invalid(&self, message: impl Into<String>) -> Error {
        Error::Invalid {
            step: self.path.to_owned(),
            line: self.line,
            message: message.into(),
        }
    }

    fn expression(&self, field: &str, text: &str, error: &ExprError) -> Error {
        self.invalid(format!("{field} `{text}`: {error}"))
    }

    fn program(&self, field: &str, text: &str, names: &dyn Names) -> Result<Program> {
        // A condition may be written bare or as `${…}`.
        let bare = text.trim();
        let bare = bare
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'))
            .unwrap_or(bare);
        Program::compile(bare, names).map_err(|error| self.expression(field, text, &error))
    }

    fn template(&self, field: &str, value: &Value, names: &dyn Names) -> Result<Template> {
        Template::compile(value, names)
            .map_err(|error| self.expression(field, &value.to_string(), &error))
    }

    fn text(
        &self,
        field: &str,
        text: &Option<String>,
        names: &dyn Names,
    ) -> Result<Option<Template>> {
        let compiled = text
            .as_ref()
            .map(|text| self.template(field, &Value::from(text.as_str()), names));
        compiled.transpose()
    }

    fn span(&self, field: &str, text: &str) -> Result<Duration> {
        parse_span(text).ok_or_else(|| {
            self.invalid(format!(
                "{field}: `{text}` is no span; write 500ms, 5s, 2m or 1h"
            ))
        })
    }

    /// A span that may be computed: constants are checked now.
    fn span_template(
        &self,
        field: &str,
        text: &Option<String>,
        names: &dyn Names,
    ) -> Result<Option<Template>> {
        let template = self.text(field, text, names)?;
        if let Some(Template::Constant(Value::String(text))) = &template {
            self.span(field, text)?;
        }
        Ok(template)
    }
}

struct BlockNames {
    steps: HashMap<String, u16>,
}

impl BlockNames {
    fn new(steps: &[StepDef], lines: Lines<'_>) -> Result<Self> {
        let mut names = HashMap::with_capacity(steps.len());
        for (index, step) in steps.iter().enumerate() {
            let site = Site {
                path: &step.id,
                line: lines(&step.id),
            };
            let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let start = step
                .id
                .starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !start || !step.id.chars().all(legal) {
                return Err(site
                    .invalid("an id is letters, digits and `_`, so that expressions can name it"));
            }
            if step.id == "input" {
                return Err(
                    site.invalid("`input` names the data of the trigger; choose another id")
                );
            }
            if names
                .insert(
                    step.id.clone(),
                    u16::try_from(index).unwrap_or(u16::MAX - 1),
                )
                .is_some()
            {
                return Err(site.invalid("two steps have this id"));
            }
        }
        Ok(Self { steps: names })
    }
}

impl Names for BlockNames {
    fn slot(&self, name: &str) -> Option<Slot> {
        if name == "input" {
            return Some(Slot {
                depth: 0,
                index: SLOT_INPUT,
            });
        }
        self.steps.get(name).map(|index| Slot {
            depth: 0,
            index: *index,
        })
    }

    fn explain(&self, name: &str) -> String {
        format!("unknown name `{name}`; known are `input` and the ids of the steps")
    }
}

fn compile_step(step: &StepDef, site: &Site<'_>, names: &BlockNames) -> Result<Step> {
    let kinds: Vec<&str> = [
        step.action.as_ref().map(|_| "action"),
        step.wait.as_ref().map(|_| "wait"),
        step.approval.as_ref().map(|_| "approval"),
    ]
    .into_iter()
    .flatten()
    .collect();
    if kinds.len() > 1 {
        return Err(site.invalid(format!(
            "has both `{}` and `{}`; a step does one thing",
            kinds[0], kinds[1]
        )));
    }
    let kind = if let Some(action) = &step.action {
        let params = step.params.clone().unwrap_or(Value::Null);
        Kind::Action {
            action: Arc::from(action.as_str()),
            params: site.template("params", &params, names)?,
        }
    } else if let Some(wait) = &step.wait {
        match (&wait.span, &wait.event) {
            (Some(_), None) => {
                let span = site.span_template("wait.for", &wait.span, names)?;
                Kind::WaitFor {
                    span: span.unwrap_or(Template::Constant(Value::Null)),
                }
            }
            (None, Some(event)) => Kind::WaitEvent {
                event: event.as_str().into(),
                key: site.text("wait.key", &wait.key, names)?,
                timeout: site.span_template("wait.timeout", &wait.timeout, names)?,
            },
            _ => return Err(site.invalid("wait needs either `for` or `event`")),
        }
    } else if let Some(approval) = &step.approval {
        Kind::Approval {
            prompt: site.text("approval.prompt", &approval.prompt, names)?,
            timeout: site.span_template("approval.timeout", &approval.timeout, names)?,
        }
    } else {
        return Err(site.invalid("does nothing; give it an `action`, a `wait` or an `approval`"));
    };
    let condition = step
        .condition
        .as_ref()
        .map(|text| site.program("condition", text, names))
        .transpose()?;
    let retry = step
        .retry
        .as_ref()
        .map(|retry| compile_retry(retry, site))
        .transpose()?;
    let timeout = step
        .timeout
        .as_ref()
        .map(|text| site.span("timeout", text))
        .transpose()?;
    Ok(Step {
        id: step.id.as_str().into(),
        kind,
        condition,
        needs: 0,
        next: Box::default(),
        retry,
        timeout,
    })
}

fn compile_retry(retry: &crate::definition::RetryDef, site: &Site<'_>) -> Result<Retry> {
    let rate = retry.backoff_rate.unwrap_or(2.0);
    if !(1.0..=1000.0).contains(&rate) {
        return Err(site.invalid("retry.backoff_rate lies between 1 and 1000"));
    }
    let interval = match &retry.interval {
        Some(text) => site.span("retry.interval", text)?,
        None => Duration::from_secs(1),
    };
    let interval_max = retry
        .max_interval
        .as_ref()
        .map(|text| site.span("retry.max_interval", text))
        .transpose()?;
    Ok(Retry {
        attempts_max: retry.max_attempts,
        interval,
        rate,
        interval_max,
        jitter: retry.jitter,
        on: retry.on.clone(),
    })
}

/// Turns `needs` (or the order of the text) into edges, and finds cycles. Returns the first steps.
fn connect(
    defs: &[StepDef],
    steps: &mut [Step],
    names: &BlockNames,
    lines: Lines<'_>,
) -> Result<Vec<u32>> {
    let mut next: Vec<Vec<u32>> = vec![Vec::new(); steps.len()];
    let mut entry = Vec::new();
    for (index, step) in defs.iter().enumerate() {
        let here = u32::try_from(index).unwrap_or(u32::MAX);
        let site = Site {
            path: &step.id,
            line: lines(&step.id),
        };
        let mut before = Vec::new();
        match &step.needs {
            None if index > 0 => before.push(here - 1),
            None => {}
            Some(needs) => {
                for need in needs {
                    let Some(found) = names.steps.get(need) else {
                        return Err(
                            site.invalid(format!("needs `{need}`, which is no step beside it"))
                        );
                    };
                    if !before.contains(&u32::from(*found)) {
                        before.push(u32::from(*found));
                    }
                }
            }
        }
        if before.is_empty() {
            entry.push(here);
        }
        steps[index].needs = u32::try_from(before.len()).unwrap_or(u32::MAX);
        for from in before {
            next[from as usize].push(here);
        }
    }
    // Kahn's algorithm: what is left over stands in a cycle or behind one.
    let mut open: Vec<u32> = steps.iter().map(|step| step.needs).collect();
    let mut ready = entry.clone();
    let mut reached = 0;
    while let Some(step) = ready.pop() {
        reached += 1;
        for follower in &next[step as usize] {
            open[*follower as usize] -= 1;
            if open[*follower as usize] == 0 {
                ready.push(*follower);
            }
        }
    }
    if reached < steps.len() {
        let stuck: Vec<&str> = open
            .iter()
            .zip(defs)
            .filter(|(left, _)| **left > 0)
            .map(|(_, step)| step.id.as_str())
            .collect();
        let site = Site {
            path: stuck[0],
            line: lines(stuck[0]),
        };
        return Err(site.invalid(format!("`needs` form a cycle through {}", stuck.join(", "))));
    }
    for (step, next) in steps.iter_mut().zip(next) {
        step.next = next.into();
    }
    Ok(entry)
}
