//! The header is what the sources say, and nothing public is bound by accident or left out in silence.

#![allow(clippy::expect_used, reason = "tests panic")]

mod coverage;
mod header;
mod surface;
