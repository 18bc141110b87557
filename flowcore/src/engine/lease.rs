//! Two engines, one journal: only the one with the lease works. The journal counts epochs; a batch
//! of an older epoch than the newest lease is refused there, so an engine that slept through the
//! end of its lease cannot write over its successor (fencing).

use std::time::Duration;

use super::Engine;
use crate::error::Result;
use crate::journal::{Journal, JournalError, LeaseRequest};
use crate::time::Timestamp;

/// A lease is renewed when this part of it has passed.
const RENEW_AFTER: u32 = 3;

pub(super) struct Lease {
    owner: String,
    ttl: Duration,
    renewed_at: Timestamp,
    /// The epoch that took over, once one did.
    fenced_by: Option<u64>,
}

impl<J: Journal> Engine<J> {
    /// Claims the journal for this engine under the name `owner`, and returns the fencing epoch.
    /// From then on [`step`](Self::step) renews the lease by itself; call it more often than `ttl`.
    /// Who takes over from another owner reads the runs back again.
    ///
    /// # Errors
    /// [`JournalError::Held`] while another owner's lease runs: ask again when it has ended.
    pub fn lease(&mut self, owner: &str, ttl: Duration, now: Timestamp) -> Result<u64> {
        let request = LeaseRequest {
            owner: owner.to_owned(),
            now,
            ttl,
        };
        let epoch = self.journal.lease(&request)?;
        if epoch != self.batch.epoch {
            self.forget_runs();
            self.batch.epoch = epoch;
        }
        self.lease = Some(Lease {
            owner: owner.to_owned(),
            ttl,
            renewed_at: now,
            fenced_by: None,
        });
        Ok(epoch)
    }

    /// Whatever was known belongs to an epoch that has ended; the journal knows better.
    fn forget_runs(&mut self) {
        self.runs.clear();
        self.parked.clear();
        self.keys.clear();
        self.keyed.clear();
        self.timers.clear();
        self.queue.clear();
        self.commands.clear();
        self.breakers.clear();
        self.admission.forget();
        self.tenants.forget();
        // Definitions deployed since are still to be written; nothing else is.
        self.batch.ops.retain(|op| {
            matches!(op, crate::journal::Op::Put { space, .. } if *space == super::space::DEFINITION)
        });
        self.recovered = false;
    }

    /// Renews the lease in time; does nothing without one.
    pub(super) fn hold_lease(&mut self, now: Timestamp) -> Result<()> {
        let Some(lease) = &self.lease else {
            return Ok(());
        };
        if let Some(current) = lease.fenced_by {
            return Err(fenced(self.batch.epoch, current));
        }
        if now.since(lease.renewed_at) < lease.ttl / RENEW_AFTER {
            return Ok(());
        }
        let request = LeaseRequest {
            owner: lease.owner.clone(),
            now,
            ttl: lease.ttl,
        };
        let renewed = self.journal.lease(&request);
        let ours = self.batch.epoch;
        let Some(lease) = &mut self.lease else {
            return Ok(());
        };
        match renewed {
            Ok(epoch) if epoch == ours => lease.renewed_at = now,
            // The lease had ended and somebody else had it in between.
            Ok(current) => {
                lease.fenced_by = Some(current);
                return Err(fenced(ours, current));
            }
            Err(JournalError::Held { .. }) => {
                lease.fenced_by = Some(ours + 1);
                return Err(fenced(ours, ours + 1));
            }
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    pub(super) fn note_fencing(&mut self, error: &JournalError) {
        if let (Some(lease), JournalError::Fenced { current, .. }) = (&mut self.lease, error) {
            lease.fenced_by = Some(*current);
        }
    }
}

fn fenced(ours: u64, current: u64) -> crate::Error {
    JournalError::Fenced { ours, current }.into()
}
