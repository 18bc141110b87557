//! The driver on tokio: asynchronous actions are tasks, synchronous ones run on the blocking pool.

use std::collections::HashMap;

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::{AbortHandle, Id, JoinSet};

use super::{Clock, SystemClock};
use crate::engine::{ActionError, ActionResult, Call, Command, Engine, Token, Work};
use crate::error::Result;
use crate::journal::Journal;
use crate::run::{RunId, RunInfo, RunStatus};

/// Drives an engine on a tokio runtime. Dropping it stops its asynchronous actions where they
/// wait; synchronous ones end by themselves, and nobody hears of them.
///
/// The engine itself runs on the task that calls. A commit blocks for as long as the journal
/// takes, on a runtime with several threads without holding up the other tasks of this one.
pub struct AsyncRunner<J, C = SystemClock> {
    engine: Engine<J>,
    clock: C,
    tasks: JoinSet<Option<ActionResult>>,
    tokens: HashMap<Id, Token>,
    stops: HashMap<Token, AbortHandle>,
}

impl<J: Journal> AsyncRunner<J> {
    /// A runner with the system's clock.
    pub fn new(engine: Engine<J>) -> Self {
        Self::with_clock(engine, SystemClock)
    }
}

impl<J: Journal, C: Clock> AsyncRunner<J, C> {
    /// A runner with another clock, such as a virtual one in tests.
    pub fn with_clock(engine: Engine<J>, clock: C) -> Self {
        Self {
            engine,
            clock,
            tasks: JoinSet::new(),
            tokens: HashMap::new(),
            stops: HashMap::new(),
        }
    }

    /// The engine, to trigger, signal and look.
    pub fn engine(&mut self) -> &mut Engine<J> {
        &mut self.engine
    }

    /// Runs until nothing can go on without time passing or an event, and no action is at work.
    /// Returns how many actions were answered. It may be dropped while it waits and called again.
    ///
    /// # Errors
    /// A journal that failed; call it again to go on.
    pub async fn run_until_idle(&mut self) -> Result<u64> {
        let mut executed = 0;
        loop {
            let now = self.clock.now();
            for command in self.step()? {
                match command {
                    Command::Execute(call) => self.spawn(call),
                    Command::Cancel(token) => {
                        if let Some(stop) = self.stops.remove(&token) {
                            stop.abort();
                        }
                    }
                }
            }
            if !self.tasks.is_empty() {
                executed += self.collect().await;
                continue;
            }
            let due = self.engine.next_wake().is_some_and(|due| due <= now);
            if !self.engine.has_work() && !due {
                return Ok(executed);
            }
        }
    }

    /// Runs, and sleeps through pauses, until `run` ended, or was parked or paused, or cannot go on
    /// without an event from outside.
    ///
    /// # Errors
    /// An unknown run, or a journal that failed.
    pub async fn run_until_ended(&mut self, run: RunId) -> Result<RunInfo> {
        loop {
            self.run_until_idle().await?;
            let info = self.engine.status(run)?;
            let next = self.engine.next_wake();
            let (RunStatus::Running, Some(due)) = (info.status, next) else {
                return Ok(info);
            };
            let nap = due.since(self.clock.now()).min(super::blocking::NAP_MAX);
            tokio::time::sleep(nap).await;
        }
    }

    fn step(&mut self) -> Result<Vec<Command>> {
        let now = self.clock.now();
        let engine = &mut self.engine;
        match Handle::current().runtime_flavor() {
            RuntimeFlavor::CurrentThread => engine.step(now),
            _ => tokio::task::block_in_place(|| engine.step(now)),
        }
    }

    fn spawn(&mut self, call: Call) {
        let token = call.token();
        let stop = if call.is_async() {
            self.tasks.spawn(async move {
                match call.perform() {
                    Work::Pending(future) => Some(future.await),
                    Work::Ready(result) => Some(result),
                    Work::External => None,
                }
            })
        } else {
            self.tasks.spawn_blocking(move || match call.perform() {
                Work::Ready(result) => Some(result),
                Work::Pending(_) | Work::External => None,
            })
        };
        self.tokens.insert(stop.id(), token);
        self.stops.insert(token, stop);
    }

    /// Waits for an answer, or until something is due, and takes what else has come.
    async fn collect(&mut self) -> u64 {
        let due = self.engine.next_wake();
        let nap = due.map_or(super::blocking::NAP_MAX, |due| due.since(self.clock.now()));
        let nap = nap.min(super::blocking::NAP_MAX);
        let mut answered = 0;
        let first = tokio::time::timeout(nap, self.tasks.join_next_with_id()).await;
        let mut next = first.ok().flatten();
        while let Some(joined) = next {
            let (id, result) = match joined {
                Ok((id, result)) => (id, result),
                Err(error) if error.is_panic() => {
                    let result = Err(ActionError::new("Panic", "the action panicked"));
                    (error.id(), Some(result))
                }
                // Stopped because nobody waits for it any more.
                Err(error) => (error.id(), None),
            };
            if let Some(token) = self.tokens.remove(&id) {
                self.stops.remove(&token);
                if let Some(result) = result {
                    answered += 1;
                    self.engine.complete(token, result, self.clock.now());
                }
            }
            next = self.tasks.try_join_next_with_id();
        }
        answered
    }
}
