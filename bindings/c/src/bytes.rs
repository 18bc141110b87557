//! Texts and arrays in, texts and bytes out.

use std::ffi::{c_char, c_void};

use serde::Serialize;
use serde_json::Value;

use crate::fail::{EW_BAD_TEXT, EW_INVALID, EW_LIMIT, EW_OK, Fail, Result, ew_error, guard};
use crate::handle::{self, Handle};

/// The longest text or array of bytes that a call takes.
pub const EW_BYTES_MAX: usize = 256 << 20;

/// The largest array: what a process can address, or half of it where addresses are short.
const ARRAY_BYTES_MAX: usize = if usize::BITS >= 64 {
    usize::MAX >> 18
} else {
    usize::MAX >> 1
};

/// A text: UTF-8, not NUL-terminated. `{NULL, 0}` is the empty text, or none where that makes a difference.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ew_str {
    /// The first byte.
    pub ptr: *const c_char,
    /// How many bytes there are.
    pub len: usize,
}

/// Bytes of any kind.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ew_bytes {
    /// The first byte.
    pub ptr: *const u8,
    /// How many there are.
    pub len: usize,
}

/// A text from a NUL-terminated one; `{NULL, 0}` for NULL. The text is not copied.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_str_of(text: *const c_char) -> ew_str {
    if text.is_null() {
        return ew_str::NONE;
    }
    // SAFETY: the caller passes a NUL-terminated text.
    let len = unsafe { std::ffi::CStr::from_ptr(text) }.count_bytes();
    ew_str { ptr: text, len }
}

impl ew_str {
    pub const NONE: Self = Self {
        ptr: std::ptr::null(),
        len: 0,
    };

    pub fn of(text: &str) -> Self {
        Self {
            ptr: text.as_ptr().cast(),
            len: text.len(),
        }
    }

    /// # Safety
    /// As the header says: NULL, or `len` readable bytes that stay as they are while the call lasts.
    pub unsafe fn text<'a>(self, what: &str) -> Result<&'a str> {
        // SAFETY: the caller's.
        let bytes = unsafe { slice(self.ptr.cast::<u8>(), self.len, what) }?;
        std::str::from_utf8(bytes)
            .map_err(|error| Fail::new(EW_BAD_TEXT, format_args!("{what} is not UTF-8: {error}")))
    }

    /// None for NULL.
    ///
    /// # Safety
    /// As [`text`](Self::text).
    pub unsafe fn optional<'a>(self, what: &str) -> Result<Option<&'a str>> {
        if self.ptr.is_null() && self.len == 0 {
            return Ok(None);
        }
        // SAFETY: the caller's.
        unsafe { self.text(what) }.map(Some)
    }

    /// A JSON value; null for `{NULL, 0}`.
    ///
    /// # Safety
    /// As [`text`](Self::text).
    pub unsafe fn json(self, what: &str) -> Result<Value> {
        // SAFETY: the caller's.
        match unsafe { self.optional(what) }? {
            None => Ok(Value::Null),
            Some(text) => serde_json::from_str(text).map_err(|error| {
                Fail::new(EW_BAD_TEXT, format_args!("{what} is not JSON: {error}"))
            }),
        }
    }
}

impl ew_bytes {
    /// # Safety
    /// As [`ew_str::text`].
    pub unsafe fn get<'a>(self, what: &str) -> Result<&'a [u8]> {
        // SAFETY: the caller's.
        unsafe { slice(self.ptr, self.len, what) }
    }
}

/// An array of the caller.
///
/// # Safety
/// NULL, or `len` readable items that stay as they are while the call lasts.
pub unsafe fn slice<'a, T>(ptr: *const T, len: usize, what: &str) -> Result<&'a [T]> {
    if len == 0 {
        return Ok(&[]);
    }
    check(ptr, len, what)?;
    // SAFETY: not NULL, aligned, below isize::MAX bytes; the caller's promise for the rest.
    Ok(unsafe { std::slice::from_raw_parts(ptr, len) })
}

/// An array that the caller wants filled.
///
/// # Safety
/// NULL, or `len` writable and initialised items that nobody else uses while the call lasts.
pub unsafe fn slice_mut<'a, T>(ptr: *mut T, len: usize, what: &str) -> Result<&'a mut [T]> {
    if len == 0 {
        return Ok(&mut []);
    }
    check(ptr, len, what)?;
    // SAFETY: as in `slice`.
    Ok(unsafe { std::slice::from_raw_parts_mut(ptr, len) })
}

fn check<T>(ptr: *const T, len: usize, what: &str) -> Result<()> {
    if ptr.is_null() {
        return Err(Fail::null(what));
    }
    let bytes = len.checked_mul(size_of::<T>());
    // Arrays of numbers may be larger than texts, but none is larger than an address space.
    let limit = match size_of::<T>() {
        1 => EW_BYTES_MAX,
        _ => ARRAY_BYTES_MAX,
    };
    if bytes.is_none_or(|bytes| bytes > limit) {
        let message = format!("{what} has {len} items, more than fit into {limit} bytes");
        return Err(Fail::new(EW_LIMIT, message));
    }
    if !ptr.is_aligned() {
        return Err(Fail::new(
            EW_INVALID,
            format_args!("{what} is not aligned for its items"),
        ));
    }
    Ok(())
}

/// A place that a result is written to, checked before the work is done.
pub struct Out<T>(*mut T);

impl<T> Out<T> {
    pub fn new(place: *mut T, what: &str) -> Result<Self> {
        if place.is_null() {
            return Err(Fail::null(what));
        }
        if !place.is_aligned() {
            return Err(Fail::new(EW_INVALID, format_args!("{what} is not aligned")));
        }
        Ok(Self(place))
    }

    pub fn set(self, value: T) {
        // SAFETY: not NULL and aligned; the header says that an output is a place for its type.
        unsafe { self.0.write(value) };
    }
}

/// Writes a result where the caller may not want it.
pub fn set_optional<T>(place: *mut T, value: T) {
    if !place.is_null() && place.is_aligned() {
        // SAFETY: as in `Out::set`.
        unsafe { place.write(value) };
    }
}

/// An option structure as long as the caller knows it, the rest as `default`. Structures begin with their size.
///
/// # Safety
/// NULL, or `struct_size` readable bytes of the structure.
pub unsafe fn options<T: Copy>(given: *const T, default: T, what: &str) -> Result<T> {
    if given.is_null() {
        return Ok(default);
    }
    if !given.is_aligned() {
        return Err(Fail::new(EW_INVALID, format_args!("{what} is not aligned")));
    }
    // SAFETY: every option structure begins with a size_t.
    let size = unsafe { given.cast::<usize>().read() };
    // The size of a structure is a multiple of its alignment, so that no pointer is cut in two.
    let whole_fields = size.is_multiple_of(align_of::<T>());
    if size < size_of::<usize>() || size > size_of::<T>() || !whole_fields {
        let most = size_of::<T>();
        let message = format!("{what}.struct_size is {size}, wanted is sizeof, at most {most}");
        return Err(Fail::new(EW_INVALID, message));
    }
    let mut whole = default;
    // SAFETY: both are at least `size` bytes, T is plain data, and all bit patterns of a C structure's fields
    // are allowed (numbers and pointers only).
    unsafe {
        std::ptr::copy_nonoverlapping(given.cast::<u8>(), (&raw mut whole).cast::<u8>(), size);
    }
    Ok(whole)
}

/// What the caller's callbacks get as their first argument.
#[derive(Clone, Copy)]
pub struct User(pub *mut c_void);

// SAFETY: the pointer is only handed back to the caller's callbacks; the header says from which threads.
unsafe impl Send for User {}
// SAFETY: as above.
unsafe impl Sync for User {}

/// Bytes that the library made: a text, JSON or binary. Freed by ew_buffer_free.
pub struct ew_buffer {
    _opaque: [u8; 0],
}

impl Handle for ew_buffer {
    /// With one NUL behind the last byte.
    type Inside = Vec<u8>;
    const KIND: u64 = handle::kind(b"ew_bytes");
}

pub fn buffer(bytes: impl Into<Vec<u8>>) -> *mut ew_buffer {
    let mut bytes = bytes.into();
    bytes.push(0);
    handle::give(bytes)
}

pub fn json_buffer(value: &impl Serialize) -> Result<*mut ew_buffer> {
    serde_json::to_vec(value)
        .map(buffer)
        .map_err(|error| Fail::new(EW_INVALID, format_args!("no JSON can hold this: {error}")))
}

/// The bytes, with a NUL behind them that does not count; "" for NULL. They live as long as the buffer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_buffer_data(buffer: *const ew_buffer) -> *const c_char {
    // SAFETY: the header's contract.
    match unsafe { handle::shared::<ew_buffer>(buffer) } {
        Ok(bytes) => bytes.as_ptr().cast(),
        Err(_) => c"".as_ptr(),
    }
}

/// How many bytes there are; 0 for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_buffer_len(buffer: *const ew_buffer) -> usize {
    // SAFETY: the header's contract.
    unsafe { handle::shared::<ew_buffer>(buffer) }.map_or(0, |bytes| bytes.len() - 1)
}

/// Frees a buffer. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_buffer_free(buffer: *mut ew_buffer) {
    // SAFETY: the header's contract.
    unsafe { handle::free::<ew_buffer>(buffer) };
}

/// Where a callback puts the text or the bytes that it answers with. Valid while the callback runs.
pub struct ew_reply {
    _opaque: [u8; 0],
}

/// What a callback answered.
#[derive(Default)]
pub struct Reply {
    pub bytes: Option<Vec<u8>>,
    pub failure: Option<(String, String)>,
    #[cfg(feature = "flowcore")]
    pub writes: Vec<(String, String, Value)>,
    pub cost: f64,
}

impl Handle for ew_reply {
    type Inside = Reply;
    const KIND: u64 = handle::kind(b"ew_reply");
}

impl Reply {
    /// Runs a callback with a place for its answer. A callback that returns anything but EW_OK failed.
    pub fn of(
        call: impl FnOnce(*mut ew_reply) -> i32,
    ) -> std::result::Result<Self, (String, String)> {
        let place = handle::give::<ew_reply>(Self {
            cost: 1.0,
            ..Self::default()
        });
        let status = call(place);
        // SAFETY: `place` is ours; a callback must not keep it.
        let reply = unsafe { handle::take(place) }
            .ok()
            .flatten()
            .unwrap_or_default();
        match (reply.failure, status) {
            (Some(failure), _) => Err(failure),
            (None, EW_OK) => Ok(Self {
                failure: None,
                ..reply
            }),
            (None, status) => Err((
                "Callback".to_owned(),
                format!("the callback returned {status}"),
            )),
        }
    }
}

/// Answers with bytes (JSON text where the callback's documentation says so), in the place of an earlier answer.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_reply_set(
    reply: *mut ew_reply,
    bytes: ew_bytes,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe { handle::exclusive(reply)?.bytes = Some(bytes.get("bytes")?.to_vec()) };
        Ok(())
    })
}

/// Answers with a failure: a short name that rules can match ("Timeout") and a message for people.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ew_reply_fail(
    reply: *mut ew_reply,
    name: ew_str,
    message: ew_str,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe {
            let failure = (
                name.text("name")?.to_owned(),
                message.text("message")?.to_owned(),
            );
            handle::exclusive(reply)?.failure = Some(failure);
        }
        Ok(())
    })
}
