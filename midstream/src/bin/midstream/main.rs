//! The command `midstream`: rules as text over a CSV file.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command prints"
)]

mod run;
mod score;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Rules over recordings.
#[derive(Parser)]
#[command(version, about)]
struct Line {
    #[command(subcommand)]
    word: Word,
}

#[derive(Subcommand)]
enum Word {
    /// Run rules over a CSV file: a line for each output, then the counters.
    Run(run::Run),
    /// Print the plan of rules.
    Explain {
        /// The rules; the language is in LANGUAGE.md.
        #[arg(long, value_name = "FILE")]
        rules: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Line::parse().word {
        Word::Run(run) => run::run(&run),
        Word::Explain { rules } => run::explain(&rules),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("midstream: {error}");
            ExitCode::from(2)
        }
    }
}
