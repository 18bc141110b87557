//! `rv_`: the vector index, its caches and its retriever.

mod cache;
mod embedder;
mod index;
mod retriever;
mod search;

use ruvector::Error;

use crate::fail::{EW_CALLBACK, EW_CORRUPT, EW_INVALID, EW_LIMIT, EW_STATE, EW_SYSTEM, Fail};

fn raise(error: Error) -> Fail {
    let status = match &error {
        Error::Io { .. } | Error::Locked { .. } => EW_SYSTEM,
        Error::Corrupt { .. } | Error::NotAnIndex { .. } | Error::Version { .. } => EW_CORRUPT,
        Error::Full { .. }
        | Error::PayloadTooLong { .. }
        | Error::TextTooLong { .. }
        | Error::TooManyFields { .. } => EW_LIMIT,
        Error::Poisoned | Error::NoFile | Error::Recursive => EW_STATE,
        Error::Embed(_) => EW_CALLBACK,
        _ => EW_INVALID,
    };
    Fail::new(status, error)
}
