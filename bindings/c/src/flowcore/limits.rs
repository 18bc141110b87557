//! What an engine may use, what it keeps and tells of itself.

use std::ffi::c_void;
use std::time::Duration;

use flowcore::{Budget, Call, Progress, Quota, Resources, Start, Tier, Timestamp};

use super::engine::{fc_action_fn, fc_engine, perform, with_engine};
use super::raise;
use super::runs::told;
use crate::bytes::{User, ew_buffer, ew_str, options, set_optional};
use crate::fail::{EW_INVALID, Fail, ew_error, guard};
use crate::handle;

/// A part of a machine.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fc_resources {
    /// Thousandths of a core.
    pub cpu_milli: u32,
    /// GPUs.
    pub gpus: u32,
    /// Bytes of memory.
    pub memory_bytes: u64,
}

/// What an engine keeps and may use. Set struct_size to sizeof(fc_limits) and what is not needed to 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fc_limits {
    /// sizeof(fc_limits).
    pub struct_size: usize,
    /// The latest so many entries of an audit log are kept in the journal; 0 for none.
    pub audit_entries: u64,
    /// How often in a row a run may be read back without getting any further before it is parked; 0 for 10.
    pub recoveries_max: u32,
    /// 1 to measure how long each step's calls take, for fc_latencies.
    pub measure: i32,
    /// 1 to hold back what is beyond `total`, by what steps say under `resources`.
    pub has_budget: i32,
    /// What all actions together may occupy.
    pub total: fc_resources,
    /// The part of it that only safety-critical calls may use.
    pub reserved_for_safety: fc_resources,
}

const NOTHING: fc_resources = fc_resources {
    cpu_milli: 0,
    gpus: 0,
    memory_bytes: 0,
};

const DEFAULTS: fc_limits = fc_limits {
    struct_size: size_of::<fc_limits>(),
    audit_entries: 0,
    recoveries_max: 0,
    measure: 0,
    has_budget: 0,
    total: NOTHING,
    reserved_for_safety: NOTHING,
};

fn resources(given: fc_resources) -> Resources {
    Resources {
        cpu_milli: given.cpu_milli,
        memory_bytes: given.memory_bytes,
        gpus: given.gpus,
    }
}

/// Sets what an engine keeps and may use, before the first workflow is deployed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_limit(
    engine: *mut fc_engine,
    limits: *const fc_limits,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        if limits.is_null() {
            return Err(Fail::null("limits"));
        }
        // SAFETY: the header's contract.
        let (mut engaged, given) = unsafe {
            (
                handle::exclusive(engine)?,
                options(limits, DEFAULTS, "limits")?,
            )
        };
        with_engine(&mut engaged, |mut engine| {
            engine = engine.audited(given.audit_entries);
            if given.recoveries_max != 0 {
                engine = engine.recoveries_max(given.recoveries_max);
            }
            if given.measure != 0 {
                engine = engine.measure();
            }
            if given.has_budget != 0 {
                engine = engine.budget(Budget {
                    total: resources(given.total),
                    reserved_for_safety: resources(given.reserved_for_safety),
                });
            }
            engine
        })
    })
}

/// Sets how much a tenant may use from now on: live runs, actions at work at once, starts a minute; UINT64_MAX for no
/// limit. Tenants without a quota are unlimited.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_quota(
    engine: *mut fc_engine,
    tenant: ew_str,
    live_runs_max: u64,
    running_steps_max: u64,
    starts_per_minute_max: u64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, tenant) = unsafe { (handle::exclusive(engine)?, tenant.text("tenant")?) };
        let quota = Quota {
            live_runs_max,
            running_steps_max,
            starts_per_minute_max,
        };
        engaged.engine()?.quota(tenant, quota);
        Ok(())
    })
}

/// fc_start for a tenant. EW_LIMIT when its quota does not allow it now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_start_for(
    engine: *mut fc_engine,
    tenant: ew_str,
    workflow: ew_str,
    key: ew_str,
    input: ew_str,
    now: i64,
    run: *mut u64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, tenant, workflow, key, input) = unsafe {
            let (tenant, workflow) = (tenant.text("tenant")?, workflow.text("workflow")?);
            let (key, input) = (key.optional("key")?, input.json("input")?);
            (handle::exclusive(engine)?, tenant, workflow, key, input)
        };
        let mut start = Start::new(workflow, input).tenant(tenant);
        if let Some(key) = key {
            start = start.key(key);
        }
        let started = engaged
            .engine()?
            .start_run_of(start, Timestamp::from_millis(now))
            .map_err(raise)?;
        set_optional(run, started.as_u64());
        Ok(())
    })
}

/// Claims the journal under the name of an owner; `epoch` (may be NULL) is the fencing number. Running renews the lease
/// by itself. EW_SYSTEM while another owner's lease runs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_lease(
    engine: *mut fc_engine,
    owner: ew_str,
    ttl_ms: u64,
    now: i64,
    epoch: *mut u64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, owner) = unsafe { (handle::exclusive(engine)?, owner.text("owner")?) };
        let (ttl, now) = (Duration::from_millis(ttl_ms), Timestamp::from_millis(now));
        let claimed = engaged.engine()?.lease(owner, ttl, now).map_err(raise)?;
        set_optional(epoch, claimed);
        Ok(())
    })
}

/// Removes up to `limit` runs that ended before a time, the oldest numbers first, with their logs and keys; `forgotten`
/// (may be NULL) is how many. Without it the journal keeps them for ever.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_forget_ended(
    engine: *mut fc_engine,
    before: i64,
    limit: usize,
    forgotten: *mut usize,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let mut engaged = unsafe { handle::exclusive(engine) }?;
        let before = Timestamp::from_millis(before);
        let gone = engaged
            .engine()?
            .forget_ended(before, limit)
            .map_err(raise)?;
        set_optional(forgotten, gone);
        Ok(())
    })
}

/// Up to `limit` entries of the audit log from a number on, as a JSON array of {number, at, act, run, note}.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_audit_log(
    engine: *const fc_engine,
    from: u64,
    limit: usize,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    // SAFETY: the header's contract.
    guard(err, || unsafe {
        told(engine, json, |engine| engine.audit_log(from, limit))
    })
}

/// How long each step took, as a JSON array of {workflow, definition, step, count, failures, p50_ms, p95_ms, p99_ms,
/// max_ms}; empty unless fc_limits.measure is 1.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_latencies(
    engine: *const fc_engine,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    // SAFETY: the header's contract.
    guard(err, || unsafe {
        told(engine, json, |engine| Ok(engine.latencies()))
    })
}

/// How many calls wait, as JSON: offline (a link is down), budget (it is used up), quota (the tenant's).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_held(
    engine: *const fc_engine,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    // SAFETY: the header's contract.
    guard(err, || unsafe {
        told(engine, json, |engine| {
            Ok(forms::flowcore::held(engine.held()))
        })
    })
}

/// On the camera, sensor or vehicle.
pub const FC_TIER_FAR: i32 = 0;
/// On the gateway of the site.
pub const FC_TIER_MID: i32 = 1;
/// In the operator's network or the cloud.
pub const FC_TIER_NETWORK: i32 = 2;

/// Hands the calls of steps that belong on a tier (by their `latency`) to this function instead of the action of their
/// name. `user` must live as long as the engine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_place(
    engine: *mut fc_engine,
    tier: i32,
    action: fc_action_fn,
    user: *mut c_void,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let tier = match tier {
            FC_TIER_FAR => Tier::Far,
            FC_TIER_MID => Tier::Mid,
            FC_TIER_NETWORK => Tier::Network,
            other => {
                return Err(Fail::new(
                    EW_INVALID,
                    format_args!("tier is {other}, see FC_TIER_…"),
                ));
            }
        };
        // SAFETY: the header's contract.
        let mut engaged = unsafe { handle::exclusive(engine) }?;
        let action = action.ok_or_else(|| Fail::null("action"))?;
        let user = User(user);
        with_engine(&mut engaged, |engine| {
            engine.place(tier, move |call: &Call| {
                let user = user;
                perform(action, user, call)
            })
        })
    })
}

/// Is told of a change: a line of JSON, {"event": "run", at, run, workflow, status} or {"event": "step", at, run, step,
/// status, attempt}. Called by the thread that runs the engine; it must not use that engine.
pub type fc_progress_fn = Option<unsafe extern "C" fn(user: *mut c_void, line: ew_str)>;

/// Calls `listener` for every change, in order, after the commit that made it durable. `user` must live as long as the
/// engine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_progress(
    engine: *mut fc_engine,
    listener: fc_progress_fn,
    user: *mut c_void,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let mut engaged = unsafe { handle::exclusive(engine) }?;
        let listener = listener.ok_or_else(|| Fail::null("listener"))?;
        let user = User(user);
        with_engine(&mut engaged, |engine| {
            engine.progress(move |progress: &Progress| {
                let user = user;
                let line = progress.to_line();
                // SAFETY: the header's contract: a function of this type that does not unwind.
                unsafe { listener(user.0, ew_str::of(&line)) };
            })
        })
    })
}
