//! The driver for one thread: actions run where it is called.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use super::{Clock, SystemClock};
use crate::engine::{ActionFuture, ActionResult, Command, Engine, Work};
use crate::error::Result;
use crate::journal::Journal;
use crate::run::{RunId, RunInfo, RunStatus};

/// Longest sleep between two looks at the clock, so that a stepped clock is noticed.
pub(super) const NAP_MAX: Duration = Duration::from_millis(250);

/// Drives an engine on the calling thread.
pub struct Runner<J, C = SystemClock> {
    engine: Engine<J>,
    clock: C,
}

impl<J: Journal> Runner<J> {
    /// A runner with the system's clock.
    pub fn blocking(engine: Engine<J>) -> Self {
        Self::with_clock(engine, SystemClock)
    }
}

impl<J: Journal, C: Clock> Runner<J, C> {
    /// A runner with another clock, such as a virtual one in tests.
    pub fn with_clock(engine: Engine<J>, clock: C) -> Self {
        Self { engine, clock }
    }

    /// The engine, to trigger, signal and look.
    pub fn engine(&mut self) -> &mut Engine<J> {
        &mut self.engine
    }

    /// Gives the engine back.
    pub fn into_engine(self) -> Engine<J> {
        self.engine
    }

    /// Runs until nothing can go on without time passing or an event; waiting runs stay parked.
    /// Returns how many actions ran.
    ///
    /// # Errors
    /// A journal that failed; call it again to go on.
    pub fn run_until_idle(&mut self) -> Result<u64> {
        let mut executed = 0;
        let mut commands = Vec::new();
        loop {
            self.engine.step_into(self.clock.now(), &mut commands)?;
            for command in commands.drain(..) {
                if let Command::Execute(call) = command {
                    let result = match call.perform() {
                        Work::Ready(result) => result,
                        Work::Pending(future) => block_on(future),
                        Work::External => continue,
                    };
                    executed += 1;
                    self.engine.complete(call.token(), result, self.clock.now());
                }
            }
            let due = self
                .engine
                .next_wake()
                .is_some_and(|due| due <= self.clock.now());
            if !self.engine.has_work() && !due {
                return Ok(executed);
            }
        }
    }

    /// Runs, and sleeps through pauses, until `run` ended or was parked, or cannot go on without
    /// an event from outside (then the status is still [`RunStatus::Running`]).
    ///
    /// # Errors
    /// An unknown run, or a journal that failed.
    pub fn run_until_ended(&mut self, run: RunId) -> Result<RunInfo> {
        loop {
            self.run_until_idle()?;
            let info = self.engine.status(run)?;
            if info.status != RunStatus::Running {
                return Ok(info);
            }
            let Some(due) = self.engine.next_wake() else {
                return Ok(info);
            };
            let nap = due.since(self.clock.now());
            if !nap.is_zero() {
                thread::sleep(nap.min(NAP_MAX));
            }
        }
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls a future on this thread until it is done.
pub(super) fn block_on(future: ActionFuture) -> ActionResult {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(result) => return result,
            Poll::Pending => thread::park(),
        }
    }
}
