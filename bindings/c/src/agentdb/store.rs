//! A store: opened, read, queried.

use std::time::Duration;

use agentdb::offline::Policy;
use agentdb::{AgentDb, Change, Durability, Options, ReplicaId, Sequence};
use serde_json::Value;

use super::raise;
use crate::bytes::{Out, buffer, ew_buffer, ew_str, json_buffer, options};
use crate::fail::{EW_INVALID, EW_NOT_FOUND, Fail, Result, ew_error, guard};
use crate::handle::{self, Handle};

/// A commit is on disk when it returns.
pub const ADB_DURABILITY_IMMEDIATE: i32 = 0;
/// A commit is on disk after the next adb_flush; a power cut may take the last ones.
pub const ADB_DURABILITY_BUFFERED: i32 = 1;

/// Options of a store. Set struct_size to sizeof(adb_options) and what is not needed to 0.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct adb_options {
    /// sizeof(adb_options).
    pub struct_size: usize,
    /// The number of this copy, which no other copy has.
    pub replica: u64,
    /// The schemas as JSON: {"robot": {"battery": "lww", "top_speed": "max", "odometer": "pn_counter",
    /// "task": {"status": ["queued", "active", "done"]}}}.
    pub schemas: ew_str,
    /// ADB_DURABILITY_…
    pub durability: i32,
    /// How many milliseconds the clock of a copy that is merged may be ahead; 0 for an hour.
    pub clock_ahead_max_ms: u64,
    /// From how many milliseconds ahead a write of a copy loses against concurrent ones; 0 for the default.
    pub clock_drift_max_ms: u64,
    /// How many events may wait for a link before the least important are thinned; 0 for 10,000.
    pub waiting_events_max: u64,
    /// How many bytes of payloads may wait; 0 for 64 MiB.
    pub waiting_bytes_max: u64,
    /// For how many milliseconds an event may wait, but a safety-critical one; 0 for 72 hours.
    pub waiting_age_max_ms: u64,
    /// 1 when the file is an older copy that was put in its place (a backup): the replica goes on under a new
    /// incarnation, so that no write is named twice.
    pub restored: i32,
}

const DEFAULTS: adb_options = adb_options {
    struct_size: size_of::<adb_options>(),
    replica: 0,
    schemas: ew_str::NONE,
    durability: ADB_DURABILITY_IMMEDIATE,
    clock_ahead_max_ms: 0,
    clock_drift_max_ms: 0,
    waiting_events_max: 0,
    waiting_bytes_max: 0,
    waiting_age_max_ms: 0,
    restored: 0,
};

/// A store of documents, events and records. One thread at a time; while a transaction is open every other call
/// on it is EW_BUSY.
pub struct adb_store {
    _opaque: [u8; 0],
}

impl Handle for adb_store {
    type Inside = AgentDb;
    const KIND: u64 = handle::kind(b"adb_stor");
}

/// # Safety
/// As the header says.
unsafe fn read(given: *const adb_options) -> Result<Options> {
    if given.is_null() {
        return Err(Fail::null("options"));
    }
    // SAFETY: the caller's.
    let given = unsafe { options(given, DEFAULTS, "options") }?;
    let durability = match given.durability {
        ADB_DURABILITY_IMMEDIATE => Durability::Immediate,
        ADB_DURABILITY_BUFFERED => Durability::Buffered,
        other => {
            return Err(Fail::new(
                EW_INVALID,
                format_args!("durability is {other}, see ADB_DURABILITY_…"),
            ));
        }
    };
    let mut options = Options::new(ReplicaId::new(given.replica)).durability(durability);
    if given.clock_ahead_max_ms != 0 {
        options = options.clock_ahead_max(Duration::from_millis(given.clock_ahead_max_ms));
    }
    if given.clock_drift_max_ms != 0 {
        options = options.clock_drift_max(Duration::from_millis(given.clock_drift_max_ms));
    }
    let mut waiting = Policy::default();
    if given.waiting_events_max != 0 {
        waiting.events_max = given.waiting_events_max;
    }
    if given.waiting_bytes_max != 0 {
        waiting.bytes_max = given.waiting_bytes_max;
    }
    if given.waiting_age_max_ms != 0 {
        waiting.age_max = Duration::from_millis(given.waiting_age_max_ms);
    }
    options = options.offline(waiting);
    if given.restored != 0 {
        options = options.restored();
    }
    // SAFETY: the caller's.
    let schemas = unsafe { given.schemas.json("options.schemas") }?;
    for schema in forms::agentdb::schemas(&schemas)? {
        options = options.schema(schema);
    }
    Ok(options)
}

/// Opens or makes a file; {NULL, 0} for a store in memory. The caller frees it with adb_store_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_store_open(
    path: ew_str,
    options: *const adb_options,
    store: *mut *mut adb_store,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(store, "store")?;
        // SAFETY: the header's contract.
        let (path, options) = unsafe { (path.optional("path")?, read(options)?) };
        let opened = match path {
            Some(path) => AgentDb::open(path, options),
            None => AgentDb::in_memory(options),
        };
        out.set(handle::give(opened.map_err(raise)?));
        Ok(())
    })
}

/// Closes a store and frees it. With an open transaction nothing is done: end that first. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_store_free(store: *mut adb_store) {
    // SAFETY: the header's contract.
    unsafe { handle::free::<adb_store>(store) };
}

/// A document as JSON: id, state, version, at. EW_NOT_FOUND without it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_get(
    store: *const adb_store,
    id: ew_str,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let (store, id) = unsafe { (handle::exclusive(store)?, id.text("id")?) };
        let Some(agent) = store.get(id).map_err(raise)? else {
            return Err(Fail::new(
                EW_NOT_FOUND,
                format_args!("no document has id {id}"),
            ));
        };
        out.set(json_buffer(&forms::agentdb::agent(&agent))?);
        Ok(())
    })
}

/// Documents of a schema for which an expression holds ("battery < 20 && task != 'done'"), as a JSON array.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_query(
    store: *const adb_store,
    schema: ew_str,
    expression: ew_str,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let (store, schema, text) = unsafe {
            let schema = schema.text("schema")?;
            (
                handle::exclusive(store)?,
                schema,
                expression.text("expression")?,
            )
        };
        let agents = store.query(schema, text).map_err(raise)?;
        let list: Vec<Value> = agents.iter().map(forms::agentdb::agent).collect();
        out.set(json_buffer(&list)?);
        Ok(())
    })
}

/// A document as another copy takes it with adb_tx_merge. EW_NOT_FOUND without it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_document(
    store: *const adb_store,
    id: ew_str,
    bytes: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(bytes, "bytes")?;
        // SAFETY: the header's contract.
        let (store, id) = unsafe { (handle::exclusive(store)?, id.text("id")?) };
        let Some(document) = store.document(id).map_err(raise)? else {
            return Err(Fail::new(
                EW_NOT_FOUND,
                format_args!("no document has id {id}"),
            ));
        };
        out.set(buffer(document.encode()));
        Ok(())
    })
}

/// Concurrent writes of a document's registers as a JSON array of {path, winner, others}, each write {replica, count, at,
/// value}.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_conflicts(
    store: *const adb_store,
    id: ew_str,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let (store, id) = unsafe { (handle::exclusive(store)?, id.text("id")?) };
        let conflicts = store.conflicts(id).map_err(raise)?;
        let list: Vec<Value> = conflicts.iter().map(forms::agentdb::conflict).collect();
        out.set(json_buffer(&list)?);
        Ok(())
    })
}

/// Up to `limit` documents that changed after a change of this store (0 for all), as a JSON array of [id, change].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_changes(
    store: *const adb_store,
    after: i64,
    limit: usize,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let changes = unsafe { handle::exclusive(store) }?.changes_after(Change::new(after), limit);
        let changes = changes.map_err(raise)?;
        let list: Vec<_> = changes
            .iter()
            .map(|(id, change)| (id, change.get()))
            .collect();
        out.set(json_buffer(&list)?);
        Ok(())
    })
}

/// Checks everything that is stored; what is wrong is a JSON array of texts, empty when all is well.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_verify(
    store: *const adb_store,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        out.set(json_buffer(
            &unsafe { handle::exclusive(store) }?
                .verify()
                .map_err(raise)?,
        )?);
        Ok(())
    })
}

/// Gives the room of what was deleted back.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_compact(store: *const adb_store, err: *mut *mut ew_error) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe { handle::exclusive(store) }?
            .compact()
            .map_err(raise)
    })
}

/// All events.
pub const ADB_EVENTS_ALL: i32 = 0;
/// Only those that wait for their receiver.
pub const ADB_EVENTS_WAITING: i32 = 1;

/// Up to `limit` events behind a sequence number as a JSON array of {sequence, agent, type, payload, priority, at};
/// `which` is ADB_EVENTS_…, and with `type` not {NULL, 0} only events of that type (of all).
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_events(
    store: *const adb_store,
    which: i32,
    event_type: ew_str,
    after: i64,
    limit: usize,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let (store, kind) = unsafe {
            (
                handle::exclusive(store)?,
                event_type.optional("event_type")?,
            )
        };
        let after = Sequence::new(after);
        let events = match (which, kind) {
            (ADB_EVENTS_ALL, None) => store.events_after(after, limit),
            (ADB_EVENTS_ALL, Some(kind)) => store.events_of_type_after(kind, after, limit),
            (ADB_EVENTS_WAITING, None) => store.waiting_after(after, limit),
            (ADB_EVENTS_WAITING, Some(_)) => {
                return Err(Fail::new(
                    EW_INVALID,
                    "waiting events are not told apart by type",
                ));
            }
            (other, _) => {
                return Err(Fail::new(
                    EW_INVALID,
                    format_args!("which is {other}, see ADB_EVENTS_…"),
                ));
            }
        };
        let list: Vec<Value> = events
            .map_err(raise)?
            .iter()
            .map(forms::agentdb::event)
            .collect();
        out.set(json_buffer(&list)?);
        Ok(())
    })
}

/// How many events wait for their receiver.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_waiting(
    store: *const adb_store,
    count: *mut u64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(count, "count")?;
        // SAFETY: the header's contract.
        out.set(
            unsafe { handle::exclusive(store) }?
                .waiting()
                .map_err(raise)?,
        );
        Ok(())
    })
}

/// The sequence number of the last event; 0 before the first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_last_event(
    store: *const adb_store,
    sequence: *mut i64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(sequence, "sequence")?;
        // SAFETY: the header's contract.
        let last = unsafe { handle::exclusive(store) }?
            .last_event()
            .map_err(raise)?;
        out.set(last.get());
        Ok(())
    })
}

/// An opaque record. EW_NOT_FOUND without it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_get_record(
    store: *const adb_store,
    name_space: ew_str,
    key: ew_str,
    bytes: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(bytes, "bytes")?;
        // SAFETY: the header's contract.
        let (store, name, key) = unsafe {
            let name = name_space.text("name_space")?;
            (handle::exclusive(store)?, name, key.text("key")?)
        };
        let found = store.get_record(name, key).map_err(raise)?;
        out.set(buffer(
            found.ok_or_else(|| Fail::new(EW_NOT_FOUND, "no such record"))?,
        ));
        Ok(())
    })
}

/// Up to `limit` keys of records behind a key, in order, as a JSON array; read each with adb_get_record.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_scan_records(
    store: *const adb_store,
    name_space: ew_str,
    after: ew_str,
    limit: usize,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let (store, name, after) = unsafe {
            let name = name_space.text("name_space")?;
            (handle::exclusive(store)?, name, after.text("after")?)
        };
        let records = store.scan_records(name, after, limit).map_err(raise)?;
        let keys: Vec<&String> = records.iter().map(|(key, _)| key).collect();
        out.set(json_buffer(&keys)?);
        Ok(())
    })
}

/// Makes buffered commits durable.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_flush(store: *const adb_store, err: *mut *mut ew_error) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe { handle::exclusive(store) }?
            .flush()
            .map(|_| ())
            .map_err(raise)
    })
}

/// Lets the file grow to so many pages of 4 KiB; beyond, commits are refused with EW_SYSTEM.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_limit_file(
    store: *const adb_store,
    pages: u32,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        unsafe { handle::exclusive(store) }?
            .limit_file(pages)
            .map_err(raise)
    })
}

/// What became of the events, by priority, as JSON: {"telemetry": {appended, held, held_bytes, sent, dropped}, "normal":
/// …, "safety_critical": …}, with appended = held + sent + dropped.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_tally(
    store: *const adb_store,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let tally = unsafe { handle::exclusive(store) }?
            .tally()
            .map_err(raise)?;
        out.set(json_buffer(&forms::agentdb::tally(&tally))?);
        Ok(())
    })
}

/// The last change that a power cut would not lose, and the replica's number with its present incarnation. Either may be
/// NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_durable(
    store: *const adb_store,
    change: *mut i64,
    incarnation: *mut u32,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let store = unsafe { handle::exclusive(store) }?;
        crate::bytes::set_optional(change, store.durable().get());
        crate::bytes::set_optional(incarnation, store.replica().incarnation());
        Ok(())
    })
}
