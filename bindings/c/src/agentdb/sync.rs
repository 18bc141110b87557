//! Sync between stores: sessions are given the frames that come and asked for frames to send; the caller carries them.

use std::time::Duration;

use agentdb::sync::{Endpoint, Phase, Role, Session, SyncError, SyncOptions, Toward};
use agentdb::{ReplicaId, Timestamp};

use super::raise as raise_store;
use super::store::adb_store;
use crate::bytes::{Out, buffer, ew_buffer, ew_bytes, json_buffer, options, set_optional, slice};
use crate::fail::{EW_CORRUPT, EW_INVALID, EW_LIMIT, EW_STATE, Fail, Result, ew_error, guard};
use crate::handle::{self, Handle};

/// It has events of its own, and hands them to its parent.
pub const ADB_ROLE_DEVICE: i32 = 0;
/// It takes the events of its children and hands them on. It writes no documents.
pub const ADB_ROLE_AGGREGATOR: i32 = 1;
/// It keeps all events: nobody is above it.
pub const ADB_ROLE_ROOT: i32 = 2;

/// The other side is above. Documents go both ways, events to the parent alone.
pub const ADB_TOWARD_PARENT: i32 = 0;
/// It is below.
pub const ADB_TOWARD_CHILD: i32 = 1;
/// It is beside: no events.
pub const ADB_TOWARD_PEER: i32 = 2;

/// How a store syncs. Set struct_size to sizeof(adb_sync_options) and what is not needed to 0 for the role's defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct adb_sync_options {
    /// sizeof(adb_sync_options).
    pub struct_size: usize,
    /// ADB_ROLE_…
    pub role: i32,
    /// At most so many events a second.
    pub events_per_second: u32,
    /// For so many milliseconds changes of documents are gathered before they are sent.
    pub window_ms: u64,
    /// The same for what goes to a parent.
    pub upward_ms: u64,
    /// After so many milliseconds without an answer a frame is sent again.
    pub retry_ms: u64,
    /// A word is said at least so often; a peer that is silent for three times as long is gone.
    pub keep_alive_ms: u64,
    /// A peer that is known must agree on where to go on within this time.
    pub checkpoint_ms: u64,
    /// So many events are committed at once by their receiver.
    pub events_a_batch: usize,
}

const DEFAULTS: adb_sync_options = adb_sync_options {
    struct_size: size_of::<adb_sync_options>(),
    role: ADB_ROLE_DEVICE,
    events_per_second: 0,
    window_ms: 0,
    upward_ms: 0,
    retry_ms: 0,
    keep_alive_ms: 0,
    checkpoint_ms: 0,
    events_a_batch: 0,
};

fn raise(error: SyncError) -> Fail {
    let status = match error {
        SyncError::Store(error) => return raise_store(error),
        SyncError::Malformed { .. } | SyncError::Checksum { .. } | SyncError::Version { .. } => {
            EW_CORRUPT
        }
        SyncError::Limit { .. } => EW_LIMIT,
        SyncError::CheckpointTimeout { .. } => EW_STATE,
        _ => EW_INVALID,
    };
    Fail::new(status, error)
}

/// A store as its peers see it: what all its links share. One thread at a time.
pub struct adb_endpoint {
    _opaque: [u8; 0],
}

impl Handle for adb_endpoint {
    type Inside = Endpoint;
    const KIND: u64 = handle::kind(b"adb_endp");
}

/// One side of a link to one peer. One thread at a time.
pub struct adb_session {
    _opaque: [u8; 0],
}

impl Handle for adb_session {
    type Inside = Session;
    const KIND: u64 = handle::kind(b"adb_sess");
}

fn read(given: adb_sync_options) -> Result<SyncOptions> {
    let mut options = SyncOptions::new(match given.role {
        ADB_ROLE_DEVICE => Role::Device,
        ADB_ROLE_AGGREGATOR => Role::Aggregator,
        ADB_ROLE_ROOT => Role::Root,
        other => {
            return Err(Fail::new(
                EW_INVALID,
                format_args!("role is {other}, see ADB_ROLE_…"),
            ));
        }
    });
    let pace = &mut options.pace;
    let spans = [
        (given.window_ms, &mut pace.window),
        (given.upward_ms, &mut pace.upward),
        (given.retry_ms, &mut pace.retry),
        (given.keep_alive_ms, &mut pace.keep_alive),
        (given.checkpoint_ms, &mut pace.checkpoint),
    ];
    for (millis, span) in spans.into_iter().filter(|(millis, _)| *millis != 0) {
        *span = Duration::from_millis(millis);
    }
    if given.events_per_second != 0 {
        pace.events_per_second = given.events_per_second;
    }
    if given.events_a_batch != 0 {
        pace.events_a_batch = given.events_a_batch;
    }
    Ok(options)
}

/// An endpoint over a store, which may be used and freed as before; its file stays open until both are freed. `options` may
/// be NULL: a device. The caller frees it with adb_endpoint_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_endpoint_new(
    store: *const adb_store,
    options: *const adb_sync_options,
    endpoint: *mut *mut adb_endpoint,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(endpoint, "endpoint")?;
        // SAFETY: the header's contract.
        let options = read(unsafe { self::options(options, DEFAULTS, "options") }?)?;
        // SAFETY: the header's contract.
        let store = unsafe { handle::exclusive(store) }?;
        out.set(handle::give(Endpoint::new(store.clone(), options)));
        Ok(())
    })
}

/// Frees an endpoint. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_endpoint_free(endpoint: *mut adb_endpoint) {
    // SAFETY: the header's contract.
    unsafe { handle::free::<adb_endpoint>(endpoint) };
}

/// Which replicas an endpoint speaks with, also on links that are up: the accepted ones (all for NULL), but never a
/// revoked one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_endpoint_set_peers(
    endpoint: *mut adb_endpoint,
    accepted: *const u64,
    accepted_count: usize,
    revoked: *const u64,
    revoked_count: usize,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut endpoint, listed, revoked) = unsafe {
            (
                handle::exclusive(endpoint)?,
                slice(accepted, accepted_count, "accepted")?,
                slice(revoked, revoked_count, "revoked")?,
            )
        };
        let only = (!accepted.is_null()).then_some(listed);
        endpoint.set_peers(forms::agentdb::peers(only, revoked));
        Ok(())
    })
}

/// Notes how many links are up, a few times a minute; the store appends an event when the last one went, after `alert_ms`
/// without one, and when one is back. `json` is the change, {"change": name}, or null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_endpoint_note_links(
    endpoint: *mut adb_endpoint,
    links: usize,
    alert_ms: u64,
    now: i64,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let mut endpoint = unsafe { handle::exclusive(endpoint) }?;
        let (alert, now) = (Duration::from_millis(alert_ms), Timestamp::from_millis(now));
        let change = endpoint.note_links(links, alert, now).map_err(raise)?;
        out.set(json_buffer(&forms::agentdb::link_change(change))?);
        Ok(())
    })
}

/// Whether the store works alone, as far as adb_endpoint_note_links was told.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_endpoint_is_degraded(
    endpoint: *const adb_endpoint,
    degraded: *mut bool,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(degraded, "degraded")?;
        // SAFETY: the header's contract.
        out.set(unsafe { handle::exclusive(endpoint) }?.is_degraded());
        Ok(())
    })
}

/// A session of an endpoint that has not said anything yet; `toward` is ADB_TOWARD_…. The caller frees it with
/// adb_session_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_session_new(
    endpoint: *mut adb_endpoint,
    toward: i32,
    now: i64,
    session: *mut *mut adb_session,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(session, "session")?;
        let toward = match toward {
            ADB_TOWARD_PARENT => Toward::Parent,
            ADB_TOWARD_CHILD => Toward::Child,
            ADB_TOWARD_PEER => Toward::Peer,
            other => {
                return Err(Fail::new(
                    EW_INVALID,
                    format_args!("toward is {other}, see ADB_TOWARD_…"),
                ));
            }
        };
        // SAFETY: the header's contract.
        let mut endpoint = unsafe { handle::exclusive(endpoint) }?;
        let session = Session::new(&mut endpoint, toward, Timestamp::from_millis(now));
        out.set(handle::give(session));
        Ok(())
    })
}

/// Frees a session. NULL is fine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_session_free(session: *mut adb_session) {
    // SAFETY: the header's contract.
    unsafe { handle::free::<adb_session>(session) };
}

/// The next frame to send; `frame` is set to NULL when there is nothing to say now. Ask until then, a few times a second
/// or after each change of the store. EW_STATE when a peer that greeted did not go on; the session then greets anew.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_session_poll(
    session: *mut adb_session,
    endpoint: *mut adb_endpoint,
    now: i64,
    frame: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(frame, "frame")?;
        // SAFETY: the header's contract.
        let (mut session, mut endpoint) =
            unsafe { (handle::exclusive(session)?, handle::exclusive(endpoint)?) };
        let next = session
            .poll(&mut endpoint, Timestamp::from_millis(now))
            .map_err(raise)?;
        out.set(next.map_or(std::ptr::null_mut(), buffer));
        Ok(())
    })
}

/// Takes a frame that came. Frames may be lost, come twice or in another order. After an error nothing of the frame was
/// kept; `ends_link` (may be NULL, written in any case) tells whether the link is over too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_session_receive(
    session: *mut adb_session,
    endpoint: *mut adb_endpoint,
    frame: ew_bytes,
    now: i64,
    ends_link: *mut bool,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        set_optional(ends_link, false);
        // SAFETY: the header's contract.
        let (mut session, mut endpoint, bytes) = unsafe {
            let session = handle::exclusive(session)?;
            (session, handle::exclusive(endpoint)?, frame.get("frame")?)
        };
        session
            .receive(&mut endpoint, bytes, Timestamp::from_millis(now))
            .map_err(|error| {
                set_optional(ends_link, error.ends_the_link());
                raise(error)
            })
    })
}

/// Forgets the link, as when a connection broke: the next frame greets anew.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_session_reset(
    session: *mut adb_session,
    endpoint: *mut adb_endpoint,
    now: i64,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (mut session, mut endpoint) =
            unsafe { (handle::exclusive(session)?, handle::exclusive(endpoint)?) };
        session.reset(&mut endpoint, Timestamp::from_millis(now));
        Ok(())
    })
}

/// The peer was not heard yet, or no more.
pub const ADB_PHASE_GREETING: i32 = 0;
/// Both agree on where to go on.
pub const ADB_PHASE_CHECKPOINT: i32 = 1;
/// Documents go first.
pub const ADB_PHASE_STATE: i32 = 2;
/// Then the events that waited.
pub const ADB_PHASE_EVENTS: i32 = 3;
/// Then both compare what they have.
pub const ADB_PHASE_COMPARE: i32 = 4;
/// Everything is there; what is new goes as it comes.
pub const ADB_PHASE_LIVE: i32 = 5;

/// How far a link has come (ADB_PHASE_…; from ADB_PHASE_STATE on the link is up), the peer's replica (0 before it is
/// known), and whether it has acknowledged everything that is meant for it. Each place may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_session_state(
    session: *const adb_session,
    endpoint: *const adb_endpoint,
    phase: *mut i32,
    peer: *mut u64,
    idle: *mut bool,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (session, endpoint) =
            unsafe { (handle::exclusive(session)?, handle::exclusive(endpoint)?) };
        let is_idle = session.is_idle(&endpoint).map_err(raise)?;
        let reached = match session.phase() {
            Phase::Greeting => ADB_PHASE_GREETING,
            Phase::Checkpoint => ADB_PHASE_CHECKPOINT,
            Phase::State => ADB_PHASE_STATE,
            Phase::Events => ADB_PHASE_EVENTS,
            Phase::Compare => ADB_PHASE_COMPARE,
            Phase::Live => ADB_PHASE_LIVE,
        };
        set_optional(phase, reached);
        set_optional(peer, session.peer().map_or(0, ReplicaId::get));
        set_optional(idle, is_idle);
        Ok(())
    })
}

/// What a session has done, as JSON: frames and bytes, offers, documents and events, sent and received.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn adb_session_stats(
    session: *const adb_session,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let stats = unsafe { handle::exclusive(session) }?.stats();
        out.set(json_buffer(&forms::agentdb::session_stats(&stats))?);
        Ok(())
    })
}
