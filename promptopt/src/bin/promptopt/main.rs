//! The `promptopt` command: `optimize` finds the prompts of the three tiers, `select` picks one.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command prints"
)]

#[cfg(all(target_os = "linux", any(feature = "candle", feature = "http")))]
mod cores;
#[cfg(any(feature = "candle", feature = "http"))]
mod optimize;
mod select;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Prompt optimiser and run-time prompt selector for small models.
#[derive(Parser)]
#[command(version)]
struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    /// Pick the prompt for a context and print it as JSON.
    Select(select::Arguments),
    /// Find prompts for a labelled CSV file and write one file a tier.
    #[cfg(any(feature = "candle", feature = "http"))]
    Optimize(optimize::Arguments),
}

fn main() -> ExitCode {
    let result = match Command::parse().action {
        Action::Select(arguments) => select::run(&arguments),
        #[cfg(any(feature = "candle", feature = "http"))]
        Action::Optimize(arguments) => optimize::run(&arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("promptopt: {error}");
            ExitCode::from(2)
        }
    }
}
