//! Simulated fleets of `agentdb` stores: crashes, power cuts, partitions, lost, late and repeated frames, disks
//! that fail; each run from one seed.
//!
//! `cargo run --release -p edgeweave-benches --no-default-features --features store --bin agentdb-sim -- --seeds 1000`
#![allow(clippy::print_stdout, reason = "a command")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    dead_code,
    missing_docs,
    reason = "the simulator is shared with the tests"
)]

#[path = "../../../agentdb/tests/sim/mod.rs"]
mod fleet;

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use fleet::{Outcome, Plan, run, shrink};

/// Runs simulated fleets and tells what was lost.
#[derive(Parser)]
struct Args {
    /// How many runs.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The seed of the first.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// How many runs at a time.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

fn add(total: &mut Outcome, one: &Outcome) {
    total.operations += one.operations;
    total.crashes += one.crashes;
    total.partitions += one.partitions;
    total.disk_faults += one.disk_faults;
    total.frames += one.frames;
    total.lost += one.lost;
    total.divergences += one.divergences;
    total.resurrected += one.resurrected;
    total.wrong += one.wrong;
}

fn main() -> ExitCode {
    let args = Args::parse();
    let next = AtomicU64::new(args.first);
    let end = args.first + args.seeds;
    let total = Mutex::new((Outcome::default(), Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..args.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let outcome = run(&Plan::of(seed));
                    let mut total = total.lock().unwrap();
                    add(&mut total.0, &outcome);
                    if let Some(failure) = outcome.failure {
                        println!("seed {seed} fails: {failure}");
                        total.1.push(seed);
                    }
                }
            });
        }
    });
    let (total, failed) = total.into_inner().unwrap();
    if let Some(seed) = failed.first() {
        let small = shrink(&Plan::of(*seed), 400);
        println!(
            "seed {seed} still fails with these operations: {:#?}",
            small.ops
        );
    }
    println!("runs                       {}", args.seeds);
    println!("operations                 {}", total.operations);
    println!("crashes and power cuts     {}", total.crashes);
    println!("partitions                 {}", total.partitions);
    println!("disk faults                {}", total.disk_faults);
    println!("frames delivered           {}", total.frames);
    println!("acknowledged writes lost   {}", total.lost);
    println!("divergences                {}", total.divergences);
    println!("resurrected deletes        {}", total.resurrected);
    println!("wrong counts or values     {}", total.wrong);
    println!("runs that failed           {}", failed.len());
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
