//! Looks into the files of `agentdb`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use agentdb::{AgentDb, Direction, inspect};
use clap::{Parser, Subcommand};
use serde_json::json;

/// Looks into the files of agentdb. Exit code 0, 1 where damage was found, 2 where the file cannot be read.
#[derive(Parser)]
#[command(name = "agentdb", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Looks for damage: of the file, and of each document.
    Verify {
        /// The file.
        file: PathBuf,
    },
    /// Prints documents, events and records as JSON lines.
    Dump {
        /// The file.
        file: PathBuf,
    },
    /// Brings all that is whole over into a new file.
    Repair {
        /// The damaged file, which is left as it is.
        file: PathBuf,
        /// The new file.
        new: PathBuf,
    },
    /// Prints the documents that satisfy a condition, as JSON lines.
    Query {
        /// The file.
        file: PathBuf,
        /// The kind of document.
        schema: String,
        /// For example: battery < 20 && status != 'charging'. All documents without it.
        condition: Option<String>,
        /// Order by this field, the smallest first.
        #[arg(long)]
        order_by: Option<String>,
        /// The largest first.
        #[arg(long, requires = "order_by")]
        descending: bool,
        /// At most so many.
        #[arg(long)]
        limit: Option<usize>,
        /// Tell how they are found instead.
        #[arg(long)]
        explain: bool,
    },
}

fn main() -> ExitCode {
    match run(&Args::parse().command) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("agentdb: {failure}");
            ExitCode::from(2)
        }
    }
}

/// Whether all is well.
fn run(command: &Command) -> Result<bool, Box<dyn std::error::Error>> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match command {
        Command::Verify { file } => {
            let found = inspect::verify(file)?;
            for damage in &found {
                writeln!(out, "{damage}")?;
            }
            if found.is_empty() {
                writeln!(out, "no damage found")?;
            }
            Ok(found.is_empty())
        }
        Command::Dump { file } => {
            inspect::dump(file, &mut out)?;
            Ok(true)
        }
        Command::Repair { file, new } => {
            let repaired = inspect::repair(file, new)?;
            for lost in &repaired.lost {
                writeln!(out, "lost: {lost}")?;
            }
            let (documents, events, records) =
                (repaired.documents, repaired.events, repaired.records);
            writeln!(
                out,
                "{documents} documents, {events} events, {records} records brought over"
            )?;
            Ok(repaired.lost.is_empty())
        }
        Command::Query {
            file,
            schema,
            condition,
            order_by,
            descending,
            limit,
            explain,
        } => {
            let db = AgentDb::read_only(file)?;
            let mut query = match condition {
                Some(condition) => db.find(schema, condition)?,
                None => db.all(schema),
            };
            if let Some(field) = order_by {
                let direction = match descending {
                    true => Direction::Descending,
                    false => Direction::Ascending,
                };
                query = query.ordered(field, direction);
            }
            if let Some(limit) = limit {
                query = query.limit(*limit);
            }
            if *explain {
                writeln!(out, "{}", query.explain())?;
                return Ok(true);
            }
            for agent in query.run()? {
                let line = json!({"id": agent.id, "version": agent.version, "at": agent.at, "state": agent.state});
                writeln!(out, "{line}")?;
            }
            Ok(true)
        }
    }
}
