//! The store under load: commits by durability level beside the machine's raw fsync, reads and queries while
//! others write, deltas of a 10 KB state, a field that is overwritten for 72 hours beside the peers, memory.
//!
//! Nothing here is a test: it prints what was measured, and under which conditions.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command")]
#![allow(clippy::disallowed_methods, reason = "a bench reads the clock")]

mod commits;
mod document;
mod memory;
#[cfg(feature = "crdt")]
#[cfg(test)]
mod oracle;
#[cfg(feature = "crdt")]
mod peers;
mod reads;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use agentdb::{Field, Options, ReplicaId, Schema, Timestamp};
use clap::Parser;
use serde_json::{Value, json};

/// Whatever stops the bench.
pub type Failure = Box<dyn std::error::Error>;

/// Measures agentdb.
#[derive(Parser)]
#[command(name = "agentdb-bench")]
struct Args {
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
    /// Where the files are; on the disk that is to be measured.
    #[arg(long, default_value = ".")]
    dir: PathBuf,
    /// How often the field is overwritten: 10 times a second for 72 hours.
    #[arg(long, default_value_t = 2_592_000)]
    overwrites: u64,
    /// How many agents the largest store has.
    #[arg(long, default_value_t = 100_000)]
    agents: usize,
    /// Leave the peers out.
    #[arg(long)]
    alone: bool,
    /// Only these parts: commits, reads, document, overwrites, memory.
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Used by the part `memory`, in a process of its own.
    #[arg(long, hide = true)]
    memory_of: Option<PathBuf>,
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("agentdb-bench: {failure}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &Args) -> Result<(), Failure> {
    if let Some(path) = &args.memory_of {
        return memory::child(path);
    }
    let print = |line: Value| match args.json {
        true => println!("{line}"),
        false => {
            let fields = line.as_object().into_iter().flatten();
            let words: Vec<String> = fields
                .map(|(name, value)| format!("{name} {value}"))
                .collect();
            println!("{}", words.join("  "));
        }
    };
    let wanted = |part: &str| args.only.is_empty() || args.only.iter().any(|only| only == part);
    let folder = tempfile::tempdir_in(&args.dir)?;
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    print(
        json!({"what": "machine", "cores": cores, "fsync_us_p50": micros(commits::raw_fsync(folder.path())?)}),
    );
    if wanted("commits") {
        commits::run(folder.path(), &print)?;
    }
    if wanted("reads") {
        let sizes = [100, 10_000, 100_000]
            .into_iter()
            .filter(|size| *size <= args.agents);
        for size in sizes {
            reads::run(folder.path(), size, &print)?;
        }
    }
    if wanted("document") {
        document::delta(&print)?;
        document::tombstones(&print)?;
    }
    if wanted("overwrites") {
        document::overwrites(args.overwrites, &print)?;
        #[cfg(feature = "crdt")]
        if !args.alone {
            peers::overwrites(args.overwrites, &print)?;
        }
    }
    if wanted("memory") {
        memory::run(folder.path(), &print)?;
    }
    Ok(())
}

/// The robots of all parts.
fn robot() -> Schema {
    Schema::new("robot")
        .field("battery", Field::Lww)
        .field("status", Field::Lww)
        .field("odometer", Field::PnCounter)
        .index("battery")
}

fn options() -> Options {
    Options::new(ReplicaId::new(1)).schema(robot())
}

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_790_000_000_000 + millis)
}

fn micros(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e7).round() / 10.0
}

fn timed<T>(work: impl FnOnce() -> Result<T, Failure>) -> Result<(T, Duration), Failure> {
    let start = Instant::now();
    let result = work()?;
    Ok((result, start.elapsed()))
}

/// Times in order.
struct Times(Vec<Duration>);

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    fn at(&self, part: f64) -> Duration {
        let last = self.0.len().saturating_sub(1);
        let at = (part * last as f64).round() as usize;
        self.0.get(at).copied().unwrap_or_default()
    }

    fn p50_p99(&self) -> (f64, f64) {
        (micros(self.at(0.5)), micros(self.at(0.99)))
    }
}
