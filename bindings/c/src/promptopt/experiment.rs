//! A new version beside the running one.

use std::time::Duration;

use promptopt::{ExperimentEnd, ExperimentOptions, HardLimits, Share};

use super::set::{po_set, prompt};
use super::{raise, tier};
use crate::bytes::{Out, ew_buffer, ew_str, json_buffer, options, set_optional};
use crate::fail::{EW_INVALID, EW_NOT_FOUND, Fail, ew_error, guard};
use crate::handle;

/// Settings of an experiment. Set struct_size to sizeof(po_experiment_options) and the rest to 0 for the defaults.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct po_experiment_options {
    /// sizeof(po_experiment_options).
    pub struct_size: usize,
    /// Share of the keys that get the new version, 0 to 1; 0 for half (a version that nobody gets is no experiment).
    pub share: f64,
    /// If not 0: the share is the probability that the new version is the better one, within this and 1 less this.
    pub thompson_floor: f64,
    /// Probability that a version which is no worse is ever taken back; 0 for 0.05.
    pub alpha: f64,
    /// Share of deciding pairs that the new version may lose; 0 for 0.5, "not worse".
    pub tolerated_share: f64,
    /// Largest share of unreadable answers; 0 for 0.05.
    pub unreadable_max: f64,
    /// Largest 95th percentile of the latency in milliseconds; 0 for 10,000.
    pub latency_p95_max_ms: u64,
    /// Outcomes before the last two count; 0 for 50.
    pub outcomes_min: u64,
}

const DEFAULTS: po_experiment_options = po_experiment_options {
    struct_size: size_of::<po_experiment_options>(),
    share: 0.0,
    thompson_floor: 0.0,
    alpha: 0.0,
    tolerated_share: 0.0,
    unreadable_max: 0.0,
    latency_p95_max_ms: 0,
    outcomes_min: 0,
};

impl po_experiment_options {
    fn read(self) -> ExperimentOptions {
        let base = ExperimentOptions::default();
        let or = |given: f64, default: f64| if given == 0.0 { default } else { given };
        ExperimentOptions {
            share: match (self.thompson_floor, self.share) {
                (0.0, 0.0) => base.share,
                (0.0, share) => Share::Fixed(share),
                (floor, _) => Share::Thompson { floor },
            },
            alpha: or(self.alpha, base.alpha),
            tolerated_share: or(self.tolerated_share, base.tolerated_share),
            limits: HardLimits {
                unreadable_max: or(self.unreadable_max, base.limits.unreadable_max),
                latency_p95_max: match self.latency_p95_max_ms {
                    0 => base.limits.latency_p95_max,
                    millis => Duration::from_millis(millis),
                },
                outcomes_min: match self.outcomes_min {
                    0 => base.limits.outcomes_min,
                    outcomes => outcomes,
                },
            },
        }
    }
}

/// Gives a newer version of a prompt (the text of its file) to a share of the keys of po_select. `options` may be NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_experiment_start(
    set: *const po_set,
    candidate: ew_str,
    options: *const po_experiment_options,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        // SAFETY: the header's contract.
        let (set, candidate, options) = unsafe {
            let options = self::options(options, DEFAULTS, "options")?;
            (handle::shared(set)?, prompt(candidate)?, options.read())
        };
        set.start_experiment(candidate, options).map_err(raise)
    })
}

/// The state of a tier's experiment as JSON: tier, candidate, share, candidate_outcomes and running_outcomes ([judged,
/// right]), evidence, rollback (null, or a cause). EW_NOT_FOUND without one.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_experiment_status(
    set: *const po_set,
    tier: i32,
    json: *mut *mut ew_buffer,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let out = Out::new(json, "json")?;
        // SAFETY: the header's contract.
        let status = unsafe { handle::shared(set) }?.experiment(self::tier(tier)?);
        let none = || Fail::new(EW_NOT_FOUND, "no experiment runs on this tier");
        let status = status.ok_or_else(none)?;
        out.set(json_buffer(&forms::promptopt::experiment(&status))?);
        Ok(())
    })
}

/// The new version becomes the running one, unless it was taken back.
pub const PO_PROMOTE: i32 = 1;
/// The new version goes.
pub const PO_DISCARD: i32 = 0;

/// Ends a tier's experiment with PO_PROMOTE or PO_DISCARD; `version` (may be NULL) is what runs now.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn po_experiment_end(
    set: *const po_set,
    tier: i32,
    end: i32,
    version: *mut u32,
    err: *mut *mut ew_error,
) -> i32 {
    guard(err, || {
        let end = match end {
            PO_PROMOTE => ExperimentEnd::Promote,
            PO_DISCARD => ExperimentEnd::Discard,
            other => {
                return Err(Fail::new(
                    EW_INVALID,
                    format_args!("end is {other}, wanted is PO_PROMOTE or PO_DISCARD"),
                ));
            }
        };
        // SAFETY: the header's contract.
        let set = unsafe { handle::shared(set) }?;
        set_optional(version, set.end_experiment(self::tier(tier)?, end).get());
        Ok(())
    })
}
