//! Patterns of events of one key: an automaton over shared chains of events.
//!
//! The semantics are written down in `PATTERNS.md` beside this crate's README.

mod advance;
mod automaton;
mod buffer;
mod compile;
mod conditions;
mod earlier;
mod matcher;
mod plan;
mod runs;
mod saved;
mod tell;
mod timer;

pub(crate) use conditions::Conditions;
pub use earlier::Earlier;
pub(crate) use matcher::Matcher;
pub use plan::{
    AfterMatch, Contiguity, Element, Greed, Overflow, PartialLimits, Pattern, PatternRule, Step,
    Timeouts, all_of, any_of, group, step,
};
