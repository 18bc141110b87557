//! How runs begin.

use std::sync::Arc;

use serde_json::Value;

use super::{Engine, RUN_RESERVE, encode, space};
use crate::definition::Durability;
use crate::error::{Error, Result};
use crate::journal::{Journal, Op};
use crate::plan::DefinitionHash;
use crate::run::{Event, Record, Run, RunId};
use crate::time::Timestamp;

impl<J: Journal> Engine<J> {
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
}
