//! A fleet and its time.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use agentdb::sync::{Endpoint, Pace, Phase, Role, Session, SyncOptions, Toward};
use agentdb::{AgentDb, Field, Options, Priority, ReplicaId, Schema, Sequence, Timestamp};
use fastrand::Rng;
use serde_json::{Value, json};

use super::disk::{Disk, Log, Shared};
use super::network::Network;
use super::oracle::{Fact, Oracle, Verdict, members};
use super::plan::{Change, DOCUMENTS, Op, Plan};

/// When a run begins.
const START: i64 = 1_800_000_000_000;
/// How often a site looks for something to say.
const TICK: u64 = 100;
/// How long a fleet may take to agree once everything has healed.
const SETTLING: u64 = 600_000;

/// A bug that is planted, to see whether it is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A file that is opened anew goes on in its old incarnation.
    NoIncarnation,
    /// Deltas do not tell of removals.
    NoRemovals,
    /// A store acknowledges what is not on its disk.
    EarlyAcknowledgement,
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub operations: u64,
    pub crashes: u64,
    pub partitions: u64,
    pub disk_faults: u64,
    pub frames: u64,
    pub lost: u64,
    pub divergences: u64,
    pub resurrected: u64,
    pub wrong: u64,
    /// What was found wrong, in words; none when all is well.
    pub failure: Option<String>,
}

struct Site {
    disk: Shared,
    endpoint: Option<Endpoint>,
    sessions: BTreeMap<usize, Session>,
    /// When it comes up again.
    up_at: u64,
    full_until: u64,
    /// Writes that were committed and may not be on the disk yet, by the store's change.
    committed: Vec<Fact>,
}

struct World<'p> {
    plan: &'p Plan,
    now: u64,
    sites: Vec<Site>,
    network: Network,
    oracle: Oracle,
    outcome: Outcome,
    serial: u64,
}

fn schema() -> Schema {
    Schema::new("robot")
        .field("note", Field::Lww)
        .field("count", Field::PnCounter)
        .field("peak", Field::Max)
        .field("tools", Field::or_set())
        .field("shared", Field::or_set())
        .field("tasks", Field::or_map(Field::Lww))
        .field("stop", Field::flag())
}

fn name(document: usize) -> String {
    format!("R{document}")
}

impl World<'_> {
    fn root(&self) -> usize {
        self.plan.sites - 1
    }

    /// Whom a site is linked to, and what that is to it.
    fn links(&self, site: usize) -> Vec<(usize, Toward)> {
        let root = self.root();
        // With four sites or more there is an aggregator between the devices and the root.
        let middle = if self.plan.sites >= 4 { root - 1 } else { root };
        let mut links = Vec::new();
        for other in 0..self.plan.sites {
            let toward = match (site, other) {
                _ if site == other => continue,
                (s, o) if s < middle && o == middle => Toward::Parent,
                (s, o) if s == middle && o < middle => Toward::Child,
                (s, o) if s == middle && o == root => Toward::Parent,
                (s, o) if s == root && o == middle => Toward::Child,
                (s, o) if self.plan.ring && s < middle && o < middle && s.abs_diff(o) == 1 => {
                    Toward::Peer
                }
                _ => continue,
            };
            links.push((other, toward));
        }
        links
    }

    fn devices(&self) -> usize {
        if self.plan.sites >= 4 {
            self.plan.sites - 2
        } else {
            self.plan.sites - 1
        }
    }

    fn clock(&self, site: usize) -> Timestamp {
        Timestamp::from_millis(START + self.now as i64 + self.plan.clock[site])
    }

    fn open(&mut self, site: usize) {
        let now = self.clock(site);
        let forgets = (self.plan.mutant == Some(Mutant::NoIncarnation)).then_some("incarnation");
        let storage = Log::open(&self.sites[site].disk, forgets);
        let options = Options::new(ReplicaId::new(site as u64 + 1))
            .durability(self.plan.durability[site])
            .schema(schema());
        let db = AgentDb::with_storage(Box::new(storage), options);
        let Ok(db) = db else {
            // A disk that is full or fails just now: try again later. What was not synced may be gone.
            self.sites[site].committed.clear();
            self.sites[site].up_at = self.now + 1_000;
            return;
        };
        let role = match site {
            _ if site == self.root() => Role::Root,
            _ if site >= self.devices() => Role::Aggregator,
            _ => Role::Device,
        };
        let mut pace = SyncOptions::new(role).pace;
        pace.upward = pace.upward.min(std::time::Duration::from_secs(2));
        pace.events_per_second = 1_000;
        let sync = SyncOptions::new(role).pace(Pace { ..pace });
        let mut endpoint = Endpoint::new(db, sync);
        let links = self.links(site);
        let sessions = links.into_iter().map(|(other, toward)| {
            (other, Session::new(&mut endpoint, toward, now))
        });
        self.sites[site].sessions = sessions.collect();
        self.sites[site].endpoint = Some(endpoint);
    }

    fn close(&mut self, site: usize, down: u64) {
        self.sites[site].disk.lock().unwrap().kill();
        self.sites[site].endpoint = None;
        self.sites[site].sessions.clear();
        self.sites[site].up_at = self.now + down;
        self.outcome.crashes += 1;
    }

    /// What is durable now is acknowledged.
    fn acknowledge(&mut self, site: usize) {
        let at = &mut self.sites[site];
        if at.disk.lock().unwrap().is_clean() {
            self.oracle.acknowledged.append(&mut at.committed);
        }
    }

    fn write(&mut self, site: usize, document: usize, change: &Change) {
        let now = self.clock(site);
        self.serial += 1;
        let serial = self.serial;
        let id = name(document);
        let Some(endpoint) = &mut self.sites[site].endpoint else {
            return;
        };
        let state = endpoint.db().get(&id).ok().flatten();
        let state = state.map_or(Value::Null, |agent| agent.state);
        let pick = |place: usize, prefix: char| {
            let of: Vec<String> = members(&state)
                .into_iter()
                .filter(|member| member.starts_with(prefix))
                .collect();
            (!of.is_empty()).then(|| of[place % of.len()].clone())
        };
        let (fact, removed) = match change {
            Change::Set => (Fact::Set(document, serial as i64), None),
            Change::Add(by) => (Fact::Added(document, *by), None),
            Change::Max(value) => (Fact::Raised(document, i64::from(*value)), None),
            Change::Insert => (Fact::Inserted(document, format!("m{serial}")), None),
            Change::Key => (Fact::Inserted(document, format!("k{serial}")), None),
            Change::Remove(place) | Change::RemoveKey(place) => {
                let prefix = if matches!(change, Change::Remove(_)) { 'm' } else { 'k' };
                let Some(member) = pick(*place, prefix) else {
                    return;
                };
                (Fact::Removed(document, member.clone()), Some(member))
            }
            Change::Toggle(_) | Change::Flag(_) => (Fact::Other, None),
        };
        self.outcome.operations += 1;
        self.oracle.tried.push(fact.clone());
        let result = (|| {
            let mut tx = endpoint.db_mut().begin(now)?;
            let mut agent = tx.agent("robot", &id)?;
            match change {
                Change::Set => agent.set("note", serial)?,
                Change::Add(by) => agent.add("count", *by)?,
                Change::Max(value) => agent.max("peak", f64::from(*value))?,
                Change::Insert => agent.insert("tools", format!("m{serial}"))?,
                Change::Remove(_) => agent.remove("tools", removed.unwrap_or_default())?,
                Change::Key => agent.set(&format!("tasks/k{serial}"), serial)?,
                Change::RemoveKey(_) => {
                    agent.remove_key(&format!("tasks/{}", removed.unwrap_or_default()))?
                }
                Change::Toggle(member) => {
                    let member = format!("t{member}");
                    let there = state["shared"].as_array().into_iter().flatten();
                    if there.filter_map(Value::as_str).any(|known| known == member) {
                        agent.remove("shared", member)?
                    } else {
                        agent.insert("shared", member)?
                    }
                }
                Change::Flag(true) => agent.enable("stop")?,
                Change::Flag(false) => agent.disable("stop")?,
            };
            tx.commit()
        })();
        self.committed(site, result.map(|_| ()), fact);
    }

    fn committed(&mut self, site: usize, result: agentdb::Result<()>, fact: Fact) {
        match result {
            Ok(()) if self.plan.mutant == Some(Mutant::EarlyAcknowledgement) => {
                self.oracle.acknowledged.push(fact);
            }
            Ok(()) => {
                self.sites[site].committed.push(fact);
                self.acknowledge(site);
            }
            Err(_) => self.poisoned(site),
        }
    }

    /// A store that cannot write is opened anew where it must be.
    fn poisoned(&mut self, site: usize) {
        let poisoned = match &mut self.sites[site].endpoint {
            Some(endpoint) => endpoint.db_mut().flush().is_err(),
            None => false,
        };
        if poisoned {
            self.sites[site].committed.clear();
            self.close(site, 100);
        }
    }

    fn event(&mut self, site: usize, lane: Priority) {
        let now = self.clock(site);
        self.serial += 1;
        let serial = self.serial;
        let Some(endpoint) = &mut self.sites[site].endpoint else {
            return;
        };
        self.outcome.operations += 1;
        self.oracle.tried.push(Fact::Event(serial));
        let result = (|| {
            let mut tx = endpoint.db_mut().begin(now)?;
            tx.append_event("R0", "sim", &json!(serial), lane)?;
            tx.commit()
        })();
        self.committed(site, result.map(|_| ()), Fact::Event(serial));
    }

    fn act(&mut self, op: &Op) {
        match op {
            Op::Write {
                site,
                document,
                change,
            } => self.write(site % self.devices(), *document, change),
            Op::Event { site, lane } => self.event(site % self.devices(), *lane),
            Op::Crash { site, down } => {
                if self.sites[*site].endpoint.is_some() {
                    // What was committed is with the system: a later sync brings it to the disk.
                    self.close(*site, u64::from(*down));
                }
            }
            Op::PowerCut { site, down } => {
                self.sites[*site].disk.lock().unwrap().power_cut();
                self.sites[*site].committed.clear();
                self.close(*site, u64::from(*down));
            }
            Op::Partition { a, b, millis } => {
                self.network.cut(*a, *b, self.now + u64::from(*millis));
                self.outcome.partitions += 1;
            }
            Op::SyncFails { site } => {
                self.sites[*site].disk.lock().unwrap().sync_fails = true;
                self.outcome.disk_faults += 1;
            }
            Op::DiskFull { site, millis } => {
                self.sites[*site].disk.lock().unwrap().full = true;
                self.sites[*site].full_until = self.now + u64::from(*millis);
                self.outcome.disk_faults += 1;
            }
            Op::Wait { millis } => self.pass(u64::from(*millis)),
        }
    }

    /// Time passes.
    fn pass(&mut self, millis: u64) {
        let end = self.now + millis;
        while self.now < end {
            let tick = self.now - self.now % TICK + TICK;
            let next = self.network.next().unwrap_or(u64::MAX).max(self.now + 1);
            self.now = tick.min(next).min(end);
            self.step(self.now % TICK == 0);
        }
    }

    fn step(&mut self, tick: bool) {
        for site in 0..self.plan.sites {
            if self.sites[site].full_until <= self.now {
                self.sites[site].disk.lock().unwrap().full = false;
            }
            if self.sites[site].endpoint.is_none() && self.sites[site].up_at <= self.now {
                self.open(site);
            }
        }
        let mut spoken: Vec<usize> = Vec::new();
        for (from, to, frame) in self.network.arrived(self.now) {
            let now = self.clock(to);
            let at = &mut self.sites[to];
            if let Some(endpoint) = &mut at.endpoint
                && let Some(session) = at.sessions.get_mut(&from)
            {
                self.outcome.frames += 1;
                if session.receive(endpoint, &frame, now).is_err() {
                    self.poisoned(to);
                }
                spoken.push(to);
            }
        }
        for site in 0..self.plan.sites {
            if tick || spoken.contains(&site) {
                self.poll(site);
            }
            self.acknowledge(site);
        }
    }

    fn poll(&mut self, site: usize) {
        let now = self.clock(site);
        let at = &mut self.sites[site];
        let Some(endpoint) = &mut at.endpoint else {
            return;
        };
        let mut failed = false;
        for (other, session) in &mut at.sessions {
            // No more than a handful at a time: a site has other things to do.
            for _ in 0..8 {
                match session.poll(endpoint, now) {
                    Ok(Some(frame)) => self.network.send(site, *other, frame, self.now),
                    Ok(None) => break,
                    Err(_) => {
                        failed = true;
                        break;
                    }
                }
            }
        }
        if failed {
            self.poisoned(site);
        }
    }

    fn states(&self, site: usize) -> Vec<Value> {
        let Some(endpoint) = &self.sites[site].endpoint else {
            return vec![Value::Null; DOCUMENTS];
        };
        let state = |document| endpoint.db().get(&name(document)).ok().flatten();
        (0..DOCUMENTS)
            .map(|document| state(document).map_or(Value::Null, |agent| agent.state))
            .collect()
    }

    /// Whether every link says that everything is over there.
    fn is_quiet(&self) -> bool {
        self.sites.iter().all(|site| {
            site.endpoint.as_ref().is_some_and(|endpoint| {
                let sent = site.sessions.values().all(|session| {
                    session.phase() == Phase::Live && session.is_idle(endpoint).unwrap_or(false)
                });
                sent && site.committed.is_empty()
            })
        }) && self.network.next().is_none()
    }

    fn settle(&mut self) {
        self.network.heal();
        for site in &mut self.sites {
            site.full_until = 0;
            site.up_at = 0;
            site.disk.lock().unwrap().sync_fails = false;
        }
        let end = self.now + SETTLING;
        while self.now < end {
            self.pass(1_000);
            for site in 0..self.plan.sites {
                // What was only buffered is brought to the disk, as a host does before it goes down.
                if let Some(endpoint) = &mut self.sites[site].endpoint {
                    let _ = endpoint.db_mut().flush();
                }
                self.acknowledge(site);
            }
            if self.is_quiet() {
                return;
            }
        }
    }

    fn judge(&mut self) {
        let states = self.states(self.root());
        let mut failures = Vec::new();
        for site in 0..self.plan.sites {
            let other = self.states(site);
            if other != states {
                self.outcome.divergences += 1;
                failures.push(format!(
                    "site {site} has {}, the root has {}",
                    Value::from(other),
                    Value::from(states.clone())
                ));
            }
            if self.sites[site].endpoint.is_none() {
                failures.push(format!("site {site} does not come up"));
            }
        }
        if !self.is_quiet() {
            let phases: Vec<String> = self
                .sites
                .iter()
                .map(|site| {
                    let phases = site.sessions.iter();
                    let phases = phases.map(|(other, s)| format!("{other}: {:?}", s.phase()));
                    phases.collect::<Vec<_>>().join(", ")
                })
                .collect();
            failures.push(format!("the fleet does not settle: [{}]", phases.join("] [")));
            self.outcome.wrong += 1;
        }
        let root = self.sites[self.root()].endpoint.as_ref();
        let events = root.map(|root| root.db().events_after(Sequence::new(0), usize::MAX));
        let events: Vec<u64> = events
            .and_then(Result::ok)
            .into_iter()
            .flatten()
            .filter(|event| event.event_type == "sim")
            .filter_map(|event| event.payload.as_u64())
            .collect();
        let Verdict {
            lost,
            resurrected,
            wrong,
        } = self.oracle.judge(&states, &events);
        self.outcome.lost += lost.len() as u64;
        self.outcome.resurrected += resurrected.len() as u64;
        self.outcome.wrong += wrong.len() as u64;
        let named = |kind: &str, of: Vec<String>| {
            let named = of.into_iter().map(|what| format!("{kind}: {what}"));
            named.collect::<Vec<_>>()
        };
        failures.extend(named("acknowledged and lost", lost));
        failures.extend(named("removed and there again", resurrected));
        failures.extend(named("wrong", wrong));
        self.outcome.failure = (!failures.is_empty()).then(|| failures.join("\n"));
    }
}

/// Runs a plan to its end.
pub fn run(plan: &Plan) -> Outcome {
    let sites = (0..plan.sites).map(|site| Site {
        disk: Arc::new(Mutex::new(Disk::new(plan.seed ^ (site as u64) << 32))),
        endpoint: None,
        sessions: BTreeMap::new(),
        up_at: 0,
        full_until: 0,
        committed: Vec::new(),
    });
    let mut world = World {
        plan,
        now: 0,
        sites: sites.collect(),
        network: Network::new(plan.seed, plan.loss),
        oracle: Oracle::default(),
        outcome: Outcome::default(),
        serial: 0,
    };
    let mut rng = Rng::with_seed(plan.seed ^ 0x7469_6d65);
    world.pass(1);
    for op in &plan.ops {
        world.act(op);
        world.pass(rng.u64(1..300));
    }
    world.settle();
    world.judge();
    world.outcome
}
