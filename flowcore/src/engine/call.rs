//! What passes between the engine and the code that does the work.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::journal::StateWrite;
use crate::plan::Plan;
use crate::run::{Place, RunId};
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
    pub(crate) plan: Arc<Plan>,
    pub(crate) block: u32,
    pub(crate) path: Arc<str>,
    pub(crate) action: Arc<str>,
    pub(crate) params: Value,
    pub(crate) input: Arc<Value>,
    pub(crate) started_at: Timestamp,
    pub(crate) deadline: Option<Timestamp>,
    pub(crate) handler: Handler,
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

    /// Name of the action.
    pub fn action(&self) -> &str {
        &self.action
    }

    /// The step's parameters, interpolated.
    pub fn params(&self) -> &Value {
        &self.params
    }

    /// The data of the run's trigger.
    pub fn input(&self) -> &Value {
        &self.input
    }

    /// The run.
    pub fn run(&self) -> RunId {
        self.token.run
    }

    /// Name of the workflow.
    pub fn workflow(&self) -> &str {
        &self.plan.definition.name
    }

    /// The step's id.
    pub fn step(&self) -> &str {
        self.plan
            .step(self.block, self.token.at.step)
            .map_or("", |step| &step.id)
    }

    /// Path of the steps around this one, with iterations and a slash at the end, such as
    /// `pens[3]/`; empty at the top.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// 1 for the first attempt.
    pub fn attempt(&self) -> u32 {
        self.token.at.attempt
    }

    /// Longest time of one attempt.
    pub fn timeout(&self) -> Option<Duration> {
        self.plan.step(self.block, self.token.at.step)?.timeout
    }

    /// When the attempt counts as failed.
    pub fn deadline(&self) -> Option<Timestamp> {
        self.deadline
    }

    /// The same text for every attempt of this step in this run, also after a crash, and for no
    /// other: hand it to the outside world so that it can suppress a repetition. SHA-256 over
    /// workflow, definition, run, step path and iteration; 32 hexadecimal digits.
    pub fn idempotency_key(&self) -> String {
        let mut hash = Sha256::new();
        let parts = [
            self.plan.definition.name.as_str(),
            &self.plan.hash.to_string(),
            &self.token.run.to_string(),
            &self.started_at.as_millis().to_string(),
            &self.path,
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

    /// Runs the action that was registered under the call's name.
    pub fn perform(&self) -> Work {
        match &self.handler {
            Handler::Sync(action) => Work::Ready(action(self)),
            Handler::Async(action) => Work::Pending(action(self.clone())),
            Handler::External => Work::External,
        }
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Call")
            .field("token", &self.token)
            .field("action", &self.action)
            .field("step", &self.step())
            .field("params", &self.params)
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
