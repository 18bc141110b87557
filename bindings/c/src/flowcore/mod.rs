//! `fc_`: durable workflows.

mod call;
mod engine;
mod limits;
mod runs;
mod versions;

use flowcore::{Error, RunId};

use crate::fail::{EW_CORRUPT, EW_INVALID, EW_LIMIT, EW_NOT_FOUND, EW_STATE, EW_SYSTEM, Fail};

fn raise(error: Error) -> Fail {
    let status = match &error {
        Error::Journal(_) => EW_SYSTEM,
        Error::Corrupt { .. } => EW_CORRUPT,
        Error::Limit { .. } | Error::Quota { .. } => EW_LIMIT,
        Error::UnknownRun { .. } | Error::UnknownWorkflow { .. } | Error::NoTrigger { .. } => {
            EW_NOT_FOUND
        }
        Error::WrongState { .. } => EW_STATE,
        _ => EW_INVALID,
    };
    Fail::new(status, error)
}

fn run(number: u64) -> RunId {
    RunId::new(number)
}
