//! The driver with a pool: actions run on as many threads as the caller says, the engine on the
//! calling thread. Answers that arrived together are committed together.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::blocking::{NAP_MAX, block_on};
use super::{Clock, SystemClock};
use crate::engine::{ActionError, ActionResult, Call, Command, Engine, Token, Work};
use crate::error::Result;
use crate::journal::Journal;
use crate::run::{RunId, RunInfo, RunStatus};

/// In which order the answers of one run are applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As they come: fastest. Where steps run beside each other, the log tells who was faster.
    Arrival,
    /// As the calls were handed out: the log of a run is the same on any number of threads.
    HandedOut,
}

/// Drives an engine with a pool of threads. They end when the pool is dropped, after the actions
/// that they are at.
pub struct Pool<J, C = SystemClock> {
    engine: Engine<J>,
    clock: C,
    order: Order,
    jobs: Arc<Jobs>,
    answers: Receiver<Answer>,
    threads: Vec<JoinHandle<()>>,
    /// Calls that are queued or running.
    open: usize,
    arrivals: u64,
    /// Calls of each run in the order handed out, with the answers that came early.
    lanes: HashMap<RunId, VecDeque<(Token, Option<ActionResult>)>>,
}

type Answer = (Token, Option<ActionResult>);

/// The most urgent first, then the oldest.
struct Job {
    rank: Reverse<(crate::Priority, u64)>,
    call: Call,
}

impl PartialEq for Job {
    fn eq(&self, other: &Self) -> bool {
        self.rank == other.rank
    }
}

impl Eq for Job {}

impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Job {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.rank.cmp(&other.rank)
    }
}

#[derive(Default)]
struct Jobs {
    queue: Mutex<Queue>,
    ready: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: BinaryHeap<Job>,
    closed: bool,
}

impl Jobs {
    // Nothing panics while the lock is held.
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Call> {
        let mut queue = self.queue();
        loop {
            if queue.closed {
                return None;
            }
            if let Some(job) = queue.jobs.pop() {
                return Some(job.call);
            }
            queue = self
                .ready
                .wait(queue)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

fn work(jobs: &Jobs, answers: &Sender<Answer>) {
    while let Some(call) = jobs.next() {
        let token = call.token();
        let run = || match call.perform() {
            Work::Ready(result) => Some(result),
            Work::Pending(future) => Some(block_on(future)),
            Work::External => None,
        };
        // One action's panic must not cost the other runs their thread.
        let answer = catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
            let message = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned());
            let message = message.unwrap_or_else(|| "the action panicked".to_owned());
            Some(Err(ActionError::new("Panic", message)))
        });
        if answers.send((token, answer)).is_err() {
            return;
        }
    }
}

impl<J: Journal> Pool<J> {
    /// A pool of `threads` threads with the system's clock.
    pub fn new(engine: Engine<J>, threads: NonZeroUsize) -> Self {
        Self::with_clock(engine, threads, Order::Arrival, SystemClock)
    }
}

impl<J: Journal, C: Clock> Pool<J, C> {
    /// A pool with an order of answers and a clock.
    pub fn with_clock(engine: Engine<J>, threads: NonZeroUsize, order: Order, clock: C) -> Self {
        let jobs = Arc::<Jobs>::default();
        let (sender, answers) = channel();
        let threads = (0..threads.get())
            .map(|_| {
                let (jobs, sender) = (Arc::clone(&jobs), sender.clone());
                thread::spawn(move || work(&jobs, &sender))
            })
            .collect();
        Self {
            engine,
            clock,
            order,
            jobs,
            answers,
            threads,
            open: 0,
            arrivals: 0,
            lanes: HashMap::new(),
        }
    }

    /// The engine, to trigger, signal and look.
    pub fn engine(&mut self) -> &mut Engine<J> {
        &mut self.engine
    }

    /// Runs until nothing can go on without time passing or an event, and no action is at work.
    /// Returns how many actions were answered.
    ///
    /// # Errors
    /// A journal that failed; call it again to go on.
    pub fn run_until_idle(&mut self) -> Result<u64> {
        let mut executed = 0;
        loop {
            let now = self.clock.now();
            for command in self.engine.step(now)? {
                match command {
                    Command::Execute(call) => self.submit(call),
                    Command::Cancel(token) => self.withdraw(token),
                }
            }
            let fed = self.feed();
            if fed > 0 {
                executed += fed;
                continue;
            }
            if self.open > 0 {
                executed += self.collect();
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
    pub fn run_until_ended(&mut self, run: RunId) -> Result<RunInfo> {
        loop {
            self.run_until_idle()?;
            let info = self.engine.status(run)?;
            let next = self.engine.next_wake();
            let (RunStatus::Running, Some(due)) = (info.status, next) else {
                return Ok(info);
            };
            thread::sleep(due.since(self.clock.now()).min(NAP_MAX));
        }
    }

    fn submit(&mut self, call: Call) {
        if self.order == Order::HandedOut {
            let lane = self.lanes.entry(call.run()).or_default();
            lane.push_back((call.token(), None));
        }
        self.arrivals += 1;
        self.open += 1;
        let rank = Reverse((call.priority(), self.arrivals));
        self.jobs.queue().jobs.push(Job { rank, call });
        self.jobs.ready.notify_one();
    }

    /// Takes a call back that no thread has begun.
    fn withdraw(&mut self, token: Token) {
        let mut queue = self.jobs.queue();
        let before = queue.jobs.len();
        queue.jobs.retain(|job| job.call.token() != token);
        let gone = before - queue.jobs.len();
        drop(queue);
        self.open -= gone;
        if gone > 0 {
            self.leave_lane(token);
        }
    }

    fn leave_lane(&mut self, token: Token) {
        if let Some(lane) = self.lanes.get_mut(&token.run()) {
            lane.retain(|(found, _)| *found != token);
        }
    }

    /// Hands the engine the next answer of each lane that has it. One a run and round, so that what
    /// falls due meanwhile comes at the same place in the log however fast the threads are.
    fn feed(&mut self) -> u64 {
        let mut fed = 0;
        for lane in self.lanes.values_mut() {
            if let Some((_, Some(_))) = lane.front()
                && let Some((token, Some(result))) = lane.pop_front()
            {
                self.engine.complete(token, result, self.clock.now());
                fed += 1;
            }
        }
        self.lanes.retain(|_, lane| !lane.is_empty());
        fed
    }

    /// Waits for an answer, or until something is due, and takes what else has come.
    fn collect(&mut self) -> u64 {
        let until = self
            .engine
            .next_wake()
            .map_or(NAP_MAX, |due| due.since(self.clock.now()).min(NAP_MAX));
        let mut next = self.answers.recv_timeout(until).ok();
        let mut answered = 0;
        while let Some((token, result)) = next {
            self.open -= 1;
            answered += self.answer(token, result);
            next = self.answers.try_recv().ok();
        }
        answered
    }

    /// Takes an answer; returns how many that gave to the engine.
    fn answer(&mut self, token: Token, result: Option<ActionResult>) -> u64 {
        match (self.order, result) {
            (Order::Arrival, Some(result)) => {
                self.engine.complete(token, result, self.clock.now());
                return 1;
            }
            (Order::Arrival, None) => {}
            (Order::HandedOut, None) => self.leave_lane(token),
            (Order::HandedOut, result) => {
                let lane = self.lanes.get_mut(&token.run());
                let entry =
                    lane.and_then(|lane| lane.iter_mut().find(|(found, _)| *found == token));
                if let Some((_, slot)) = entry {
                    *slot = result;
                }
            }
        }
        0
    }
}

impl<J, C> Drop for Pool<J, C> {
    fn drop(&mut self) {
        self.jobs.queue().closed = true;
        self.jobs.ready.notify_all();
        for thread in self.threads.drain(..) {
            // A thread that panicked outside of an action has nothing left to say.
            drop(thread.join());
        }
    }
}
