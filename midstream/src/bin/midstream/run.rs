//! Running rules over a file.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use midstream::{
    Engine, FieldType, Program, Schema, Standardizer, Timestamp, Value, parse_program,
};
use serde_json::json;

use super::table::{Failure, Row, Table};

/// The name of the source that a file is.
const SOURCE: &str = "input";

/// Rules over a CSV file.
#[derive(Args)]
pub struct Run {
    /// The rules; the language is in LANGUAGE.md.
    #[arg(long, value_name = "FILE")]
    rules: PathBuf,
    /// The events: a CSV file with a header, a row an event.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// The column of times: RFC 3339, `YYYY-MM-DD HH:MM:SS[.fff]` (UTC), or seconds or milliseconds since 1970.
    #[arg(long, value_name = "COLUMN")]
    time: String,
    /// What stands between columns.
    #[arg(long, default_value_t = ',')]
    delimiter: char,
    /// The column by which rules without a key of their own tell events apart.
    #[arg(long, value_name = "COLUMN")]
    key: Option<String>,
    /// How many seconds a row may come late.
    #[arg(long, default_value_t = 0.0)]
    disorder: f64,
    /// Outputs and counters as JSON lines, the counters last.
    #[arg(long)]
    json: bool,
}

fn program(path: &Path, key: Option<&str>) -> Result<Program, Failure> {
    let text =
        std::fs::read_to_string(path).map_err(|cause| format!("{}: {cause}", path.display()))?;
    let program = parse_program(&text, SOURCE, key);
    Ok(program.map_err(|cause| format!("{}: {cause}", path.display()))?)
}

/// Prints what the rules are.
pub fn explain(rules: &Path) -> Result<(), Failure> {
    let program = program(rules, None)?;
    for derived in &program.standardize {
        println!(
            "derive {} from the first {:?}",
            derived.fields.join("_z, ") + "_z",
            derived.first
        );
    }
    for rule in &program.rules {
        println!("{rule:#?}");
    }
    Ok(())
}

/// The derived fields of one statement.
struct Derived {
    /// The places of the values that they are of.
    columns: Vec<usize>,
    standardizer: Standardizer,
}

pub fn run(options: &Run) -> Result<(), Failure> {
    let delimiter =
        u8::try_from(options.delimiter).map_err(|_| "the delimiter must be one ASCII character")?;
    let program = program(&options.rules, options.key.as_deref())?;
    let mut table = Table::open(&options.input, delimiter, &options.time)?;
    let mut schema = Schema::new(SOURCE);
    for (_, name, kind) in &table.columns {
        schema = schema.field(name, *kind);
    }
    // The columns, then what is derived from them.
    let mut names: Vec<String> = table
        .columns
        .iter()
        .map(|(_, name, _)| name.clone())
        .collect();
    let mut derived = Vec::new();
    for statement in &program.standardize {
        let mut columns = Vec::with_capacity(statement.fields.len());
        for field in &statement.fields {
            let known = names.iter().position(|name| name == field);
            columns.push(known.map_or_else(|| schema.index(field), Ok)?);
            names.push(format!("{field}_z"));
        }
        derived.push(Derived {
            standardizer: Standardizer::new(columns.len(), statement.first),
            columns,
        });
    }
    for name in &names[table.columns.len()..] {
        schema = schema.field(name, FieldType::Float);
    }
    let disorder = Duration::try_from_secs_f64(options.disorder)
        .map_err(|cause| format!("--disorder: {cause}"))?;
    let mut builder = Engine::builder().source(schema.clone()).disorder(disorder);
    for rule in program.rules {
        builder = builder.rule(rule);
    }
    let mut engine = builder.build()?;

    let mut out = std::io::stdout().lock();
    let (mut rows, mut bytes_out) = (0_u64, 0_u64);
    let mut bad: BTreeMap<&str, u64> = BTreeMap::new();
    let mut last = None::<Timestamp>;
    while let Some(row) = table.next()? {
        rows += 1;
        let (at, mut values) = match row {
            Row::Good(at, values) => (at, values),
            Row::Bad(reason) => {
                *bad.entry(reason).or_default() += 1;
                continue;
            }
        };
        for derived in &mut derived {
            derive(derived, at, &mut values);
        }
        let fields: Vec<(&str, Value)> = names
            .iter()
            .zip(values)
            .filter_map(|(name, value)| Some((name.as_str(), value?)))
            .collect();
        let event = schema.event(&rows.to_string(), at, &fields)?;
        last = last.max(Some(at));
        for output in engine.push(event)? {
            bytes_out += tell(&mut out, options.json, &output)?;
        }
    }
    // Windows that end with the last row are told; those that reach beyond are not complete.
    if let Some(last) = last {
        for output in engine.advance_to(Timestamp::from_millis(last.as_millis() + 1)) {
            bytes_out += tell(&mut out, options.json, &output)?;
        }
    }
    let counters = json!({
        "rows": rows,
        "bad_rows": bad,
        "counters": engine.metrics(),
        "bytes_in": std::fs::metadata(&options.input)?.len(),
        "bytes_out": bytes_out,
    });
    writeln!(out, "{counters}")?;
    Ok(())
}

/// Adds what a row's columns are in standard deviations.
fn derive(derived: &mut Derived, at: Timestamp, values: &mut Vec<Option<Value>>) {
    let numbers: Vec<Option<f64>> = derived
        .columns
        .iter()
        .map(|column| values.get(*column)?.as_ref()?.as_f64())
        .collect();
    let standard = derived.standardizer.push(at, &numbers);
    values.extend(standard.into_iter().map(|value| value.map(Value::Float)));
}

/// Prints an output; its length in bytes.
fn tell(out: &mut impl Write, json: bool, output: &midstream::Output) -> Result<u64, Failure> {
    let line = if json {
        serde_json::to_string(output)?
    } else {
        format!(
            "{}  {} to {}  {:?}",
            output.rule,
            output.first.as_millis(),
            output.last.as_millis(),
            output.found
        )
    };
    writeln!(out, "{line}")?;
    Ok(line.len() as u64 + 1)
}
