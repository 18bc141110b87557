//! The engine: runs, timers and the journal, without threads, clock or I/O other than the journal.

mod advance;
mod breaker;
mod call;
mod deploy;
mod events;
mod query;
mod recovery;
mod start;

pub use call::{ActionError, ActionFuture, ActionResult, Call, Command, Output, Token, Work};

pub(crate) use call::Handler;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::journal::{Batch, Journal, Op};
use crate::plan::{DefinitionHash, Plan};
use crate::run::{Effect, Event, Failure, Place, Record, Run, RunId, RunInfo};
use crate::time::Timestamp;

/// Spaces of the journal.
pub(crate) mod space {
    pub(crate) const LIVE: &str = "live";
    pub(crate) const ENDED: &str = "ended";
    pub(crate) const DEFINITION: &str = "definition";
    pub(crate) const KEY: &str = "key";
    pub(crate) const META: &str = "meta";
}

/// Run numbers are reserved in the journal this many at a time.
const RUN_RESERVE: u64 = 1024;
/// Largest trigger input or step output, as JSON text.
pub const RECORD_LEN_MAX: usize = 4 << 20;

/// Durable workflows over a journal.
///
/// The engine is driven: [`trigger`](Self::trigger), [`complete`](Self::complete) and the like
/// note what happened, [`step`](Self::step) commits it and says what to do. A
/// [`Runner`](crate::Runner) does this for programs that need nothing special.
pub struct Engine<J> {
    journal: J,
    handlers: HashMap<String, Handler>,
    deployed: HashMap<DefinitionHash, Deployed>,
    active: HashMap<String, DefinitionHash>,
    runs: HashMap<RunId, Run>,
    parked: HashMap<RunId, RunInfo>,
    keys: HashMap<RunId, String>,
    timers: BinaryHeap<Reverse<Due>>,
    queue: VecDeque<(RunId, Event, Vec<crate::journal::StateWrite>)>,
    batch: Batch,
    commands: Vec<Command>,
    effects: Vec<Effect>,
    run_next: u64,
    run_reserved: u64,
    recovered: bool,
    stale_results: u64,
    breakers: HashMap<String, breaker::BreakerState>,
}

/// A timer: when, and for frame, step and attempt of which run. Old ones stay until they are due.
type Due = (Timestamp, RunId, u32, u32, u32);

#[derive(Clone)]
pub(crate) struct Deployed {
    plan: Arc<Plan>,
    /// By block and step.
    handlers: Arc<Vec<Vec<Handler>>>,
}

impl<J: Journal> Engine<J> {
    /// An engine over a journal. Register actions, deploy workflows, then drive it; runs that a
    /// former process left in the journal go on with the first call that takes a time.
    pub fn new(journal: J) -> Self {
        Self {
            journal,
            handlers: HashMap::new(),
            deployed: HashMap::new(),
            active: HashMap::new(),
            runs: HashMap::new(),
            parked: HashMap::new(),
            keys: HashMap::new(),
            timers: BinaryHeap::new(),
            queue: VecDeque::new(),
            batch: Batch::default(),
            commands: Vec::new(),
            effects: Vec::new(),
            run_next: 1,
            run_reserved: 1,
            recovered: false,
            stale_results: 0,
            breakers: HashMap::new(),
        }
    }

    /// The journal.
    pub fn journal(&self) -> &J {
        &self.journal
    }

    pub(crate) fn live(&self, run: RunId) -> Result<&Run> {
        self.runs.get(&run).ok_or(Error::UnknownRun { run })
    }

    fn put_head(&mut self, id: RunId, space: &'static str) {
        if let Some(run) = self.runs.get(&id) {
            let value = serde_json::to_vec(&self.describe(run)).unwrap_or_default();
            self.batch.ops.push(Op::Put {
                space,
                key: run_key(id),
                value,
            });
        }
    }

    fn describe(&self, run: &Run) -> RunInfo {
        RunInfo {
            id: run.id,
            workflow: run.plan.definition.name.clone(),
            definition: run.plan.hash,
            status: run.status,
            started_at: run.started_at,
            ended_at: None,
            output: run.output.clone(),
            failure: run.failure.clone(),
            key: self.keys.get(&run.id).cloned(),
        }
    }

    fn ensure_recovered(&mut self, now: Timestamp) -> Result<()> {
        if self.recovered {
            return Ok(());
        }
        self.recover(now)
    }
}

fn failed(at: Place, name: &str, message: &str) -> Event {
    Event::Fail {
        at,
        failure: Failure {
            name: name.to_owned(),
            message: message.to_owned(),
            step: None,
        },
    }
}

/// Keys of runs sort as their numbers do.
pub(crate) fn run_key(run: RunId) -> String {
    format!("{:020}", run.as_u64())
}

fn encode(record: &Record) -> Result<Vec<u8>> {
    let bytes = serde_json::to_vec(record).map_err(|error| Error::Format {
        message: error.to_string(),
    })?;
    if bytes.len() > RECORD_LEN_MAX {
        let (found, limit) = (bytes.len() as u64, RECORD_LEN_MAX as u64);
        return Err(Error::Limit {
            what: "bytes of an input or output",
            found,
            limit,
        });
    }
    Ok(bytes)
}
