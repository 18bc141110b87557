//! The compiled form of a workflow: blocks of steps with numbers instead of names.

mod bytes;
mod compile;
mod connect;
mod dispatch;
mod kind;
mod names;
mod site;
mod template;

pub use dispatch::{Resources, Tier};

pub(crate) use crate::definition::Missed;
pub(crate) use compile::compile;
pub(crate) use dispatch::Dispatch;
pub(crate) use template::{Params, Template};

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::definition::{Collect, Document, Durability, Jitter, StepDef, WorkflowDef};
use crate::error::{Error, Result};
use crate::expr::Program;

/// Slot indexes of a frame that are no steps.
pub(crate) const SLOT_INPUT: u16 = u16::MAX;
pub(crate) const SLOT_ITEM: u16 = u16::MAX - 1;
pub(crate) const SLOT_INDEX: u16 = u16::MAX - 2;

/// Content hash of a definition: runs are pinned to it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DefinitionHash([u8; 16]);

impl DefinitionHash {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let digest = Sha256::digest(bytes);
        let mut hash = [0; 16];
        hash.copy_from_slice(&digest[..16]);
        Self(hash)
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut hash = [0; 16];
        if text.len() != 32 {
            return None;
        }
        for (byte, at) in hash.iter_mut().zip((0..32).step_by(2)) {
            *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
        }
        Some(Self(hash))
    }
}

impl fmt::Display for DefinitionHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        out.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

impl fmt::Debug for DefinitionHash {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{self}")
    }
}

impl Serialize for DefinitionHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DefinitionHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("a definition hash has 32 hexadecimal digits"))
    }
}

/// A checked, compiled workflow. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Workflow {
    pub(crate) plan: Arc<Plan>,
}

impl Workflow {
    /// Reads a definition in YAML.
    ///
    /// # Errors
    /// [`Error::Format`] for text that is no definition, [`Error::Invalid`] with the step and its
    /// line for a definition that makes no sense.
    #[cfg(feature = "yaml")]
    pub fn from_yaml(text: &str) -> Result<Self> {
        crate::yaml::read(text)
    }

    /// Reads a definition in JSON (the same format).
    ///
    /// # Errors
    /// As the YAML reader, without lines of steps.
    pub fn from_json(text: &str) -> Result<Self> {
        let document: Document = serde_json::from_str(text).map_err(|error| Error::Format {
            message: error.to_string(),
        })?;
        Self::from_definition(document.workflow)
    }

    /// Checks and compiles a definition made in code.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the step.
    pub fn from_definition(definition: WorkflowDef) -> Result<Self> {
        Ok(Self {
            plan: Arc::new(compile(definition, &|_| None)?),
        })
    }

    /// The workflow's name.
    pub fn name(&self) -> &str {
        &self.plan.definition.name
    }

    /// Content hash of the definition.
    pub fn hash(&self) -> DefinitionHash {
        self.plan.hash
    }

    /// The definition as data.
    pub fn definition(&self) -> &WorkflowDef {
        &self.plan.definition
    }
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) definition: WorkflowDef,
    pub(crate) hash: DefinitionHash,
    pub(crate) durability: Durability,
    pub(crate) blocks: Vec<Block>,
    pub(crate) output: Option<Program>,
    pub(crate) deadline: Option<Deadline>,
}

/// By when a run should have ended.
#[derive(Debug)]
pub(crate) struct Deadline {
    pub(crate) within: Duration,
    pub(crate) then: Missed,
    /// What runs when it passed.
    pub(crate) block: Option<u32>,
}

impl Plan {
    pub(crate) fn step(&self, block: u32, step: u32) -> Option<&Step> {
        self.blocks.get(block as usize)?.steps.get(step as usize)
    }
}

#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) steps: Vec<Step>,
    /// Steps that wait for nothing.
    pub(crate) entry: Vec<u32>,
}

#[derive(Debug)]
pub(crate) struct Step {
    pub(crate) id: Box<str>,
    pub(crate) kind: Kind,
    pub(crate) condition: Option<Program>,
    /// How many steps must end first.
    pub(crate) needs: u16,
    /// Steps that wait for this one.
    pub(crate) next: Box<[u32]>,
    pub(crate) retry: Option<Retry>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) catch: Vec<Catch>,
    pub(crate) fallback: Option<Template>,
    pub(crate) compensate: Option<Compensate>,
    pub(crate) breaker: Option<Breaker>,
    /// What handing it out takes; `None` for a step that can be handed out at once, anywhere.
    pub(crate) dispatch: Option<Box<Dispatch>>,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Action {
        action: Arc<str>,
        params: Template,
    },
    Set {
        value: Template,
    },
    Fail {
        error: Box<str>,
        message: Option<Template>,
    },
    WaitFor {
        span: Template,
    },
    WaitEvent {
        event: Box<str>,
        key: Option<Template>,
        timeout: Option<Template>,
    },
    Approval {
        prompt: Option<Template>,
        timeout: Option<Template>,
    },
    /// `if` and `switch`: the first arm whose test holds.
    Branch {
        arms: Vec<Arm>,
    },
    Parallel {
        branches: Vec<(Box<str>, u32)>,
    },
    While {
        test: Program,
        block: u32,
        iterations_max: u64,
    },
    For {
        from: Template,
        to: Template,
        by: Template,
        block: u32,
        iterations_max: u64,
    },
    Each {
        items: Program,
        block: u32,
        limit: u32,
        collect: Collect,
    },
    /// Without a link the definition cannot run: [`link`] fills it in.
    Sub {
        input: Template,
        linked: Option<(u32, Option<Program>)>,
    },
}

#[derive(Debug)]
pub(crate) struct Arm {
    pub(crate) test: Option<Program>,
    pub(crate) block: u32,
}

#[derive(Debug)]
pub(crate) struct Catch {
    pub(crate) on: Option<Vec<String>>,
    pub(crate) block: u32,
}

#[derive(Debug)]
pub(crate) struct Compensate {
    pub(crate) params: Template,
    pub(crate) block: u32,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Breaker {
    pub(crate) failures: u32,
    pub(crate) reset: Duration,
}

/// Puts the definitions behind `workflow` steps into a definition. Returns whether any was put.
///
/// # Errors
/// The name of a workflow that `find` does not know.
pub(crate) fn link(
    steps: &mut [StepDef],
    find: &dyn Fn(&str) -> Option<WorkflowDef>,
) -> std::result::Result<bool, String> {
    let mut changed = false;
    for step in steps {
        if let (Some(name), None) = (&step.workflow, &step.linked) {
            step.linked = Some(Box::new(find(name).ok_or_else(|| name.clone())?));
            changed = true;
        }
        let lists = [
            &mut step.then,
            &mut step.else_,
            &mut step.default,
            &mut step.steps,
        ];
        for list in lists.into_iter().flatten() {
            changed |= link(list, find)?;
        }
        for case in step.cases.iter_mut().flatten() {
            changed |= link(&mut case.steps, find)?;
        }
        for branch in step.parallel.iter_mut().flatten() {
            changed |= link(&mut branch.steps, find)?;
        }
        for catch in step.catch.iter_mut().flatten() {
            changed |= link(&mut catch.steps, find)?;
        }
    }
    Ok(changed)
}

#[derive(Debug, Clone)]
pub(crate) struct Retry {
    pub(crate) attempts_max: u32,
    pub(crate) interval: Duration,
    pub(crate) rate: f64,
    pub(crate) interval_max: Option<Duration>,
    pub(crate) jitter: Jitter,
    pub(crate) on: Option<Vec<String>>,
}

impl Retry {
    /// The pause before retry number `retry` (from 0), before jitter.
    pub(crate) fn pause(&self, retry: u32) -> Duration {
        let factor = self.rate.powi(i32::try_from(retry).unwrap_or(i32::MAX));
        let seconds = (self.interval.as_secs_f64() * factor).min(3.2e9);
        let pause = Duration::from_secs_f64(seconds.max(0.0));
        self.interval_max.map_or(pause, |cap| pause.min(cap))
    }
}
