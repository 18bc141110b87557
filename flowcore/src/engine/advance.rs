//! How runs go on: what was noted is applied, committed, and followed up.

use std::cmp::Reverse;
use std::sync::Arc;

use super::{
    ActionResult, AuditAct, Call, Command, Ended, Engine, FORGOTTEN_LEN_MAX, Token, breaker,
    encode, failed, run_key, space,
};
use crate::definition::{Durability, Offline};
use crate::error::Result;
use crate::journal::{Journal, Op, StateWrite, StateWrites};
use crate::plan::{Kind, Params};
use crate::run::{Effect, Event, Place, Record, Run, RunId};
use crate::time::Timestamp;

/// A log is folded into a snapshot when it is this long, and this many times as long as the
/// snapshot before: what snapshots cost stays a fraction of what the log costs.
const LOG_LEN_MIN: u32 = 64 << 10;
const LOG_GROWTH: u32 = 4;

impl<J: Journal> Engine<J> {
    /// Notes the result of a call. It is committed, and followed up, by the next
    /// [`step`](Self::step). A result that nobody waits for any more is counted and dropped.
    pub fn complete(&mut self, token: Token, result: ActionResult, now: Timestamp) {
        let at = token.at;
        if let Some(latencies) = &mut self.latencies {
            latencies.answered(token, result.is_ok(), now);
        }
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
    /// A journal that failed: nothing is handed out, and the next call tries to commit again. An
    /// engine that was fenced off by another owner of the journal hands out nothing ever again.
    pub fn step(&mut self, now: Timestamp) -> Result<Vec<Command>> {
        let mut commands = Vec::new();
        self.step_into(now, &mut commands)?;
        Ok(commands)
    }

    /// As [`step`](Self::step), into a list that the driver keeps: it is emptied first.
    ///
    /// # Errors
    /// As [`step`](Self::step).
    pub fn step_into(&mut self, now: Timestamp, commands: &mut Vec<Command>) -> Result<()> {
        commands.clear();
        self.hold_lease(now)?;
        self.ensure_recovered(now)?;
        while let Some((run, event, writes)) = self.queue.pop_front() {
            self.apply(run, event, writes, now)?;
        }
        while let Some(Reverse((due, run, frame, step, attempt))) = self.timers.peek().copied() {
            if due > now {
                break;
            }
            self.timers.pop();
            let at = Place {
                frame,
                step,
                attempt,
            };
            self.apply(run, Event::Timer { at }, Vec::new(), now)?;
        }
        self.admission
            .admit(&mut self.tenants, now, &mut self.commands);
        self.flush()?;
        if let Some(latencies) = &mut self.latencies {
            latencies.handed_out(&self.commands, now);
        }
        std::mem::swap(&mut self.commands, commands);
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if !self.batch.ops.is_empty() {
            if let Err(error) = self.journal.commit(&self.batch) {
                self.note_fencing(&error);
                return Err(error.into());
            }
            self.batch.ops.clear();
        }
        for key in self.keyed_ended.drain(..) {
            self.keyed.remove(&key);
        }
        self.tell();
        Ok(())
    }

    pub(super) fn apply(
        &mut self,
        id: RunId,
        event: Event,
        writes: Vec<StateWrite>,
        now: Timestamp,
    ) -> Result<()> {
        let run = self.runs.get_mut(&id);
        let Some(run) = run.filter(|run| run.accepts(&event, now)) else {
            let late = matches!(event, Event::Done { .. } | Event::Fail { .. });
            self.stale_results += u64::from(late);
            return Ok(());
        };
        let event = if run.plan.durability == Durability::Step {
            let mut record = Record { now, event };
            let bytes = match encode(&record) {
                Ok(bytes) => {
                    let writes = writes.into_iter().map(Op::State);
                    self.batch.ops.extend(writes);
                    bytes
                }
                // Too large to keep: the step fails instead, and that fits.
                Err(error) => {
                    record.event = match record.event {
                        Event::Done { at, .. } => failed(at, "OutputTooLarge", &error.to_string()),
                        _ => return Err(error),
                    };
                    encode(&record)?
                }
            };
            append(&mut self.batch.ops, run, bytes);
            record.event
        } else {
            event
        };
        if let Event::Done { at, .. } | Event::Fail { at, .. } | Event::Skip { at } = &event {
            let (token, breaker) = (Token { run: id, at: *at }, run.step(*at));
            let counted = breaker.is_some_and(|step| step.breaker.is_some());
            self.admission.release(token, &mut self.tenants);
            if counted {
                self.count_for_breaker(id, &event, now);
            }
        }
        let Some(run) = self.runs.get_mut(&id) else {
            return Ok(());
        };
        run.apply(event, now, &mut self.scratch);
        if run.log_len >= LOG_LEN_MIN.max(run.log_len_max) && !run.status.is_ended() {
            fold(&mut self.batch.ops, run, now);
        }
        self.follow(id, now);
        Ok(())
    }

    /// Carries out what the last record brought forth.
    fn follow(&mut self, id: RunId, now: Timestamp) {
        if self.progress.is_some()
            && let Some(mut run) = self.runs.remove(&id)
        {
            self.tell_changes(&mut run, now);
            self.runs.insert(id, run);
        }
        if self.scratch.effects.is_empty() {
            return;
        }
        let mut effects = std::mem::take(&mut self.scratch.effects);
        self.act(id, &mut effects, now);
        self.scratch.effects = effects;
    }

    /// Carries out effects.
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
                Effect::Cancel { at } => self.take_back(Token { run: id, at }),
                Effect::Ended => self.ended(id, now),
            }
        }
    }

    /// Work that was not handed out yet is simply taken back; of other work the driver is told.
    fn take_back(&mut self, token: Token) {
        if self.admission.withdraw(token) {
            return;
        }
        self.admission.release(token, &mut self.tenants);
        if let Some(latencies) = &mut self.latencies {
            latencies.withdrawn(token);
        }
        let before = self.commands.len();
        self.commands
            .retain(|command| !matches!(command, Command::Execute(call) if call.token == token));
        if self.commands.len() == before {
            self.commands.push(Command::Cancel(token));
        }
    }

    fn execute(
        &mut self,
        id: RunId,
        at: Place,
        params: Params,
        deadline: Option<Timestamp>,
        now: Timestamp,
    ) {
        let Some(run) = self.runs.get(&id) else {
            return;
        };
        let (Some(frame), Some(deployed)) =
            (run.frame(at.frame), self.deployed.get(&run.plan.hash))
        else {
            return;
        };
        let block = frame.block;
        let Some(step) = run.plan.step(block, at.step) else {
            return;
        };
        let Kind::Action { action, .. } = &step.kind else {
            return;
        };
        if step.breaker.is_some() && self.breaker_is_open(action, now) {
            let event = breaker::stopped(at, action);
            self.queue.push_back((id, event, Vec::new()));
            return;
        }
        let dispatch = step.dispatch.as_deref();
        if let Some(dispatch) = dispatch
            && let Some(link) = &dispatch.requires
            && self.admission.is_down(link)
        {
            let event = match dispatch.offline {
                Offline::Queue => None,
                Offline::Skip => Some(Event::Skip { at }),
                Offline::Fallback => {
                    Some(failed(at, "Offline", &format!("the link `{link}` is down")))
                }
            };
            if let Some(event) = event {
                self.queue.push_back((id, event, Vec::new()));
                return;
            }
        }
        let tier = dispatch.and_then(|dispatch| dispatch.tier);
        let placed = tier.and_then(|tier| self.tiers.get(&tier)).cloned();
        let call = Call {
            token: Token { run: id, at },
            path: frame.inner.as_ref().map(|inner| Arc::clone(&inner.path)),
            deployed: Arc::clone(deployed),
            block,
            params,
            origin: Arc::clone(&run.origin),
            deadline,
            placed,
            gpu: false,
            epoch: self.batch.epoch,
        };
        let held = dispatch.is_some() || run.origin.tenant.is_some();
        if held {
            self.admission.offer(call, now);
        } else {
            self.commands.push(Command::Execute(call));
        }
    }

    fn ended(&mut self, id: RunId, now: Timestamp) {
        let Some(mut run) = self.runs.remove(&id) else {
            return;
        };
        if let Some(tenant) = &run.origin.tenant {
            self.tenants.run_ended(tenant);
        }
        self.audit(AuditAct::Ended, Some(id), &run.plan.definition.name, now);
        self.tell_run(id, &run.plan.definition.name, run.status, now);
        if run.plan.durability == Durability::None {
            if self.unkept.len() >= FORGOTTEN_LEN_MAX {
                self.unkept.pop_front();
            }
            self.unkept.push_back(Ended {
                id,
                plan: Arc::clone(&run.plan),
                status: run.status,
                started_at: run.origin.started_at,
                ended_at: now,
                output: run.output.take(),
                failure: run.rare.take().and_then(|rare| rare.failure),
            });
        } else {
            let mut info = self.describe(&run);
            info.ended_at = Some(now);
            let key = run_key(id);
            let value = serde_json::to_vec(&info).unwrap_or_default();
            self.batch.ops.push(Op::Delete {
                space: space::LIVE,
                key: key.clone(),
            });
            self.batch.ops.push(Op::Put {
                space: space::ENDED,
                key,
                value,
            });
        }
        // Found by its key here until the journal can find it.
        self.keyed_ended.extend(self.keys.remove(&id));
    }
}

fn append(ops: &mut Vec<Op>, run: &mut Run, record: Vec<u8>) {
    let len = u32::try_from(record.len()).unwrap_or(u32::MAX);
    run.log_len = run.log_len.saturating_add(len);
    ops.push(Op::Append {
        run: run.id,
        seq: run.seq,
        record,
    });
    run.seq += 1;
}

/// Notes how long the log is: the first record, and all behind it.
pub(super) fn measure_log(run: &mut Run, first: usize, rest: usize) {
    let len = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    run.log_len = len(rest);
    run.log_len_max = len(first).saturating_mul(LOG_GROWTH);
}

/// Writes the run down as one record and forgets the ones before it.
fn fold(ops: &mut Vec<Op>, run: &mut Run, now: Timestamp) {
    let record = Record {
        now,
        event: Event::Snapshot(Box::new(run.snapshot())),
    };
    match encode(&record) {
        Ok(bytes) => {
            let (before, len) = (run.seq, bytes.len());
            append(ops, run, bytes);
            ops.push(Op::Truncate {
                run: run.id,
                before,
            });
            measure_log(run, len, 0);
        }
        // Too much to keep in one record: tried again when the log is twice as long.
        Err(_) => run.log_len_max = run.log_len.saturating_mul(2),
    }
}
