//! Rules of an engine.

use midstream::{Rule, parse_program};

use crate::{Malformed, Result};

/// The rules of a text for an engine without derived fields.
///
/// # Errors
/// What does not parse, with line and column, and STANDARDIZE.
pub fn rules(text: &str, source: &str, key: Option<&str>) -> Result<Vec<Rule>> {
    let program = parse_program(text, source, key).map_err(Malformed::new)?;
    if program.standardize.is_empty() {
        return Ok(program.rules);
    }
    Err(Malformed::new(
        "STANDARDIZE derives fields: make them with a standardizer and push them as fields of the source",
    ))
}
