//! `po_`: the run-time prompt selector.

mod bundle;
mod choice;
mod experiment;
mod set;

use promptopt::{Error, Tier};

use crate::fail::{
    EW_BAD_TEXT, EW_CORRUPT, EW_INVALID, EW_LIMIT, EW_STATE, EW_SYSTEM, Fail, Result,
};

fn raise(error: Error) -> Fail {
    let status = match &error {
        Error::Io { .. } => EW_SYSTEM,
        Error::Json { .. } => EW_BAD_TEXT,
        Error::FileTooLarge { .. } | Error::Limit { .. } => EW_LIMIT,
        Error::Format { .. } | Error::HashMismatch { .. } => EW_CORRUPT,
        Error::StaleVersion { .. } | Error::NoEarlierVersion { .. } => EW_STATE,
        _ => EW_INVALID,
    };
    Fail::new(status, error)
}

/// The shortest prompt.
pub const PO_TIER_ULTRA: i32 = 0;
/// The quick one.
pub const PO_TIER_FAST: i32 = 1;
/// The one with the best answers.
pub const PO_TIER_QUALITY: i32 = 2;

fn tier(number: i32) -> Result<Tier> {
    match number {
        PO_TIER_ULTRA => Ok(Tier::Ultra),
        PO_TIER_FAST => Ok(Tier::Fast),
        PO_TIER_QUALITY => Ok(Tier::Quality),
        other => Err(Fail::new(
            EW_INVALID,
            format_args!("tier is {other}, see PO_TIER_…"),
        )),
    }
}

fn tier_number(tier: Tier) -> i32 {
    match tier {
        Tier::Ultra => PO_TIER_ULTRA,
        Tier::Fast => PO_TIER_FAST,
        Tier::Quality => PO_TIER_QUALITY,
    }
}
