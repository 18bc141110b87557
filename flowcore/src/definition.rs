//! The format of a workflow as data: what YAML and JSON are read into and what the builder fills.
//! Nothing is checked here; [`crate::Workflow`] is the checked and compiled form.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A whole file: one workflow under the key `workflow`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The workflow.
    pub workflow: WorkflowDef,
}

/// One workflow.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WorkflowDef {
    /// Its name; one version of each name is active at a time.
    pub name: String,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The event that starts a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger: Option<String>,
    /// What the journal keeps.
    #[serde(default, skip_serializing_if = "is_default")]
    pub durability: Durability,
    /// The steps, each after the one before it unless it says `needs`.
    pub steps: Vec<StepDef>,
    /// Expression for the run's output; without it, the output of the last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// What the journal keeps of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// Nothing: a crash loses the run.
    None,
    /// The trigger and the result: after a crash the run starts again from its trigger.
    Run,
    /// Every step: after a crash the run goes on after its last finished step.
    #[default]
    Step,
}

/// One step. Exactly one of `action`, `wait`, `approval` says what it does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepDef {
    /// Its name, under which later expressions see its output.
    pub id: String,
    /// Runs this registered action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// What the action gets; `${…}` inside strings is evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
    /// Skips the step unless this expression is true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub condition: Option<String>,
    /// Steps that must end first; an empty list starts at once. Default: the step before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<Vec<String>>,
    /// Tries again after failures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryDef>,
    /// Longest time of one attempt, such as `5s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// Waits for a time or an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<WaitDef>,
    /// Waits for a person.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalDef>,
}

/// How to try again: the semantics of Amazon States Language.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RetryDef {
    /// Attempts after the first one.
    pub max_attempts: u32,
    /// Pause before the first retry; default `1s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// Each pause is this many times the one before; default 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_rate: Option<f64>,
    /// No pause is longer than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_interval: Option<String>,
    /// Spreads pauses between zero and their length.
    #[serde(default, skip_serializing_if = "is_default")]
    pub jitter: Jitter,
    /// Only errors of these names; default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<String>>,
}

/// Whether pauses between attempts are spread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Jitter {
    /// Exact pauses.
    #[default]
    None,
    /// Anything between zero and the pause, drawn from the run and the attempt, not from a clock.
    Full,
}

/// What a step waits for: `for` a span, or an `event`, optionally with a `key` and a `timeout`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WaitDef {
    /// A span such as `30s`, or `${…}` giving a span or a number of seconds.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub span: Option<String>,
    /// Name of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
    /// Only an event with this key; `${…}` is evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// After this span the step ends with `timed_out: true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

/// A person's decision.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalDef {
    /// What the person is asked; `${…}` is evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<String>,
    /// After this span the step ends with `timed_out: true` and `approved: false`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
