//! `ms_`: windowed complex event processing.

mod engine;
mod outputs;
mod standardizer;

use midstream::Error;

use crate::fail::{EW_INVALID, EW_LIMIT, EW_NOT_FOUND, Fail};

fn raise(error: Error) -> Fail {
    let status = match &error {
        Error::UnknownSource(_) => EW_NOT_FOUND,
        Error::IdTooLong { .. } => EW_LIMIT,
        _ => EW_INVALID,
    };
    Fail::new(status, error)
}
