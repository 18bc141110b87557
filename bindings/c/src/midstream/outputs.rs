//! What rules told.

use midstream::{Found, Output};

use crate::bytes::{Out, ew_buffer, ew_str, json_buffer};
use crate::fail::{EW_NOT_FOUND, Fail, Result, ew_error, guard};
use crate::handle::{self, Handle};

/// A list of outputs that pushes add to, used again and again. One thread at a time.
pub struct ms_outputs {
    _opaque: [u8; 0],
}

impl Handle for ms_outputs {
    type Inside = Vec<Output>;
    const KIND: u64 = handle::kind(b"ms_outpu");
}

/// A sequence of events.
pub const MS_FOUND_SEQUENCE: i32 = 0;
/// A pattern.
pub const MS_FOUND_PATTERN: i32 = 1;
/// A partial match whose time was over.
pub const MS_FOUND_TIMEOUT: i32 = 2;
/// A window's aggregates.
pub const MS_FOUND_WINDOW: i32 = 3;
/// Named values: of a window, of joined events, of a row.
pub const MS_FOUND_ROW: i32 = 4;
/// What was told holds no more.
pub const MS_FOUND_OVER: i32 = 5;
/// Something that this header does not know; see the JSON.
pub const MS_FOUND_OTHER: i32 = 100;

/// An output at a glance. Texts live until the list is cleared or freed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ms_output {
    /// The rule's name.
    pub rule: ew_str,
    /// The first event, or the window's begin: milliseconds since the Unix epoch.
    pub first: i64,
    /// The last event, or the window's end (exclusive).
    pub last: i64,
    /// MS_FOUND_…
    pub found: i32,
}

/// An empty list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_outputs_new(
    outputs: *mut *mut ms_outputs,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        Out::new(outputs, "outputs")?.set(handle::give(Vec::new()));
        Ok(())
    })
}

/// Frees a list. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_outputs_free(outputs: *mut ms_outputs) {
    // SAFETY: the header's contract.
    unsafe { handle::free::<ms_outputs>(outputs) };
}

/// Empties a list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_outputs_clear(
    outputs: *mut ms_outputs,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe { handle::exclusive(outputs) }?.clear();
        Ok(())
    })
}

/// How many outputs there are; 0 for what is no list.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_outputs_len(outputs: *const ms_outputs) -> usize {
    // SAFETY: the header's contract.
    unsafe { handle::exclusive::<ms_outputs>(outputs) }.map_or(0, |list| list.len())
}

fn at(list: &[Output], place: usize) -> Result<&Output> {
    let none = || {
        Fail::new(
            EW_NOT_FOUND,
            format_args!("output {place} of {}", list.len()),
        )
    };
    list.get(place).ok_or_else(none)
}

/// Reads the output at a place, from 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_outputs_get(
    outputs: *const ms_outputs,
    place: usize,
    output: *mut ms_output,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(output, "output")?;
        // SAFETY: the header's contract.
        let list = unsafe { handle::exclusive(outputs) }?;
        let found = at(&list, place)?;
        out.set(ms_output {
            rule: ew_str::of(&found.rule),
            first: found.first.as_millis(),
            last: found.last.as_millis(),
            found: match found.found {
                Found::Sequence(_) => MS_FOUND_SEQUENCE,
                Found::Pattern(_) => MS_FOUND_PATTERN,
                Found::Timeout(_) => MS_FOUND_TIMEOUT,
                Found::Window(_) => MS_FOUND_WINDOW,
                Found::Row(_) => MS_FOUND_ROW,
                Found::Over(_) => MS_FOUND_OVER,
                _ => MS_FOUND_OTHER,
            },
        });
        Ok(())
    })
}

/// The output at a place as JSON: rule, id, key, first, last, found.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_outputs_json(
    outputs: *const ms_outputs,
    place: usize,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let list = unsafe { handle::exclusive(outputs) }?;
        out.set(json_buffer(at(&list, place)?)?);
        Ok(())
    })
}
