//! The format of a workflow as data: what YAML and JSON are read into and what the builder fills.
//! Nothing is checked here; [`crate::Workflow`] is the checked and compiled form.

mod build;
mod testing;

pub use testing::{EventDef, ExpectDef, MockDef, MocksDef, StepExpectDef, StepMoreDef, TestDef};

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A whole file: one workflow under the key `workflow`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Document {
    /// The workflow.
    pub workflow: WorkflowDef,
    /// Its tests, which the engine ignores.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tests: Vec<TestDef>,
}

/// One workflow.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
    /// How urgent its steps are where resources are short.
    #[serde(default, skip_serializing_if = "is_default")]
    pub priority: Priority,
    /// By when a run should have ended, and what happens when it has not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<DeadlineDef>,
    /// The steps, each after the one before it unless it says `needs`.
    pub steps: Vec<StepDef>,
    /// Expression for the run's output; without it, the output of the last step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
}

/// What the journal keeps of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// How urgent work is. Safety-critical work goes first, and a part of the budget is its own.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Safety-critical: before everything else, never behind it.
    Safety,
    /// Before ordinary work.
    High,
    /// Ordinary work.
    #[default]
    Normal,
    /// When there is nothing better to do.
    Low,
}

/// By when a run should have ended (its service level).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DeadlineDef {
    /// Span from the trigger, such as `10m`.
    pub within: String,
    /// Action that runs when it has passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// What the action gets; `${input…}` is evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
    /// What becomes of the run.
    #[serde(default, skip_serializing_if = "is_default")]
    pub then: Missed,
}

/// What becomes of a run that missed its deadline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Missed {
    /// It goes on.
    #[default]
    Continue,
    /// It fails with the error `Deadline`: its open steps are cancelled, what it did is undone.
    Fail,
}

/// What a step does while the link that it requires is down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Offline {
    /// It waits, and runs once when the link is back.
    Queue,
    /// It is skipped.
    Skip,
    /// It fails at once with the error `Offline`: its `catch` or `fallback` answers.
    Fallback,
}

/// What an action occupies while it runs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ResourcesDef {
    /// Cores, such as `0.5`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<f64>,
    /// Memory, such as `256MiB`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<String>,
    /// Whether it takes a GPU.
    #[serde(default, skip_serializing_if = "is_default")]
    pub gpu: Gpu,
}

/// Whether an action takes a GPU.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Gpu {
    /// No.
    #[default]
    None,
    /// One if it is free, else the action runs without.
    Optional,
    /// It waits for one.
    Required,
}

/// One step. Exactly one of `action`, `set`, `wait`, `approval`, `if`, `switch`, `parallel`, `for`,
/// `while`, `for_each`, `workflow` and `fail` says what it does.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StepDef {
    /// Its name, under which later expressions see its output.
    pub id: String,
    /// Runs this registered action.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<String>,
    /// What the action or the sub-workflow gets; `${…}` inside strings is evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
    /// Gives this value as the output; `${…}` inside strings is evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<Value>,
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
    /// Runs `then` when this expression is true, else `else`.
    #[serde(default, rename = "if", skip_serializing_if = "Option::is_none")]
    pub if_: Option<String>,
    /// Steps of `if`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub then: Option<Vec<StepDef>>,
    /// Steps of `if` when it is false.
    #[serde(default, rename = "else", skip_serializing_if = "Option::is_none")]
    pub else_: Option<Vec<StepDef>>,
    /// Runs the first of `cases` that fits this expression, else `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switch: Option<String>,
    /// Cases of `switch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cases: Option<Vec<CaseDef>>,
    /// Steps of `switch` when no case fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Vec<StepDef>>,
    /// Runs branches beside each other; the output has one field a branch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel: Option<Vec<BranchDef>>,
    /// Repeats `steps` over a range of integers.
    #[serde(default, rename = "for", skip_serializing_if = "Option::is_none")]
    pub for_: Option<ForDef>,
    /// Repeats `steps` as long as this expression is true. It sees `last` (the output of the
    /// iteration before, at first an empty object) and `index` (from 0).
    #[serde(default, rename = "while", skip_serializing_if = "Option::is_none")]
    pub while_: Option<String>,
    /// Bound of `for` and `while`, which must have one: one more iteration fails the step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_iterations: Option<u64>,
    /// Runs `steps` for each element of a list, or for each number below an integer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_each: Option<String>,
    /// Name of the element inside `for_each`; default `item`.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub as_: Option<String>,
    /// How many elements of `for_each` are worked on at once; default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// What `for_each` gives.
    #[serde(default, skip_serializing_if = "is_default")]
    pub collect: Collect,
    /// Body of `for`, `while` and `for_each`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<Vec<StepDef>>,
    /// Runs another workflow as a part of this run; `params` become its `input`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// The definition behind `workflow`, filled in when this one is deployed: a run never changes
    /// because something that it uses was deployed anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linked: Option<Box<WorkflowDef>>,
    /// Fails with this error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fail: Option<FailDef>,
    /// Steps that run when this one failed for good; their output becomes its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catch: Option<Vec<CatchDef>>,
    /// The output when this step failed for good and nothing caught it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Value>,
    /// Undoes this step when the run fails after it; the latest step first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compensate: Option<CompensateDef>,
    /// Name of a link that must be up, such as `cloud`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requires: Option<String>,
    /// What happens while that link is down; default: `fallback` where the step has a `fallback`
    /// or a `catch`, else `queue`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offline: Option<Offline>,
    /// Longest latency that the step bears: below 10 ms it belongs on the far edge, below 50 ms on
    /// the mid edge, else anywhere in the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<String>,
    /// How urgent the action is; default: that of the workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<Priority>,
    /// What the action occupies of the engine's budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<ResourcesDef>,
    /// Stops calling the action for a while after failures in a row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<BreakerDef>,
}

/// A case of `switch`: `is` compares with the expression, `when` is a condition of its own.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CaseDef {
    /// The value that the expression must have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is: Option<Value>,
    /// The condition that must hold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<String>,
    /// What to do.
    pub steps: Vec<StepDef>,
}

/// A branch of `parallel`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BranchDef {
    /// Its field in the output.
    pub id: String,
    /// What to do.
    pub steps: Vec<StepDef>,
}

/// A range of integers: from `from` (default 0) below `to`, in steps of `by` (default 1).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ForDef {
    /// Name of the number inside the body; default `i`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub var: Option<String>,
    /// First number: an integer, or `${…}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Value>,
    /// The end, not included: an integer, or `${…}`.
    pub to: Value,
    /// Distance of two numbers, not 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Value>,
}

/// What `for_each` gives as its output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Collect {
    /// The outputs in the order of the elements; at most 10,000.
    #[default]
    List,
    /// Only `{"count": n}`: memory and log stay small however many elements there are.
    Count,
}

/// A deliberate failure.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FailDef {
    /// Name of the error.
    pub error: String,
    /// What happened; `${…}` is evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// What to do about a failure. The steps see `error.name`, `error.message` and `error.step`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CatchDef {
    /// Only errors of these names; default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on: Option<Vec<String>>,
    /// What to do.
    pub steps: Vec<StepDef>,
}

/// How to undo a step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CompensateDef {
    /// Runs this registered action.
    pub action: String,
    /// What it gets, evaluated when the step succeeded; the step's own id names its output.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub params: Option<Value>,
    /// Tries again after failures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<RetryDef>,
}

/// A circuit breaker on an action, shared by all runs and kept over restarts.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BreakerDef {
    /// Failures in a row that open it.
    pub failures: u32,
    /// How long calls fail at once (error `CircuitOpen`) before one is let through to probe.
    pub reset: String,
}

/// How to try again: the semantics of Amazon States Language.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
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

/// The JSON Schema of a definition file, for editors that complete and check it. The same text
/// ships as `workflow.schema.json`.
#[cfg(feature = "schema")]
pub fn json_schema() -> Value {
    schemars::schema_for!(Document).to_value()
}
