//! The header is what the sources say, and nothing public is bound by accident or left out in silence.

mod coverage;
mod header;
mod surface;
