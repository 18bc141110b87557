//! The C library `libedgeweave`: the five crates behind opaque handles and status codes.
//!
//! This crate translates and decides nothing. Every function goes through `fail::guard`, which turns an
//! error into a status and catches a panic; every handle is checked by `handle`. The header is generated
//! from these sources (`tests/it/header.rs`), so what is written here above a function is its documentation in C.
#![allow(non_camel_case_types, reason = "names as they are in C")]
#![allow(
    clippy::missing_safety_doc,
    reason = "one contract for every function, at the top of the header"
)]

mod bytes;
mod fail;
mod handle;
mod version;

#[cfg(feature = "agentdb")]
mod agentdb;
#[cfg(feature = "flowcore")]
mod flowcore;
#[cfg(feature = "midstream")]
mod midstream;
#[cfg(feature = "promptopt")]
mod promptopt;
#[cfg(feature = "ruvector")]
mod ruvector;
