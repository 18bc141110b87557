//! The engine: runs, timers and the journal, without threads, clock or I/O other than the journal.

mod breaker;
mod call;
mod events;
mod query;
mod recovery;

pub use call::{ActionError, ActionFuture, ActionResult, Call, Command, Output, Token, Work};

pub(crate) use call::Handler;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::future::Future;
use std::sync::Arc;

use serde_json::Value;

use crate::definition::Durability;
use crate::error::{Error, Result};
use crate::journal::{Batch, Journal, Op, StateWrites};
use crate::plan::{DefinitionHash, Kind, Plan, Workflow, link};
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

    /// Registers code under the name that steps use. It may run again after a crash or a timeout:
    /// see [`Call::idempotency_key`] and [`Output::write`].
    #[must_use]
    pub fn action<F, R>(mut self, name: impl Into<String>, action: F) -> Self
    where
        F: Fn(&Call) -> Result<R, ActionError> + Send + Sync + 'static,
        R: Into<Output>,
    {
        let handler = Handler::Sync(Arc::new(move |call| action(call).map(Into::into)));
        self.handlers.insert(name.into(), handler);
        self
    }

    /// Registers code that returns a future. No runtime is needed: the blocking runner waits for
    /// it, an asynchronous driver polls it.
    #[must_use]
    pub fn action_async<F, T, R>(mut self, name: impl Into<String>, action: F) -> Self
    where
        F: Fn(Call) -> T + Send + Sync + 'static,
        T: Future<Output = Result<R, ActionError>> + Send + 'static,
        R: Into<Output>,
    {
        let handler = Handler::Async(Arc::new(move |call| {
            let future = action(call);
            Box::pin(async move { future.await.map(Into::into) })
        }));
        self.handlers.insert(name.into(), handler);
        self
    }

    /// Declares an action that is done elsewhere: the driver sees the call, and whoever does the
    /// work answers through [`complete`](Self::complete).
    #[must_use]
    pub fn action_external(mut self, name: impl Into<String>) -> Self {
        self.handlers.insert(name.into(), Handler::External);
        self
    }

    /// The journal.
    pub fn journal(&self) -> &J {
        &self.journal
    }

    /// Makes a workflow the active version of its name: later triggers start it. Live runs keep
    /// the definition that they began with.
    ///
    /// # Errors
    /// An action that is not registered, or a sub-workflow that was not deployed before.
    pub fn deploy(&mut self, workflow: Workflow) -> Result<DefinitionHash> {
        let workflow = self.link(workflow)?;
        let deployed = self.bind(Arc::clone(&workflow.plan))?;
        let hash = workflow.plan.hash;
        self.deployed.insert(hash, deployed);
        self.active.insert(workflow.name().to_owned(), hash);
        if workflow.plan.durability != Durability::None {
            let value = serde_json::to_vec(&workflow.plan.definition).unwrap_or_default();
            self.batch.ops.push(Op::Put {
                space: space::DEFINITION,
                key: hash.to_string(),
                value,
            });
        }
        Ok(hash)
    }

    /// Puts the active definitions behind `workflow` steps into the definition.
    fn link(&self, workflow: Workflow) -> Result<Workflow> {
        let mut definition = workflow.plan.definition.clone();
        let find = |name: &str| {
            let hash = self.active.get(name)?;
            Some(self.deployed.get(hash)?.plan.definition.clone())
        };
        match link(&mut definition.steps, &find) {
            Ok(true) => Workflow::from_definition(definition),
            Ok(false) => Ok(workflow),
            Err(workflow) => Err(Error::UnknownWorkflow { workflow }),
        }
    }

    fn bind(&self, plan: Arc<Plan>) -> Result<Deployed> {
        let mut handlers = Vec::with_capacity(plan.blocks.len());
        for block in &plan.blocks {
            let mut row = Vec::with_capacity(block.steps.len());
            for step in &block.steps {
                row.push(match &step.kind {
                    Kind::Action { action, .. } => match self.handlers.get(&**action) {
                        Some(handler) => handler.clone(),
                        None => {
                            return Err(Error::UnknownAction {
                                workflow: plan.definition.name.clone(),
                                step: step.id.to_string(),
                                action: action.to_string(),
                            });
                        }
                    },
                    _ => Handler::External,
                });
            }
            handlers.push(row);
        }
        Ok(Deployed {
            plan,
            handlers: Arc::new(handlers),
        })
    }

    /// Starts a run of every active workflow that this event triggers; returns the last one.
    ///
    /// # Errors
    /// [`Error::NoTrigger`] when nothing listens, [`Error::Limit`] for an input that is too large.
    pub fn trigger(&mut self, event: &str, input: Value, now: Timestamp) -> Result<RunId> {
        self.ensure_recovered(now)?;
        let mut listening: Vec<DefinitionHash> = self
            .active
            .values()
            .filter(|hash| {
                let trigger = self
                    .deployed
                    .get(hash)
                    .and_then(|found| found.plan.definition.trigger.as_deref());
                trigger == Some(event)
            })
            .copied()
            .collect();
        listening.sort_unstable();
        let mut last = None;
        for hash in listening {
            last = Some(self.start_run(hash, input.clone(), None, now)?);
        }
        last.ok_or_else(|| Error::NoTrigger {
            event: event.to_owned(),
        })
    }

    /// Starts a run of a workflow by name. With a `key`, a second call with the same key returns
    /// the first one's run, live or ended, and starts nothing.
    ///
    /// # Errors
    /// [`Error::UnknownWorkflow`], [`Error::Limit`] for an input that is too large, or a journal
    /// that failed.
    pub fn start(
        &mut self,
        workflow: &str,
        key: Option<&str>,
        input: Value,
        now: Timestamp,
    ) -> Result<RunId> {
        self.ensure_recovered(now)?;
        let unknown = || Error::UnknownWorkflow {
            workflow: workflow.to_owned(),
        };
        let hash = *self.active.get(workflow).ok_or_else(unknown)?;
        let key = key.map(|key| format!("{workflow}/{key}"));
        if let Some(key) = &key
            && let Some(run) = self.run_of_key(key)?
        {
            return Ok(run);
        }
        self.start_run(hash, input, key, now)
    }

    fn run_of_key(&self, key: &str) -> Result<Option<RunId>> {
        if let Some((run, _)) = self.keys.iter().find(|(_, found)| *found == key) {
            return Ok(Some(*run));
        }
        let stored = self.journal.get(space::KEY, key)?;
        let number = stored
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|text| text.parse().ok());
        Ok(number.map(RunId::new))
    }

    fn start_run(
        &mut self,
        hash: DefinitionHash,
        input: Value,
        key: Option<String>,
        now: Timestamp,
    ) -> Result<RunId> {
        let Some(deployed) = self.deployed.get(&hash).cloned() else {
            return Err(Error::UnknownWorkflow {
                workflow: hash.to_string(),
            });
        };
        let id = RunId::new(self.run_next);
        let durable = deployed.plan.durability != Durability::None;
        let mut ops = Vec::new();
        if durable {
            let event = Event::Start {
                workflow: deployed.plan.definition.name.clone(),
                definition: hash,
                input: input.clone(),
            };
            ops.push(Op::Append {
                run: id,
                seq: 0,
                record: encode(&Record { now, event })?,
            });
        }
        self.run_next += 1;
        if self.run_next > self.run_reserved {
            self.run_reserved = self.run_next + RUN_RESERVE;
            let value = self.run_reserved.to_string().into_bytes();
            self.batch.ops.push(Op::Put {
                space: space::META,
                key: "run_next".to_owned(),
                value,
            });
        }
        self.batch.ops.append(&mut ops);
        let mut effects = std::mem::take(&mut self.effects);
        let mut run = Run::start(id, Arc::clone(&deployed.plan), input, now, &mut effects);
        run.seq = 1;
        self.runs.insert(id, run);
        if let Some(key) = key {
            if durable {
                let value = id.to_string().into_bytes();
                self.batch.ops.push(Op::Put {
                    space: space::KEY,
                    key: key.clone(),
                    value,
                });
            }
            self.keys.insert(id, key);
        }
        if durable {
            self.put_head(id, space::LIVE);
        }
        self.act(id, &mut effects, now);
        self.effects = effects;
        Ok(id)
    }

    /// Notes the result of a call. It is committed, and followed up, by the next
    /// [`step`](Self::step). A result that nobody waits for any more is counted and dropped.
    pub fn complete(&mut self, token: Token, result: ActionResult, now: Timestamp) {
        let _ = now;
        let at = token.at;
        let (event, writes) = match result {
            Ok(output) if !output.writes.is_empty() && !self.commits_state_writes(token.run) => {
                let message = "the result carries state writes, and this run's journal cannot commit them with the step";
                (failed(at, "StateWritesUnsupported", message), Vec::new())
            }
            Ok(output) => (
                Event::Done {
                    at,
                    output: output.value,
                },
                output.writes,
            ),
            Err(error) => (failed(at, &error.name, &error.message), Vec::new()),
        };
        self.queue.push_back((token.run, event, writes));
    }

    fn commits_state_writes(&self, run: RunId) -> bool {
        let durable = self
            .runs
            .get(&run)
            .is_some_and(|run| run.plan.durability == Durability::Step);
        durable && self.journal.state_writes() == StateWrites::Atomic
    }

    pub(crate) fn live(&self, run: RunId) -> Result<&Run> {
        self.runs.get(&run).ok_or(Error::UnknownRun { run })
    }

    /// Applies what was noted and what is due, commits it as one transaction, and says what to do
    /// next. Work is handed out only after everything before it is durable.
    ///
    /// # Errors
    /// A journal that failed: nothing is handed out, and the next call tries to commit again.
    pub fn step(&mut self, now: Timestamp) -> Result<Vec<Command>> {
        self.ensure_recovered(now)?;
        while let Some((run, event, writes)) = self.queue.pop_front() {
            self.apply(run, event, writes, now)?;
        }
        while let Some(Reverse((due, run, frame, step, attempt))) = self.timers.peek().copied() {
            if due > now {
                break;
            }
            self.timers.pop();
            self.apply(
                run,
                Event::Timer {
                    at: Place {
                        frame,
                        step,
                        attempt,
                    },
                },
                Vec::new(),
                now,
            )?;
        }
        if !self.batch.ops.is_empty() {
            self.journal.commit(&self.batch)?;
            self.batch.ops.clear();
        }
        Ok(std::mem::take(&mut self.commands))
    }

    fn apply(
        &mut self,
        id: RunId,
        event: Event,
        writes: Vec<crate::journal::StateWrite>,
        now: Timestamp,
    ) -> Result<()> {
        let Some(run) = self.runs.get_mut(&id) else {
            self.stale_results +=
                u64::from(matches!(event, Event::Done { .. } | Event::Fail { .. }));
            return Ok(());
        };
        if !run.accepts(&event, now) {
            self.stale_results +=
                u64::from(matches!(event, Event::Done { .. } | Event::Fail { .. }));
            return Ok(());
        }
        let event = if run.plan.durability == Durability::Step {
            let record = Record { now, event };
            match encode(&record) {
                Ok(bytes) => {
                    self.batch.ops.push(Op::Append {
                        run: id,
                        seq: run.seq,
                        record: bytes,
                    });
                    run.seq += 1;
                    self.batch.ops.extend(writes.into_iter().map(Op::State));
                    record.event
                }
                // Too large to keep: the step fails instead, and that fits.
                Err(error) => {
                    let event = match record.event {
                        Event::Done { at, .. } => failed(at, "OutputTooLarge", &error.to_string()),
                        _ => return Err(error),
                    };
                    let record = Record { now, event };
                    self.batch.ops.push(Op::Append {
                        run: id,
                        seq: run.seq,
                        record: encode(&record)?,
                    });
                    run.seq += 1;
                    record.event
                }
            }
        } else {
            event
        };
        self.count_for_breaker(id, &event, now);
        let Some(run) = self.runs.get_mut(&id) else {
            return Ok(());
        };
        let mut effects = std::mem::take(&mut self.effects);
        run.apply(event, now, &mut effects);
        self.act(id, &mut effects, now);
        self.effects = effects;
        Ok(())
    }

    /// Carries out the effects of a record.
    fn act(&mut self, id: RunId, effects: &mut Vec<Effect>, now: Timestamp) {
        for effect in effects.drain(..) {
            match effect {
                Effect::Execute {
                    at,
                    params,
                    deadline,
                } => self.execute(id, at, params, deadline, now),
                Effect::Timer { at, due } => {
                    self.timers
                        .push(Reverse((due, id, at.frame, at.step, at.attempt)));
                }
                Effect::Cancel { at } => {
                    let token = Token { run: id, at };
                    // Work that was not handed out yet is simply taken back.
                    let before = self.commands.len();
                    self.commands.retain(
                        |command| !matches!(command, Command::Execute(call) if call.token == token),
                    );
                    if self.commands.len() == before {
                        self.commands.push(Command::Cancel(token));
                    }
                }
                Effect::Ended => self.ended(id, now),
            }
        }
    }

    fn execute(
        &mut self,
        id: RunId,
        at: Place,
        params: Value,
        deadline: Option<Timestamp>,
        now: Timestamp,
    ) {
        let Some(run) = self.runs.get(&id) else {
            return;
        };
        let Some(frame) = run.frame(at.frame) else {
            return;
        };
        let block = frame.block;
        let Some(deployed) = self.deployed.get(&run.plan.hash) else {
            return;
        };
        let handler = deployed
            .handlers
            .get(block as usize)
            .and_then(|row| row.get(at.step as usize));
        let (Some(handler), Some(step)) = (handler, run.plan.step(block, at.step)) else {
            return;
        };
        let Kind::Action { action, .. } = &step.kind else {
            return;
        };
        if step.breaker.is_some() && self.breaker_is_open(action, now) {
            self.queue
                .push_back((id, breaker::stopped(at, action), Vec::new()));
            return;
        }
        self.commands.push(Command::Execute(Call {
            token: Token { run: id, at },
            path: Arc::clone(&frame.path),
            plan: Arc::clone(&run.plan),
            block,
            action: Arc::clone(action),
            params,
            input: Arc::clone(&run.input),
            started_at: run.started_at,
            deadline,
            handler: handler.clone(),
        }));
    }

    fn ended(&mut self, id: RunId, now: Timestamp) {
        let durable = self
            .runs
            .get(&id)
            .is_some_and(|run| run.plan.durability != Durability::None);
        if let Some(run) = self.runs.get(&id) {
            let mut info = self.describe(run);
            info.ended_at = Some(now);
            if durable {
                let value = serde_json::to_vec(&info).unwrap_or_default();
                self.batch.ops.push(Op::Delete {
                    space: space::LIVE,
                    key: run_key(id),
                });
                self.batch.ops.push(Op::Put {
                    space: space::ENDED,
                    key: run_key(id),
                    value,
                });
            } else {
                self.parked.insert(id, info);
            }
        }
        self.runs.remove(&id);
        self.keys.remove(&id);
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
