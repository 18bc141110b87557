//! Replays an editing trace through the list of `agentdb` and through its peers.
//!
//! Each agent of the trace is a replica. The replicas really send each other encoded deltas, as the parents
//! of the transactions ask for, and must all end with the text that the trace gives. The time is that of all
//! edits, encodings, merges and reading the texts at last; reading the file and planning are not in it.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

mod automerge;
mod list;
mod loro;
mod plan;
mod replay;
#[cfg(test)]
mod tests;
mod trace;
mod yrs;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

use plan::Plan;
use replay::{Edit, Failure, Outcome, Replica, replay};
use trace::Trace;

/// Replays an editing trace through `agentdb`'s list, automerge, loro and yrs.
///
/// Exit code 0 where all replicas of `agentdb` end with the trace's end content, 1 where one does not, 2 where
/// the trace cannot be replayed.
#[derive(Parser)]
#[command(name = "crdt-trace")]
struct Args {
    /// The trace: josephg/editing-traces, concurrent or sequential, `.json` or `.json.gz`.
    file: PathBuf,
    /// Print one JSON object a line for each engine.
    #[arg(long)]
    json: bool,
    /// Replay so many times and tell the median time.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Leave the peers out.
    #[arg(long)]
    alone: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("{}: {failure}", args.file.display());
            ExitCode::from(2)
        }
    }
}

/// Whether all replicas of this project's list ended with the right text.
fn run(args: &Args) -> Result<bool, Failure> {
    let trace = Trace::read(&args.file)?;
    let plan = Plan::new(&trace)?;
    let edits = replay::edits(&trace, &plan)?;
    if !args.json {
        println!(
            "{} transactions, {} agents, {} replicas, {} letters at the end; median of {} runs",
            trace.txns.len(),
            trace.agents,
            plan.replicas,
            trace.end_content.chars().count(),
            args.runs
        );
        println!(
            "{:<10} {:>10} {:>14} {:>11} {:>9}  text",
            "engine", "ms", "document bytes", "bytes sent", "messages"
        );
    }
    let own = median::<agentdb::list::List>(args, &trace, &plan, &edits)?;
    report(args, &own, plan.replicas);
    if !args.alone {
        for peer in [
            median::<automerge::Automerge>(args, &trace, &plan, &edits),
            median::<loro::Loro>(args, &trace, &plan, &edits),
            median::<yrs::Yrs<'_>>(args, &trace, &plan, &edits),
        ] {
            match peer {
                Ok(outcome) => report(args, &outcome, plan.replicas),
                Err(failure) => eprintln!("a peer failed: {failure}"),
            }
        }
    }
    Ok(own.wrong == 0)
}

/// The outcome with the median time.
fn median<'t, R: Replica<'t>>(
    args: &Args,
    trace: &Trace,
    plan: &Plan,
    edits: &[Vec<Edit<'t>>],
) -> Result<Outcome, Failure> {
    let mut outcomes = Vec::with_capacity(usize::from(args.runs));
    for _ in 0..args.runs {
        let outcome = replay::<R>(trace, plan, edits);
        outcomes.push(outcome.map_err(|failure| format!("{}: {failure}", R::NAME))?);
    }
    outcomes.sort_by_key(|outcome| outcome.time);
    Ok(outcomes.swap_remove(outcomes.len() / 2))
}

fn report(args: &Args, outcome: &Outcome, replicas: usize) {
    let ms = outcome.time.as_secs_f64() * 1e3;
    if args.json {
        let line = serde_json::json!({
            "engine": outcome.engine,
            "ms": ms,
            "document_bytes": outcome.document_bytes,
            "sent_bytes": outcome.sent_bytes,
            "messages": outcome.messages,
            "replicas": replicas,
            "replicas_wrong": outcome.wrong,
            "end_content": outcome.wrong == 0,
        });
        println!("{line}");
        return;
    }
    let text = match outcome.wrong {
        0 => "as expected on every replica".to_owned(),
        wrong => format!("WRONG on {wrong} of {replicas} replicas"),
    };
    println!(
        "{:<10} {:>10.3} {:>14} {:>11} {:>9}  {text}",
        outcome.engine, ms, outcome.document_bytes, outcome.sent_bytes, outcome.messages
    );
}
