//! `midstream`'s throughput on one core, and the time from an event to its alert.
//!
//! Events are made before the clock starts and outputs are consumed. They are given in batches by column, and
//! in a second measurement one by one, which includes their being freed. Allocations are counted in the timed
//! part; the process's peak memory is mostly the prepared events. The rates are the
//! median of the rounds, each with a new engine. Pin the process: `taskset -c 1`.
#![allow(clippy::print_stdout, reason = "a bench prints")]

mod alert;
mod load;
mod peer;

use edgeweave_benches::counting::{self, Counting};
use std::hint::black_box;
use std::time::{Duration, Instant};

use clap::Parser;
use midstream::{Engine, Output, Result};
use serde_json::json;

use crate::load::Load;

#[derive(Parser)]
struct Command {
    /// One JSON line a measurement.
    #[arg(long)]
    json: bool,
    /// Events of each round.
    #[arg(long, default_value_t = 1_000_000)]
    events: usize,
    /// Rounds; the median is told.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Only measurements whose name has this in it.
    #[arg(long, default_value = "")]
    only: String,
    /// Only batches, not one by one: for profiles.
    #[arg(long)]
    batches: bool,
}

/// One load's figures.
struct Figures {
    events_per_second: f64,
    /// By the time that the processor worked for it: what else runs on the machine counts less.
    events_per_cpu_second: f64,
    allocations_per_event: f64,
    outputs: u64,
    events_mib: f64,
}

/// How events are given to the engine.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// In batches of this many rows.
    Batches,
    /// One by one.
    Events,
}

const BATCH_ROWS: usize = 1000;

fn measure(load: &Load, form: Form, events: usize, rounds: usize) -> Result<Figures> {
    let (mut rates, mut cpu_rates) = (Vec::with_capacity(rounds), Vec::with_capacity(rounds));
    let mut figures = Figures {
        events_per_second: 0.0,
        events_per_cpu_second: 0.0,
        allocations_per_event: 0.0,
        outputs: 0,
        events_mib: 0.0,
    };
    for _ in 0..rounds {
        let before = counting::held_bytes();
        let (mut batches, mut single) = (Vec::new(), Vec::new());
        match form {
            Form::Batches => batches = load.batches(events, BATCH_ROWS)?,
            Form::Events => single = load.events(events)?,
        }
        figures.events_mib = (counting::held_bytes() - before) as f64 / f64::from(1 << 20);
        let mut engine: Engine = load.engine()?;
        let allocated = counting::allocations();
        let mut outputs = 0;
        let (begin, cpu_begin) = (Instant::now(), cpu_time());
        for batch in &batches {
            outputs += consume(engine.push_batch(batch)?);
        }
        for event in single {
            outputs += consume(engine.push(event)?);
        }
        let (passed, worked) = (begin.elapsed(), cpu_time() - cpu_begin);
        let allocations = counting::allocations() - allocated;
        figures.allocations_per_event = allocations as f64 / events as f64;
        figures.outputs = outputs;
        rates.push(events as f64 / passed.as_secs_f64());
        cpu_rates.push(events as f64 / worked.as_secs_f64());
        black_box(&engine);
    }
    figures.events_per_second = median(rates);
    figures.events_per_cpu_second = median(cpu_rates);
    Ok(figures)
}

/// The median; 0 of nothing.
fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or_default()
}

/// The time that the processor worked for this thread.
pub fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn consume(outputs: Vec<Output>) -> u64 {
    let count = outputs.len() as u64;
    black_box(outputs);
    count
}

/// Peak resident memory in MiB, as the kernel tells; none elsewhere than on Linux.
fn peak_rss_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib / 1024.0)
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn main() -> Result<()> {
    let command = Command::parse();
    let tell = |line: serde_json::Value| {
        if command.json {
            println!("{line}");
        } else {
            println!("{line:#}");
        }
    };
    for load in load::all() {
        if !load.name.contains(&command.only) {
            continue;
        }
        let figures = measure(&load, Form::Batches, command.events, command.rounds)?;
        let rounds = if command.batches { 0 } else { command.rounds };
        let single = measure(&load, Form::Events, command.events, rounds)?;
        // With a tenth of the events: what is slower shows as well.
        let steps = match load.name {
            "sequence_3" => Some(3),
            "sequence_10" => Some(10),
            _ => None,
        };
        let peer =
            steps.map(|steps| peer::sequence(&load, steps, command.events / 10, command.rounds));
        tell(json!({
            "name": load.name,
            "peer": peer.map(|_| peer::NAME),
            "peer_events_per_cpu_second": peer.map(|(rate, _)| rate.round()),
            "peer_outputs_of_a_tenth": peer.map(|(_, outputs)| outputs),
            "what": load.what,
            "events_per_second": figures.events_per_second.round(),
            "events_per_cpu_second": figures.events_per_cpu_second.round(),
            "bar_events_per_second": load.bar,
            "met": load.bar.map(|bar| figures.events_per_second >= bar),
            "allocations_per_event": (figures.allocations_per_event * 1e4).round() / 1e4,
            "outputs": figures.outputs,
            "batch_rows": BATCH_ROWS,
            "one_by_one_events_per_second": single.events_per_second.round(),
            "one_by_one_events_per_cpu_second": single.events_per_cpu_second.round(),
            "one_by_one_allocations_per_event": (single.allocations_per_event * 1e4).round() / 1e4,
            "one_by_one_outputs": single.outputs,
            "events": command.events,
            "rounds": command.rounds,
            "events_mib": figures.events_mib.round(),
            "one_by_one_events_mib": single.events_mib.round(),
            "peak_rss_mib": peak_rss_mib().map(f64::round),
        }));
    }
    if "alert_latency".contains(&command.only) {
        let latencies = alert::measure(10_000, Duration::from_secs(10))?;
        tell(json!({
            "name": "alert_latency",
            "what": "from an event's due time to its alert, 10,000 events/s offered, a late start counts",
            "p50_us": latencies.p50_us,
            "p99_us": latencies.p99_us,
            "max_us": latencies.max_us,
            "alerts": latencies.alerts,
            "bar_p99_us": 10_000,
            "met": latencies.p99_us < 10_000.0,
        }));
    }
    Ok(())
}
