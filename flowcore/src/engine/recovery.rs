//! Reads back the runs that a former process left in the journal.

use std::sync::Arc;

use super::{Engine, run_key, space};
use crate::definition::{Durability, WorkflowDef};
use crate::error::{Error, Result};
use crate::journal::{Journal, Op};
use crate::plan::{DefinitionHash, Workflow};
use crate::run::{Effect, Event, Failure, Record, Run, RunId, RunInfo, RunStatus};
use crate::time::Timestamp;

/// Keys read from the journal at a time.
const PAGE_LEN: usize = 256;

impl<J: Journal> Engine<J> {
    /// Takes up every live run of the journal: finished steps keep their outputs, actions that
    /// had been handed out without an answer are handed out again with the same idempotency key,
    /// timers that passed meanwhile fire. Happens by itself before the first call that takes a
    /// time; calling it tells early whether the journal can be read.
    ///
    /// A run whose definition or action is not there any more is parked with the reason, not lost.
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
        self.recovered = true;
        let mut after = String::new();
        loop {
            let page = self.journal.scan(space::LIVE, &after, PAGE_LEN)?;
            for (key, bytes) in &page {
                let run = RunId::new(key.parse().unwrap_or_default());
                let head: RunInfo =
                    serde_json::from_slice(bytes).map_err(|error| Error::Corrupt {
                        run,
                        message: format!("its head cannot be read: {error}"),
                    })?;
                self.recover_run(head, now)?;
            }
            match page.last() {
                Some((key, _)) if page.len() == PAGE_LEN => after.clone_from(key),
                _ => return Ok(()),
            }
        }
    }

    fn recover_run(&mut self, mut head: RunInfo, now: Timestamp) -> Result<()> {
        let id = head.id;
        match self.rebuild(&head, now) {
            Ok(mut run) => {
                if let Some(key) = head.key.take() {
                    self.keys.insert(id, key);
                }
                let mut effects: Vec<Effect> = run
                    .timers()
                    .map(|(at, due)| Effect::Timer { at, due })
                    .collect();
                run.execute_again(now, &mut effects);
                let ended = run.status.is_ended();
                self.runs.insert(id, run);
                if ended {
                    effects.push(Effect::Ended);
                }
                self.act(id, &mut effects, now);
                Ok(())
            }
            Err(Error::Journal(error)) => Err(Error::Journal(error)),
            Err(error) => {
                let failure = Failure {
                    name: "Unrecoverable".to_owned(),
                    message: error.to_string(),
                    step: None,
                };
                head.status = RunStatus::Parked;
                head.failure = Some(failure);
                let value = serde_json::to_vec(&head).unwrap_or_default();
                self.batch.ops.push(Op::Put {
                    space: space::LIVE,
                    key: run_key(id),
                    value,
                });
                self.parked.insert(id, head);
                Ok(())
            }
        }
    }

    /// Folds the log of a run. Nothing is executed: effects are thrown away.
    fn rebuild(&mut self, head: &RunInfo, now: Timestamp) -> Result<Run> {
        let id = head.id;
        let corrupt = |message: String| Error::Corrupt { run: id, message };
        self.load_definition(head.definition)?;
        let plan = match self.deployed.get(&head.definition) {
            Some(deployed) => Arc::clone(&deployed.plan),
            None => {
                return Err(corrupt(format!(
                    "its definition {} is not in the journal",
                    head.definition
                )));
            }
        };
        let log = self.journal.log(id)?;
        let mut records = log.iter().map(|(seq, bytes)| {
            let record: Record = serde_json::from_slice(bytes)
                .map_err(|error| corrupt(format!("record {seq} cannot be read: {error}")))?;
            Ok::<_, Error>((*seq, record))
        });
        let Some((
            _,
            Record {
                now: started_at,
                event: Event::Start { input, .. },
            },
        )) = records.next().transpose()?
        else {
            return Err(corrupt("its log does not begin with its start".to_owned()));
        };
        let mut effects = Vec::new();
        // A run without step records begins again, with its deadlines counted from now.
        let begin = if plan.durability == Durability::Step {
            started_at
        } else {
            now
        };
        let mut run = Run::start(id, plan, input, begin, &mut effects);
        run.started_at = started_at;
        run.seq = 1;
        for record in records {
            let (seq, record) = record?;
            if seq != run.seq || !run.accepts(&record.event, record.now) {
                return Err(corrupt(format!(
                    "record {seq} does not follow from the ones before it"
                )));
            }
            run.apply(record.event, record.now, &mut effects);
            run.seq += 1;
            effects.clear();
        }
        Ok(run)
    }

    fn load_definition(&mut self, hash: DefinitionHash) -> Result<()> {
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
        self.deployed.insert(hash, deployed);
        Ok(())
    }
}
