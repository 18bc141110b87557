//! Rules of an engine.

use midstream::{EngineBuilder, parse_program};

use crate::{Malformed, Result};

/// Adds all that a text says to an engine: its rules, and fields in standard deviations. What is enriched from tables
/// needs a table, which a binding does not offer: it is refused by the builder.
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
