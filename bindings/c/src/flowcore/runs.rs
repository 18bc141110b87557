//! Runs: looked at, decided, cancelled.

use flowcore::{Decision, Link, Timestamp, Verdict};

use super::engine::fc_engine;
use super::{raise, run};
use crate::bytes::{Out, ew_buffer, ew_str, json_buffer};
use crate::fail::{EW_INVALID, Fail, Result, ew_error, guard};
use crate::handle;

/// Describes something of an engine as JSON.
///
/// # Safety
/// As the header says.
pub unsafe fn told<T: serde::Serialize>(
    engine: *const fc_engine,
    json: *mut *mut ew_buffer,
    look: impl FnOnce(&flowcore::Engine<forms::flowcore::Kept>) -> flowcore::Result<T>,
) -> Result<()> {
    let out = Out::new(json, "json")?;
    // SAFETY: the caller's.
    let mut engaged = unsafe { handle::exclusive(engine) }?;
    let told = look(engaged.engine()?).map_err(raise)?;
    out.set(json_buffer(&told)?);
    Ok(())
}

/// Where a run stands, as JSON: id, workflow, definition, status, started_at, and what is known of ended_at, output,
/// failure, key.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_status(
    engine: *const fc_engine,
    run: u64,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    // SAFETY: the header's contract.
    guard(err, || unsafe {
        told(engine, json, |engine| engine.status(self::run(run)))
    })
}

/// The steps of a live run as a JSON array: path, status, attempts, output, deadline.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_steps(
    engine: *const fc_engine,
    run: u64,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    // SAFETY: the header's contract.
    guard(err, || unsafe {
        told(engine, json, |engine| engine.steps(self::run(run)))
    })
}

/// Runs that have not ended, as a JSON array of what fc_status tells.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_live_runs(
    engine: *const fc_engine,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    // SAFETY: the header's contract.
    guard(err, || unsafe {
        told(engine, json, |engine| Ok(engine.live_runs()))
    })
}

/// Up to `limit` runs that ended, with numbers above `after`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_ended_runs(
    engine: *const fc_engine,
    after: u64,
    limit: usize,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    // SAFETY: the header's contract.
    guard(err, || unsafe {
        told(engine, json, |engine| engine.ended_runs(run(after), limit))
    })
}

/// When the engine wants to be run again, in milliseconds since the Unix epoch; INT64_MAX for not by itself. `busy` is
/// whether something can go on now. Either may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_next_wake(
    engine: *const fc_engine,
    at: *mut i64,
    busy: *mut bool,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let mut engaged = unsafe { handle::exclusive(engine) }?;
        let engine = engaged.engine()?;
        let wake = engine.next_wake().map_or(i64::MAX, Timestamp::as_millis);
        crate::bytes::set_optional(at, wake);
        crate::bytes::set_optional(busy, engine.has_work());
        Ok(())
    })
}

/// How many results came for calls that nobody waited for any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_stale_results(
    engine: *const fc_engine,
    count: *mut u64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(count, "count")?;
        // SAFETY: the header's contract.
        let mut engaged = unsafe { handle::exclusive(engine) }?;
        out.set(engaged.engine()?.stale_results());
        Ok(())
    })
}

/// Reads the journal and takes up the runs of an earlier process. Other calls do it by themselves when it was not done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_recover(
    engine: *mut fc_engine,
    now: i64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let mut engaged = unsafe { handle::exclusive(engine) }?;
        engaged
            .engine()?
            .recover(Timestamp::from_millis(now))
            .map_err(raise)
    })
}

/// Go on.
pub const FC_APPROVED: i32 = 1;
/// Do not.
pub const FC_REJECTED: i32 = 0;

/// A person's answer to an approval step (its path): FC_APPROVED or FC_REJECTED, by whom, and a note or {NULL, 0}.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_decide(
    engine: *mut fc_engine,
    run: u64,
    step: ew_str,
    verdict: i32,
    by: ew_str,
    note: ew_str,
    now: i64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let verdict = match verdict {
            FC_APPROVED => Verdict::Approved,
            FC_REJECTED => Verdict::Rejected,
            other => {
                return Err(Fail::new(
                    EW_INVALID,
                    format_args!("verdict is {other}, wanted is FC_APPROVED or FC_REJECTED"),
                ));
            }
        };
        // SAFETY: the header's contract.
        let (mut engaged, step, by, note) = unsafe {
            let (by, note) = (by.text("by")?.to_owned(), note.optional("note")?);
            (
                handle::exclusive(engine)?,
                step.text("step")?,
                by,
                note.map(str::to_owned),
            )
        };
        let decision = Decision { verdict, by, note };
        let now = Timestamp::from_millis(now);
        engaged
            .engine()?
            .decide(self::run(run), step, decision, now)
            .map_err(raise)
    })
}

/// Cancels a run; its compensations run.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_cancel(
    engine: *mut fc_engine,
    run: u64,
    reason: ew_str,
    now: i64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, reason) = unsafe { (handle::exclusive(engine)?, reason.text("reason")?) };
        let now = Timestamp::from_millis(now);
        engaged
            .engine()?
            .cancel(self::run(run), reason, now)
            .map_err(raise)
    })
}

/// Parks a run; what is in work ends, nothing more begins until fc_resume.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_pause(
    engine: *mut fc_engine,
    run: u64,
    reason: ew_str,
    now: i64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, reason) = unsafe { (handle::exclusive(engine)?, reason.text("reason")?) };
        let now = Timestamp::from_millis(now);
        engaged
            .engine()?
            .pause(self::run(run), reason, now)
            .map_err(raise)
    })
}

/// Lets a parked run go on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_resume(
    engine: *mut fc_engine,
    run: u64,
    now: i64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let mut engaged = unsafe { handle::exclusive(engine) }?;
        let now = Timestamp::from_millis(now);
        engaged.engine()?.resume(self::run(run), now).map_err(raise)
    })
}

/// Starts a new run that begins at a step (its path) of another, with the results before it; `forked` (may be NULL) is
/// its number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_fork(
    engine: *mut fc_engine,
    run: u64,
    step: ew_str,
    now: i64,
    forked: *mut u64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, step) = unsafe { (handle::exclusive(engine)?, step.text("step")?) };
        let now = Timestamp::from_millis(now);
        let started = engaged
            .engine()?
            .fork(self::run(run), step, now)
            .map_err(raise)?;
        crate::bytes::set_optional(forked, started.as_u64());
        Ok(())
    })
}

/// Says whether a link that steps require (`requires: cloud`) is up (1) or down (0).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_set_link(
    engine: *mut fc_engine,
    name: ew_str,
    up: i32,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let link = match up {
            0 => Link::Down,
            1 => Link::Up,
            other => {
                return Err(Fail::new(
                    EW_INVALID,
                    format_args!("up is {other}, wanted is 0 or 1"),
                ));
            }
        };
        // SAFETY: the header's contract.
        let (mut engaged, name) = unsafe { (handle::exclusive(engine)?, name.text("name")?) };
        engaged.engine()?.set_link(name, link);
        Ok(())
    })
}
