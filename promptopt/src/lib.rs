//! Prompt optimiser and run-time prompt selector for small models.
//!
//! # What it is
//! A device holds three prompts for one task: an *ultra* short one, a *fast* one and a *quality* one.
//! [`PromptSet`] keeps them in memory and [`PromptSet::select`] picks one from the state of the device
//! by rules that are data ([`Policy`]), in a stated order, with the rule that won in [`Choice::reason`].
//! A choice allocates nothing. A newer version goes in by an atomic [`PromptSet::swap`], and back by
//! [`PromptSet::rollback`]. What is rendered is byte for byte what was scored when it was optimised,
//! and where the answer is read from label log-probabilities, [`Decision`] is the very rule, biases
//! included, that was measured.
//!
//! # What it is not
//! The default features hold no model, no network and no clock: time comes with each [`Outcome`].
//!
//! # Limits
//! Templates of 64 KiB and 64 inputs, rendered prompts of 1 MiB, prompt files of 1 MiB, 64 rules,
//! 256 labels, 1,024 outcomes in the log (the oldest is dropped and counted).
//!
//! # Example
//! ```
//! use std::time::Duration;
//! use promptopt::{Context, Criticality, Feedback, Outcome, PromptSet, Timestamp};
//!
//! # let dir = tempfile::tempdir()?;
//! # for (tier, text) in [("ultra", "{text}\nFault:"), ("fast", "Sensor: {text}\nFault:"), ("quality", "Is it failing? {text}\nFault:")] {
//! #     let json = format!(r#"{{"format":"edgeweave-prompt/1","tier":"{tier}","version":1,"template":{}}}"#, serde_json::to_string(text)?);
//! #     std::fs::write(dir.path().join(format!("prompt_{tier}.json")), json)?;
//! # }
//! let set = PromptSet::load_dir(dir.path())?;
//! let choice = set.select(&Context {
//!     battery: 0.15,
//!     latency_budget: Duration::from_millis(80),
//!     criticality: Criticality::High,
//!     ..Context::default()
//! });
//! assert_eq!(choice.reason.to_string(), "battery-low: battery < 0.2");
//! assert_eq!(choice.render(&[("text", "0.1 0.9")])?, "0.1 0.9\nFault:");
//! set.record(Outcome {
//!     choice,
//!     output: "yes".to_owned(),
//!     latency: Duration::from_millis(40),
//!     feedback: Feedback::Right,
//!     at: Timestamp::from_millis(1_700_000_000_000),
//! });
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

mod bundle;
mod context;
mod decision;
mod error;
mod experiment;
mod layout;
#[cfg(feature = "optimize")]
pub mod model;
#[cfg(feature = "optimize")]
pub mod optimize;
mod outcome;
mod policy;
mod prompt;
mod retrieval;
mod sequential;
mod set;
mod template;
mod tier;
mod time;
mod written;

pub use bundle::{BUNDLE_BYTES_MAX, BUNDLE_FORMAT, Bundle};
pub use context::{Context, Criticality, Network};
pub use decision::{Answer, Decision, LABELS_MAX, Label, OPTIONS_MAX};
pub use error::{Error, Result};
pub use experiment::{ExperimentOptions, ExperimentStatus, HardLimits, RollbackCause, Share};
pub use outcome::{Feedback, Outcome, OutcomeStats};
pub use policy::{Condition, Offload, POLICY_RULES_MAX, Policy, Reason, Rule};
pub use prompt::{PROMPT_FILE_BYTES_MAX, PROMPT_FORMAT, Prompt, Version};
pub use retrieval::{PASSAGES_MAX, Retrieval, Retriever};
pub use sequential::{Arm, SequentialTest};
pub use set::{Choice, ExperimentEnd, OUTCOMES_MAX, PromptSet};
pub use template::{RENDERED_BYTES_MAX, TEMPLATE_BYTES_MAX, TEMPLATE_SLOTS_MAX, Template};
pub use tier::Tier;
pub use time::Timestamp;
pub use written::{Form, STOPS_MAX, Thought, WRITTEN_TOKENS_MAX, Written};
