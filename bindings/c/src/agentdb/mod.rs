//! `adb_`: documents that merge, and events, in one file.

mod document;
mod list;
mod query;
mod series;
mod store;
mod sync;
mod transaction;
mod watch;

use agentdb::Error;

use crate::fail::{EW_CORRUPT, EW_INVALID, EW_LIMIT, EW_STATE, EW_SYSTEM, Fail};

fn raise(error: Error) -> Fail {
    let status = match &error {
        Error::Open { .. } | Error::Store(_) | Error::DiskFull | Error::GroupLost { .. } => {
            EW_SYSTEM
        }
        Error::Format { .. }
        | Error::Foreign { .. }
        | Error::Damaged { .. }
        | Error::Malformed { .. } => EW_CORRUPT,
        Error::Limit { .. } | Error::CounterFull { .. } => EW_LIMIT,
        Error::Poisoned { .. } => EW_STATE,
        _ => EW_INVALID,
    };
    Fail::new(status, error)
}
