//! Queries with an order and a limit, and how they are answered.

use agentdb::{Direction, Query};

use super::raise;
use super::store::adb_store;
use crate::bytes::{Out, ew_buffer, ew_str, json_buffer, options};
use crate::fail::{EW_INVALID, Fail, Result, ew_error, guard};
use crate::handle;

/// The smallest first.
pub const ADB_ASCENDING: i32 = 0;
/// The largest first.
pub const ADB_DESCENDING: i32 = 1;

/// Which documents of a schema. Set struct_size to sizeof(adb_find_options) and what is not needed to 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct adb_find_options {
    /// sizeof(adb_find_options).
    pub struct_size: usize,
    /// What holds for them ("battery < 20 && task != 'done'"); {NULL, 0} for all.
    pub expression: ew_str,
    /// The field by which they are ordered; {NULL, 0} for their ids.
    pub order_by: ew_str,
    /// ADB_ASCENDING or ADB_DESCENDING; documents without a value come last in both.
    pub direction: i32,
    /// At most so many; 0 for all.
    pub limit: usize,
}

const DEFAULTS: adb_find_options = adb_find_options {
    struct_size: size_of::<adb_find_options>(),
    expression: ew_str::NONE,
    order_by: ew_str::NONE,
    direction: ADB_ASCENDING,
    limit: 0,
};

/// Answers something of a query as JSON.
///
/// # Safety
/// As the header says.
unsafe fn answer<T: serde::Serialize>(
    store: *const adb_store,
    schema: ew_str,
    given: *const adb_find_options,
    json: *mut *mut ew_buffer,
    of: impl FnOnce(&Query<'_>) -> agentdb::Result<T>,
) -> Result<()> {
    let out = Out::new(json, "json")?;
    // SAFETY: the caller's.
    let (store, schema, expression, order, given) = unsafe {
        let given = options(given, DEFAULTS, "options")?;
        (
            handle::exclusive(store)?,
            schema.text("schema")?,
            given.expression.optional("expression")?,
            given.order_by.optional("order_by")?,
            given,
        )
    };
    let direction = match given.direction {
        ADB_ASCENDING => Direction::Ascending,
        ADB_DESCENDING => Direction::Descending,
        other => {
            let message = format!("direction is {other}, see ADB_ASCENDING");
            return Err(Fail::new(EW_INVALID, message));
        }
    };
    let mut query = match expression {
        Some(text) => store.find(schema, text).map_err(raise)?,
        None => store.all(schema),
    };
    if let Some(field) = order {
        query = query.ordered(field, direction);
    }
    if given.limit != 0 {
        query = query.limit(given.limit);
    }
    out.set(json_buffer(&of(&query).map_err(raise)?)?);
    Ok(())
}

/// Documents in an order and at most so many, as a JSON array. `options` may be NULL: all, by id.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_find(
    store: *const adb_store,
    schema: ew_str,
    options: *const adb_find_options,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    // SAFETY: the header's contract.
    guard(err, || unsafe {
        answer(store, schema, options, json, |query| {
            let found = query.run()?;
            Ok(found.iter().map(forms::agentdb::agent).collect::<Vec<_>>())
        })
    })
}

/// How many documents adb_find would find, and how it would ("index battery (1 ranges), first 50"), as JSON: {count,
/// plan}.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_explain(
    store: *const adb_store,
    schema: ew_str,
    options: *const adb_find_options,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    // SAFETY: the header's contract.
    guard(err, || unsafe {
        answer(store, schema, options, json, |query| {
            Ok(serde_json::json!({"count": query.count()?, "plan": query.explain()}))
        })
    })
}

/// Up to `limit` ids of documents above `after`, in order, as a JSON array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_ids(
    store: *const adb_store,
    after: ew_str,
    limit: usize,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let (store, after) = unsafe { (handle::exclusive(store)?, after.text("after")?) };
        out.set(json_buffer(&store.ids_after(after, limit).map_err(raise)?)?);
        Ok(())
    })
}
