//! A transaction: state, events and records that are kept together or not at all.

use agentdb::{AgentDb, Edit, Priority, Sequence, SyncStatus, Timestamp, Tx};

use super::raise;
use super::store::adb_store;
use crate::bytes::{Out, buffer, ew_buffer, ew_bytes, ew_str, set_optional};
use crate::fail::{EW_INVALID, EW_NOT_FOUND, Fail, Result, ew_error, guard};
use crate::handle::{self, Handle, Held};

/// Measurements.
pub const ADB_PRIORITY_TELEMETRY: i32 = 0;
/// What happens.
pub const ADB_PRIORITY_NORMAL: i32 = 1;
/// What must reach its receiver.
pub const ADB_PRIORITY_SAFETY_CRITICAL: i32 = 2;

/// It waits for a link.
pub const ADB_SYNC_WAITING: i32 = 0;
/// The receiver has it.
pub const ADB_SYNC_DELIVERED: i32 = 1;
/// The receiver will not have it.
pub const ADB_SYNC_REFUSED: i32 = 2;

/// Changes that are kept together. Ended by adb_tx_commit or adb_tx_rollback, by the thread that began it.
pub struct adb_tx {
    _opaque: [u8; 0],
}

/// The fields are dropped in this order: the transaction, then the exclusive use of its store.
pub struct Open {
    pub tx: Tx<'static>,
    _store: Held<'static, AgentDb>,
}

impl Handle for adb_tx {
    type Inside = Open;
    const KIND: u64 = handle::kind(b"adb_tx\0\0");
}

/// Begins a transaction at a time in milliseconds since the Unix epoch. Until it ends, other calls on the store are
/// EW_BUSY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_begin(
    store: *mut adb_store,
    now: i64,
    tx: *mut *mut adb_tx,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(tx, "tx")?;
        // SAFETY: the header's contract. A store in use is not freed, so it outlives this use.
        let mut held: Held<'static, AgentDb> = unsafe { handle::exclusive(store) }?;
        let db: *mut AgentDb = &raw mut *held;
        // SAFETY: the store's place does not move, `held` keeps everyone else away from it, and `Open` drops the
        // transaction before `held`; nothing reaches the store through `held` meanwhile.
        let db: &'static mut AgentDb = unsafe { &mut *db };
        let tx = db.begin(Timestamp::from_millis(now)).map_err(raise)?;
        out.set(handle::give(Open { tx, _store: held }));
        Ok(())
    })
}

/// Keeps the changes. The handle is freed, whatever the status: after an error nothing of it was kept.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_commit(tx: *mut adb_tx, err: *mut *mut ew_error) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let Some(open) = unsafe { handle::take(tx) }? else {
            return Err(Fail::null("tx"));
        };
        let Open { tx, _store } = open;
        tx.commit().map(|_| ()).map_err(raise)
    })
}

/// Gives the changes up and frees the handle. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_rollback(tx: *mut adb_tx) {
    // SAFETY: the header's contract.
    unsafe { handle::free::<adb_tx>(tx) };
}

/// Changes one field of a document.
///
/// # Safety
/// As the header says.
unsafe fn change(
    tx: *mut adb_tx,
    schema: ew_str,
    id: ew_str,
    field: ew_str,
    work: impl for<'e, 'tx> FnOnce(&'e mut Edit<'tx>, &str) -> agentdb::Result<&'e mut Edit<'tx>>,
) -> Result<()> {
    // SAFETY: the caller's.
    let (mut open, schema, id, field) = unsafe {
        let schema = schema.text("schema")?;
        (
            handle::exclusive(tx)?,
            schema,
            id.text("id")?,
            field.text("field")?,
        )
    };
    let mut agent = open.tx.agent(schema, id).map_err(raise)?;
    work(&mut agent, field).map_err(raise)?;
    Ok(())
}

/// Writes a last-writer-wins field; the value is JSON.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_set(
    tx: *mut adb_tx,
    schema: ew_str,
    id: ew_str,
    field: ew_str,
    value: ew_str,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe {
            let value = value.json("value")?;
            change(tx, schema, id, field, |agent, field| {
                agent.set(field, value)
            })
        }
    })
}

/// Raises a maximum.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_max(
    tx: *mut adb_tx,
    schema: ew_str,
    id: ew_str,
    field: ew_str,
    value: f64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe {
            change(tx, schema, id, field, |agent, field| {
                agent.max(field, value)
            })
        }
    })
}

/// Moves a status on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_status(
    tx: *mut adb_tx,
    schema: ew_str,
    id: ew_str,
    field: ew_str,
    status: ew_str,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe {
            let status = status.text("status")?;
            change(tx, schema, id, field, |agent, field| {
                agent.status(field, status)
            })
        }
    })
}

/// Adds to a counter, or takes from it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_add(
    tx: *mut adb_tx,
    schema: ew_str,
    id: ew_str,
    field: ew_str,
    by: i64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe { change(tx, schema, id, field, |agent, field| agent.add(field, by)) }
    })
}

/// Lowers a minimum.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_min(
    tx: *mut adb_tx,
    schema: ew_str,
    id: ew_str,
    field: ew_str,
    value: f64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe {
            change(tx, schema, id, field, |agent, field| {
                agent.min(field, value)
            })
        }
    })
}

/// Turns a flag on.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_enable(
    tx: *mut adb_tx,
    schema: ew_str,
    id: ew_str,
    field: ew_str,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe { change(tx, schema, id, field, |agent, field| agent.enable(field)) }
    })
}

/// Turns a flag off.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_disable(
    tx: *mut adb_tx,
    schema: ew_str,
    id: ew_str,
    field: ew_str,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe { change(tx, schema, id, field, |agent, field| agent.disable(field)) }
    })
}

/// Sets a counter to 0 for all that it has seen.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_reset(
    tx: *mut adb_tx,
    schema: ew_str,
    id: ew_str,
    field: ew_str,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe { change(tx, schema, id, field, |agent, field| agent.reset(field)) }
    })
}

/// Adds a member (JSON) to a set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_insert(
    tx: *mut adb_tx,
    schema: ew_str,
    id: ew_str,
    field: ew_str,
    member: ew_str,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe {
            let member = member.json("member")?;
            change(tx, schema, id, field, |agent, field| {
                agent.insert(field, member)
            })
        }
    })
}

/// Takes a member (JSON) out of a set.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_remove(
    tx: *mut adb_tx,
    schema: ew_str,
    id: ew_str,
    field: ew_str,
    member: ew_str,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe {
            let member = member.json("member")?;
            change(tx, schema, id, field, |agent, field| {
                agent.remove(field, member)
            })
        }
    })
}

/// Takes a key out of a map: the field is its path, such as `tasks/weld_a`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_remove_key(
    tx: *mut adb_tx,
    schema: ew_str,
    id: ew_str,
    field: ew_str,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe {
            change(tx, schema, id, field, |agent, field| {
                agent.remove_key(field)
            })
        }
    })
}

/// Replaces so many letters of a list from a position on by others.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_splice(
    tx: *mut adb_tx,
    schema: ew_str,
    id: ew_str,
    field: ew_str,
    position: usize,
    removed: usize,
    inserted: ew_str,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe {
            let inserted = inserted.text("inserted")?;
            change(tx, schema, id, field, |agent, field| {
                agent.splice(field, position, removed, inserted)
            })
        }
    })
}

/// Appends an event with a JSON payload; `sequence` (may be NULL) is its place in the log.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_append_event(
    tx: *mut adb_tx,
    id: ew_str,
    event_type: ew_str,
    payload: ew_str,
    priority: i32,
    sequence: *mut i64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let priority = match priority {
            ADB_PRIORITY_TELEMETRY => Priority::Telemetry,
            ADB_PRIORITY_NORMAL => Priority::Normal,
            ADB_PRIORITY_SAFETY_CRITICAL => Priority::SafetyCritical,
            other => {
                return Err(Fail::new(
                    EW_INVALID,
                    format_args!("priority is {other}, see ADB_PRIORITY_…"),
                ));
            }
        };
        // SAFETY: the header's contract.
        let (mut open, id, kind, payload) = unsafe {
            let (id, kind) = (id.text("id")?, event_type.text("event_type")?);
            (handle::exclusive(tx)?, id, kind, payload.json("payload")?)
        };
        let at = open
            .tx
            .append_event(id, kind, &payload, priority)
            .map_err(raise)?;
        set_optional(sequence, at.get());
        Ok(())
    })
}

/// Notes what became of an event (ADB_SYNC_…), with a note or {NULL, 0}.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_mark(
    tx: *mut adb_tx,
    sequence: i64,
    status: i32,
    note: ew_str,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let status = match status {
            ADB_SYNC_WAITING => SyncStatus::Waiting,
            ADB_SYNC_DELIVERED => SyncStatus::Delivered,
            ADB_SYNC_REFUSED => SyncStatus::Refused,
            other => {
                return Err(Fail::new(
                    EW_INVALID,
                    format_args!("status is {other}, see ADB_SYNC_…"),
                ));
            }
        };
        // SAFETY: the header's contract.
        let (mut open, note) = unsafe { (handle::exclusive(tx)?, note.optional("note")?) };
        open.tx
            .mark(Sequence::new(sequence), status, note)
            .map_err(raise)?;
        Ok(())
    })
}

/// Sets an opaque record.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_put_record(
    tx: *mut adb_tx,
    name_space: ew_str,
    key: ew_str,
    bytes: ew_bytes,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut open, name, key, bytes) = unsafe {
            let (name, key) = (name_space.text("name_space")?, key.text("key")?);
            (handle::exclusive(tx)?, name, key, bytes.get("bytes")?)
        };
        open.tx.put_record(name, key, bytes).map_err(raise)
    })
}

/// A record as this transaction sees it. EW_NOT_FOUND without it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_get_record(
    tx: *const adb_tx,
    name_space: ew_str,
    key: ew_str,
    bytes: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(bytes, "bytes")?;
        // SAFETY: the header's contract.
        let (open, name, key) = unsafe {
            let name = name_space.text("name_space")?;
            (handle::exclusive(tx)?, name, key.text("key")?)
        };
        let found = open.tx.get_record(name, key).map_err(raise)?;
        out.set(buffer(
            found.ok_or_else(|| Fail::new(EW_NOT_FOUND, "no such record"))?,
        ));
        Ok(())
    })
}

/// Removes a record.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_delete_record(
    tx: *mut adb_tx,
    name_space: ew_str,
    key: ew_str,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut open, name, key) = unsafe {
            let name = name_space.text("name_space")?;
            (handle::exclusive(tx)?, name, key.text("key")?)
        };
        open.tx.delete_record(name, key).map_err(raise)
    })
}

/// Removes the records with keys from `from` and below `below`; `removed` (may be NULL) is how many.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tx_delete_records(
    tx: *mut adb_tx,
    name_space: ew_str,
    from: ew_str,
    below: ew_str,
    removed: *mut usize,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut open, name, from, below) = unsafe {
            let (name, from) = (name_space.text("name_space")?, from.text("from")?);
            (handle::exclusive(tx)?, name, from, below.text("below")?)
        };
        set_optional(
            removed,
            open.tx.delete_records(name, from, below).map_err(raise)?,
        );
        Ok(())
    })
}
