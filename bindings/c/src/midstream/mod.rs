//! `ms_`: windowed complex event processing.

mod agent;
mod engine;
mod outputs;
mod rule;
mod snapshot;
mod standardizer;
mod table;

use midstream::Error;

use crate::fail::{EW_CORRUPT, EW_INVALID, EW_LIMIT, EW_NOT_FOUND, Fail};

fn raise(error: Error) -> Fail {
    let status = match &error {
        Error::UnknownSource(_) | Error::UnknownRule(_) | Error::UnknownTable(_) => EW_NOT_FOUND,
        Error::Corrupt { .. } => EW_CORRUPT,
        Error::IdTooLong { .. } => EW_LIMIT,
        _ => EW_INVALID,
    };
    Fail::new(status, error)
}
