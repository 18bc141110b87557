//! Tables: rows that rules join with, and that are added to events.

use std::time::Duration;

use midstream::{Table, Timestamp, Value};

use super::engine::{ms_engine, ms_field, ms_value, schema, value};
use super::raise;
use crate::bytes::{Out, ew_str, slice};
use crate::fail::{EW_NOT_FOUND, Fail, Result, ew_error, guard};
use crate::handle;

/// A table: the newest row of each key counts from its time on. `ENRICH source FROM table ON field` in the rules adds
/// its fields to events, a join reads it.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ms_table {
    /// Its name.
    pub name: ew_str,
    /// Its fields.
    pub fields: *const ms_field,
    /// How many there are.
    pub field_count: usize,
    /// The field by which rows are told apart.
    pub key: ew_str,
    /// The source whose last event of a key is the key's row; {NULL, 0} for a table that ms_table_put writes.
    pub follows: ew_str,
    /// For how many milliseconds a row counts; 0 for ever.
    pub lifetime_ms: u64,
    /// The most rows, over all versions; 0 for 1,000,000. The oldest written gives way, and is counted.
    pub limit: usize,
}

/// # Safety
/// As the header says.
pub unsafe fn table(given: &ms_table) -> Result<Table> {
    // SAFETY: the caller's.
    let (schema, key, follows) = unsafe {
        (
            schema(given.name, given.fields, given.field_count)?,
            given.key.text("key")?,
            given.follows.optional("follows")?,
        )
    };
    let mut table = Table::new(schema, key).map_err(raise)?;
    if let Some(source) = follows {
        table = table.follows(source);
    }
    if given.lifetime_ms != 0 {
        table = table.lifetime(Duration::from_millis(given.lifetime_ms));
    }
    if given.limit != 0 {
        table = table.limit(given.limit);
    }
    Ok(table)
}

fn unknown(name: &str) -> Fail {
    Fail::new(EW_NOT_FOUND, format_args!("no table is called `{name}`"))
}

/// Writes a row that counts from a time on; one of the same key and time is replaced.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_table_put(
    engine: *mut ms_engine,
    table: ew_str,
    at: i64,
    values: *const ms_value,
    count: usize,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut engaged, name, values) = unsafe {
            let values = slice(values, count, "values")?
                .iter()
                .map(|given| value(given));
            (
                handle::exclusive(engine)?,
                table.text("table")?,
                values.collect::<Result<Vec<(&str, Value)>>>()?,
            )
        };
        let table = engaged.engine.table(name).ok_or_else(|| unknown(name))?;
        table
            .put(Timestamp::from_millis(at), &values)
            .map_err(raise)
    })
}

/// How many rows a table has, over all versions.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ms_table_len(
    engine: *mut ms_engine,
    table: ew_str,
    rows: *mut usize,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(rows, "rows")?;
        // SAFETY: the header's contract.
        let (mut engaged, name) = unsafe { (handle::exclusive(engine)?, table.text("table")?) };
        let table = engaged.engine.table(name).ok_or_else(|| unknown(name))?;
        out.set(table.len());
        Ok(())
    })
}
