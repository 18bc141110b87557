//! Sync over TCP: frames behind their length, on a thread of the caller.
//!
//! ```no_run
//! use std::net::TcpStream;
//! use std::sync::{Mutex, atomic::AtomicBool};
//! use agentdb::sync::{Endpoint, Role, SyncOptions, Toward, tcp};
//! use agentdb::{AgentDb, Options, ReplicaId, Timestamp};
//!
//! let db = AgentDb::open("state.db", Options::new(ReplicaId::new(1)))?;
//! let endpoint = Mutex::new(Endpoint::new(db, SyncOptions::new(Role::Device)));
//! let stop = AtomicBool::new(false);
//! let clock = || Timestamp::from_millis(0); // the time of day
//! let stream = TcpStream::connect("10.0.0.1:7300")?;
//! tcp::run(stream, &endpoint, Toward::Parent, clock, &stop, |event| println!("{event}"))?;
//! # Ok::<(), agentdb::sync::SyncError>(())
//! ```

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::endpoint::{Endpoint, Toward};
use super::error::SyncError;
use super::frame::FRAME_BYTES_MAX;
use super::session::{Session, SessionStats};
use crate::time::Timestamp;

/// How long one look at the connection takes when nothing comes: how late a change is noticed.
const TICK: Duration = Duration::from_millis(5);
/// So much is read at once.
const READ_BYTES: usize = 64 << 10;
/// Frames are polled while less than this waits for the network.
const WAITING_BYTES_MAX: usize = 1 << 20;

/// Syncs over a connection until it ends, `stop` is set, or the peer is refused; returns what was done.
/// The endpoint is locked for a frame at a time, so one thread a connection serves many peers.
///
/// `noticed` hears of frames that were refused, and of documents that are left out, while the link goes on.
///
/// # Errors
/// [`SyncError::Connection`], and the errors that end a link: an unknown, revoked or misconfigured peer, one
/// with a wrong clock, one of another protocol version, a peer that does not go on.
pub fn run(
    stream: TcpStream,
    endpoint: &Mutex<Endpoint>,
    toward: Toward,
    clock: impl Fn() -> Timestamp,
    stop: &AtomicBool,
    mut noticed: impl FnMut(&SyncError),
) -> Result<SessionStats, SyncError> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(TICK))?;
    // A write gives up as soon: two sides that only wrote would wait for one another for ever.
    stream.set_write_timeout(Some(TICK))?;
    let mut session = Session::new(&mut lock(endpoint), toward, clock());
    let ended = pump(stream, &mut session, endpoint, &clock, stop, &mut noticed);
    session.reset(&mut lock(endpoint), clock());
    ended.map(|()| session.stats())
}

fn lock(endpoint: &Mutex<Endpoint>) -> MutexGuard<'_, Endpoint> {
    // What a thread that panicked has not committed is not in the store.
    endpoint.lock().unwrap_or_else(PoisonError::into_inner)
}

fn pump(
    mut stream: TcpStream,
    session: &mut Session,
    endpoint: &Mutex<Endpoint>,
    clock: &impl Fn() -> Timestamp,
    stop: &AtomicBool,
    noticed: &mut impl FnMut(&SyncError),
) -> Result<(), SyncError> {
    let (mut incoming, mut outgoing) = (Vec::new(), Vec::new());
    let mut buffer = vec![0; READ_BYTES];
    while !stop.load(Ordering::Relaxed) {
        while outgoing.len() < WAITING_BYTES_MAX {
            let frame = match session.poll(&mut lock(endpoint), clock()) {
                Ok(Some(frame)) => frame,
                Ok(None) => break,
                Err(
                    error
                    @ (SyncError::DocumentTooLarge { .. } | SyncError::DocumentRefused { .. }),
                ) => {
                    noticed(&error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            outgoing.extend_from_slice(&(frame.len() as u32).to_le_bytes());
            outgoing.extend_from_slice(&frame);
        }
        match stream.write(&outgoing) {
            Ok(written) => drop(outgoing.drain(..written)),
            Err(error) if is_timeout(&error) => {}
            Err(error) => return Err(error.into()),
        }
        match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => incoming.extend_from_slice(&buffer[..read]),
            Err(error) if is_timeout(&error) => {}
            Err(error) => return Err(error.into()),
        }
        while let Some(frame) = next_frame(&mut incoming)? {
            let taken = session.receive(&mut lock(endpoint), &frame, clock());
            match taken {
                Ok(()) => {}
                Err(error) if error.ends_the_link() => return Err(error),
                Err(error) => noticed(&error),
            }
        }
    }
    Ok(())
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// Takes a whole frame off the front.
fn next_frame(incoming: &mut Vec<u8>) -> Result<Option<Vec<u8>>, SyncError> {
    let Some((length, _)) = incoming.split_first_chunk::<4>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*length) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(SyncError::Limit {
            what: "length of a frame in bytes",
            found: length as u64,
            limit: FRAME_BYTES_MAX as u64,
        });
    }
    if incoming.len() < 4 + length {
        return Ok(None);
    }
    let rest = incoming.split_off(4 + length);
    let frame = std::mem::replace(incoming, rest).split_off(4);
    Ok(Some(frame))
}
