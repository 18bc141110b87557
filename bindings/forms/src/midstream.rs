//! Rules of an engine.

use midstream::{EngineBuilder, Rule, parse_program};

use crate::{Malformed, Result};

/// Adds all that a text says to an engine: its rules, and fields in standard deviations or from tables.
///
/// # Errors
/// What does not parse, with line and column.
pub fn with_rules(
    mut builder: EngineBuilder,
    text: &str,
    source: &str,
    key: Option<&str>,
) -> Result<EngineBuilder> {
    let program = parse_program(text, source, key).map_err(Malformed::new)?;
    for statement in program.standardize {
        builder = builder.standardize(source, statement, key);
    }
    for enrich in program.enrich {
        builder = builder.enrich(&enrich.source, &enrich.table, &enrich.on);
    }
    for rule in program.rules {
        builder = builder.rule(rule);
    }
    Ok(builder)
}

/// The one rule of a text.
///
/// # Errors
/// What does not parse, with line and column; a text of no rule or several.
pub fn rule(text: &str, source: &str, key: Option<&str>) -> Result<Rule> {
    let program = parse_program(text, source, key).map_err(Malformed::new)?;
    let derived = program.standardize.len() + program.enrich.len();
    match <[Rule; 1]>::try_from(program.rules) {
        Ok([rule]) if derived == 0 => Ok(rule),
        _ => Err(Malformed::new(
            "wanted is one rule; STANDARDIZE and ENRICH belong to the plan that the engine is built with",
        )),
    }
}
