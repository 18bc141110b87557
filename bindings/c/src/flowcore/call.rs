//! The raw loop: calls that the program performs itself, on its own threads or on another machine.

use flowcore::{ActionError, Call, Command, Output, Timestamp, Token, Work};
use serde_json::json;

use super::engine::fc_engine;
use super::raise;
use crate::bytes::{Out, ew_buffer, ew_str, json_buffer};
use crate::fail::{EW_INVALID, EW_STATE, Fail, ew_error, guard};
use crate::handle::{self, Handle};

/// Nothing is to be done now.
pub const FC_NOTHING: i32 = 0;
/// A call is to be performed and ended with fc_complete, fc_fail or fc_perform.
pub const FC_EXECUTE: i32 = 1;
/// A call that was handed out is no longer wanted; its result will be dropped and counted.
pub const FC_CANCEL: i32 = 2;

/// A call that was handed out. One thread at a time.
pub struct fc_call {
    _opaque: [u8; 0],
}

pub struct Handed {
    token: Token,
    call: Option<Call>,
}

impl Handle for fc_call {
    type Inside = Handed;
    const KIND: u64 = handle::kind(b"fc_call\0");
}

/// The next thing to do at `now`: FC_… in `what`, and for FC_EXECUTE and FC_CANCEL the call, which the caller frees.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_next(
    engine: *mut fc_engine,
    now: i64,
    what: *mut i32,
    call: *mut *mut fc_call,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let (what, out) = (Out::new(what, "what")?, Out::new(call, "call")?);
        // SAFETY: the header's contract.
        let mut engaged = unsafe { handle::exclusive(engine) }?;
        if engaged.commands.is_empty() {
            let commands = engaged
                .engine()?
                .step(Timestamp::from_millis(now))
                .map_err(raise)?;
            engaged.commands.extend(commands);
        }
        match engaged.commands.pop_front() {
            None => what.set(FC_NOTHING),
            Some(Command::Execute(call)) => {
                let token = call.token();
                out.set(handle::give(Handed {
                    token,
                    call: Some(call),
                }));
                what.set(FC_EXECUTE);
            }
            Some(Command::Cancel(token)) => {
                out.set(handle::give(Handed { token, call: None }));
                what.set(FC_CANCEL);
            }
            Some(_) => {
                let message = "the engine asks for something that this header does not know";
                return Err(Fail::new(EW_STATE, message));
            }
        }
        Ok(())
    })
}

/// Describes a call as JSON, as an action gets it; only its run for one that is cancelled.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_call_json(
    call: *const fc_call,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let handed = unsafe { handle::exclusive(call) }?;
        let told = match &handed.call {
            Some(call) => forms::flowcore::call(call),
            None => json!({"run": handed.token.run().as_u64()}),
        };
        out.set(json_buffer(&told)?);
        Ok(())
    })
}

/// Whether two handles are of one call: which of those in work an FC_CANCEL means.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_call_same(
    a: *const fc_call,
    b: *const fc_call,
    same: *mut bool,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(same, "same")?;
        // SAFETY: the header's contract.
        let a = unsafe { handle::exclusive(a) }?.token;
        // SAFETY: the header's contract.
        out.set(a == unsafe { handle::exclusive(b) }?.token);
        Ok(())
    })
}

/// Frees a call. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_call_free(call: *mut fc_call) {
    // SAFETY: the header's contract.
    unsafe { handle::free::<fc_call>(call) };
}

/// Ends a call well, with JSON output.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_complete(
    engine: *mut fc_engine,
    call: *const fc_call,
    output: ew_str,
    now: i64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, handed, output) = unsafe {
            let output = output.json("output")?;
            (handle::exclusive(engine)?, handle::exclusive(call)?, output)
        };
        let now = Timestamp::from_millis(now);
        engaged
            .engine()?
            .complete(handed.token, Ok(Output::new(output)), now);
        Ok(())
    })
}

/// Ends a call with a failure: a name that rules match, and a message.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_fail(
    engine: *mut fc_engine,
    call: *const fc_call,
    name: ew_str,
    message: ew_str,
    now: i64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, handed, error) = unsafe {
            let error = ActionError::new(name.text("name")?, message.text("message")?);
            (handle::exclusive(engine)?, handle::exclusive(call)?, error)
        };
        let now = Timestamp::from_millis(now);
        engaged.engine()?.complete(handed.token, Err(error), now);
        Ok(())
    })
}

/// Calls the registered action of a call and ends the call with its answer. EW_INVALID for an external action.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fc_perform(
    engine: *mut fc_engine,
    call: *const fc_call,
    now: i64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, handed) =
            unsafe { (handle::exclusive(engine)?, handle::exclusive(call)?) };
        let work = handed.call.as_ref().map(Call::perform);
        let Some(Work::Ready(result)) = work else {
            return Err(Fail::new(
                EW_INVALID,
                "the call has no action that could be called here",
            ));
        };
        let now = Timestamp::from_millis(now);
        engaged.engine()?.complete(handed.token, result, now);
        Ok(())
    })
}
