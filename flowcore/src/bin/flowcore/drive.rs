//! Drives one run: time (virtual or real), actions, events from a list, progress as steps change.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::error::Error;
use std::thread;

use flowcore::definition::EventDef;
use flowcore::{
    ActionError, ActionResult, Call, Clock, Command, Decision, Engine, Journal, Replay, RunId,
    RunInfo, RunStatus, StepInfo, SystemClock, Timestamp, Token, Verdict, Workflow, parse_span,
};
use serde_json::{Value, json};

use crate::actions::{self, Programs};
use crate::mocks::Mocks;
use crate::tee::{Committed, Tee};

/// Where time comes from.
pub enum Time {
    Real,
    Virtual(Timestamp),
}

impl Time {
    pub fn now(&self) -> Timestamp {
        match self {
            Time::Real => SystemClock.now(),
            Time::Virtual(now) => *now,
        }
    }

    fn wait_until(&mut self, due: Timestamp) {
        match self {
            Time::Real => thread::sleep(due.since(self.now())),
            Time::Virtual(now) => *now = due.max(*now),
        }
    }
}

/// What performs actions.
pub struct Actions {
    pub mocks: Mocks,
    pub programs: Programs,
    pub unknown: Unknown,
}

/// What becomes of actions that are neither mocked nor built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// The workflow is not run.
    Refused,
    /// They fail when they are called.
    Failed,
    /// They give their params.
    Echo,
}

impl Actions {
    /// The actions of a workflow that nothing performs.
    pub fn missing(&self, names: &BTreeSet<String>) -> Vec<String> {
        let missing = names.iter().filter(|name| {
            self.unknown == Unknown::Refused
                && !self.mocks.covers(name)
                && !actions::is_built_in(name)
        });
        missing.cloned().collect()
    }

    fn perform(&mut self, call: &Call) -> (ActionResult, std::time::Duration) {
        if let Some(mocked) = self.mocks.perform(call) {
            return mocked;
        }
        let result = actions::perform(call, self.programs).unwrap_or_else(|| match self.unknown {
            Unknown::Echo => Ok(call.params().clone().into()),
            Unknown::Refused | Unknown::Failed => Err(ActionError::new(
                "UnknownAction",
                format!("no mock for `{}` at step `{}`", call.action(), call.step()),
            )),
        });
        (result, std::time::Duration::ZERO)
    }
}

/// Takes lines of progress.
pub type Progress<'p> = &'p mut dyn FnMut(Value);

/// One run and what it needs.
pub struct Drive<'p, J> {
    pub engine: Engine<Tee<J>>,
    pub committed: Committed,
    pub actions: Actions,
    pub time: Time,
    pub progress: Progress<'p>,
    pub calls: BTreeMap<String, u64>,
    pub steps: Vec<StepInfo>,
    events: Vec<(Timestamp, EventDef)>,
    running: BinaryHeap<Reverse<(Timestamp, u64)>>,
    results: HashMap<u64, (Token, ActionResult)>,
    result_next: u64,
    replay: Option<Replay>,
}

impl<'p, J: Journal> Drive<'p, J> {
    /// An engine over `journal` with every action of `workflows` declared, and all of them deployed.
    pub fn new(
        journal: J,
        workflows: Vec<Workflow>,
        actions: Actions,
        time: Time,
        progress: Progress<'p>,
    ) -> Result<Self, Box<dyn Error>> {
        let mut names = BTreeSet::new();
        for workflow in &workflows {
            names.extend(crate::files::actions(workflow));
        }
        let missing = actions.missing(&names);
        if !missing.is_empty() {
            let built_in: Vec<&str> = actions::BUILT_IN.iter().map(|(name, _)| *name).collect();
            return Err(format!(
                "no action {}; give mocks with --mocks FILE, or --echo to let unknown actions give \
                 their params (built in: {})",
                missing.join(", "),
                built_in.join(", ")
            )
            .into());
        }
        let committed = Committed::default();
        let mut engine = Engine::new(Tee {
            inner: journal,
            committed: Committed::clone(&committed),
        });
        for name in names {
            engine = engine.action_external(name);
        }
        for workflow in workflows {
            engine.deploy(workflow)?;
        }
        Ok(Self {
            engine,
            committed,
            actions,
            time,
            progress,
            calls: BTreeMap::new(),
            steps: Vec::new(),
            events: Vec::new(),
            running: BinaryHeap::new(),
            results: HashMap::new(),
            result_next: 0,
            replay: None,
        })
    }

    /// Sets what comes from outside, with spans from now.
    pub fn schedule(&mut self, events: Vec<EventDef>) -> Result<(), Box<dyn Error>> {
        for event in events {
            let after = match &event.after {
                Some(text) => {
                    parse_span(text).ok_or_else(|| format!("`after: {text}` is no span"))?
                }
                None => std::time::Duration::ZERO,
            };
            self.events.push((self.time.now().after(after), event));
        }
        self.events.sort_by_key(|(due, _)| *due);
        Ok(())
    }

    /// Drives a run until it ended, or waits for what does not come.
    pub fn run(&mut self, run: RunId) -> Result<RunInfo, Box<dyn Error>> {
        loop {
            let now = self.time.now();
            self.deliver(run, now)?;
            let commands = self.engine.step(now)?;
            self.tell(run)?;
            for command in commands {
                match command {
                    Command::Execute(call) => self.execute(&call, now),
                    Command::Cancel(token) => self.results.retain(|_, (other, _)| *other != token),
                    _ => {}
                }
            }
            let due = |at: Option<Timestamp>| at.is_some_and(|at| at <= self.time.now());
            let waits = [
                self.engine.next_wake(),
                self.running.peek().map(|Reverse((at, _))| *at),
                self.events.first().map(|(at, _)| *at),
            ];
            if self.engine.has_work() || waits.into_iter().any(due) {
                continue;
            }
            let info = self.engine.status(run)?;
            let next = waits.into_iter().flatten().min();
            match next.filter(|_| info.status == RunStatus::Running) {
                Some(next) => self.time.wait_until(next),
                None => return Ok(info),
            }
        }
    }

    /// Hands over the events and results whose time has come.
    fn deliver(&mut self, run: RunId, now: Timestamp) -> Result<(), Box<dyn Error>> {
        while let Some(Reverse((due, number))) = self.running.peek().copied()
            && due <= now
        {
            self.running.pop();
            if let Some((token, result)) = self.results.remove(&number) {
                self.engine.complete(token, result, now);
            }
        }
        while self.events.first().is_some_and(|(due, _)| *due <= now) {
            let (_, event) = self.events.remove(0);
            if self.engine.status(run)?.status != RunStatus::Running {
                continue;
            }
            if let Some(name) = &event.event {
                self.engine
                    .signal(run, name, event.key.as_deref(), event.data, now)?;
            } else if let Some(step) = &event.decide {
                let decision = Decision {
                    verdict: event.verdict.unwrap_or(Verdict::Approved),
                    by: event.by.unwrap_or_default(),
                    note: None,
                };
                self.engine.decide(run, step, decision, now)?;
            } else if let Some(reason) = &event.cancel {
                self.engine.cancel(run, reason, now)?;
            }
        }
        Ok(())
    }

    fn execute(&mut self, call: &Call, now: Timestamp) {
        *self.calls.entry(call.action().to_owned()).or_default() += 1;
        (self.progress)(json!({
            "event": "call", "at": now.as_millis(), "run": call.run().as_u64(),
            "step": format!("{}{}", call.path(), call.step()), "action": call.action(),
            "attempt": call.attempt(), "params": call.params(),
        }));
        let (result, after) = self.actions.perform(call);
        if after.is_zero() {
            self.engine.complete(call.token(), result, self.time.now());
            return;
        }
        let number = self.result_next;
        self.result_next += 1;
        self.running.push(Reverse((now.after(after), number)));
        self.results.insert(number, (call.token(), result));
    }

    /// Follows what was committed, and tells which steps changed.
    fn tell(&mut self, run: RunId) -> Result<(), Box<dyn Error>> {
        let committed = std::mem::take(
            &mut *self
                .committed
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner),
        );
        for (of, seq, record) in committed {
            if of != run {
                continue;
            }
            match &mut self.replay {
                Some(replay) => replay.push(&record)?,
                None if seq == 0 => self.follow(run, &record)?,
                None => continue,
            }
            self.tell_changes(run);
        }
        Ok(())
    }

    fn follow(&mut self, run: RunId, start: &[u8]) -> Result<(), Box<dyn Error>> {
        let info = self.engine.status(run)?;
        if let Some(workflow) = self.engine.workflow(&info.workflow) {
            self.replay = Some(Replay::begin(&workflow, run, start)?);
        }
        Ok(())
    }

    fn tell_changes(&mut self, run: RunId) {
        let now = self.time.now().as_millis();
        for step in self.replay.iter_mut().flat_map(Replay::changes) {
            let mut line = json!({
                "event": "step", "at": now, "run": run.as_u64(), "step": step.path,
                "status": step.status, "attempts": step.attempts,
            });
            if !step.output.is_null() {
                line["output"] = step.output.clone();
            }
            if let Some(deadline) = step.deadline {
                line["deadline"] = json!(deadline.as_millis());
            }
            (self.progress)(line);
            match self.steps.iter_mut().find(|known| known.path == step.path) {
                Some(known) => *known = step,
                None => self.steps.push(step),
            }
        }
    }
}
