//! Sync within a process.

use super::endpoint::Endpoint;
use super::error::SyncError;
use super::session::Session;
use crate::time::Timestamp;

/// Carries frames between two sessions at one moment, until neither has anything more to say.
///
/// # Errors
/// The first [`SyncError`] of either side.
pub fn run_local(
    a: (&mut Endpoint, &mut Session),
    b: (&mut Endpoint, &mut Session),
    now: Timestamp,
) -> Result<(), SyncError> {
    let mut quiet = false;
    while !quiet {
        quiet = true;
        while let Some(frame) = a.1.poll(a.0, now)? {
            quiet = false;
            b.1.receive(b.0, &frame, now)?;
        }
        while let Some(frame) = b.1.poll(b.0, now)? {
            quiet = false;
            a.1.receive(a.0, &frame, now)?;
        }
    }
    Ok(())
}
