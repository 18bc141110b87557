//! Events over a real broker: Mosquitto on loopback, quality of service 1, publishers, engine and subscriber each
//! a process of its own. Each window's count and each pattern's match is compared with what was published.
//!
//! The engine (`midstream::serve`: dedup, schema, enrichment, windows, a pattern) is pinned to one core; all else
//! has the others.
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command prints"
)]

mod broker;
mod engine;
mod publish;
mod subscribe;

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use serde_json::json;

/// Machines whose events are told apart; a publisher has its own.
const MACHINES: u64 = 50;
/// One event in so many of a machine begins a pair that the pattern finds.
const PAIR_EVERY: u64 = 200;

/// MQTT in, dedup, schema, enrichment, windows and a pattern, MQTT out.
#[derive(Parser)]
#[command(version, about)]
struct Line {
    #[command(subcommand)]
    role: Option<Role>,
    /// How long events are published.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Events a second that are offered, over all publishers.
    #[arg(long, default_value_t = 25_000)]
    rate: u64,
    /// Publishing processes.
    #[arg(long, default_value_t = 2)]
    publishers: u64,
    /// Only without or only with faults.
    #[arg(long)]
    only: Option<Run>,
    /// JSON lines; they are printed in any case.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Run {
    Steady,
    Faults,
}

#[derive(Subcommand)]
enum Role {
    /// A publisher, run by the bench.
    Publish(publish::Options),
    /// The engine, run by the bench.
    Engine(engine::Options),
    /// The subscriber, run by the bench.
    Subscribe(subscribe::Options),
}

/// A process that ends with the bench.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    fn terminate(&mut self) -> Result<()> {
        Command::new("kill").arg(self.0.id().to_string()).status()?;
        self.0.wait()?;
        Ok(())
    }

    /// From the system's account of the process: bytes resident at most, and processor seconds.
    fn usage(&self) -> (u64, f64) {
        let read = |name: &str| {
            std::fs::read_to_string(format!("/proc/{}/{name}", self.0.id())).unwrap_or_default()
        };
        let status = read("status");
        let peak = status
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .and_then(|text| text.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok())
            .unwrap_or(0);
        let stat = read("stat");
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks = |place: usize| -> f64 {
            let field = fields.split_whitespace().nth(place);
            field.and_then(|text| text.parse().ok()).unwrap_or(0.0)
        };
        // utime and stime, in hundredths of a second.
        (peak * 1024, (ticks(11) + ticks(12)) / 100.0)
    }
}

fn role(name: &str, core: usize, args: &[String]) -> Result<Process> {
    let own = std::env::current_exe()?;
    let child = Command::new("taskset")
        .args(["-c", &core.to_string()])
        .arg(own)
        .arg(name)
        .args(args)
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting the {name}"))?;
    Ok(Process(child))
}

fn args(pairs: &[(&str, String)]) -> Vec<String> {
    let flat = pairs.iter();
    flat.flat_map(|(name, value)| [format!("--{name}"), value.clone()])
        .collect()
}

fn run(line: &Line, faults: bool) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let port = 20_000 + (std::process::id() % 20_000) as u16 + u16::from(faults);
    let cores = std::thread::available_parallelism()?.get();
    let other = usize::from(cores > 1);
    let mut broker = broker::start(folder.path(), port, other)?;
    let state = folder.path().join("state");
    let engine_args = args(&[
        ("port", port.to_string()),
        ("state", state.display().to_string()),
    ]);
    let mut engine = role("engine", 0, &engine_args)?;
    let result: PathBuf = folder.path().join("result.json");
    let mut subscriber = role(
        "subscribe",
        other,
        &args(&[
            ("port", port.to_string()),
            ("publishers", line.publishers.to_string()),
            (
                "events",
                (line.rate / line.publishers * line.seconds).to_string(),
            ),
            ("rate", (line.rate / line.publishers).to_string()),
            ("result", result.display().to_string()),
        ]),
    )?;
    // Both sessions must be there before the first event.
    std::thread::sleep(Duration::from_secs(2));
    let (_, before) = engine.usage();
    let begin = Instant::now();
    let mut publishers = Vec::new();
    for number in 0..line.publishers {
        publishers.push(role(
            "publish",
            other,
            &args(&[
                ("port", port.to_string()),
                ("number", number.to_string()),
                (
                    "events",
                    (line.rate / line.publishers * line.seconds).to_string(),
                ),
                ("rate", (line.rate / line.publishers).to_string()),
            ]),
        )?);
    }
    let mut restarts = 0;
    let mut kills = 0;
    let mut cpu = 0.0;
    if faults {
        let step = Duration::from_secs(line.seconds) / 5;
        for turn in 0..4 {
            std::thread::sleep(step);
            if turn == 2 {
                cpu += engine.usage().1;
                engine.0.kill()?;
                engine.0.wait()?;
                engine = role("engine", 0, &engine_args)?;
                kills += 1;
            } else {
                broker.terminate()?;
                broker = broker::start(folder.path(), port, other)?;
                restarts += 1;
            }
        }
    }
    for publisher in &mut publishers {
        ensure!(publisher.0.wait()?.success(), "a publisher has failed");
    }
    let published = begin.elapsed();
    // Behind the last events of all publishers, for none of them may be late.
    let mut close = args(&[
        ("port", port.to_string()),
        ("number", line.publishers.to_string()),
        (
            "events",
            (line.rate / line.publishers * line.seconds).to_string(),
        ),
        ("rate", (line.rate / line.publishers).to_string()),
    ]);
    close.push("--close".to_owned());
    let mut closer = role("publish", other, &close)?;
    ensure!(closer.0.wait()?.success(), "the last publisher has failed");
    let limit = Instant::now() + Duration::from_secs(60 + line.seconds * 2);
    while subscriber.0.try_wait()?.is_none() && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(20));
    }
    let whole = begin.elapsed().saturating_sub(subscribe::QUIET);
    let (rss, now) = engine.usage();
    cpu += now - before;
    engine.terminate()?;
    let text = std::fs::read_to_string(&result).context("the subscriber told nothing")?;
    let found: serde_json::Value = serde_json::from_str(&text)?;
    let events = line.rate / line.publishers * line.seconds * line.publishers;
    let line = json!({
        "run": if faults { "faults" } else { "steady" },
        "events": events,
        "publishers": line.publishers,
        "offered_a_second": line.rate,
        "published_seconds": published.as_secs_f64(),
        "seconds": whole.as_secs_f64(),
        "events_a_second": (events as f64 / whole.as_secs_f64()).round(),
        "engine_cpu_seconds": cpu,
        "engine_events_a_cpu_second": (events as f64 / cpu.max(0.01)).round(),
        "engine_rss_peak_bytes": rss,
        "broker_restarts": restarts,
        "engine_kills": kills,
        "found": found,
    });
    println!("{line}");
    Ok(())
}

fn main() -> Result<()> {
    let line = Line::parse();
    match &line.role {
        Some(Role::Publish(options)) => publish::run(options),
        Some(Role::Engine(options)) => engine::run(options),
        Some(Role::Subscribe(options)) => subscribe::run(options),
        None => {
            if line.only != Some(Run::Faults) {
                run(&line, false)?;
            }
            if line.only != Some(Run::Steady) {
                run(&line, true)?;
            }
            Ok(())
        }
    }
}
