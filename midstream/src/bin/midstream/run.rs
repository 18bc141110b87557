//! Running rules over a file.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use midstream::{Engine, Program, Schema, Table as Rows, Timestamp, Value, parse_program};
use serde_json::json;

use super::score::Score;
use super::table::{Failure, Row, Table};

/// The name of the source that a file is to rules that name none.
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
    /// The column that names each row's source. Without it, each source that the rules name is the whole file.
    #[arg(long, value_name = "COLUMN")]
    source: Option<String>,
    /// A table for ENRICH and JOIN: a CSV file and the column that is its key. More than once for more tables.
    #[arg(long, value_name = "NAME=FILE:COLUMN")]
    table: Vec<String>,
    /// How many seconds a row may come late.
    #[arg(long, default_value_t = 0.0)]
    disorder: f64,
    /// A column that is 1 (or true) where something should be told. The rules do not see it; the counters tell
    /// precision, recall, and how soon each of its changes was told.
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// Columns that the rules do not see.
    #[arg(long, value_name = "COLUMN")]
    hide: Vec<String>,
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
    let mut out = std::io::stdout().lock();
    for derived in &program.standardize {
        writeln!(
            out,
            "derive {} from {:?}",
            derived.fields.join("_z, ") + "_z",
            derived.over
        )?;
    }
    for enrich in &program.enrich {
        writeln!(
            out,
            "add to {} the row of {} whose key is {}",
            enrich.source, enrich.table, enrich.on
        )?;
    }
    for rule in &program.rules {
        writeln!(out, "{} reads {}", rule.name(), rule.sources().join(", "))?;
        writeln!(out, "{rule:#?}")?;
    }
    Ok(())
}

/// `NAME=FILE:COLUMN` as a table whose rows count from the beginning of time.
fn rows(text: &str) -> Result<Rows, Failure> {
    let parts = text.split_once('=').and_then(|(name, rest)| {
        let (file, key) = rest.rsplit_once(':')?;
        Some((name, file, key))
    });
    let Some((name, file, key)) = parts else {
        return Err(format!("--table {text}: NAME=FILE:COLUMN is wanted").into());
    };
    let mut table = Table::open(Path::new(file), b',', None)?;
    let mut schema = Schema::new(name);
    for (_, name, kind) in &table.columns {
        schema = schema.field(name, *kind);
    }
    let names: Vec<String> = table
        .columns
        .iter()
        .map(|(_, name, _)| name.clone())
        .collect();
    let mut rows = Rows::new(schema, key)?;
    while let Some(row) = table.next()? {
        if let Row::Good(_, values) = row {
            rows.put(Timestamp::from_millis(i64::MIN), &fields(&names, values))?;
        }
    }
    Ok(rows)
}

fn fields(names: &[String], values: Vec<Option<Value>>) -> Vec<(&str, Value)> {
    names
        .iter()
        .zip(values)
        .filter_map(|(name, value)| Some((name.as_str(), value?)))
        .collect()
}

/// The names of the sources that rules read.
fn sources(program: &Program) -> Vec<String> {
    let rules = program.rules.iter().flat_map(midstream::Rule::sources);
    let enriched = program.enrich.iter().map(|enrich| enrich.source.as_str());
    let names: BTreeSet<&str> = rules.chain(enriched).collect();
    let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
    if names.is_empty() {
        return vec![SOURCE.to_owned()];
    }
    names
}

fn engine(options: &Run, program: Program, schemas: &[Schema]) -> Result<Engine, Failure> {
    let disorder = Duration::try_from_secs_f64(options.disorder)
        .map_err(|cause| format!("--disorder: {cause}"))?;
    let mut builder = Engine::builder().disorder(disorder);
    for schema in schemas {
        builder = builder.source(schema.clone());
        for statement in &program.standardize {
            // Of several sources, those that have the fields.
            let has = |field: &String| schema.index(field.trim_end_matches("_z")).is_ok();
            if schemas.len() == 1 || statement.fields.iter().all(has) {
                let key = options.key.as_deref();
                builder = builder.standardize(schema.name(), statement.clone(), key);
            }
        }
    }
    for text in &options.table {
        builder = builder.table(rows(text)?);
    }
    for enrich in &program.enrich {
        builder = builder.enrich(&enrich.source, &enrich.table, &enrich.on);
    }
    for rule in program.rules {
        builder = builder.rule(rule);
    }
    Ok(builder.build()?)
}

pub fn run(options: &Run) -> Result<(), Failure> {
    let delimiter =
        u8::try_from(options.delimiter).map_err(|_| "the delimiter must be one ASCII character")?;
    let program = program(&options.rules, options.key.as_deref())?;
    let mut table = Table::open(&options.input, delimiter, Some(&options.time))?;
    let label = options
        .label
        .as_ref()
        .map(|name| table.take(name))
        .transpose()?;
    let source = options
        .source
        .as_ref()
        .map(|name| table.take(name))
        .transpose()?;
    for name in &options.hide {
        table.take(name)?;
    }
    let mut schemas = Vec::new();
    for name in sources(&program) {
        let mut schema = Schema::new(&name);
        for (_, name, kind) in &table.columns {
            schema = schema.field(name, *kind);
        }
        schemas.push(schema);
    }
    let names: Vec<String> = table
        .columns
        .iter()
        .map(|(_, name, _)| name.clone())
        .collect();
    let mut score = Score::new(&program.rules);
    let mut engine = engine(options, program, &schemas)?;

    let mut out = std::io::stdout().lock();
    let (mut count, mut bytes_out) = (0_u64, 0_u64);
    let mut bad: BTreeMap<&str, u64> = BTreeMap::new();
    while let Some(row) = table.next()? {
        count += 1;
        let (at, values) = match row {
            Row::Good(at, values) => (at, values),
            Row::Bad(reason) => {
                *bad.entry(reason).or_default() += 1;
                continue;
            }
        };
        if let Some(label) = label {
            score.row(at, table.text(label));
        }
        let named = source.map(|source| table.text(source).to_owned());
        let fields = fields(&names, values);
        for schema in &schemas {
            if named.as_ref().is_some_and(|named| schema.name() != named) {
                continue;
            }
            // One row is an event of each of several sources.
            let id = match (schemas.len(), &named) {
                (1, _) | (_, Some(_)) => count.to_string(),
                _ => format!("{}/{count}", schema.name()),
            };
            let event = schema.event(&id, at, &fields)?;
            for output in engine.push(event)? {
                score.told(&output);
                bytes_out += tell(&mut out, options.json, &output)?;
            }
        }
    }
    // Windows that end with the last row are told; those that reach beyond are not complete.
    for output in engine.finish() {
        score.told(&output);
        bytes_out += tell(&mut out, options.json, &output)?;
    }
    let bytes_in = std::fs::metadata(&options.input)?.len();
    let mut counters = json!({
        "rows": count,
        "bad_rows": bad,
        "counters": engine.metrics(),
        "bytes_in": bytes_in,
        "bytes_out": bytes_out,
        "reduction": (bytes_out > 0).then(|| (bytes_in as f64 / bytes_out as f64).round()),
    });
    if label.is_some() {
        counters["label"] = score.figures();
    }
    writeln!(out, "{counters}")?;
    Ok(())
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
