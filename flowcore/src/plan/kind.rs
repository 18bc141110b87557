//! What a step does, from its definition.

use std::sync::Arc;

use serde_json::Value;

use super::compile::{Compiler, LIMIT_MAX};
use super::names::{BlockNames, loop_names};
use super::site::Site;
use super::{Arm, Kind, SLOT_INDEX, SLOT_ITEM, Template};
use crate::definition::StepDef;
use crate::error::Result;

impl Compiler<'_> {
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

    pub(super) fn kind(
        &mut self,
        step: &StepDef,
        site: &Site,
        names: &BlockNames<'_>,
    ) -> Result<Kind> {
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
                        span: span.unwrap_or(Template::constant(Value::Null)),
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
            let outer = std::mem::replace(&mut self.priority, linked.priority);
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
            self.priority = outer;
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

pub(super) fn check_one_kind(step: &StepDef, site: &Site) -> Result<()> {
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
