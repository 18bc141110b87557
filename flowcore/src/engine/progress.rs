//! What happens, told as it becomes durable: one line of JSON a change, for a log or a screen.

use serde::{Deserialize, Serialize};

use super::Engine;
use crate::journal::Journal;
use crate::run::{Run, RunId, RunStatus, StepStatus};
use crate::time::Timestamp;

/// A change of a run or of one of its steps.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
#[non_exhaustive]
pub enum Progress {
    /// A run began, paused, went on or ended.
    Run {
        /// When.
        at: Timestamp,
        /// Which.
        run: RunId,
        /// Its workflow.
        workflow: String,
        /// Where it stands now.
        status: RunStatus,
    },
    /// A step began, waits, tries again or ended.
    Step {
        /// When.
        at: Timestamp,
        /// Of which run.
        run: RunId,
        /// Its path with iterations, such as `pens[3]/check`.
        step: String,
        /// Where it stands now.
        status: StepStatus,
        /// Attempts begun.
        attempt: u32,
    },
}

impl Progress {
    /// One line of JSON, without the line's end.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

type Listener = Box<dyn FnMut(&Progress) + Send>;

pub(super) struct Watch {
    listener: Listener,
    /// What the next commit makes true.
    pending: Vec<Progress>,
}

impl<J: Journal> Engine<J> {
    /// Calls `listener` for every change, in order, after the commit that made it durable.
    #[must_use]
    pub fn progress(mut self, listener: impl FnMut(&Progress) + Send + 'static) -> Self {
        self.progress = Some(Watch {
            listener: Box::new(listener),
            pending: Vec::new(),
        });
        self
    }

    pub(super) fn tell_run(
        &mut self,
        run: RunId,
        workflow: &str,
        status: RunStatus,
        at: Timestamp,
    ) {
        if let Some(watch) = &mut self.progress {
            watch.pending.push(Progress::Run {
                at,
                run,
                workflow: workflow.to_owned(),
                status,
            });
        }
    }

    pub(super) fn tell_changes(&mut self, run: &mut Run, at: Timestamp) {
        if let (Some(watch), Some(changes)) = (&mut self.progress, &mut run.changes) {
            let id = run.id;
            let told = changes.0.drain(..).map(|change| Progress::Step {
                at,
                run: id,
                step: change.path,
                status: change.status,
                attempt: change.attempts,
            });
            watch.pending.extend(told);
        }
    }

    /// Tells what has become durable.
    pub(super) fn tell(&mut self) {
        if let Some(watch) = &mut self.progress {
            for progress in watch.pending.drain(..) {
                (watch.listener)(&progress);
            }
        }
    }
}
