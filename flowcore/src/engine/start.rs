//! How runs begin.

use std::sync::Arc;

use serde_json::Value;

use super::{AuditAct, Engine, Head, RUN_RESERVE, encode, space};
use crate::definition::Durability;
use crate::error::{Error, Result};
use crate::journal::{Journal, Op};
use crate::plan::DefinitionHash;
use crate::run::{Event, Origin, Record, Run, RunId};
use crate::time::Timestamp;

/// Longest key of a run or name of a tenant, in bytes.
const KEY_LEN_MAX: usize = 512;

/// What a run starts from, where more than a name and an input is to be said.
#[derive(Debug, Clone, PartialEq)]
pub struct Start<'s> {
    workflow: &'s str,
    key: Option<&'s str>,
    tenant: Option<&'s str>,
    input: Value,
}

impl<'s> Start<'s> {
    /// A run of a workflow with this input.
    pub fn new(workflow: &'s str, input: Value) -> Self {
        Self {
            workflow,
            key: None,
            tenant: None,
            input,
        }
    }

    /// A second start with the same key, workflow and tenant attaches to the first one's run.
    #[must_use]
    pub fn key(mut self, key: &'s str) -> Self {
        self.key = Some(key);
        self
    }

    /// On whose account it runs: see [`Engine::quota`].
    #[must_use]
    pub fn tenant(mut self, tenant: &'s str) -> Self {
        self.tenant = Some(tenant);
        self
    }
}

impl<J: Journal> Engine<J> {
    /// Starts a run of every active workflow that this event triggers; returns the last one.
    ///
    /// # Errors
    /// [`Error::NoTrigger`] when nothing listens, [`Error::Limit`] for an input that is too large.
    pub fn trigger(&mut self, event: &str, input: Value, now: Timestamp) -> Result<RunId> {
        self.trigger_with_key(event, None, input, now)
    }

    /// As [`trigger`](Self::trigger); a workflow that was already started with this `key` is not
    /// started again, its run is returned, live or ended.
    ///
    /// # Errors
    /// As [`trigger`](Self::trigger).
    pub fn trigger_with_key(
        &mut self,
        event: &str,
        key: Option<&str>,
        input: Value,
        now: Timestamp,
    ) -> Result<RunId> {
        self.ensure_recovered(now)?;
        let mut listening = self.listening(event);
        let last = listening.pop().ok_or_else(|| Error::NoTrigger {
            event: event.to_owned(),
        })?;
        for hash in listening {
            self.start_once(hash, key, None, input.clone(), now)?;
        }
        self.start_once(last, key, None, input, now)
    }

    fn listening(&self, event: &str) -> Vec<DefinitionHash> {
        let listens = |hash: &DefinitionHash| {
            let found = self.deployed.get(hash);
            found.and_then(|found| found.plan.definition.trigger.as_deref()) == Some(event)
        };
        let active = self.active.values().map(|versions| versions.active);
        let mut listening: Vec<DefinitionHash> = active.filter(listens).collect();
        listening.sort_unstable();
        listening
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
        let start = Start {
            key,
            ..Start::new(workflow, input)
        };
        self.start_run_of(start, now)
    }

    /// Starts a run with a tenant and a key.
    ///
    /// # Errors
    /// As [`start`](Self::start), and [`Error::Quota`] when the tenant may not start one now.
    pub fn start_run_of(&mut self, start: Start<'_>, now: Timestamp) -> Result<RunId> {
        self.ensure_recovered(now)?;
        let found = self.active.get(start.workflow);
        let hash = found.map(|versions| versions.active);
        let hash = hash.ok_or_else(|| Error::UnknownWorkflow {
            workflow: start.workflow.to_owned(),
        })?;
        self.start_once(hash, start.key, start.tenant, start.input, now)
    }

    fn start_once(
        &mut self,
        hash: DefinitionHash,
        key: Option<&str>,
        tenant: Option<&str>,
        input: Value,
        now: Timestamp,
    ) -> Result<RunId> {
        for (what, text) in [
            ("bytes of a key", key),
            ("bytes of a tenant's name", tenant),
        ] {
            let found = text.map_or(0, str::len);
            if found > KEY_LEN_MAX {
                return Err(Error::Limit {
                    what,
                    found: found as u64,
                    limit: KEY_LEN_MAX as u64,
                });
            }
        }
        let Some(deployed) = self.deployed.get(&hash) else {
            return Err(Error::UnknownWorkflow {
                workflow: hash.to_string(),
            });
        };
        let name = &deployed.plan.definition.name;
        let key = key.map(|key| match tenant {
            Some(tenant) => format!("{tenant}/{name}/{key}"),
            None => format!("{name}/{key}"),
        });
        if let Some(key) = &key
            && let Some(run) = self.run_of_key(key)?
        {
            return Ok(run);
        }
        if let Some(tenant) = tenant {
            self.tenants.may_start(tenant, now)?;
        }
        let origin = Origin {
            input,
            started_at: now,
            tenant: tenant.map(Into::into),
        };
        self.start_run(hash, origin, key, now)
    }

    fn run_of_key(&self, key: &str) -> Result<Option<RunId>> {
        if let Some(run) = self.keyed.get(key) {
            return Ok(Some(*run));
        }
        let stored = self.journal.get(space::KEY, key)?;
        let number = stored
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .and_then(|text| text.parse().ok());
        Ok(number.map(RunId::new))
    }

    /// The next number of a run; a block of them is reserved in the journal now and then.
    pub(super) fn next_run(&mut self) -> RunId {
        let id = RunId::new(self.run_next);
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
        id
    }

    fn start_run(
        &mut self,
        hash: DefinitionHash,
        origin: Origin,
        key: Option<String>,
        now: Timestamp,
    ) -> Result<RunId> {
        let Some(deployed) = self.deployed.get(&hash) else {
            return Err(Error::UnknownWorkflow {
                workflow: hash.to_string(),
            });
        };
        let plan = Arc::clone(&deployed.plan);
        let durable = plan.durability != Durability::None;
        let mut origin = origin;
        let mut record = None;
        if durable {
            let event = Event::Start {
                workflow: plan.definition.name.clone(),
                definition: hash,
                input: std::mem::take(&mut origin.input),
                tenant: origin.tenant.clone(),
            };
            let start = Record { now, event };
            record = Some(encode(&start)?);
            if let Event::Start { input, .. } = start.event {
                origin.input = input;
            }
        }
        let id = self.next_run();
        if let Some(key) = key.as_deref() {
            let key: Arc<str> = Arc::from(key);
            if durable {
                self.batch.ops.push(Op::Put {
                    space: space::KEY,
                    key: key.to_string(),
                    value: id.to_string().into_bytes(),
                });
            }
            self.keys.insert(id, Arc::clone(&key));
            self.keyed.insert(key, id);
        }
        let mut log_len = 0;
        if let Some(record) = record {
            log_len = record.len();
            self.batch.ops.push(Op::Append {
                run: id,
                seq: 0,
                record,
            });
            let head = Head {
                key,
                ..Head::default()
            };
            self.batch.ops.push(head.put(id));
        }
        if let Some(tenant) = &origin.tenant {
            self.tenants.run_started(tenant);
        }
        self.audit(AuditAct::Started, Some(id), &plan.definition.name, now);
        self.tell_run(
            id,
            &plan.definition.name,
            crate::run::RunStatus::Running,
            now,
        );
        let mut scratch = std::mem::take(&mut self.scratch);
        let changes = self.progress.is_some().then(Box::default);
        let mut run = Run::start(id, plan, origin, now, changes, &mut scratch);
        run.log_len = u32::try_from(log_len).unwrap_or(u32::MAX);
        self.tell_changes(&mut run, now);
        self.runs.insert(id, Box::new(run));
        self.act(id, &mut scratch.effects, now);
        self.scratch = scratch;
        Ok(id)
    }
}
