//! Durable DAG workflows in a library: definitions in YAML, steps in Rust, every finished step on
//! disk, no server.
//!
//! ```
//! use flowcore::{Engine, MemoryJournal, Runner, RunStatus, Timestamp, Workflow};
//! use serde_json::json;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # #[cfg(feature = "yaml")] {
//! let workflow = Workflow::from_yaml("
//! workflow:
//!   name: anomaly_detection
//!   trigger: sensor_reading
//!   steps:
//!     - {id: filter, action: moving_average, params: {window: 10}}
//!     - {id: detect, action: threshold_check, params: {threshold: 0.8}}
//!     - {id: alert, action: send_event, condition: \"detect.result == 'anomaly'\"}
//! ")?;
//!
//! let mut engine = Engine::new(MemoryJournal::new())
//!     .action("moving_average", |call| Ok(json!({"mean": call.input()["value"]})))
//!     .action("threshold_check", |_| Ok(json!({"result": "anomaly"})))
//!     .action("send_event", |call| Ok(json!({"sent": call.idempotency_key()})));
//! engine.deploy(workflow)?;
//! let run = engine.trigger("sensor_reading", json!({"value": 0.93}), Timestamp::from_millis(0))?;
//!
//! let mut runner = Runner::blocking(engine);
//! runner.run_until_idle()?;
//! assert_eq!(runner.engine().status(run)?.status, RunStatus::Succeeded);
//! # }
//! # Ok(()) }
//! ```
//!
//! # How it works
//! A run is a pure state machine. The journal holds what came from outside (the trigger, results of
//! actions, timers, events); everything else follows from it, so recovery reads the log and calls
//! no action. Work is handed out only after all that led to it is durable.
//!
//! # What a crash does
//! A step whose record was committed never runs again. A step that was running when the process
//! died runs again with the same [`Call::idempotency_key`]: at least once, or exactly once for
//! effects that travel as [`Output::write`] into a journal that commits them with the step.
//!
//! # What it is not
//! No server, no cluster, no scheduler of machines; no recording of code (nothing is replayed, so
//! actions may do what they like); no distributed transaction with systems that do not take an
//! idempotency key.

#![forbid(unsafe_code)]

pub mod definition;
mod engine;
mod error;
pub mod expr;
mod graph;
pub mod journal;
mod numbers;
mod plan;
#[cfg(feature = "remote")]
pub mod remote;
mod replay;
mod run;
mod runner;
mod time;
pub mod trigger;
#[cfg(feature = "yaml")]
mod yaml;

pub use definition::Priority;
pub use engine::{
    ActionError, ActionFuture, ActionResult, AuditAct, AuditEntry, Budget, Call, Command, Engine,
    Held, Link, Output, Progress, Quota, RECORD_LEN_MAX, Start, StepLatency, Token, Work,
};
pub use error::{Error, Result};
pub use graph::Graph;
#[cfg(feature = "sqlite")]
pub use journal::SqliteJournal;
pub use journal::{Journal, JournalError, MemoryJournal, StateWrite, StateWrites};
pub use plan::{DefinitionHash, Resources, Tier, Workflow};
pub use replay::{History, Replay, Upgrade, verify_upgrade};
pub use run::{Decision, Failure, RunId, RunInfo, RunStatus, StepInfo, StepStatus, Verdict};
#[cfg(feature = "tokio")]
pub use runner::AsyncRunner;
pub use runner::{Clock, Order, Pool, Runner, SystemClock};
pub use time::{Timestamp, parse_span};
