//! Outcomes and experiments.

use promptopt::{ExperimentStatus, Feedback, Outcome, RollbackCause};
use serde_json::{Value, json};

/// One use of a prompt.
pub fn outcome(outcome: &Outcome) -> Value {
    let feedback = match outcome.feedback {
        Feedback::None => Value::Null,
        Feedback::Right => "right".into(),
        Feedback::Wrong => "wrong".into(),
        Feedback::Unreadable => "unreadable".into(),
    };
    json!({
        "tier": outcome.choice.tier.name(),
        "version": outcome.choice.prompt.version().get(),
        "rule": outcome.choice.reason.rule(),
        "propensity": outcome.choice.propensity,
        "output": outcome.output,
        "latency_ms": outcome.latency.as_secs_f64() * 1000.0,
        "feedback": feedback,
        "at": outcome.at.as_millis(),
    })
}

/// Where an experiment stands. Outcomes are `[judged, right]`.
pub fn experiment(status: &ExperimentStatus) -> Value {
    let rollback = status.rollback.map(|cause| match cause {
        RollbackCause::Worse { evidence } => json!({"worse": evidence}),
        RollbackCause::Unreadable { share } => json!({"unreadable": share}),
        RollbackCause::Slow { latency_p95 } => {
            json!({"slow_ms": latency_p95.as_secs_f64() * 1000.0})
        }
    });
    json!({
        "tier": status.tier.name(),
        "candidate": status.candidate.get(),
        "share": status.share,
        "candidate_outcomes": status.candidate_outcomes,
        "running_outcomes": status.running_outcomes,
        "evidence": status.evidence,
        "rollback": rollback,
    })
}
