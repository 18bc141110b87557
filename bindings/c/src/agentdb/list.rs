//! A text that merges.

use agentdb::ReplicaId;
use agentdb::list::{List, ListError, Merged, Version};

use crate::bytes::{Out, buffer, ew_buffer, ew_bytes, ew_str, set_optional};
use crate::fail::{EW_CORRUPT, EW_INVALID, EW_LIMIT, Fail, ew_error, guard};
use crate::handle::{self, Handle};

/// Something of the delta was new.
pub const ADB_MERGED_NEW: i32 = 0;
/// All of it was known.
pub const ADB_MERGED_KNOWN: i32 = 1;
/// It waits for a delta that comes before it.
pub const ADB_MERGED_WAITS: i32 = 2;

/// A list of letters that merges with its copies. One thread at a time.
pub struct adb_list {
    _opaque: [u8; 0],
}

impl Handle for adb_list {
    type Inside = List;
    const KIND: u64 = handle::kind(b"adb_list");
}

/// How much of a list a copy has seen. One thread at a time.
pub struct adb_version {
    _opaque: [u8; 0],
}

impl Handle for adb_version {
    type Inside = Version;
    const KIND: u64 = handle::kind(b"adb_vers");
}

fn raise(error: ListError) -> Fail {
    let status = match &error {
        ListError::Limit { .. } => EW_LIMIT,
        ListError::Malformed { .. } => EW_CORRUPT,
        _ => EW_INVALID,
    };
    Fail::new(status, error)
}

/// An empty list of the copy with this number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_list_new(
    replica: u64,
    list: *mut *mut adb_list,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        Out::new(list, "list")?.set(handle::give(List::new(ReplicaId::new(replica))));
        Ok(())
    })
}

/// A list from what adb_list_encode wrote.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_list_decode(
    replica: u64,
    bytes: ew_bytes,
    list: *mut *mut adb_list,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(list, "list")?;
        // SAFETY: the header's contract.
        let bytes = unsafe { bytes.get("bytes") }?;
        let decoded = List::decode(ReplicaId::new(replica), bytes).map_err(raise)?;
        out.set(handle::give(decoded));
        Ok(())
    })
}

/// Frees a list. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_list_free(list: *mut adb_list) {
    // SAFETY: the header's contract.
    unsafe { handle::free::<adb_list>(list) };
}

/// Inserts a text before the letter at a position (letters count as Unicode scalar values).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_list_insert(
    list: *mut adb_list,
    position: usize,
    text: ew_str,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut list, text) = unsafe { (handle::exclusive(list)?, text.text("text")?) };
        list.insert(position, text).map_err(raise)?;
        Ok(())
    })
}

/// Deletes `count` letters from a position on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_list_delete(
    list: *mut adb_list,
    position: usize,
    count: usize,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe { handle::exclusive(list) }?
            .delete(position, count)
            .map_err(raise)?;
        Ok(())
    })
}

/// The text, and how many letters it has (either place may be NULL).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_list_text(
    list: *const adb_list,
    text: *mut *mut ew_buffer,
    letters: *mut usize,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let list = unsafe { handle::exclusive(list) }?;
        if !text.is_null() {
            Out::new(text, "text")?.set(buffer(list.text()));
        }
        set_optional(letters, list.len());
        Ok(())
    })
}

/// Takes what another copy changed; `merged` (may be NULL) is ADB_MERGED_….
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_list_merge(
    list: *mut adb_list,
    delta: ew_bytes,
    merged: *mut i32,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut list, bytes) = unsafe { (handle::exclusive(list)?, delta.get("delta")?) };
        let number = match list.merge(bytes).map_err(raise)? {
            Merged::New => ADB_MERGED_NEW,
            Merged::Known => ADB_MERGED_KNOWN,
            Merged::Waits => ADB_MERGED_WAITS,
        };
        set_optional(merged, number);
        Ok(())
    })
}

/// How many deltas wait for one that comes before them, and their bytes.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_list_waiting(
    list: *const adb_list,
    deltas: *mut usize,
    bytes: *mut usize,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let waiting = unsafe { handle::exclusive(list) }?.waiting();
        set_optional(deltas, waiting.0);
        set_optional(bytes, waiting.1);
        Ok(())
    })
}

/// What a copy that has seen `version` lacks; all for NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_list_delta(
    list: *const adb_list,
    version: *const adb_version,
    delta: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(delta, "delta")?;
        // SAFETY: the header's contract.
        let list = unsafe { handle::exclusive(list) }?;
        let bytes = match version.is_null() {
            true => list.delta_since(&Version::new()),
            // SAFETY: the header's contract.
            false => list.delta_since(&*unsafe { handle::exclusive(version) }?),
        };
        out.set(buffer(bytes));
        Ok(())
    })
}

/// The whole list, compressed, for adb_list_decode.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_list_encode(
    list: *const adb_list,
    bytes: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(bytes, "bytes")?;
        // SAFETY: the header's contract.
        out.set(buffer(
            unsafe { handle::exclusive(list) }?
                .encode()
                .map_err(raise)?,
        ));
        Ok(())
    })
}

/// How much a list has seen.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_list_version(
    list: *const adb_list,
    version: *mut *mut adb_version,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(version, "version")?;
        // SAFETY: the header's contract.
        out.set(handle::give(unsafe { handle::exclusive(list) }?.version()));
        Ok(())
    })
}

/// Sees what `other` has seen.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_version_join(
    version: *mut adb_version,
    other: *const adb_version,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut version, other) =
            unsafe { (handle::exclusive(version)?, handle::exclusive(other)?) };
        version.join(&other);
        Ok(())
    })
}

/// Whether `version` has seen everything that `other` has.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_version_covers(
    version: *const adb_version,
    other: *const adb_version,
    covers: *mut bool,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(covers, "covers")?;
        // SAFETY: the header's contract.
        let (version, other) = unsafe { (handle::exclusive(version)?, handle::exclusive(other)?) };
        out.set(version.covers(&other));
        Ok(())
    })
}

/// How many letters and deletions of a copy were seen.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_version_seen(
    version: *const adb_version,
    replica: u64,
    inserted: *mut u32,
    deleted: *mut u32,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let seen = unsafe { handle::exclusive(version) }?.seen(ReplicaId::new(replica));
        set_optional(inserted, seen.0);
        set_optional(deleted, seen.1);
        Ok(())
    })
}

/// Frees a version. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_version_free(version: *mut adb_version) {
    // SAFETY: the header's contract.
    unsafe { handle::free::<adb_version>(version) };
}
