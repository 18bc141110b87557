//! The engine: runs, timers and the journal, without threads, clock or I/O other than the journal.

mod admission;
mod advance;
mod audit;
mod breaker;
mod call;
mod control;
mod deploy;
mod events;
mod latency;
mod lease;
mod progress;
mod query;
mod recovery;
mod start;
mod tenant;
mod upgrade;

pub use admission::{Budget, Held, Link};
pub use audit::{AuditAct, AuditEntry};
pub use call::{ActionError, ActionFuture, ActionResult, Call, Command, Output, Token, Work};
pub use latency::StepLatency;
pub use progress::Progress;
pub use start::Start;
pub use tenant::Quota;

pub(crate) use call::Handler;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::journal::{Batch, Journal, Op, StateWrite};
use crate::numbers::ByNumber;
use crate::plan::{DefinitionHash, Plan, Tier};
use crate::run::{Event, Failure, Place, Record, Run, RunId, RunInfo, RunStatus, Scratch};
use crate::time::Timestamp;

/// Spaces of the journal.
pub(crate) mod space {
    pub(crate) const LIVE: &str = "live";
    pub(crate) const ENDED: &str = "ended";
    pub(crate) const DEFINITION: &str = "definition";
    pub(crate) const KEY: &str = "key";
    pub(crate) const META: &str = "meta";
    pub(crate) const AUDIT: &str = "audit";
}

/// Run numbers are reserved in the journal this many at a time.
const RUN_RESERVE: u64 = 1024;
/// Largest trigger input or step output, as JSON text.
pub const RECORD_LEN_MAX: usize = 4 << 20;
/// Ended runs without durability that can still be looked at.
const FORGOTTEN_LEN_MAX: usize = 1024;

/// Durable workflows over a journal.
///
/// The engine is driven: [`trigger`](Self::trigger), [`complete`](Self::complete) and the like
/// note what happened, [`step`](Self::step) commits it and says what to do. A
/// [`Runner`](crate::Runner) does this for programs that need nothing special.
pub struct Engine<J> {
    journal: J,
    handlers: HashMap<String, Handler>,
    /// Who does the work that belongs on another tier.
    tiers: HashMap<Tier, Handler>,
    deployed: HashMap<DefinitionHash, Arc<Deployed>, ByNumber>,
    active: HashMap<String, Versions>,
    runs: HashMap<RunId, Box<Run>, ByNumber>,
    parked: HashMap<RunId, RunInfo>,
    /// Ended runs that no journal keeps, the oldest first.
    unkept: VecDeque<Ended>,
    keys: HashMap<RunId, Arc<str>, ByNumber>,
    keyed: HashMap<Arc<str>, RunId>,
    /// Keys of runs that ended since the last commit.
    keyed_ended: Vec<Arc<str>>,
    timers: BinaryHeap<Reverse<Due>>,
    queue: VecDeque<(RunId, Event, Vec<StateWrite>)>,
    batch: Batch,
    commands: Vec<Command>,
    scratch: Scratch,
    run_next: u64,
    run_reserved: u64,
    recovered: bool,
    recoveries_max: u32,
    stale_results: u64,
    breakers: HashMap<String, breaker::BreakerState>,
    admission: admission::Admission,
    tenants: tenant::Tenants,
    audit: audit::Audit,
    latencies: Option<latency::Latencies>,
    progress: Option<progress::Watch>,
    lease: Option<lease::Lease>,
}

/// A timer: when, and for frame, step and attempt of which run. Old ones stay until they are due.
type Due = (Timestamp, RunId, u32, u32, u32);

/// The versions of one workflow: the one that triggers start, and the one before it.
#[derive(Debug, Clone, Copy)]
struct Versions {
    active: DefinitionHash,
    before: Option<DefinitionHash>,
}

pub(crate) struct Deployed {
    plan: Arc<Plan>,
    /// By block and step.
    handlers: Vec<Vec<Handler>>,
}

impl Deployed {
    fn handler(&self, block: u32, step: u32) -> Option<&Handler> {
        self.handlers.get(block as usize)?.get(step as usize)
    }
}

struct Ended {
    id: RunId,
    plan: Arc<Plan>,
    status: RunStatus,
    started_at: Timestamp,
    ended_at: Timestamp,
    output: Value,
    failure: Option<Failure>,
}

/// What the journal keeps of a live run beside its log.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Head {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    /// How often in a row it was read back without having got any further.
    #[serde(default, skip_serializing_if = "is_zero")]
    recoveries: u32,
    /// Length of its log then.
    #[serde(default, skip_serializing_if = "is_zero")]
    seq: u64,
    /// Set aside, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parked: Option<RunInfo>,
}

fn is_zero<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Head {
    fn put(&self, run: RunId) -> Op {
        Op::Put {
            space: space::LIVE,
            key: run_key(run),
            value: serde_json::to_vec(self).unwrap_or_default(),
        }
    }
}

impl<J: Journal> Engine<J> {
    /// An engine over a journal. Register actions, deploy workflows, then drive it; runs that a
    /// former process left in the journal go on with the first call that takes a time.
    pub fn new(journal: J) -> Self {
        Self {
            journal,
            handlers: HashMap::new(),
            tiers: HashMap::new(),
            deployed: HashMap::default(),
            active: HashMap::new(),
            runs: HashMap::default(),
            parked: HashMap::new(),
            unkept: VecDeque::new(),
            keys: HashMap::default(),
            keyed: HashMap::new(),
            keyed_ended: Vec::new(),
            timers: BinaryHeap::new(),
            queue: VecDeque::new(),
            batch: Batch::default(),
            commands: Vec::new(),
            scratch: Scratch::default(),
            run_next: 1,
            run_reserved: 1,
            recovered: false,
            recoveries_max: recovery::RECOVERIES_MAX,
            stale_results: 0,
            breakers: HashMap::new(),
            admission: admission::Admission::default(),
            tenants: tenant::Tenants::default(),
            audit: audit::Audit::default(),
            latencies: None,
            progress: None,
            lease: None,
        }
    }

    /// The journal.
    pub fn journal(&self) -> &J {
        &self.journal
    }

    pub(crate) fn live(&self, run: RunId) -> Result<&Run> {
        let found = self.runs.get(&run).ok_or(Error::UnknownRun { run })?;
        Ok(found)
    }

    fn describe(&self, run: &Run) -> RunInfo {
        let failure = run.rare.as_ref().and_then(|rare| rare.failure.clone());
        RunInfo {
            id: run.id,
            workflow: run.plan.definition.name.clone(),
            definition: run.plan.hash,
            status: run.status,
            started_at: run.origin.started_at,
            ended_at: None,
            output: run.output.clone(),
            failure,
            key: self.keys.get(&run.id).map(|key| key.to_string()),
            tenant: run.origin.tenant.as_deref().map(str::to_owned),
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
        failure: Failure::new(name, message),
    }
}

/// Keys of runs sort as their numbers do.
pub(crate) fn run_key(run: RunId) -> String {
    number_key(run.as_u64())
}

fn number_key(number: u64) -> String {
    const DIGITS: usize = 20;
    let mut digits = [b'0'; DIGITS];
    let mut rest = number;
    for digit in digits.iter_mut().rev() {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    String::from_utf8_lossy(&digits).into_owned()
}

/// A record as the journal keeps it.
fn encode(record: &Record) -> Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(128);
    write_record(&mut bytes, record).map_err(|error| Error::Format {
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

/// The records that every run has by hand, byte for byte what the derived writer gives: that one
/// copies all of an event into a tree before it writes it (serde's `flatten`).
fn write_record(bytes: &mut Vec<u8>, record: &Record) -> serde_json::Result<()> {
    if !matches!(record.event, Event::Start { .. } | Event::Done { .. }) {
        return serde_json::to_writer(bytes, record);
    }
    bytes.extend_from_slice(b"{\"now\":");
    serde_json::to_writer(&mut *bytes, &record.now)?;
    match &record.event {
        Event::Done { at, output } => {
            for (name, number) in [
                (&b",\"done\":{\"at\":{\"f\":"[..], at.frame),
                (b",\"s\":", at.step),
                (b",\"n\":", at.attempt),
            ] {
                bytes.extend_from_slice(name);
                serde_json::to_writer(&mut *bytes, &number)?;
            }
            bytes.extend_from_slice(b"},\"output\":");
            serde_json::to_writer(&mut *bytes, output)?;
        }
        Event::Start {
            workflow,
            definition,
            input,
            tenant,
        } => {
            bytes.extend_from_slice(b",\"start\":{\"workflow\":");
            serde_json::to_writer(&mut *bytes, workflow)?;
            bytes.extend_from_slice(b",\"definition\":");
            serde_json::to_writer(&mut *bytes, definition)?;
            bytes.extend_from_slice(b",\"input\":");
            serde_json::to_writer(&mut *bytes, input)?;
            if let Some(tenant) = tenant {
                bytes.extend_from_slice(b",\"tenant\":");
                serde_json::to_writer(&mut *bytes, tenant)?;
            }
        }
        _ => {}
    }
    bytes.extend_from_slice(b"}}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn records_written_by_hand_are_those_of_the_derived_writer() {
        for (now, frame, step, attempt) in
            [(0, 0, 0, 0), (-5, 7, 80, 900), (i64::MAX, u32::MAX, 1, 2)]
        {
            for output in [
                json!(null),
                json!({"a": [1, 2.5, "\u{1}\"x"], "b": {}}),
                json!("é"),
            ] {
                let at = Place {
                    frame,
                    step,
                    attempt,
                };
                let start = |tenant: Option<&str>| Event::Start {
                    workflow: "a \"b\"".to_owned(),
                    definition: DefinitionHash::of(b"x"),
                    input: output.clone(),
                    tenant: tenant.map(Into::into),
                };
                let done = Event::Done {
                    at,
                    output: output.clone(),
                };
                for event in [start(None), start(Some("north")), done] {
                    let now = Timestamp::from_millis(now);
                    let record = Record { now, event };
                    let expected = serde_json::to_vec(&record).unwrap();
                    assert_eq!(encode(&record).unwrap(), expected);
                }
            }
        }
    }

    #[test]
    fn keys_of_numbers_have_twenty_digits() {
        for number in [0, 7, 10, 1_234_567_890, u64::MAX] {
            assert_eq!(number_key(number), format!("{number:020}"));
        }
    }
}
