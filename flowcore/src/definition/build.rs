//! Definitions made in code, with types instead of text where there are types.

use std::time::Duration;

use serde_json::Value;

use super::{
    ApprovalDef, BranchDef, BreakerDef, CaseDef, CatchDef, Collect, CompensateDef, DeadlineDef,
    Durability, FailDef, ForDef, Jitter, Missed, Offline, Priority, ResourcesDef, RetryDef,
    StepDef, WaitDef, WorkflowDef,
};
use crate::error::Result;
use crate::plan::Workflow;

/// The text of a span, as definitions have it.
fn span(span: Duration) -> String {
    format!("{}ms", span.as_millis())
}

/// A workflow in the making.
///
/// ```
/// use flowcore::definition::{RetryDef, StepDef, WorkflowDef};
/// use serde_json::json;
/// use std::time::Duration;
///
/// # fn main() -> flowcore::Result<()> {
/// let workflow = WorkflowDef::new("anomaly_detection")
///     .on("sensor_reading")
///     .step(StepDef::call("filter", "moving_average").with(json!({"window": 10})))
///     .step(StepDef::call("detect", "threshold_check").timeout_after(Duration::from_secs(5)))
///     .step(
///         StepDef::call("alert", "send_event")
///             .when("detect.result == 'anomaly'")
///             .retried(RetryDef::times(3).starting_at(Duration::from_millis(200))),
///     )
///     .build()?;
/// assert_eq!(workflow.name(), "anomaly_detection");
/// # Ok(()) }
/// ```
impl WorkflowDef {
    /// A workflow of this name, without steps yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }

    /// Starts a run at this event.
    #[must_use]
    pub fn on(mut self, event: impl Into<String>) -> Self {
        self.trigger = Some(event.into());
        self
    }

    /// Says what the journal keeps.
    #[must_use]
    pub fn durable(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Says how urgent the steps are.
    #[must_use]
    pub fn urgency(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Says by when a run should have ended, and what becomes of it then.
    #[must_use]
    pub fn within(mut self, limit: Duration, then: Missed) -> Self {
        let before = self.deadline.take().unwrap_or_default();
        self.deadline = Some(DeadlineDef {
            within: span(limit),
            then,
            ..before
        });
        self
    }

    /// Runs an action when the deadline has passed; comes after [`within`](Self::within).
    #[must_use]
    pub fn late_action(mut self, action: impl Into<String>, params: Value) -> Self {
        let deadline = self.deadline.get_or_insert_default();
        deadline.action = Some(action.into());
        deadline.params = Some(params);
        self
    }

    /// Adds a step, after the one before it unless it says what it needs.
    #[must_use]
    pub fn step(mut self, step: StepDef) -> Self {
        self.steps.push(step);
        self
    }

    /// An expression for the run's output.
    #[must_use]
    pub fn giving(mut self, expression: impl Into<String>) -> Self {
        self.output = Some(expression.into());
        self
    }

    /// Checks and compiles it.
    ///
    /// # Errors
    /// As [`Workflow::from_definition`].
    pub fn build(self) -> Result<Workflow> {
        Workflow::from_definition(self)
    }
}

/// The kinds of steps.
impl StepDef {
    fn named(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            ..Self::default()
        }
    }

    /// Runs a registered action.
    pub fn call(id: impl Into<String>, action: impl Into<String>) -> Self {
        Self {
            action: Some(action.into()),
            ..Self::named(id)
        }
    }

    /// Gives a value; `${…}` in its strings is evaluated.
    pub fn value(id: impl Into<String>, value: impl Into<Value>) -> Self {
        Self {
            set: Some(value.into()),
            ..Self::named(id)
        }
    }

    /// Fails with a named error.
    pub fn failing(
        id: impl Into<String>,
        error: impl Into<String>,
        message: impl Into<String>,
    ) -> Self {
        Self {
            fail: Some(FailDef {
                error: error.into(),
                message: Some(message.into()),
            }),
            ..Self::named(id)
        }
    }

    /// Waits for a time.
    pub fn pause(id: impl Into<String>, time: Duration) -> Self {
        Self {
            wait: Some(WaitDef {
                span: Some(span(time)),
                ..WaitDef::default()
            }),
            ..Self::named(id)
        }
    }

    /// Waits for an event; see [`keyed`](Self::keyed) and [`timeout_after`](Self::timeout_after).
    pub fn event(id: impl Into<String>, event: impl Into<String>) -> Self {
        Self {
            wait: Some(WaitDef {
                event: Some(event.into()),
                ..WaitDef::default()
            }),
            ..Self::named(id)
        }
    }

    /// Waits for a person; see [`timeout_after`](Self::timeout_after).
    pub fn ask(id: impl Into<String>, prompt: impl Into<String>) -> Self {
        Self {
            approval: Some(ApprovalDef {
                prompt: Some(prompt.into()),
                timeout: None,
            }),
            ..Self::named(id)
        }
    }

    /// Runs `then` when the condition holds, else `otherwise`, which may be empty.
    pub fn choose(
        id: impl Into<String>,
        condition: impl Into<String>,
        then: impl Into<Vec<StepDef>>,
        otherwise: impl Into<Vec<StepDef>>,
    ) -> Self {
        let otherwise = otherwise.into();
        Self {
            if_: Some(condition.into()),
            then: Some(then.into()),
            else_: (!otherwise.is_empty()).then_some(otherwise),
            ..Self::named(id)
        }
    }

    /// Runs the steps behind the value that the expression has, else `default`, which may be empty.
    pub fn select(
        id: impl Into<String>,
        expression: impl Into<String>,
        cases: impl IntoIterator<Item = (Value, Vec<StepDef>)>,
        default: impl Into<Vec<StepDef>>,
    ) -> Self {
        let case = |(is, steps)| CaseDef {
            is: Some(is),
            when: None,
            steps,
        };
        let default = default.into();
        Self {
            switch: Some(expression.into()),
            cases: Some(cases.into_iter().map(case).collect()),
            default: (!default.is_empty()).then_some(default),
            ..Self::named(id)
        }
    }

    /// Runs branches beside each other.
    pub fn branches<I: Into<String>>(
        id: impl Into<String>,
        branches: impl IntoIterator<Item = (I, Vec<StepDef>)>,
    ) -> Self {
        let branch = |(id, steps): (I, Vec<StepDef>)| BranchDef {
            id: id.into(),
            steps,
        };
        Self {
            parallel: Some(branches.into_iter().map(branch).collect()),
            ..Self::named(id)
        }
    }

    /// Runs steps for each element of the list that an expression gives.
    pub fn each(
        id: impl Into<String>,
        items: impl Into<String>,
        steps: impl Into<Vec<StepDef>>,
    ) -> Self {
        Self {
            for_each: Some(items.into()),
            steps: Some(steps.into()),
            ..Self::named(id)
        }
    }

    /// Runs steps for each integer from `from` below `to`, known as `i`.
    pub fn count(
        id: impl Into<String>,
        from: i64,
        to: i64,
        steps: impl Into<Vec<StepDef>>,
    ) -> Self {
        let iterations = to.saturating_sub(from).max(0).unsigned_abs();
        Self {
            for_: Some(ForDef {
                from: Some(from.into()),
                to: to.into(),
                ..ForDef::default()
            }),
            max_iterations: Some(iterations),
            steps: Some(steps.into()),
            ..Self::named(id)
        }
    }

    /// Repeats steps as long as a condition holds, at most `iterations_max` times.
    pub fn repeat(
        id: impl Into<String>,
        condition: impl Into<String>,
        iterations_max: u64,
        steps: impl Into<Vec<StepDef>>,
    ) -> Self {
        Self {
            while_: Some(condition.into()),
            max_iterations: Some(iterations_max),
            steps: Some(steps.into()),
            ..Self::named(id)
        }
    }

    /// Runs another workflow as a part of this run.
    pub fn run(id: impl Into<String>, workflow: impl Into<String>) -> Self {
        Self {
            workflow: Some(workflow.into()),
            ..Self::named(id)
        }
    }
}

/// What is said about a step.
impl StepDef {
    /// What the action or the sub-workflow gets.
    #[must_use]
    pub fn with(mut self, params: Value) -> Self {
        self.params = Some(params);
        self
    }

    /// Skips the step unless the condition holds.
    #[must_use]
    pub fn when(mut self, condition: impl Into<String>) -> Self {
        self.condition = Some(condition.into());
        self
    }

    /// Steps that must end first, instead of the one before; none: it starts at once.
    #[must_use]
    pub fn after<I: Into<String>>(mut self, steps: impl IntoIterator<Item = I>) -> Self {
        self.needs = Some(steps.into_iter().map(Into::into).collect());
        self
    }

    /// Longest time of one attempt; of a wait or a question, until it goes on without an answer.
    #[must_use]
    pub fn timeout_after(mut self, limit: Duration) -> Self {
        let limit = Some(span(limit));
        if let Some(wait) = &mut self.wait {
            wait.timeout = limit;
        } else if let Some(approval) = &mut self.approval {
            approval.timeout = limit;
        } else {
            self.timeout = limit;
        }
        self
    }

    /// Waits only for an event with this key.
    #[must_use]
    pub fn keyed(mut self, key: impl Into<String>) -> Self {
        self.wait.get_or_insert_default().key = Some(key.into());
        self
    }

    /// Tries again after failures.
    #[must_use]
    pub fn retried(mut self, retry: RetryDef) -> Self {
        self.retry = Some(retry);
        self
    }

    /// Steps for when this one failed for good, with an error of one of these names or any.
    #[must_use]
    pub fn caught<I: Into<String>>(
        mut self,
        names: impl IntoIterator<Item = I>,
        steps: impl Into<Vec<StepDef>>,
    ) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        self.catch.get_or_insert_default().push(CatchDef {
            on: (!names.is_empty()).then_some(names),
            steps: steps.into(),
        });
        self
    }

    /// The output when the step failed for good and nothing caught it.
    #[must_use]
    pub fn or(mut self, value: impl Into<Value>) -> Self {
        self.fallback = Some(value.into());
        self
    }

    /// The action that undoes the step when the run fails after it.
    #[must_use]
    pub fn undone_by(mut self, action: impl Into<String>, params: Value) -> Self {
        self.compensate = Some(CompensateDef {
            action: action.into(),
            params: Some(params),
            retry: None,
        });
        self
    }

    /// Stops calling the action for `reset` after this many failures in a row.
    #[must_use]
    pub fn breaker_after(mut self, failures: u32, reset: Duration) -> Self {
        self.breaker = Some(BreakerDef {
            failures,
            reset: span(reset),
        });
        self
    }

    /// Name of a link that must be up, and what happens while it is not.
    #[must_use]
    pub fn needs_link(mut self, link: impl Into<String>, offline: Offline) -> Self {
        self.requires = Some(link.into());
        self.offline = Some(offline);
        self
    }

    /// Longest latency that the step bears.
    #[must_use]
    pub fn bearing(mut self, latency: Duration) -> Self {
        self.latency = Some(span(latency));
        self
    }

    /// How urgent the action is.
    #[must_use]
    pub fn urgency(mut self, priority: Priority) -> Self {
        self.priority = Some(priority);
        self
    }

    /// What the action occupies.
    #[must_use]
    pub fn occupying(mut self, resources: ResourcesDef) -> Self {
        self.resources = Some(resources);
        self
    }

    /// How many elements of `each` are worked on at once.
    #[must_use]
    pub fn at_once(mut self, limit: u32) -> Self {
        self.limit = Some(limit);
        self
    }

    /// What `each` calls its element.
    #[must_use]
    pub fn named_as(mut self, name: impl Into<String>) -> Self {
        self.as_ = Some(name.into());
        self
    }

    /// Makes `each` give the number of its elements instead of their outputs.
    #[must_use]
    pub fn only_counted(mut self) -> Self {
        self.collect = Collect::Count;
        self
    }
}

impl RetryDef {
    /// This many attempts after the first one, with the default pauses: 1 s, 2 s, 4 s, …
    pub fn times(attempts: u32) -> Self {
        Self {
            max_attempts: attempts,
            ..Self::default()
        }
    }

    /// The first pause.
    #[must_use]
    pub fn starting_at(mut self, pause: Duration) -> Self {
        self.interval = Some(span(pause));
        self
    }

    /// Each pause is this many times the one before.
    #[must_use]
    pub fn growing_by(mut self, rate: f64) -> Self {
        self.backoff_rate = Some(rate);
        self
    }

    /// No pause is longer than this.
    #[must_use]
    pub fn at_most(mut self, pause: Duration) -> Self {
        self.max_interval = Some(span(pause));
        self
    }

    /// Whether pauses are spread.
    #[must_use]
    pub fn spread(mut self, jitter: Jitter) -> Self {
        self.jitter = jitter;
        self
    }

    /// Only for errors of these names.
    #[must_use]
    pub fn only_on<I: Into<String>>(mut self, names: impl IntoIterator<Item = I>) -> Self {
        self.on = Some(names.into_iter().map(Into::into).collect());
        self
    }
}
