//! Tenants: on whose account a run goes, and how much each may use.

use std::collections::HashMap;

use super::Engine;
use crate::error::{Error, Result};
use crate::journal::Journal;
use crate::time::Timestamp;

/// How much one tenant may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Runs that have not ended.
    pub live_runs_max: u64,
    /// Actions handed out at once; more wait.
    pub running_steps_max: u64,
    /// Starts a minute; a burst of as many is allowed after a quiet minute.
    pub starts_per_minute_max: u64,
}

impl Quota {
    /// No limits.
    pub const UNLIMITED: Self = Self {
        live_runs_max: u64::MAX,
        running_steps_max: u64::MAX,
        starts_per_minute_max: u64::MAX,
    };
}

#[derive(Default)]
pub(super) struct Tenants {
    by_name: HashMap<Box<str>, Tenant>,
}

struct Tenant {
    quota: Quota,
    live: u64,
    running: u64,
    /// A token bucket: 60,000 units are one start, a millisecond fills in as many units as starts
    /// are allowed a minute.
    bucket: u128,
    filled_at: Option<Timestamp>,
}

const UNITS_PER_START: u128 = 60_000;

impl Tenant {
    fn new(quota: Quota) -> Self {
        Self {
            quota,
            live: 0,
            running: 0,
            bucket: u128::from(quota.starts_per_minute_max) * UNITS_PER_START,
            filled_at: None,
        }
    }

    fn take_start(&mut self, now: Timestamp) -> bool {
        if self.quota.starts_per_minute_max == u64::MAX {
            return true;
        }
        let rate = u128::from(self.quota.starts_per_minute_max);
        if let Some(before) = self.filled_at {
            let filled = self.bucket + now.since(before).as_millis() * rate;
            self.bucket = filled.min(rate * UNITS_PER_START);
        }
        self.filled_at = Some(self.filled_at.map_or(now, |before| before.max(now)));
        let may = self.bucket >= UNITS_PER_START;
        if may {
            self.bucket -= UNITS_PER_START;
        }
        may
    }
}

impl Tenants {
    fn tenant(&mut self, name: &str) -> &mut Tenant {
        self.by_name
            .entry(name.into())
            .or_insert_with(|| Tenant::new(Quota::UNLIMITED))
    }

    /// Counts from zero again; quotas stay.
    pub(super) fn forget(&mut self) {
        for tenant in self.by_name.values_mut() {
            (tenant.live, tenant.running) = (0, 0);
        }
    }

    pub(super) fn may_start(&mut self, name: &str, now: Timestamp) -> Result<()> {
        let tenant = self.tenant(name);
        let over = |what, limit| {
            Err(Error::Quota {
                tenant: name.to_owned(),
                what,
                limit,
            })
        };
        if tenant.live >= tenant.quota.live_runs_max {
            return over("the number of live runs", tenant.quota.live_runs_max);
        }
        if !tenant.take_start(now) {
            return over(
                "the number of starts a minute",
                tenant.quota.starts_per_minute_max,
            );
        }
        Ok(())
    }

    pub(super) fn may_run(&self, name: &str) -> bool {
        self.by_name
            .get(name)
            .is_none_or(|tenant| tenant.running < tenant.quota.running_steps_max)
    }

    pub(super) fn run_started(&mut self, name: &str) {
        self.tenant(name).live += 1;
    }

    /// Forgets a tenant that has nothing going on and no quota.
    pub(super) fn run_ended(&mut self, name: &str) {
        let tenant = self.tenant(name);
        tenant.live = tenant.live.saturating_sub(1);
        if tenant.live == 0 && tenant.running == 0 && tenant.quota == Quota::UNLIMITED {
            self.by_name.remove(name);
        }
    }

    pub(super) fn step_started(&mut self, name: &str) {
        self.tenant(name).running += 1;
    }

    pub(super) fn step_ended(&mut self, name: &str) {
        let tenant = self.tenant(name);
        tenant.running = tenant.running.saturating_sub(1);
    }
}

impl<J: Journal> Engine<J> {
    /// Sets how much a tenant may use from now on; tenants without a quota are unlimited. Rate
    /// limits count from zero again after a restart.
    pub fn quota(&mut self, tenant: &str, quota: Quota) {
        let found = self.tenants.tenant(tenant);
        let fresh = Tenant::new(quota);
        *found = Tenant {
            live: found.live,
            running: found.running,
            ..fresh
        };
    }
}
