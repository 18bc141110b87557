//! How runs go on: what was noted is applied, committed, and followed up.

use std::cmp::Reverse;
use std::sync::Arc;

use serde_json::Value;

use super::{ActionResult, Call, Command, Engine, Token, breaker, encode, failed, run_key, space};
use crate::definition::Durability;
use crate::error::Result;
use crate::journal::{Journal, Op, StateWrites};
use crate::plan::Kind;
use crate::run::{Effect, Event, Place, Record, RunId};
use crate::time::Timestamp;

impl<J: Journal> Engine<J> {
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
    pub(super) fn act(&mut self, id: RunId, effects: &mut Vec<Effect>, now: Timestamp) {
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
}
