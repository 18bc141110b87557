//! What passes between the engine and the code that does the work.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Deployed;
use crate::definition::Priority;
use crate::journal::StateWrite;
use crate::plan::{Dispatch, Kind, Params, Step, Tier};
use crate::run::{Origin, Place, RunId};
use crate::time::Timestamp;

/// Names one attempt of one step; hand it back with the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Token {
    pub(crate) run: RunId,
    pub(crate) at: Place,
}

impl Token {
    /// The run that the attempt belongs to.
    pub fn run(&self) -> RunId {
        self.run
    }
}

/// What an action gives back: a JSON value, and state writes that commit with the step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Output {
    pub(crate) value: Value,
    pub(crate) writes: Vec<StateWrite>,
}

impl Output {
    /// An output that later steps see as `value`.
    pub fn new(value: Value) -> Self {
        Self {
            value,
            writes: Vec::new(),
        }
    }

    /// Adds a write that commits in the same transaction as this step's record. The step fails
    /// when the journal cannot do that (see [`crate::Journal::state_writes`]).
    #[must_use]
    pub fn write(mut self, write: StateWrite) -> Self {
        self.writes.push(write);
        self
    }
}

impl From<Value> for Output {
    fn from(value: Value) -> Self {
        Self::new(value)
    }
}

impl From<()> for Output {
    fn from((): ()) -> Self {
        Self::default()
    }
}

/// Why an action failed: a name that `retry.on` can match, and a message for people.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{name}: {message}")]
pub struct ActionError {
    /// Name of the kind of error, such as `Unreachable`.
    pub name: String,
    /// What happened.
    pub message: String,
}

impl ActionError {
    /// An error of a named kind.
    pub fn new(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            message: message.into(),
        }
    }
}

/// The result of an action.
pub type ActionResult = Result<Output, ActionError>;

/// A result that takes its time.
pub type ActionFuture = Pin<Box<dyn Future<Output = ActionResult> + Send>>;

/// How an action runs.
#[derive(Clone)]
pub(crate) enum Handler {
    Sync(Arc<dyn Fn(&Call) -> ActionResult + Send + Sync>),
    Async(Arc<dyn Fn(Call) -> ActionFuture + Send + Sync>),
    External,
}

/// Work that an [`crate::Engine`] asks its driver for: one attempt of one step.
#[derive(Clone)]
pub struct Call {
    pub(crate) token: Token,
    pub(crate) deployed: Arc<Deployed>,
    pub(crate) block: u32,
    pub(crate) path: Option<Arc<str>>,
    pub(crate) params: Params,
    pub(crate) origin: Arc<Origin>,
    pub(crate) deadline: Option<Timestamp>,
    /// Who does it instead, because it belongs on another tier.
    pub(crate) placed: Option<Handler>,
    pub(crate) gpu: bool,
    pub(crate) epoch: u64,
}

/// What a driver must do with a [`Call`].
pub enum Work {
    /// Run it here and now.
    Ready(ActionResult),
    /// Wait for this future.
    Pending(ActionFuture),
    /// Somebody else does it and answers with the token: the action was declared external.
    External,
}

impl Call {
    /// What to hand back with the result.
    pub fn token(&self) -> Token {
        self.token
    }

    fn plan_step(&self) -> Option<&Step> {
        self.deployed.plan.step(self.block, self.token.at.step)
    }

    pub(crate) fn dispatch(&self) -> Option<&Dispatch> {
        self.plan_step()?.dispatch.as_deref()
    }

    /// Name of the action.
    pub fn action(&self) -> &str {
        match self.plan_step().map(|step| &step.kind) {
            Some(Kind::Action { action, .. }) => action,
            _ => "",
        }
    }

    /// On whose account the run goes.
    pub fn tenant(&self) -> Option<&str> {
        self.origin.tenant.as_deref()
    }

    /// How urgent it is; a driver with a queue of its own serves the most urgent first.
    pub fn priority(&self) -> Priority {
        self.dispatch()
            .map_or(Priority::Normal, |dispatch| dispatch.priority)
    }

    /// Where it belongs, when its step says how much latency it bears.
    pub fn tier(&self) -> Option<Tier> {
        self.dispatch()?.tier
    }

    /// Whether it may use a GPU of the engine's budget.
    pub fn has_gpu(&self) -> bool {
        self.gpu
    }

    /// The epoch of the engine that hands it out (see [`crate::Engine::lease`]): whoever does the
    /// work elsewhere refuses a call with an older epoch than the newest that it has seen.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// The step's parameters, interpolated.
    pub fn params(&self) -> &Value {
        &self.params
    }

    /// The data of the run's trigger.
    pub fn input(&self) -> &Value {
        &self.origin.input
    }

    /// The run.
    pub fn run(&self) -> RunId {
        self.token.run
    }

    /// Name of the workflow.
    pub fn workflow(&self) -> &str {
        &self.deployed.plan.definition.name
    }

    /// The step's id.
    pub fn step(&self) -> &str {
        self.plan_step().map_or("", |step| &step.id)
    }

    /// Path of the steps around this one, with iterations and a slash at the end, such as
    /// `pens[3]/`; empty at the top.
    pub fn path(&self) -> &str {
        self.path.as_deref().unwrap_or_default()
    }

    /// 1 for the first attempt.
    pub fn attempt(&self) -> u32 {
        self.token.at.attempt
    }

    /// Longest time of one attempt.
    pub fn timeout(&self) -> Option<Duration> {
        self.plan_step()?.timeout
    }

    /// When the attempt counts as failed.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// The same text for every attempt of this step in this run, also after a crash, and for no
    /// other: hand it to the outside world so that it can suppress a repetition. SHA-256 over
    /// tenant, workflow, definition, run, step path and iteration; 32 hexadecimal digits.
    pub fn idempotency_key(&self) -> String {
        let mut hash = Sha256::new();
        let plan = &self.deployed.plan;
        let parts = [
            self.tenant().unwrap_or_default(),
            plan.definition.name.as_str(),
            &plan.hash.to_string(),
            &self.token.run.to_string(),
            &self.origin.started_at.as_millis().to_string(),
            self.path(),
            self.step(),
        ];
        for part in parts {
            // The length first, so that no two lists of parts read as the same bytes.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize()
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    fn handler(&self) -> Option<&Handler> {
        let own = || self.deployed.handler(self.block, self.token.at.step);
        self.placed.as_ref().or_else(own)
    }

    /// Whether [`perform`](Self::perform) returns at once, with a future.
    pub fn is_async(&self) -> bool {
        matches!(self.handler(), Some(Handler::Async(_)))
    }

    /// Runs the action that was registered under the call's name.
    pub fn perform(&self) -> Work {
        match self.handler() {
            Some(Handler::Sync(action)) => Work::Ready(action(self)),
            Some(Handler::Async(action)) => Work::Pending(action(self.clone())),
            Some(Handler::External) | None => Work::External,
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Call")
            .field("token", &self.token)
            .field("action", &self.action())
            .field("step", &self.step())
            .field("params", &*self.params)
            .finish_non_exhaustive()
    }
}

/// What a driver must do next.
#[derive(Debug)]
#[non_exhaustive]
pub enum Command {
    /// Do this work, then call [`crate::Engine::complete`] with its token.
    Execute(Call),
    /// The result of this attempt no longer matters; stop it if that is possible.
    Cancel(Token),
}
