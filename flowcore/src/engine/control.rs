//! Holding runs, letting them go on, starting anew from the middle, forgetting.

use std::sync::Arc;

use super::{AuditAct, Engine, Head, encode, run_key, space};
use crate::error::{Error, Result};
use crate::journal::{Journal, Op};
use crate::run::{Event, Record, RunId, RunInfo};
use crate::time::Timestamp;

impl<J: Journal> Engine<J> {
    /// Holds a run: what runs may end, nothing new starts, timers stand still, events are kept.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], or [`Error::WrongState`] when it does not run.
    pub fn pause(&mut self, run: RunId, reason: &str, now: Timestamp) -> Result<()> {
        self.ensure_recovered(now)?;
        let event = Event::Pause {
            reason: reason.to_owned(),
        };
        self.accepted(run, &event, "is not running", now)?;
        self.audit(AuditAct::Paused, Some(run), reason, now);
        self.queue.push_back((run, event, Vec::new()));
        Ok(())
    }

    /// Lets a paused run go on, and takes up a parked one again.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], [`Error::WrongState`] when it is neither paused nor parked, or why a
    /// parked run still cannot go on.
    pub fn resume(&mut self, run: RunId, now: Timestamp) -> Result<()> {
        self.ensure_recovered(now)?;
        if let Some(info) = self.parked.get(&run).cloned() {
            let rebuilt = self.rebuild(run, now)?;
            self.parked.remove(&run);
            self.audit(AuditAct::Resumed, Some(run), "", now);
            let head = Head {
                key: info.key,
                seq: rebuilt.seq,
                ..Head::default()
            };
            self.batch.ops.push(head.put(run));
            self.take_up(rebuilt, head.key, now);
            return Ok(());
        }
        let event = Event::Resume {};
        self.accepted(run, &event, "is neither paused nor parked", now)?;
        self.audit(AuditAct::Resumed, Some(run), "", now);
        self.queue.push_back((run, event, Vec::new()));
        Ok(())
    }

    pub(super) fn accepted(
        &self,
        run: RunId,
        event: &Event,
        message: &str,
        now: Timestamp,
    ) -> Result<()> {
        if self.live(run)?.accepts(event, now) {
            return Ok(());
        }
        Err(Error::WrongState {
            run,
            message: message.to_owned(),
        })
    }

    /// A new run that has done what `run` had done before the step with this path (as
    /// [`steps`](Self::steps) gives it) first ended, and goes on from there on its own. The other
    /// run, live or ended, stays as it is; so do the effects of its actions.
    ///
    /// # Errors
    /// [`Error::UnknownRun`], or [`Error::WrongState`] when no such step ever ran, when that part
    /// of its log was folded away, or when the workflow keeps no steps.
    pub fn fork(&mut self, run: RunId, step: &str, now: Timestamp) -> Result<RunId> {
        self.ensure_recovered(now)?;
        self.flush_for_reading()?;
        let wrong = |message: String| Error::WrongState { run, message };
        let log = self.records(run)?;
        let Some((_, first)) = log.first() else {
            return Err(Error::UnknownRun { run });
        };
        let plan = self.plan_of(run, &first.event)?;
        let mut copy = crate::run::Run::from_first(run, plan, first, now, None).map_err(&wrong)?;
        let mut ended = false;
        let mut kept = 1;
        for (_, record) in log.iter().skip(1) {
            let at = match &record.event {
                Event::Done { at, .. } | Event::Fail { at, .. } | Event::Timer { at } => Some(*at),
                _ => None,
            };
            if at.is_some_and(|at| copy.path_of(at) == step) {
                ended = true;
                break;
            }
            super::recovery::replay(&mut copy, record, &mut self.scratch).map_err(&wrong)?;
            kept += 1;
        }
        if !ended {
            return Err(wrong(format!(
                "step `{step}` has not ended, or not in the part of its log that is kept"
            )));
        }
        let id = self.next_run();
        let mut bytes = 0;
        for ((_, record), seq) in log.iter().take(kept).zip(0..) {
            let record = encode(record)?;
            bytes += record.len();
            self.batch.ops.push(Op::Append {
                run: id,
                seq,
                record,
            });
        }
        copy.id = id;
        copy.seq = kept as u64;
        copy.log_len = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.batch.ops.push(Head::default().put(id));
        self.audit(
            AuditAct::Forked,
            Some(id),
            &format!("from run {run} at {step}"),
            now,
        );
        if let Some(tenant) = &copy.origin.tenant {
            self.tenants.run_started(tenant);
        }
        self.take_up(copy, None, now);
        Ok(id)
    }

    /// What the next step would commit must be in the journal before it is read.
    pub(super) fn flush_for_reading(&mut self) -> Result<()> {
        if !self.batch.ops.is_empty() {
            self.journal.commit(&self.batch)?;
            self.batch.ops.clear();
        }
        Ok(())
    }

    pub(super) fn records(&self, run: RunId) -> Result<Vec<(u64, Record)>> {
        decode(run, &self.journal.log(run)?)
    }

    pub(super) fn plan_of(&mut self, run: RunId, first: &Event) -> Result<Arc<crate::plan::Plan>> {
        let definition = match first {
            Event::Start { definition, .. } => *definition,
            Event::Snapshot(snapshot) => snapshot.definition,
            _ => {
                return Err(Error::Corrupt {
                    run,
                    message: "its log does not begin with its start".to_owned(),
                });
            }
        };
        self.load_definition(definition)?;
        let found = self.deployed.get(&definition);
        found
            .map(|deployed| Arc::clone(&deployed.plan))
            .ok_or_else(|| Error::Corrupt {
                run,
                message: format!("its definition {definition} is not in the journal"),
            })
    }

    /// Removes up to `limit` ended runs that ended before `before`, the oldest numbers first, with
    /// their logs and keys; returns how many. Without it the journal keeps them for ever.
    ///
    /// # Errors
    /// A journal that failed.
    pub fn forget_ended(&mut self, before: Timestamp, limit: usize) -> Result<usize> {
        self.flush_for_reading()?;
        let mut forgotten = 0;
        let mut after = String::new();
        while forgotten < limit {
            let page = self.journal.scan(space::ENDED, &after, 256)?;
            let Some((last, _)) = page.last() else {
                break;
            };
            after.clone_from(last);
            for (key, bytes) in &page {
                let info: Option<RunInfo> = serde_json::from_slice(bytes).ok();
                let Some(info) = info.filter(|info| info.ended_at < Some(before)) else {
                    continue;
                };
                if forgotten == limit {
                    break;
                }
                forgotten += 1;
                self.batch.ops.push(Op::Truncate {
                    run: info.id,
                    before: i64::MAX.unsigned_abs(),
                });
                let mut gone = vec![(space::ENDED, key.clone())];
                gone.extend(info.key.map(|key| (space::KEY, key)));
                let gone = gone.into_iter();
                self.batch
                    .ops
                    .extend(gone.map(|(space, key)| Op::Delete { space, key }));
            }
        }
        self.flush_for_reading()?;
        Ok(forgotten)
    }

    /// Sets a run aside with the reason.
    pub(super) fn park(&mut self, info: RunInfo, now: Timestamp) {
        let id = info.id;
        let reason = info.failure.as_ref().map(|failure| failure.message.clone());
        self.audit(AuditAct::Parked, Some(id), &reason.unwrap_or_default(), now);
        self.tell_run(id, &info.workflow, info.status, now);
        let head = Head {
            key: info.key.clone(),
            parked: Some(info.clone()),
            ..Head::default()
        };
        self.batch.ops.push(head.put(id));
        if let Some(key) = &info.key {
            let key: Arc<str> = Arc::from(key.as_str());
            self.keys.insert(id, Arc::clone(&key));
            self.keyed.insert(key, id);
        }
        self.parked.insert(id, info);
    }

    /// Ends a parked run for good, as cancelled.
    pub(super) fn drop_parked(&mut self, run: RunId, reason: &str, now: Timestamp) {
        let Some(mut info) = self.parked.remove(&run) else {
            return;
        };
        info.status = crate::run::RunStatus::Cancelled;
        info.ended_at = Some(now);
        info.failure = Some(crate::run::Failure::new("Cancelled", reason));
        self.batch.ops.push(Op::Delete {
            space: space::LIVE,
            key: run_key(run),
        });
        self.batch.ops.push(Op::Put {
            space: space::ENDED,
            key: run_key(run),
            value: serde_json::to_vec(&info).unwrap_or_default(),
        });
        if let Some(key) = self.keys.remove(&run) {
            self.keyed.remove(&key);
        }
    }
}

/// The records of a log.
pub(super) fn decode(run: RunId, log: &[(u64, Vec<u8>)]) -> Result<Vec<(u64, Record)>> {
    let read = |(seq, bytes): &(u64, Vec<u8>)| {
        let record = serde_json::from_slice(bytes).map_err(|error| Error::Corrupt {
            run,
            message: format!("record {seq} cannot be read: {error}"),
        })?;
        Ok((*seq, record))
    };
    log.iter().map(read).collect()
}
