//! What can go wrong.

use crate::journal::JournalError;
use crate::run::RunId;

/// The error of every fallible call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The text of a definition is not in the format.
    #[error("definition: {message}")]
    Format {
        /// What the reader found, with line and column.
        message: String,
    },
    /// A definition reads well and makes no sense.
    #[error("{}step `{step}`: {message}", line_prefix(.line))]
    Invalid {
        /// The step, or the workflow's name where no step is at fault.
        step: String,
        /// Line in the text, where the definition came from text.
        line: Option<u64>,
        /// What is wrong and what to do.
        message: String,
    },
    /// A definition uses an action that nobody registered.
    #[error(
        "workflow `{workflow}`, step `{step}`: no action `{action}`; register it with Engine::action before deploy"
    )]
    UnknownAction {
        /// The workflow.
        workflow: String,
        /// The step.
        step: String,
        /// The missing action.
        action: String,
    },
    /// No deployed workflow listens to this event.
    #[error("no deployed workflow is triggered by `{event}`")]
    NoTrigger {
        /// The event.
        event: String,
    },
    /// No workflow of this name is deployed.
    #[error("no workflow `{workflow}` is deployed")]
    UnknownWorkflow {
        /// The name asked for.
        workflow: String,
    },
    /// The run does not exist, or ended and was forgotten.
    #[error("no run {run}")]
    UnknownRun {
        /// The run asked for.
        run: RunId,
    },
    /// What was asked does not fit the run's state.
    #[error("run {run}: {message}")]
    WrongState {
        /// The run.
        run: RunId,
        /// What is the case instead.
        message: String,
    },
    /// A bound would be passed.
    #[error("{what}: {found} is over the limit of {limit}")]
    Limit {
        /// What is bounded.
        what: &'static str,
        /// What was asked for.
        found: u64,
        /// The bound.
        limit: u64,
    },
    /// A tenant has used up what it may use.
    #[error(
        "tenant `{tenant}`: {what} is at its limit of {limit}; try again later or raise it with Engine::quota"
    )]
    Quota {
        /// The tenant.
        tenant: String,
        /// What is limited.
        what: &'static str,
        /// The limit.
        limit: u64,
    },
    /// The journal failed; nothing that depended on it was released.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A stored record cannot be read.
    #[error("run {run}: {message}")]
    Corrupt {
        /// The run it belongs to.
        run: RunId,
        /// What was found.
        message: String,
    },
}

/// The result of every fallible call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

fn line_prefix(line: &Option<u64>) -> String {
    line.map(|line| format!("line {line}: "))
        .unwrap_or_default()
}
