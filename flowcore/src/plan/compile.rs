//! Checks a definition and turns names into numbers.

use std::collections::HashSet;

use serde_json::Value;

use super::kind::check_one_kind;
use super::names::BlockNames;
use super::site::Site;
use super::{
    Block, Breaker, Catch, Compensate, Deadline, DefinitionHash, Dispatch, Plan, SLOT_ITEM, Step,
};
use crate::definition::{Priority, StepDef, WorkflowDef};
use crate::error::{Error, Result};

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
        priority: definition.priority,
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
    let deadline = compiler.deadline(&whole, &definition, &names)?;
    let source = serde_json::to_vec(&definition).map_err(|error| Error::Format {
        message: error.to_string(),
    })?;
    Ok(Plan {
        hash: DefinitionHash::of(&source),
        durability: definition.durability,
        blocks: compiler.blocks,
        output,
        deadline,
        definition,
    })
}

pub(super) struct Compiler<'l> {
    /// Of the steps that say none.
    pub(super) priority: Priority,
    blocks: Vec<Block>,
    lines: Lines<'l>,
    steps: usize,
    /// Names of the workflows around, so that none contains itself.
    pub(super) workflows: Vec<String>,
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
    pub(super) fn block(
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
        // A block adds its step's id and its own name to the path.
        if path.matches('/').count().div_ceil(2) > DEPTH_MAX {
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
            dispatch: Dispatch::compile(step, self.priority, &site)?,
        })
    }

    fn deadline(
        &mut self,
        whole: &Site,
        definition: &WorkflowDef,
        names: &BlockNames<'_>,
    ) -> Result<Option<Deadline>> {
        let Some(def) = &definition.deadline else {
            return Ok(None);
        };
        let within = whole.span("deadline.within", &def.within)?;
        let block = match &def.action {
            None if def.params.is_some() => {
                return Err(whole.invalid("deadline.params belong to a `deadline.action`"));
            }
            None => None,
            Some(action) => {
                let steps = [StepDef {
                    id: "answer".to_owned(),
                    action: Some(action.clone()),
                    params: def.params.clone(),
                    ..StepDef::default()
                }];
                // It sees the run's input and nothing of its steps, which may stand anywhere.
                let inner = BlockNames::inner(&steps, &[("input", SLOT_ITEM)], names);
                let inner = BlockNames {
                    parent: None,
                    ..inner
                };
                Some(self.block("deadline", &definition.name, &steps, &inner)?)
            }
        };
        Ok(Some(Deadline {
            within,
            then: def.then,
            block,
        }))
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
}

fn join(path: &str, id: &str) -> String {
    if path.is_empty() {
        id.to_owned()
    } else {
        format!("{path}/{id}")
    }
}
