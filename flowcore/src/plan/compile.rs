//! Checks a definition and turns names into numbers.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::names::{BlockNames, loop_names};
use super::{
    Arm, Block, Breaker, Catch, Compensate, DefinitionHash, Kind, Plan, Retry, SLOT_INDEX,
    SLOT_ITEM, Step, Template,
};
use crate::definition::{RetryDef, StepDef, WorkflowDef};
use crate::error::{Error, Result};
use crate::expr::{ExprError, Names, Program};
use crate::time::parse_span;

/// Most steps in one workflow, with those of its sub-workflows.
pub(crate) const STEPS_MAX: usize = 4_096;
/// Deepest nesting of blocks.
pub(crate) const DEPTH_MAX: usize = 24;
/// Most elements that `for_each` works on at once.
pub(crate) const LIMIT_MAX: u32 = 1_024;

/// Line of the step with this path (ids joined by `/`).
pub(crate) type Lines<'l> = &'l dyn Fn(&str) -> Option<u64>;

pub(crate) fn compile(definition: WorkflowDef, lines: Lines<'_>) -> Result<Plan> {
    let whole = Site {
        path: definition.name.clone(),
        line: None,
    };
    if definition.name.trim().is_empty() {
        return Err(whole.invalid("a workflow needs a name"));
    }
    let mut compiler = Compiler {
        blocks: Vec::new(),
        lines,
        steps: 0,
        workflows: vec![definition.name.clone()],
    };
    let names = BlockNames::root(&definition.steps);
    compiler.block("", &definition.name, &definition.steps, &names)?;
    let output = match &definition.output {
        Some(text) => Some(whole.program("output", text, &names)?),
        None => None,
    };
    let source = serde_json::to_vec(&definition).map_err(|error| Error::Format {
        message: error.to_string(),
    })?;
    Ok(Plan {
        hash: DefinitionHash::of(&source),
        durability: definition.durability,
        blocks: compiler.blocks,
        output,
        definition,
    })
}

/// The place in a definition that a message is about.
pub(super) struct Site {
    path: String,
    line: Option<u64>,
}

impl Site {
    pub(super) fn invalid(&self, message: impl Into<String>) -> Error {
        Error::Invalid {
            step: self.path.clone(),
            line: self.line,
            message: message.into(),
        }
    }

    fn expression(&self, field: &str, text: &str, error: &ExprError) -> Error {
        self.invalid(format!("{field} `{text}`: {error}"))
    }

    /// An expression, bare or as `${…}`.
    fn program(&self, field: &str, text: &str, names: &dyn Names) -> Result<Program> {
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

    fn retry(&self, retry: &RetryDef) -> Result<Retry> {
        let rate = retry.backoff_rate.unwrap_or(2.0);
        if !(1.0..=1000.0).contains(&rate) {
            return Err(self.invalid("retry.backoff_rate lies between 1 and 1000"));
        }
        let interval = match &retry.interval {
            Some(text) => self.span("retry.interval", text)?,
            None => Duration::from_secs(1),
        };
        let interval_max = retry
            .max_interval
            .as_ref()
            .map(|text| self.span("retry.max_interval", text))
            .transpose()?;
        let on = retry.on.clone();
        Ok(Retry {
            attempts_max: retry.max_attempts,
            interval,
            rate,
            interval_max,
            jitter: retry.jitter,
            on,
        })
    }
}

pub(super) struct Compiler<'l> {
    blocks: Vec<Block>,
    lines: Lines<'l>,
    steps: usize,
    /// Names of the workflows around, so that none contains itself.
    workflows: Vec<String>,
}

impl Compiler<'_> {
    pub(super) fn site(&self, path: &str, step: &StepDef) -> Site {
        let path = join(path, &step.id);
        Site {
            line: (self.lines)(&path),
            path,
        }
    }

    /// Compiles the steps of one block; `owner` is blamed when there are none.
    fn block(
        &mut self,
        path: &str,
        owner: &str,
        defs: &[StepDef],
        names: &BlockNames<'_>,
    ) -> Result<u32> {
        let whole = Site {
            path: owner.to_owned(),
            line: (self.lines)(owner),
        };
        if defs.is_empty() {
            return Err(whole.invalid("needs at least one step"));
        }
        self.steps += defs.len();
        if self.steps > STEPS_MAX {
            let (found, limit) = (self.steps as u64, STEPS_MAX as u64);
            return Err(Error::Limit {
                what: "steps of a workflow",
                found,
                limit,
            });
        }
        if path.matches('/').count() > DEPTH_MAX {
            return Err(whole.invalid(format!("nested deeper than {DEPTH_MAX} blocks")));
        }
        let number = u32::try_from(self.blocks.len()).unwrap_or(u32::MAX);
        // Reserved, because the blocks inside get their numbers while this one is compiled.
        self.blocks.push(Block {
            steps: Vec::new(),
            entry: Vec::new(),
        });
        self.check_ids(path, defs, names)?;
        let mut steps = Vec::with_capacity(defs.len());
        for step in defs {
            steps.push(self.step(path, step, names)?);
        }
        let entry = self.connect(path, defs, &mut steps, names)?;
        self.blocks[number as usize] = Block { steps, entry };
        Ok(number)
    }

    fn check_ids(&self, path: &str, defs: &[StepDef], names: &BlockNames<'_>) -> Result<()> {
        let mut seen = HashSet::new();
        for step in defs {
            let site = self.site(path, step);
            let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
            let start = step
                .id
                .starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            if !start || !step.id.chars().all(legal) {
                return Err(site
                    .invalid("an id is letters, digits and `_`, so that expressions can name it"));
            }
            let taken = names.extra.iter().any(|(name, _)| *name == step.id);
            if taken || matches!(step.id.as_str(), "input" | "error" | "last" | "index") {
                return Err(site.invalid(format!(
                    "`{}` has a meaning of its own here; choose another id",
                    step.id
                )));
            }
            if !seen.insert(step.id.as_str()) {
                return Err(site.invalid("two steps have this id"));
            }
        }
        Ok(())
    }

    fn step(&mut self, path: &str, step: &StepDef, names: &BlockNames<'_>) -> Result<Step> {
        let site = self.site(path, step);
        check_one_kind(step, &site)?;
        let kind = self.kind(step, &site, names)?;
        let condition = step
            .condition
            .as_ref()
            .map(|text| site.program("condition", text, names))
            .transpose()?;
        let retry = step
            .retry
            .as_ref()
            .map(|retry| site.retry(retry))
            .transpose()?;
        let timeout = step
            .timeout
            .as_ref()
            .map(|text| site.span("timeout", text))
            .transpose()?;
        let mut catch = Vec::new();
        for (index, def) in step.catch.iter().flatten().enumerate() {
            let inner = BlockNames::inner(&def.steps, &[("error", SLOT_ITEM)], names);
            let inside = format!("{}/catch{index}", site.path);
            let block = self.block(&inside, &site.path, &def.steps, &inner)?;
            catch.push(Catch {
                on: def.on.clone(),
                block,
            });
        }
        let fallback = step
            .fallback
            .as_ref()
            .map(|value| site.template("fallback", value, names))
            .transpose()?;
        let compensate = self.compensate(step, &site, names)?;
        let breaker = match &step.breaker {
            Some(_) if step.action.is_none() => {
                return Err(site.invalid("a breaker belongs to an action"));
            }
            Some(def) if def.failures == 0 => {
                return Err(site.invalid("breaker.failures is at least 1"));
            }
            Some(def) => Some(Breaker {
                failures: def.failures,
                reset: site.span("breaker.reset", &def.reset)?,
            }),
            None => None,
        };
        Ok(Step {
            id: step.id.as_str().into(),
            kind,
            condition,
            needs: 0,
            next: Box::default(),
            retry,
            timeout,
            catch,
            fallback,
            compensate,
            breaker,
        })
    }

    fn compensate(
        &mut self,
        step: &StepDef,
        site: &Site,
        names: &BlockNames<'_>,
    ) -> Result<Option<Compensate>> {
        let Some(def) = &step.compensate else {
            return Ok(None);
        };
        let params = site.template(
            "compensate.params",
            def.params.as_ref().unwrap_or(&Value::Null),
            names,
        )?;
        // One step that takes what was evaluated when the original succeeded.
        let undo = StepDef {
            id: "undo".to_owned(),
            action: Some(def.action.clone()),
            params: Some(Value::from("${item}")),
            retry: def.retry.clone(),
            ..StepDef::default()
        };
        let steps = [undo];
        let inner = BlockNames::inner(&steps, &[("item", SLOT_ITEM)], names);
        let block = self.block(
            &format!("{}/compensate", site.path),
            &site.path,
            &steps,
            &inner,
        )?;
        Ok(Some(Compensate { params, block }))
    }

    fn inner(
        &mut self,
        site: &Site,
        part: &str,
        steps: Option<&Vec<StepDef>>,
        extra: &[(&str, u16)],
        names: &BlockNames<'_>,
    ) -> Result<u32> {
        let Some(steps) = steps else {
            return Err(site.invalid(format!("needs `{part}`")));
        };
        let inner = BlockNames::inner(steps, extra, names);
        self.block(&format!("{}/{part}", site.path), &site.path, steps, &inner)
    }

    fn kind(&mut self, step: &StepDef, site: &Site, names: &BlockNames<'_>) -> Result<Kind> {
        let params = step.params.as_ref().unwrap_or(&Value::Null);
        if let Some(action) = &step.action {
            Ok(Kind::Action {
                action: Arc::from(action.as_str()),
                params: site.template("params", params, names)?,
            })
        } else if let Some(value) = &step.set {
            Ok(Kind::Set {
                value: site.template("set", value, names)?,
            })
        } else if let Some(fail) = &step.fail {
            let message = site.text("fail.message", &fail.message, names)?;
            Ok(Kind::Fail {
                error: fail.error.as_str().into(),
                message,
            })
        } else if let Some(wait) = &step.wait {
            match (&wait.span, &wait.event) {
                (Some(_), None) => {
                    let span = site.span_template("wait.for", &wait.span, names)?;
                    Ok(Kind::WaitFor {
                        span: span.unwrap_or(Template::Constant(Value::Null)),
                    })
                }
                (None, Some(event)) => Ok(Kind::WaitEvent {
                    event: event.as_str().into(),
                    key: site.text("wait.key", &wait.key, names)?,
                    timeout: site.span_template("wait.timeout", &wait.timeout, names)?,
                }),
                _ => Err(site.invalid("wait needs either `for` or `event`")),
            }
        } else if let Some(approval) = &step.approval {
            Ok(Kind::Approval {
                prompt: site.text("approval.prompt", &approval.prompt, names)?,
                timeout: site.span_template("approval.timeout", &approval.timeout, names)?,
            })
        } else if let Some(test) = &step.if_ {
            let test = site.program("if", test, names)?;
            let mut arms = vec![Arm {
                test: Some(test),
                block: self.inner(site, "then", step.then.as_ref(), &[], names)?,
            }];
            if step.else_.is_some() {
                arms.push(Arm {
                    test: None,
                    block: self.inner(site, "else", step.else_.as_ref(), &[], names)?,
                });
            }
            Ok(Kind::Branch { arms })
        } else if let Some(subject) = &step.switch {
            self.switch(step, subject, site, names)
        } else if let Some(branches) = &step.parallel {
            if branches.is_empty() {
                return Err(site.invalid("parallel needs at least one branch"));
            }
            let mut compiled = Vec::with_capacity(branches.len());
            for branch in branches {
                if compiled
                    .iter()
                    .any(|(id, _): &(Box<str>, u32)| **id == *branch.id)
                {
                    return Err(site.invalid(format!("two branches are called `{}`", branch.id)));
                }
                let block = self.inner(site, &branch.id, Some(&branch.steps), &[], names)?;
                compiled.push((branch.id.as_str().into(), block));
            }
            Ok(Kind::Parallel { branches: compiled })
        } else {
            self.repeated(step, site, names)
        }
    }

    fn switch(
        &mut self,
        step: &StepDef,
        subject: &str,
        site: &Site,
        names: &BlockNames<'_>,
    ) -> Result<Kind> {
        site.program("switch", subject, names)?;
        let subject = subject.trim();
        let subject = subject
            .strip_prefix("${")
            .and_then(|rest| rest.strip_suffix('}'))
            .unwrap_or(subject);
        let mut arms = Vec::new();
        for (index, case) in step.cases.iter().flatten().enumerate() {
            let test = match (&case.is, &case.when) {
                // JSON literals are literals of the expression language too.
                (Some(value), None) => {
                    site.program("cases.is", &format!("({subject}) == {value}"), names)?
                }
                (None, Some(when)) => site.program("cases.when", when, names)?,
                _ => return Err(site.invalid("a case has either `is` or `when`")),
            };
            let block = self.inner(site, &format!("case{index}"), Some(&case.steps), &[], names)?;
            arms.push(Arm {
                test: Some(test),
                block,
            });
        }
        if arms.is_empty() {
            return Err(site.invalid("switch needs `cases`"));
        }
        if step.default.is_some() {
            let block = self.inner(site, "default", step.default.as_ref(), &[], names)?;
            arms.push(Arm { test: None, block });
        }
        Ok(Kind::Branch { arms })
    }

    /// Loops and sub-workflows.
    fn repeated(&mut self, step: &StepDef, site: &Site, names: &BlockNames<'_>) -> Result<Kind> {
        let bound = || {
            let missing =
                || site.invalid("a loop needs `max_iterations`, so that it ends whatever happens");
            step.max_iterations.ok_or_else(missing)
        };
        if let Some(test) = &step.while_ {
            let iterations_max = bound()?;
            let extra = [("last", SLOT_ITEM), ("index", SLOT_INDEX)];
            let block = self.inner(site, "steps", step.steps.as_ref(), &extra, names)?;
            let steps = step.steps.as_deref().unwrap_or_default();
            let test = site.program("while", test, &BlockNames::inner(steps, &extra, names))?;
            Ok(Kind::While {
                test,
                block,
                iterations_max,
            })
        } else if let Some(range) = &step.for_ {
            let iterations_max = bound()?;
            let extra = loop_names(range.var.as_deref().unwrap_or("i"));
            let part = |field: &str, value: &Option<Value>, default: i64| {
                site.template(
                    field,
                    value.as_ref().unwrap_or(&Value::from(default)),
                    names,
                )
            };
            let (from, by) = (
                part("for.from", &range.from, 0)?,
                part("for.by", &range.by, 1)?,
            );
            let to = site.template("for.to", &range.to, names)?;
            let block = self.inner(site, "steps", step.steps.as_ref(), &extra, names)?;
            Ok(Kind::For {
                from,
                to,
                by,
                block,
                iterations_max,
            })
        } else if let Some(items) = &step.for_each {
            let items = site.program("for_each", items, names)?;
            let limit = step.limit.unwrap_or(1);
            if !(1..=LIMIT_MAX).contains(&limit) {
                return Err(site.invalid(format!("limit lies between 1 and {LIMIT_MAX}")));
            }
            let extra = loop_names(step.as_.as_deref().unwrap_or("item"));
            let block = self.inner(site, "steps", step.steps.as_ref(), &extra, names)?;
            Ok(Kind::Each {
                items,
                block,
                limit,
                collect: step.collect,
            })
        } else if step.workflow.is_some() {
            let input = site.template(
                "params",
                step.params.as_ref().unwrap_or(&Value::Null),
                names,
            )?;
            let Some(linked) = &step.linked else {
                return Ok(Kind::Sub {
                    input,
                    linked: None,
                });
            };
            if self.workflows.contains(&linked.name) {
                return Err(site.invalid(format!(
                    "the workflow `{}` would contain itself",
                    linked.name
                )));
            }
            self.workflows.push(linked.name.clone());
            let inner = BlockNames::root(&linked.steps);
            let block = self.block(
                &format!("{}/{}", site.path, linked.name),
                &site.path,
                &linked.steps,
                &inner,
            )?;
            let output = linked
                .output
                .as_ref()
                .map(|text| site.program("output", text, &inner))
                .transpose()?;
            self.workflows.pop();
            Ok(Kind::Sub {
                input,
                linked: Some((block, output)),
            })
        } else {
            Err(site.invalid(
                "does nothing; give it an `action`, a `set`, a `wait` or another kind of step",
            ))
        }
    }
}

fn join(path: &str, id: &str) -> String {
    if path.is_empty() {
        id.to_owned()
    } else {
        format!("{path}/{id}")
    }
}

fn check_one_kind(step: &StepDef, site: &Site) -> Result<()> {
    let kinds: Vec<&str> = [
        ("action", step.action.is_some()),
        ("set", step.set.is_some()),
        ("wait", step.wait.is_some()),
        ("approval", step.approval.is_some()),
        ("if", step.if_.is_some()),
        ("switch", step.switch.is_some()),
        ("parallel", step.parallel.is_some()),
        ("for", step.for_.is_some()),
        ("while", step.while_.is_some()),
        ("for_each", step.for_each.is_some()),
        ("workflow", step.workflow.is_some()),
        ("fail", step.fail.is_some()),
    ]
    .into_iter()
    .filter_map(|(name, present)| present.then_some(name))
    .collect();
    match kinds.as_slice() {
        [first, second, ..] => Err(site.invalid(format!(
            "has both `{first}` and `{second}`; a step does one thing"
        ))),
        _ => Ok(()),
    }
}
