//! A watch: what is committed from now on.

use std::time::Duration;

use agentdb::Watch;

use super::store::adb_store;
use crate::bytes::{Out, ew_buffer, ew_str, json_buffer};
use crate::fail::{ew_error, guard};
use crate::handle::{self, Handle};

/// Notices of what is committed, in order; 4,096 wait at most. One thread at a time, which may be another than the
/// store's.
pub struct adb_watch {
    _opaque: [u8; 0],
}

impl Handle for adb_watch {
    type Inside = Watch;
    const KIND: u64 = handle::kind(b"adb_watc");
}

/// Watches a store. The filter is JSON: null for everything, {"documents": schema}, {"events": type}, and with either or
/// alone "id" (of one document) and "matching" (a query that documents satisfy). The caller frees it with
/// adb_watch_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_watch_new(
    store: *const adb_store,
    filter: ew_str,
    watch: *mut *mut adb_watch,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(watch, "watch")?;
        // SAFETY: the header's contract.
        let (store, filter) = unsafe { (handle::exclusive(store)?, filter.json("filter")?) };
        let filter = forms::agentdb::watch_filter(&filter)?;
        out.set(handle::give(store.watch(filter)));
        Ok(())
    })
}

/// Ends a watch and frees it. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_watch_free(watch: *mut adb_watch) {
    // SAFETY: the header's contract.
    unsafe { handle::free::<adb_watch>(watch) };
}

/// The next notice, waiting for at most so many milliseconds, as JSON: {"document": {id, schema, state}} or {"event": …},
/// null for none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_watch_next(
    watch: *mut adb_watch,
    wait_ms: u64,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let watch = unsafe { handle::exclusive(watch) }?;
        let notice = match wait_ms {
            0 => watch.try_next(),
            millis => watch.next_within(Duration::from_millis(millis)),
        };
        out.set(json_buffer(
            &notice.map(|notice| forms::agentdb::notice(&notice)),
        )?);
        Ok(())
    })
}

/// How many notices were given up because too many waited.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_watch_missed(
    watch: *const adb_watch,
    missed: *mut u64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(missed, "missed")?;
        // SAFETY: the header's contract.
        out.set(unsafe { handle::exclusive(watch) }?.missed());
        Ok(())
    })
}
