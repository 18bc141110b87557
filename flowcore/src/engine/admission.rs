//! Whether a call may be handed out now: its link is up, its part of the budget is free, its tenant
//! has not too much running. What may not go yet is held, in memory only: it follows from the log,
//! so a restart offers it again.
//!
//! Order: by urgency, then by age. A call that does not fit stops the ones behind it from taking
//! what it waits for, so large work is not starved by small work; what waits for long moves up one
//! class at a time, but never into the safety class. Safety-critical calls may use the whole
//! budget, all others only what is not reserved for them.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::tenant::Tenants;
use super::{Call, Command, Engine, Token};
use crate::definition::{Gpu, Priority};
use crate::journal::Journal;
use crate::plan::Resources;
use crate::time::Timestamp;

/// What waited this long moves up one class.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether a link to the outside is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// It is.
    Up,
    /// It is not.
    Down,
}

/// What all actions together may occupy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// The whole.
    pub total: Resources,
    /// The part of it that only safety-critical calls may use.
    pub reserved_for_safety: Resources,
}

/// Calls that wait, by what they wait for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Held {
    /// A link is down.
    pub offline: u64,
    /// The budget is used up.
    pub budget: u64,
    /// The tenant has as many running as it may.
    pub quota: u64,
}

#[derive(Default)]
pub(super) struct Admission {
    down: HashSet<Box<str>>,
    budget: Option<Budget>,
    used: Resources,
    waiting: Vec<Waiting>,
    running: HashMap<Token, Grant>,
    arrivals: u64,
}

struct Waiting {
    call: Call,
    priority: Priority,
    since: Timestamp,
    arrival: u64,
}

struct Grant {
    resources: Resources,
    tenant: Option<Box<str>>,
}

/// What keeps a call back.
enum Verdict {
    Go(Resources),
    Offline,
    Budget,
    Quota,
}

/// Resources that somebody more urgent waits for.
#[derive(Default)]
struct Claimed {
    cpu: bool,
    memory: bool,
    gpu: bool,
}

impl Admission {
    pub(super) fn is_down(&self, link: &str) -> bool {
        self.down.contains(link)
    }

    pub(super) fn offer(&mut self, call: Call, now: Timestamp) {
        let priority = call.priority();
        self.arrivals += 1;
        self.waiting.push(Waiting {
            call,
            priority,
            since: now,
            arrival: self.arrivals,
        });
    }

    /// Takes back a call that was not handed out; tells whether there was one.
    pub(super) fn withdraw(&mut self, token: Token) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|waiting| waiting.call.token != token);
        self.waiting.len() < before
    }

    pub(super) fn release(&mut self, token: Token, tenants: &mut Tenants) {
        if self.running.is_empty() {
            return;
        }
        if let Some(grant) = self.running.remove(&token) {
            self.used.cpu_milli -= grant.resources.cpu_milli;
            self.used.memory_bytes -= grant.resources.memory_bytes;
            self.used.gpus -= grant.resources.gpus;
            if let Some(tenant) = &grant.tenant {
                tenants.step_ended(tenant);
            }
        }
    }

    /// Hands out what may go.
    pub(super) fn admit(
        &mut self,
        tenants: &mut Tenants,
        now: Timestamp,
        commands: &mut Vec<Command>,
    ) {
        if self.waiting.is_empty() {
            return;
        }
        self.waiting
            .sort_by_key(|waiting| (class(waiting, now), waiting.arrival));
        let mut claimed = Claimed::default();
        for mut waiting in std::mem::take(&mut self.waiting) {
            match self.judge(&waiting, tenants, &mut claimed) {
                Verdict::Go(resources) => {
                    self.used.cpu_milli += resources.cpu_milli;
                    self.used.memory_bytes += resources.memory_bytes;
                    self.used.gpus += resources.gpus;
                    let tenant: Option<Box<str>> = waiting.call.tenant().map(Into::into);
                    if let Some(tenant) = &tenant {
                        tenants.step_started(tenant);
                    }
                    let grant = Grant { resources, tenant };
                    self.running.insert(waiting.call.token, grant);
                    waiting.call.gpu = resources.gpus > 0;
                    commands.push(Command::Execute(waiting.call));
                }
                Verdict::Offline | Verdict::Budget | Verdict::Quota => self.waiting.push(waiting),
            }
        }
    }

    fn judge(&self, waiting: &Waiting, tenants: &Tenants, claimed: &mut Claimed) -> Verdict {
        let dispatch = waiting.call.dispatch();
        let link = dispatch.and_then(|dispatch| dispatch.requires.as_ref());
        if link.is_some_and(|link| self.down.contains(link)) {
            return Verdict::Offline;
        }
        if let Some(tenant) = waiting.call.tenant()
            && !tenants.may_run(tenant)
        {
            return Verdict::Quota;
        }
        let (Some(dispatch), Some(budget)) = (dispatch, self.budget) else {
            return Verdict::Go(Resources::default());
        };
        let reserved = match waiting.priority {
            Priority::Safety => Resources::default(),
            _ => budget.reserved_for_safety,
        };
        let free = |total: u64, used: u64, reserved: u64| total.saturating_sub(used + reserved);
        let (need, total, used) = (dispatch.need, budget.total, self.used);
        let cpu_free = free(
            total.cpu_milli.into(),
            used.cpu_milli.into(),
            reserved.cpu_milli.into(),
        );
        let memory_free = free(total.memory_bytes, used.memory_bytes, reserved.memory_bytes);
        let gpu_free = free(total.gpus.into(), used.gpus.into(), reserved.gpus.into());
        let cpu_fits =
            need.cpu_milli == 0 || (!claimed.cpu && u64::from(need.cpu_milli) <= cpu_free);
        let memory_fits =
            need.memory_bytes == 0 || (!claimed.memory && need.memory_bytes <= memory_free);
        let gpu_fits = !claimed.gpu && gpu_free > 0;
        let blocked_by_gpu = dispatch.gpu == Gpu::Required && !gpu_fits;
        if cpu_fits && memory_fits && !blocked_by_gpu {
            let gpus = u32::from(dispatch.gpu != Gpu::None && gpu_fits);
            return Verdict::Go(Resources { gpus, ..need });
        }
        claimed.cpu |= need.cpu_milli > 0;
        claimed.memory |= need.memory_bytes > 0;
        claimed.gpu |= dispatch.gpu == Gpu::Required;
        Verdict::Budget
    }

    /// Everything that was offered or handed out belongs to runs that are read back anew.
    pub(super) fn forget(&mut self) {
        self.waiting.clear();
        self.running.clear();
        self.used = Resources::default();
    }

    fn held(&self, tenants: &Tenants) -> Held {
        let mut held = Held::default();
        let mut claimed = Claimed::default();
        for waiting in &self.waiting {
            match self.judge(waiting, tenants, &mut claimed) {
                Verdict::Offline => held.offline += 1,
                Verdict::Quota => held.quota += 1,
                Verdict::Budget | Verdict::Go(_) => held.budget += 1,
            }
        }
        held
    }
}

/// The class that a call is served in: its own, or a better one after a long wait.
fn class(waiting: &Waiting, now: Timestamp) -> u8 {
    let own = waiting.priority as u8;
    let waited = now.since(waiting.since).as_millis() / PATIENCE.as_millis();
    let steps = u8::try_from(waited).unwrap_or(u8::MAX);
    // Only safety-critical work is served in the safety class.
    own.saturating_sub(steps).max(own.min(Priority::High as u8))
}

impl<J: Journal> Engine<J> {
    /// Bounds what all actions together occupy, by what their steps say under `resources`. Without
    /// a budget nothing is held back. A step that needs more than the whole budget is refused when
    /// it is deployed.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.admission.budget = Some(budget);
        self
    }

    pub(super) fn fits_budget(&self, need: Resources, gpu: Gpu, priority: Priority) -> bool {
        let Some(budget) = self.admission.budget else {
            return true;
        };
        let reserved = match priority {
            Priority::Safety => Resources::default(),
            _ => budget.reserved_for_safety,
        };
        let total = budget.total;
        need.cpu_milli <= total.cpu_milli.saturating_sub(reserved.cpu_milli)
            && need.memory_bytes <= total.memory_bytes.saturating_sub(reserved.memory_bytes)
            && (gpu != Gpu::Required || total.gpus > reserved.gpus)
    }

    /// Says whether a link is there; steps with `requires: NAME` heed it. Links are up until told
    /// otherwise. When one comes back, the next [`step`](Self::step) hands out what waited for it,
    /// the oldest first, each once.
    pub fn set_link(&mut self, name: &str, link: Link) {
        match link {
            Link::Up => self.admission.down.remove(name),
            Link::Down => self.admission.down.insert(name.into()),
        };
    }

    /// How many calls wait, and for what.
    pub fn held(&self) -> Held {
        self.admission.held(&self.tenants)
    }

    pub(super) fn holds_work_that_may_go(&self) -> bool {
        let mut claimed = Claimed::default();
        self.admission.waiting.iter().any(|waiting| {
            let verdict = self.admission.judge(waiting, &self.tenants, &mut claimed);
            matches!(verdict, Verdict::Go(_))
        })
    }
}
