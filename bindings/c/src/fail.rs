//! Status codes, error objects, and the guard at the boundary.

use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::handle::{self, Handle};

/// It worked.
pub const EW_OK: i32 = 0;
/// A pointer that must not be NULL is NULL.
pub const EW_NULL: i32 = 1;
/// A handle is not of the kind that the function takes, or was freed.
pub const EW_BAD_HANDLE: i32 = 2;
/// A text is not UTF-8 (or not JSON, where JSON is wanted).
pub const EW_BAD_TEXT: i32 = 3;
/// An argument makes no sense; the message says which and what is wanted.
pub const EW_INVALID: i32 = 4;
/// Something is larger than its limit.
pub const EW_LIMIT: i32 = 5;
/// What was asked for is not there.
pub const EW_NOT_FOUND: i32 = 6;
/// The system could not read, write or lock a file.
pub const EW_SYSTEM: i32 = 7;
/// Stored bytes do not match their checksums or make no sense.
pub const EW_CORRUPT: i32 = 8;
/// The handle is in use: by another thread, by a callback further up, or by an open transaction.
pub const EW_BUSY: i32 = 9;
/// The caller's buffer is too small; the size that is needed was written.
pub const EW_TOO_SMALL: i32 = 10;
/// A callback of the caller failed.
pub const EW_CALLBACK: i32 = 11;
/// The state does not allow it (a run that has ended, no earlier version, a file that broke).
pub const EW_STATE: i32 = 12;
/// A defect of the library was caught. The handles of the call should be freed.
pub const EW_PANIC: i32 = 13;

/// A status in a few words, such as "invalid argument"; "unknown status" for a number that is none. Never freed.
#[unsafe(no_mangle)]
pub extern "C" fn ew_status_str(status: i32) -> *const c_char {
    let text: &'static CStr = match status {
        EW_OK => c"ok",
        EW_NULL => c"null pointer",
        EW_BAD_HANDLE => c"not a handle of this kind",
        EW_BAD_TEXT => c"not UTF-8 or not JSON",
        EW_INVALID => c"invalid argument",
        EW_LIMIT => c"over a limit",
        EW_NOT_FOUND => c"not found",
        EW_SYSTEM => c"system error",
        EW_CORRUPT => c"stored bytes are damaged",
        EW_BUSY => c"handle in use",
        EW_TOO_SMALL => c"buffer too small",
        EW_CALLBACK => c"callback failed",
        EW_STATE => c"not in this state",
        EW_PANIC => c"defect of the library",
        _ => c"unknown status",
    };
    text.as_ptr()
}

/// Why a call failed.
#[derive(Debug)]
pub struct Fail {
    status: i32,
    message: String,
}

impl Fail {
    pub fn new(status: i32, message: impl std::fmt::Display) -> Self {
        let message = message.to_string();
        Self { status, message }
    }

    pub fn null(what: &str) -> Self {
        Self::new(EW_NULL, format_args!("{what} is NULL"))
    }
}

impl From<forms::Malformed> for Fail {
    fn from(error: forms::Malformed) -> Self {
        Self::new(EW_INVALID, error)
    }
}

pub type Result<T> = std::result::Result<T, Fail>;

/// The error of a failed call: a status and a message. Freed by ew_error_free.
pub struct ew_error {
    _opaque: [u8; 0],
}

pub struct Told {
    status: i32,
    message: CString,
}

impl Handle for ew_error {
    type Inside = Told;
    const KIND: u64 = handle::kind(b"ew_error");
}

/// Runs the work of one function. The error goes to `err`, unless that is NULL; it is written on failure only.
pub fn guard(err: *mut *mut ew_error, work: impl FnOnce() -> Result<()>) -> i32 {
    // A panic leaves the handles of this call as they are; the status says that they should be freed.
    let done = catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Fail::new(EW_PANIC, "a defect of the library was caught")));
    let Err(fail) = done else { return EW_OK };
    if !err.is_null() {
        let bytes = fail.message.into_bytes().into_iter();
        let message = CString::new(bytes.filter(|byte| *byte != 0).collect::<Vec<u8>>());
        let told = Told {
            status: fail.status,
            message: message.unwrap_or_default(),
        };
        // SAFETY: the caller passes NULL or a place for one pointer.
        unsafe { err.write(handle::give::<ew_error>(told)) };
    }
    fail.status
}

/// The message, NUL-terminated UTF-8, "" for NULL. Lives as long as the error.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_error_message(error: *const ew_error) -> *const c_char {
    // SAFETY: the header's contract: NULL or a handle.
    match unsafe { handle::shared::<ew_error>(error) } {
        Ok(told) => told.message.as_ptr(),
        Err(_) => c"".as_ptr(),
    }
}

/// The status that the failed call returned; EW_OK for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_error_status(error: *const ew_error) -> i32 {
    // SAFETY: the header's contract: NULL or a handle.
    unsafe { handle::shared::<ew_error>(error) }.map_or(EW_OK, |told| told.status)
}

/// Frees an error. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_error_free(error: *mut ew_error) {
    // SAFETY: the header's contract: NULL or a handle that is not used again.
    unsafe { handle::free::<ew_error>(error) };
}
