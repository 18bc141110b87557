//! Reads back the runs that a former process left in the journal.

use std::sync::Arc;

use super::advance::measure_log;
use super::control::decode;
use super::{Engine, Head, space};
use crate::definition::WorkflowDef;
use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::plan::{DefinitionHash, Plan, Workflow};
use crate::run::{Effect, Event, Failure, Origin, Record, Run, RunId, RunInfo, RunStatus, Scratch};
use crate::time::Timestamp;

/// Keys read from the journal at a time.
const PAGE_LEN: usize = 256;
/// A run that was read back this often without getting any further is set aside.
pub(super) const RECOVERIES_MAX: u32 = 10;

impl<J: Journal> Engine<J> {
    /// How often in a row a run with an action at work may be read back without getting any
    /// further, before it is parked as a likely cause of the crashes; default 10.
    #[must_use]
    pub fn recoveries_max(mut self, count: u32) -> Self {
        self.recoveries_max = count;
        self
    }

    /// Takes up every live run of the journal: finished steps keep their outputs, actions that
    /// had been handed out without an answer are handed out again with the same idempotency key,
    /// timers that passed meanwhile fire. Happens by itself before the first call that takes a
    /// time; calling it tells early whether the journal can be read.
    ///
    /// A run that cannot go on is parked with the reason, not lost: when its definition or an action
    /// is not there any more, when its log is damaged, when it seems to bring the process down.
    ///
    /// # Errors
    /// A journal that failed.
    pub fn recover(&mut self, now: Timestamp) -> Result<()> {
        if let Some(bytes) = self.journal.get(space::META, "run_next")? {
            let next = std::str::from_utf8(&bytes)
                .ok()
                .and_then(|text| text.parse().ok());
            self.run_next = next.unwrap_or(self.run_next);
            self.run_reserved = self.run_next;
        }
        self.recover_breakers()?;
        self.recover_audit()?;
        self.recovered = true;
        let mut after = String::new();
        loop {
            let page = self.journal.scan(space::LIVE, &after, PAGE_LEN)?;
            for (key, bytes) in &page {
                let run = RunId::new(key.parse().unwrap_or_default());
                let head: Head = serde_json::from_slice(bytes).map_err(|error| Error::Corrupt {
                    run,
                    message: format!("its head cannot be read: {error}"),
                })?;
                self.recover_run(run, head, now)?;
            }
            match page.last() {
                Some((key, _)) if page.len() == PAGE_LEN => after.clone_from(key),
                _ => return Ok(()),
            }
        }
    }

    fn recover_run(&mut self, id: RunId, mut head: Head, now: Timestamp) -> Result<()> {
        // What was set aside for good reason stays there, unless what was missing is back.
        let given_up = head.parked.as_ref().is_some_and(|info| {
            let failure = info.failure.as_ref();
            failure.is_some_and(|failure| failure.name == "RecoveryLimit")
        });
        if given_up && let Some(info) = head.parked.take() {
            self.park(info, now);
            return Ok(());
        }
        let failure = match self.rebuild(id, now) {
            Ok(run) => {
                let at_work = run.running().next().is_some();
                let further = run.seq > head.seq || !at_work;
                head.recoveries = if further { 0 } else { head.recoveries + 1 };
                head.seq = run.seq;
                head.parked = None;
                if head.recoveries <= self.recoveries_max {
                    if at_work {
                        self.batch.ops.push(head.put(id));
                    }
                    if let Some(tenant) = &run.origin.tenant {
                        self.tenants.run_started(tenant);
                    }
                    self.take_up(run, head.key, now);
                    return Ok(());
                }
                let message = format!(
                    "read back {} times without getting further; resume it once the cause is found",
                    head.recoveries
                );
                let mut info = self.describe(&run);
                info.key = head.key;
                info.status = RunStatus::Parked;
                info.failure = Some(Failure::new("RecoveryLimit", message));
                self.park(info, now);
                return Ok(());
            }
            Err(Error::Journal(error)) => return Err(Error::Journal(error)),
            Err(error) => Failure::new("Unrecoverable", error.to_string()),
        };
        let mut info = self.what_is_known(id);
        info.key = head.key;
        info.failure = Some(failure);
        self.park(info, now);
        Ok(())
    }

    /// As much of a run as the beginning of its log tells.
    fn what_is_known(&self, id: RunId) -> RunInfo {
        let first = self.records(id).ok().and_then(|log| log.into_iter().next());
        let (workflow, definition, started_at, tenant) = match first.map(|(_, record)| record) {
            Some(Record {
                now,
                event:
                    Event::Start {
                        workflow,
                        definition,
                        tenant,
                        ..
                    },
            }) => (workflow, definition, now, tenant),
            Some(Record {
                event: Event::Snapshot(snapshot),
                ..
            }) => {
                let Origin {
                    started_at, tenant, ..
                } = snapshot.origin;
                (snapshot.workflow, snapshot.definition, started_at, tenant)
            }
            _ => (
                String::new(),
                DefinitionHash::of(&[]),
                Timestamp::default(),
                None,
            ),
        };
        RunInfo {
            id,
            workflow,
            definition,
            status: RunStatus::Parked,
            started_at,
            ended_at: None,
            output: serde_json::Value::Null,
            failure: None,
            key: None,
            tenant: tenant.map(String::from),
        }
    }

    /// Puts a run that was read back among the live ones, and hands out its work again.
    pub(super) fn take_up(&mut self, mut run: Run, key: Option<String>, now: Timestamp) {
        let id = run.id;
        if let Some(key) = key {
            let key: Arc<str> = Arc::from(key);
            self.keys.insert(id, Arc::clone(&key));
            self.keyed.insert(key, id);
        }
        run.changes = self.progress.is_some().then(Box::default);
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.effects.clear();
        scratch
            .effects
            .extend(run.timers().map(|(at, due)| Effect::Timer { at, due }));
        if run.status.is_ended() {
            scratch.effects.push(Effect::Ended);
        } else {
            run.execute_again(now, &mut scratch);
        }
        self.tell_changes(&mut run, now);
        self.runs.insert(id, Box::new(run));
        self.act(id, &mut scratch.effects, now);
        self.scratch = scratch;
    }

    /// Folds the log of a run. Nothing is executed: effects are thrown away.
    pub(super) fn rebuild(&mut self, id: RunId, now: Timestamp) -> Result<Run> {
        let bytes = self.journal.log(id)?;
        let log = decode(id, &bytes)?;
        let corrupt = |message: String| Error::Corrupt { run: id, message };
        let Some((_, first)) = log.first() else {
            return Err(corrupt("its log is empty".to_owned()));
        };
        let plan = self.plan_of(id, &first.event)?;
        let mut run = rebuild(id, plan, &log, now, &mut self.scratch).map_err(corrupt)?;
        let len = |records: &[(u64, Vec<u8>)]| records.iter().map(|(_, bytes)| bytes.len()).sum();
        let (first, rest) = bytes.split_at(1);
        measure_log(&mut run, len(first), len(rest));
        Ok(run)
    }

    pub(super) fn load_definition(&mut self, hash: DefinitionHash) -> Result<()> {
        if self.deployed.contains_key(&hash) {
            return Ok(());
        }
        let Some(bytes) = self.journal.get(space::DEFINITION, &hash.to_string())? else {
            return Ok(());
        };
        let definition: WorkflowDef =
            serde_json::from_slice(&bytes).map_err(|error| Error::Format {
                message: error.to_string(),
            })?;
        let workflow = Workflow::from_definition(definition)?;
        let deployed = self.bind(workflow.plan)?;
        self.deployed.insert(hash, Arc::new(deployed));
        Ok(())
    }
}

/// A run as its log tells it.
pub(super) fn rebuild(
    id: RunId,
    plan: Arc<Plan>,
    log: &[(u64, Record)],
    now: Timestamp,
    scratch: &mut Scratch,
) -> Result<Run, String> {
    let Some(((first_seq, first), rest)) = log.split_first() else {
        return Err("its log is empty".to_owned());
    };
    let mut run = Run::from_first(id, plan, first, now, None)?;
    run.seq = first_seq + 1;
    for (seq, record) in rest {
        if *seq != run.seq {
            return Err(format!("record {} is missing", run.seq));
        }
        replay(&mut run, record, scratch)?;
    }
    Ok(run)
}

/// Applies one more record.
pub(super) fn replay(run: &mut Run, record: &Record, scratch: &mut Scratch) -> Result<(), String> {
    // A crash between a snapshot and the truncation before it cannot be: they are one batch.
    if !run.accepts(&record.event, record.now) {
        return Err(format!(
            "record {} does not follow from the ones before it",
            run.seq
        ));
    }
    run.apply(record.event.clone(), record.now, scratch);
    run.seq += 1;
    scratch.effects.clear();
    Ok(())
}
