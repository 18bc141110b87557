//! Versions of a workflow: two beside each other, the way back, and live runs that move.

use flowcore::{DefinitionHash, Timestamp, Workflow};

use super::engine::{deploy, fc_engine};
use super::{raise, run};
use crate::bytes::{Out, buffer, ew_buffer, ew_str, json_buffer};
use crate::fail::{EW_NOT_FOUND, Fail, ew_error, guard};
use crate::handle;

/// Deploys a version, from YAML, without making it the active one; the first version of a name is active in any case.
/// `hash` (may be NULL) is its definition's, as text.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_deploy_standby(
    engine: *mut fc_engine,
    text: ew_str,
    hash: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    // SAFETY: the header's contract.
    guard(err, || unsafe {
        deploy(
            engine,
            text,
            hash,
            Workflow::from_yaml,
            |engine, workflow| engine.deploy_standby(workflow),
        )
    })
}

/// Makes a deployed version the active one: later triggers start it, live runs keep theirs.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_activate(
    engine: *mut fc_engine,
    hash: ew_str,
    now: i64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, hash) = unsafe { (handle::exclusive(engine)?, hash.text("hash")?) };
        let version = forms::flowcore::hash(hash)?;
        let now = Timestamp::from_millis(now);
        engaged.engine()?.activate(version, now).map_err(raise)
    })
}

/// Makes the version before the active one the active one again; `hash` (may be NULL) is its definition's.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_rollback(
    engine: *mut fc_engine,
    workflow: ew_str,
    now: i64,
    hash: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, name) =
            unsafe { (handle::exclusive(engine)?, workflow.text("workflow")?) };
        let now = Timestamp::from_millis(now);
        let version = engaged.engine()?.rollback(name, now).map_err(raise)?;
        if !hash.is_null() {
            Out::new(hash, "hash")?.set(buffer(version.to_string()));
        }
        Ok(())
    })
}

/// The hash of the version that triggers start now. EW_NOT_FOUND for a workflow that was not deployed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_active_version(
    engine: *const fc_engine,
    workflow: ew_str,
    hash: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(hash, "hash")?;
        // SAFETY: the header's contract.
        let (mut engaged, name) =
            unsafe { (handle::exclusive(engine)?, workflow.text("workflow")?) };
        let version = engaged.engine()?.active_version(name);
        out.set(buffer(found(version, name)?.to_string()));
        Ok(())
    })
}

fn found<T>(something: Option<T>, name: &str) -> crate::fail::Result<T> {
    something.ok_or_else(|| Fail::new(EW_NOT_FOUND, format_args!("no workflow is called `{name}`")))
}

/// The definition of a workflow's active version, as JSON.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_workflow(
    engine: *const fc_engine,
    workflow: ew_str,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let (mut engaged, name) =
            unsafe { (handle::exclusive(engine)?, workflow.text("workflow")?) };
        let active = found(engaged.engine()?.workflow(name), name)?;
        out.set(json_buffer(active.definition())?);
        Ok(())
    })
}

/// Whether a live run could go on under another version (YAML): everything in its log must mean the same there. JSON:
/// {"possible": true}, or {"possible": false, "record": …, "reason": …}.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_check_upgrade(
    engine: *mut fc_engine,
    run: u64,
    text: ew_str,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let (mut engaged, text) = unsafe { (handle::exclusive(engine)?, text.text("text")?) };
        let version = Workflow::from_yaml(text).map_err(raise)?;
        let engine = engaged.engine()?;
        let upgrade = engine
            .check_upgrade(self::run(run), &version)
            .map_err(raise)?;
        out.set(json_buffer(&forms::flowcore::upgrade(&upgrade))?);
        Ok(())
    })
}

/// Moves a live run to another deployed version of its workflow. EW_STATE with the obstacle when it cannot move.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_upgrade(
    engine: *mut fc_engine,
    run: u64,
    hash: ew_str,
    now: i64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, hash) = unsafe { (handle::exclusive(engine)?, hash.text("hash")?) };
        let version: DefinitionHash = forms::flowcore::hash(hash)?;
        let now = Timestamp::from_millis(now);
        let engine = engaged.engine()?;
        engine.upgrade(self::run(run), version, now).map_err(raise)
    })
}
