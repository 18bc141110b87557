//! Handles: boxes that say what they are and whether they are in use.
//!
//! A handle begins with a word that names its kind, so NULL, a handle of another kind and a misaligned or
//! small number are refused with a status. A freed handle has lost its word; but reading freed memory is
//! undefined in C as in Rust, so that check helps to find a mistake and is no promise.
//!
//! Handles of one user at a time carry a flag: a second thread, or a callback that uses the handle that
//! called it, gets `EW_BUSY` instead of a data race.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::fail::{EW_BAD_HANDLE, EW_BUSY, Fail, Result};

/// A type of the header, and what is behind it.
pub trait Handle {
    type Inside;
    const KIND: u64;
}

/// The word of a kind from eight letters; never zero.
pub const fn kind(name: &[u8; 8]) -> u64 {
    u64::from_le_bytes(*name)
}

// The kind comes first whatever is inside, so that it can be read before the type is known.
#[repr(C)]
struct Boxed<T> {
    kind: AtomicU64,
    busy: AtomicBool,
    inside: UnsafeCell<T>,
}

/// Addresses below the first page are no objects: small integers cast to pointers.
const ADDRESS_MIN: usize = 4096;

pub fn give<H: Handle>(inside: H::Inside) -> *mut H {
    let boxed = Box::new(Boxed {
        kind: AtomicU64::new(H::KIND),
        busy: AtomicBool::new(false),
        inside: UnsafeCell::new(inside),
    });
    Box::into_raw(boxed).cast()
}

/// # Safety
/// `handle` is NULL, no pointer to an object at all but below the first page or misaligned, or a live handle of
/// any kind.
unsafe fn checked<'a, H: Handle>(handle: *const H) -> Result<&'a Boxed<H::Inside>> {
    if handle.is_null() {
        return Err(Fail::null("the handle"));
    }
    let no_handle = || {
        let letters = H::KIND.to_le_bytes();
        let name = String::from_utf8_lossy(&letters);
        let name = name.trim_end_matches('\0').to_owned();
        Fail::new(
            EW_BAD_HANDLE,
            format_args!("this is no live handle of kind {name}"),
        )
    };
    let word = handle.cast::<AtomicU64>();
    if handle.addr() < ADDRESS_MIN || !word.is_aligned() {
        return Err(no_handle());
    }
    // SAFETY: a live handle of any kind begins with its word.
    if unsafe { &*word }.load(Ordering::Relaxed) != H::KIND {
        return Err(no_handle());
    }
    // SAFETY: the word says that this is a Boxed<H::Inside>, made by `give`.
    Ok(unsafe { &*handle.cast::<Boxed<H::Inside>>() })
}

/// What is behind a handle that threads may share.
///
/// # Safety
/// As the header says: NULL or a live handle, which is not freed meanwhile.
pub unsafe fn shared<'a, H: Handle>(handle: *const H) -> Result<&'a H::Inside>
where
    H::Inside: Sync,
{
    // SAFETY: the caller's.
    let boxed = unsafe { checked(handle) }?;
    // SAFETY: nobody takes a shared kind by `exclusive`, so there is no mutable reference.
    Ok(unsafe { &*boxed.inside.get() })
}

/// What is behind a handle of one user at a time.
///
/// # Safety
/// As [`shared`].
pub unsafe fn exclusive<'a, H: Handle>(handle: *const H) -> Result<Held<'a, H::Inside>> {
    // SAFETY: the caller's.
    let boxed = unsafe { checked(handle) }?;
    if boxed.busy.swap(true, Ordering::Acquire) {
        return Err(Fail::new(
            EW_BUSY,
            "the handle is in use by another thread or by the callback's caller",
        ));
    }
    Ok(Held { boxed })
}

/// An exclusive use, which ends when this is dropped.
pub struct Held<'a, T> {
    boxed: &'a Boxed<T>,
}

impl<T> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        // SAFETY: the flag is ours.
        unsafe { &*self.boxed.inside.get() }
    }
}

impl<T> DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: the flag is ours, and `self` is borrowed mutably.
        unsafe { &mut *self.boxed.inside.get() }
    }
}

impl<T> Drop for Held<'_, T> {
    fn drop(&mut self) {
        self.boxed.busy.store(false, Ordering::Release);
    }
}

/// Takes a handle apart; none for NULL.
///
/// # Safety
/// As [`shared`], and the handle is not used again if this returns what was inside.
pub unsafe fn take<H: Handle>(handle: *mut H) -> Result<Option<H::Inside>> {
    if handle.is_null() {
        return Ok(None);
    }
    // SAFETY: the caller's.
    let held = unsafe { exclusive(handle) }?;
    held.boxed.kind.store(0, Ordering::Relaxed);
    drop(held);
    // SAFETY: made by `give`, alive until now, and the caller gives it up.
    let boxed = unsafe { Box::from_raw(handle.cast::<Boxed<H::Inside>>()) };
    Ok(Some(boxed.inside.into_inner()))
}

/// Frees a handle. NULL, a handle in use and what is no handle are left alone.
///
/// # Safety
/// As [`take`].
pub unsafe fn free<H: Handle>(handle: *mut H) {
    let drop_it = || {
        // SAFETY: the caller's.
        drop(unsafe { take(handle) });
    };
    // What panics while it is dropped must not unwind into C.
    let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(drop_it));
}
