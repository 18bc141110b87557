//! The command `flowcore`: run, test, draw and check workflows without writing code.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command prints"
)]

mod actions;
mod drive;
mod files;
mod history;
mod mocks;
mod output;
mod run;
mod tee;
mod test;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use flowcore::Graph;

/// Durable workflows from YAML.
#[derive(Parser)]
#[command(version, about)]
struct Line {
    #[command(subcommand)]
    word: Word,
}

#[derive(Subcommand)]
enum Word {
    /// Run a workflow: its steps as lines, then its outcome. Exit code 0 when it succeeded, 1 when
    /// it failed, 3 when it waits for something from outside, 2 when it cannot be run.
    Run(run::Run),
    /// Run the tests that stand in workflow files under `tests`. Exit code 1 when one fails.
    Test(test::Test),
    /// Draw a workflow as Mermaid or DOT.
    Graph {
        /// The workflow.
        file: PathBuf,
        /// How.
        #[arg(long, value_enum, default_value_t = Format::Mermaid)]
        format: Format,
        /// Colour the steps as they stand in this history, from `run --history` or `history`.
        #[arg(long, value_name = "FILE", conflicts_with = "journal")]
        history: Option<PathBuf>,
        /// Colour the steps as they stand in a run of this SQLite journal.
        #[arg(long, value_name = "FILE", requires = "run")]
        journal: Option<PathBuf>,
        /// The run.
        #[arg(long, requires = "journal")]
        run: Option<u64>,
        /// Workflows that steps use.
        #[arg(long, value_name = "FILE")]
        with: Vec<PathBuf>,
    },
    /// Say whether runs could move from one definition to another. Exit code 1 when one could not.
    VerifyUpgrade(history::VerifyUpgrade),
    /// Print the history of a run, one record a line.
    History {
        /// The SQLite journal.
        #[arg(long, value_name = "FILE")]
        journal: PathBuf,
        /// The run.
        #[arg(long)]
        run: u64,
    },
    /// Check workflow files.
    Validate {
        /// The workflows.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Print the JSON Schema of workflow files.
    Schema,
}

#[derive(Clone, Copy, ValueEnum)]
enum Format {
    /// For pages that render Mermaid.
    Mermaid,
    /// For Graphviz.
    Dot,
}

/// How a command ends: its exit code, or why it could not be carried out.
type Ended = Result<ExitCode, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let ended = match Line::parse().word {
        Word::Run(run) => run.run(),
        Word::Test(test) => test.run(),
        Word::Graph {
            file,
            format,
            history,
            journal,
            run,
            with,
        } => graph(&file, format, history, journal.zip(run), &with),
        Word::VerifyUpgrade(verify) => verify.run(),
        Word::History { journal, run } => history::print(&journal, run),
        Word::Validate { files } => validate(&files),
        Word::Schema => {
            output::line(format_args!("{:#}", flowcore::definition::json_schema()));
            Ok(ExitCode::SUCCESS)
        }
    };
    ended.unwrap_or_else(|error| {
        eprintln!("flowcore: {error}");
        ExitCode::from(2)
    })
}

fn graph(
    file: &Path,
    format: Format,
    history: Option<PathBuf>,
    journal: Option<(PathBuf, u64)>,
    with: &[PathBuf],
) -> Ended {
    let workflow = files::linked(&files::workflow(file)?, with)?;
    let mut graph = Graph::of(&workflow);
    let history = match (history, journal) {
        (Some(file), _) => Some(files::history(&file)?),
        (None, Some((journal, run))) => Some(history::of_journal(&journal, run)?),
        (None, None) => None,
    };
    if let Some(history) = history {
        graph = graph.with_steps(&history::steps(&workflow, &history)?);
    }
    match format {
        Format::Mermaid => output::text(graph.to_mermaid()),
        Format::Dot => output::text(graph.to_dot()),
    }
    Ok(ExitCode::SUCCESS)
}

fn validate(files: &[PathBuf]) -> Ended {
    let mut code = ExitCode::SUCCESS;
    for file in files {
        match files::workflow(file) {
            Ok(workflow) => output::line(format_args!(
                "{}: workflow `{}` is valid, {} steps at the top, definition {}",
                file.display(),
                workflow.name(),
                workflow.definition().steps.len(),
                workflow.hash()
            )),
            Err(error) => {
                eprintln!("{error}");
                code = ExitCode::from(1);
            }
        }
    }
    Ok(code)
}
