//! What the log of a run is made of: everything from outside that ever changed the run. The rest
//! of its state follows from these by the rules of [`super::machine`], so recovery reads them
//! again and calls no action. Stored as one JSON text each: any SQLite tool shows a readable log.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Snapshot;
use crate::plan::DefinitionHash;
use crate::time::Timestamp;

/// A step's place: frame and step number, and the attempt that a result belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct Place {
    #[serde(rename = "f")]
    pub(crate) frame: u32,
    #[serde(rename = "s")]
    pub(crate) step: u32,
    #[serde(rename = "n")]
    pub(crate) attempt: u32,
}

impl Place {
    /// Where the deadline of the whole run is due.
    pub(crate) const RUN: Self = Self {
        frame: u32::MAX,
        step: 0,
        attempt: 0,
    };
}

/// Why a step or a run failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Name of the error, as `retry.on` matches it: the action's own, or `Timeout`, `Expression`, …
    pub name: String,
    /// What happened.
    pub message: String,
    /// The step that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
}

impl Failure {
    pub(crate) fn new(name: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            message: message.into(),
            step: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) now: Timestamp,
    #[serde(flatten)]
    pub(crate) event: Event,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Event {
    /// The first record of each log.
    Start {
        workflow: String,
        definition: DefinitionHash,
        input: Value,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tenant: Option<Box<str>>,
    },
    /// The first record of a log whose beginning was forgotten: the run as it was then.
    Snapshot(Box<Snapshot>),
    Done {
        at: Place,
        output: Value,
    },
    Fail {
        at: Place,
        failure: Failure,
    },
    /// The step did not happen: what it needs is out of reach.
    Skip {
        at: Place,
    },
    Timer {
        at: Place,
    },
    Signal {
        name: String,
        key: Option<String>,
        data: Value,
    },
    Decide {
        step: String,
        decision: Decision,
    },
    Cancel {
        reason: String,
    },
    Pause {
        reason: String,
    },
    Resume {},
}

/// A person's answer to an approval step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// Yes or no.
    pub verdict: Verdict,
    /// Who decided.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Yes or no.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Go on.
    Approved,
    /// Do not.
    Rejected,
}

impl Verdict {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Verdict::Approved => "approved",
            Verdict::Rejected => "rejected",
        }
    }
}
