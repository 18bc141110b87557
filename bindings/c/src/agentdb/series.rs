//! Series of numbers in events, and what becomes of old ones.

use std::time::Duration;

use agentdb::{Retention, Series, Timestamp};

use super::raise;
use super::store::adb_store;
use super::transaction::adb_tx;
use crate::bytes::{Out, ew_buffer, ew_str, json_buffer, set_optional};
use crate::fail::{ew_error, guard};
use crate::handle;

/// The number at `field` ("value", "reading.celsius", "" for the payload itself) of the events of one type about a
/// document, from a time on and before another, in buckets of so many milliseconds: a JSON array of {start, count, min,
/// max, sum, mean, first, last}. Spans without numbers have no bucket.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_series(
    store: *const adb_store,
    id: ew_str,
    event_type: ew_str,
    field: ew_str,
    from: i64,
    before: i64,
    width_ms: u64,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let (store, id, kind, field) = unsafe {
            let (id, kind) = (id.text("id")?, event_type.text("event_type")?);
            (handle::exclusive(store)?, id, kind, field.text("field")?)
        };
        let (from, before) = (Timestamp::from_millis(from), Timestamp::from_millis(before));
        let series = Series::new(id, kind, field).between(from, before);
        let buckets = store
            .series(&series, Duration::from_millis(width_ms))
            .map_err(raise)?;
        let list: Vec<_> = buckets.iter().map(forms::agentdb::bucket).collect();
        out.set(json_buffer(&list)?);
        Ok(())
    })
}

/// Removes up to `limit` events of a type that are older than `keep_ms` at the transaction's time, the oldest first;
/// those that wait for their receiver stay. With `width_ms` not 0 one event a document and bucket stays for the number at
/// `field`, which adb_series reads as what it stands for. `expired` and `rolled_up` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_retain(
    tx: *mut adb_tx,
    event_type: ew_str,
    keep_ms: u64,
    field: ew_str,
    width_ms: u64,
    limit: usize,
    expired: *mut usize,
    rolled_up: *mut usize,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut open, kind, field) = unsafe {
            let (kind, field) = (event_type.text("event_type")?, field.text("field")?);
            (handle::exclusive(tx)?, kind, field)
        };
        let mut retention = Retention::new(kind, Duration::from_millis(keep_ms));
        if width_ms != 0 {
            retention = retention.roll_up(field, Duration::from_millis(width_ms));
        }
        let retained = open.tx.retain(&retention, limit).map_err(raise)?;
        set_optional(expired, retained.expired);
        set_optional(rolled_up, retained.rolled_up);
        Ok(())
    })
}
