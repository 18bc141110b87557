//! What an engine holds, as bytes, and an engine that goes on from them.

use super::engine::{Engaged, ms_engine, ms_options, plan};
use super::raise;
use crate::bytes::{Out, buffer, ew_buffer, ew_bytes};
use crate::fail::{ew_error, guard};
use crate::handle;

/// Everything that an engine holds, for ms_engine_restore.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_snapshot(
    engine: *const ms_engine,
    bytes: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(bytes, "bytes")?;
        let mut written = Vec::new();
        // SAFETY: the header's contract.
        let engaged = unsafe { handle::exclusive(engine) }?;
        engaged.engine.snapshot(&mut written).map_err(raise)?;
        out.set(buffer(written));
        Ok(())
    })
}

/// Builds an engine that goes on from an ms_snapshot of one with the same sources. EW_CORRUPT for bytes that are none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_engine_restore(
    options: *const ms_options,
    snapshot: ew_bytes,
    engine: *mut *mut ms_engine,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(engine, "engine")?;
        // SAFETY: the header's contract.
        let ((builder, schemas), bytes) = unsafe { (plan(options)?, snapshot.get("snapshot")?) };
        let engine = builder.restore(bytes).map_err(raise)?;
        out.set(handle::give(Engaged { engine, schemas }));
        Ok(())
    })
}
