//! Rules that change while events come, their counters, and the events that came too late for them.

use midstream::State;
use serde_json::json;

use super::engine::{ms_engine, ms_rules};
use super::raise;
use crate::bytes::{Out, ew_buffer, ew_str, json_buffer, set_optional};
use crate::fail::{Fail, Result, ew_error, guard};
use crate::handle;

/// # Safety
/// As the header says.
unsafe fn read(rule: *const ms_rules) -> Result<midstream::Rule> {
    if rule.is_null() {
        return Err(Fail::null("rule"));
    }
    // SAFETY: the caller's.
    let (text, source, key) = unsafe {
        let rule = rule.read_unaligned();
        let (text, source) = (rule.text.text("text")?, rule.source.text("source")?);
        (text, source, rule.key.optional("key")?)
    };
    Ok(forms::midstream::rule(text, source, key)?)
}

/// Adds one rule, which sees the events from now on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_rule_add(
    engine: *mut ms_engine,
    rule: *const ms_rules,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, rule) = unsafe { (handle::exclusive(engine)?, read(rule)?) };
        engaged.engine.add_rule(rule).map_err(raise)
    })
}

/// Puts a rule in the place of that of its name. `kept` (may be NULL) tells whether it goes on from what that one held:
/// where only thresholds, limits, or when it tells differ. EW_NOT_FOUND without a rule of the name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_rule_replace(
    engine: *mut ms_engine,
    rule: *const ms_rules,
    kept: *mut bool,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, rule) = unsafe { (handle::exclusive(engine)?, read(rule)?) };
        let state = engaged.engine.replace_rule(rule).map_err(raise)?;
        set_optional(kept, state == State::Kept);
        Ok(())
    })
}

/// Takes a rule out, with what it holds. EW_NOT_FOUND without it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_rule_remove(
    engine: *mut ms_engine,
    name: ew_str,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, name) = unsafe { (handle::exclusive(engine)?, name.text("name")?) };
        engaged.engine.remove_rule(name).map_err(raise)
    })
}

/// The counters of each rule, in order, as a JSON array of {rule, events, matched, outputs, keys, partial_matches,
/// state_bytes, dropped, expired}. Writes what windows hold as a snapshot does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_rule_metrics(
    engine: *const ms_engine,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let engaged = unsafe { handle::exclusive(engine) }?;
        out.set(json_buffer(&engaged.engine.rule_metrics())?);
        Ok(())
    })
}

/// The late events that were kept (ms_options.late_kept), in order of arrival, as a JSON array of {source, id, at}; they
/// are kept no longer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_take_late(
    engine: *mut ms_engine,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let late = unsafe { handle::exclusive(engine) }?.engine.take_late();
        let list = late.iter().map(
            |event| json!({"source": event.source(), "id": event.id(), "at": event.at().as_millis()}),
        );
        out.set(json_buffer(&list.collect::<Vec<_>>())?);
        Ok(())
    })
}
