//! Speed of `flowcore`: a chain of steps, the sensor workflow, a condition, the camera's pipeline, durable
//! steps, memory of parked runs; with `dagx` on the same chain, raw `fsync` beside the durable figures and, given the
//! program of `peers/durable`, `duroxide` on the same durable chain.
//! `workflows [--json] [--durable-peer PROGRAM]`
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a command that measures"
)]
#![allow(clippy::disallowed_methods, reason = "measuring is reading the clock")]

#[path = "../../../flowcore/examples/camera.rs"]
#[allow(dead_code, reason = "the example has a main of its own")]
mod camera;

use std::io::Write;
use std::path::PathBuf;
use std::time::Instant;

use clap::Parser;
use dagx::{DagRunner, Task, task};
use flowcore::expr::{BUDGET_DEFAULT, Program, Val};
use flowcore::{Command, Engine, Journal, MemoryJournal, SqliteJournal, Timestamp, Work, Workflow};
use serde_json::{Map, Value, json};

const CHAIN_LEN: usize = 100;
const SENSOR: &str = "
workflow:
  name: anomaly_detection
  trigger: sensor_reading
  steps:
    - {id: filter, action: moving_average, params: {window: 10}}
    - {id: detect, action: threshold_check, params: {threshold: 0.8}}
    - {id: alert, action: send_event, condition: \"detect.result == 'anomaly'\"}
";

#[derive(Parser)]
#[command(about = "Measure flowcore beside its peers")]
struct Options {
    /// Print only the last line, which has all figures.
    #[arg(long)]
    json: bool,
    /// The program of `peers/durable`, which is built by itself.
    #[arg(long)]
    durable_peer: Option<PathBuf>,
}

fn main() {
    let options = Options::parse();
    let mut figures = Map::new();
    let mut note = |name: &str, value: f64| {
        if !options.json {
            println!("{name}: {value:.3}");
        }
        figures.insert(name.to_owned(), json!(value));
    };
    note("chain_100_us_per_step", chain());
    note("dagx_chain_100_us_per_step", dagx_chain());
    let (p50, p99) = sensor();
    note("sensor_event_p50_us", p50);
    note("sensor_event_p99_us", p99);
    note("condition_ns", condition());
    let frames = camera::frames().unwrap();
    for (name, at) in [
        ("camera_frame_p50_ms", frames.len() / 2),
        ("camera_frame_p99_ms", frames.len() * 99 / 100),
    ] {
        note(name, frames[at].as_secs_f64() * 1e3);
    }
    let folder = tempfile::tempdir().unwrap();
    note("raw_fsync_us", raw_fsync(folder.path()));
    note("durable_steps_per_s_1_run", durable(folder.path(), 1, 100));
    // Again, since a disk that others use changes from one second to the next.
    note("raw_fsync_again_us", raw_fsync(folder.path()));
    note(
        "durable_steps_per_s_64_runs",
        durable(folder.path(), 64, 100),
    );
    if let Some(program) = &options.durable_peer {
        // Shorter where many run: it takes tens of milliseconds a step.
        for (name, runs, len) in [
            ("duroxide_durable_steps_per_s_1_run", "1", "100"),
            ("duroxide_durable_steps_per_s_64_runs", "64", "10"),
        ] {
            let mut peer = std::process::Command::new(program);
            // It logs to standard output.
            peer.args([runs, len])
                .arg(folder.path())
                .env("RUST_LOG", "off");
            let text = String::from_utf8(peer.output().unwrap().stdout).unwrap();
            note(name, text.trim().parse().unwrap());
        }
    }
    note("parked_run_bytes", parked());
    let (seconds, log_bytes, resident_bytes) = long_loop();
    note("loop_1m_actions_s", seconds);
    note("loop_1m_log_bytes_max", log_bytes);
    note("loop_1m_resident_bytes", resident_bytes);
    println!("{}", Value::Object(figures));
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Performs everything until nothing is left.
fn drain<J: Journal>(engine: &mut Engine<J>, now: Timestamp) {
    let mut commands = Vec::new();
    loop {
        engine.step_into(now, &mut commands).unwrap();
        if commands.is_empty() && !engine.has_work() {
            return;
        }
        for command in commands.drain(..) {
            if let Command::Execute(call) = command
                && let Work::Ready(result) = call.perform()
            {
                engine.complete(call.token(), result, now);
            }
        }
    }
}

fn chain_workflow(durability: &str, len: usize) -> Workflow {
    let steps: Vec<Value> = (0..len)
        .map(|n| json!({"id": format!("s{n}"), "action": "noop"}))
        .collect();
    let text = json!({"workflow": {"name": "chain", "durability": durability, "steps": steps}});
    Workflow::from_json(&text.to_string()).unwrap()
}

/// Microseconds a step of a chain of no-op actions, nothing journaled (as the peers do).
fn chain() -> f64 {
    let mut engine = Engine::new(MemoryJournal::new()).action("noop", |_| Ok(()));
    engine.deploy(chain_workflow("none", CHAIN_LEN)).unwrap();
    let now = Timestamp::from_millis(0);
    let round = |engine: &mut Engine<MemoryJournal>| {
        let start = Instant::now();
        engine.start("chain", None, Value::Null, now).unwrap();
        drain(engine, now);
        start.elapsed().as_secs_f64() * 1e6 / CHAIN_LEN as f64
    };
    median((0..2_000).map(|_| round(&mut engine)).collect())
}

struct Seed;

#[task]
impl Seed {
    async fn run(&self) -> u64 {
        0
    }
}

struct Pass;

#[task]
impl Pass {
    async fn run(&self, value: &u64) -> u64 {
        *value
    }
}

/// The same chain in `dagx` on a single-threaded tokio runtime; building the graph is part of it,
/// as starting the run is above.
fn dagx_chain() -> f64 {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let round = || {
        let start = Instant::now();
        runtime.block_on(async {
            let dag = DagRunner::new();
            let mut last = dag.add_task(Seed).into();
            for _ in 1..CHAIN_LEN {
                last = dag.add_task(Pass).depends_on(last);
            }
            dag.run(|future| {
                tokio::spawn(future);
            })
            .await
            .unwrap();
        });
        start.elapsed().as_secs_f64() * 1e6 / CHAIN_LEN as f64
    };
    median((0..500).map(|_| round()).collect())
}

/// Microseconds from the trigger to the end of the three-step workflow, every step journaled in memory.
fn sensor() -> (f64, f64) {
    let now = Timestamp::from_millis(0);
    let mut all = Vec::new();
    for _ in 0..20 {
        let mut engine = Engine::new(MemoryJournal::new())
            .action("moving_average", |call| {
                Ok(json!({"mean": call.input()["value"]}))
            })
            .action("threshold_check", |_| Ok(json!({"result": "anomaly"})))
            .action("send_event", |_| Ok(json!({"sent": true})));
        engine.deploy(Workflow::from_yaml(SENSOR).unwrap()).unwrap();
        for n in 0..1_000 {
            let start = Instant::now();
            engine
                .trigger("sensor_reading", json!({"value": n}), now)
                .unwrap();
            drain(&mut engine, now);
            all.push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    all.sort_by(f64::total_cmp);
    (all[all.len() / 2], all[all.len() * 99 / 100])
}

/// Nanoseconds of `a.b == 'x'`.
fn condition() -> f64 {
    let program = Program::standalone("a.b == 'x'", &["a"]).unwrap();
    let data = json!({"b": "x"});
    let values = [Val::from_json(&data)];
    let round = || {
        let start = Instant::now();
        for _ in 0..10_000 {
            let value = std::hint::black_box(&program)
                .evaluate(std::hint::black_box(&values), BUDGET_DEFAULT);
            let _ = std::hint::black_box(value);
        }
        start.elapsed().as_secs_f64() * 1e9 / 10_000.0
    };
    median((0..200).map(|_| round()).collect())
}

/// Microseconds of a 4 KiB append with `fsync` in the same folder.
fn raw_fsync(folder: &std::path::Path) -> f64 {
    let mut file = std::fs::File::create(folder.join("raw")).unwrap();
    let page = [7_u8; 4096];
    let mut round = || {
        let start = Instant::now();
        file.write_all(&page).unwrap();
        file.sync_data().unwrap();
        start.elapsed().as_secs_f64() * 1e6
    };
    median((0..200).map(|_| round()).collect())
}

/// Steps a second with the SQLite journal, `runs` runs side by side.
fn durable(folder: &std::path::Path, runs: usize, len: usize) -> f64 {
    let journal = SqliteJournal::open(folder.join(format!("{runs}.db"))).unwrap();
    let mut engine = Engine::new(journal).action("noop", |_| Ok(()));
    engine.deploy(chain_workflow("step", len)).unwrap();
    let now = Timestamp::from_millis(0);
    let round = |engine: &mut Engine<SqliteJournal>| {
        let start = Instant::now();
        for _ in 0..runs {
            engine.start("chain", None, Value::Null, now).unwrap();
        }
        drain(engine, now);
        (runs * len) as f64 / start.elapsed().as_secs_f64()
    };
    median((0..5).map(|_| round(&mut engine)).collect())
}

/// A loop of a million journaled actions: seconds, the longest log, how much the process grew.
fn long_loop() -> (f64, f64, f64) {
    let yaml = "workflow: {name: w, steps: [{id: all, for_each: 1000000, limit: 16, collect: count, steps: [{id: s, action: noop}]}]}";
    let journal = MemoryJournal::new();
    let mut engine = Engine::new(journal.clone()).action("noop", |_| Ok(()));
    engine.deploy(Workflow::from_yaml(yaml).unwrap()).unwrap();
    let now = Timestamp::from_millis(0);
    let (start, before) = (Instant::now(), resident());
    let run = engine.start("w", None, Value::Null, now).unwrap();
    let (mut commands, mut longest, mut round) = (Vec::new(), 0_usize, 0_u64);
    loop {
        engine.step_into(now, &mut commands).unwrap();
        if commands.is_empty() && !engine.has_work() {
            break;
        }
        for command in commands.drain(..) {
            if let Command::Execute(call) = command
                && let Work::Ready(result) = call.perform()
            {
                engine.complete(call.token(), result, now);
            }
        }
        round += 1;
        if round.is_multiple_of(64) {
            let log = journal.log(run).unwrap();
            let len: usize = log.iter().map(|(_, record)| record.len()).sum();
            longest = longest.max(len);
        }
    }
    let output = engine.status(run).unwrap().output;
    assert_eq!(output, json!({"count": 1_000_000}));
    (
        start.elapsed().as_secs_f64(),
        longest as f64,
        (resident() - before).max(0.0),
    )
}

/// Resident bytes of one run that waits for an event, the three-step incident shape.
fn parked() -> f64 {
    const RUNS: usize = 50_000;
    let yaml = "workflow: {name: w, durability: none, steps: [{id: a, action: noop}, {id: ack, wait: {event: e, timeout: 1h}}, {id: b, action: noop}]}";
    let mut engine = Engine::new(MemoryJournal::new()).action("noop", |_| Ok(()));
    engine.deploy(Workflow::from_yaml(yaml).unwrap()).unwrap();
    let now = Timestamp::from_millis(0);
    let before = resident();
    for _ in 0..RUNS {
        engine.start("w", None, Value::Null, now).unwrap();
        drain(&mut engine, now);
    }
    (resident() - before) / RUNS as f64
}

fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = text
        .split(' ')
        .nth(1)
        .and_then(|word| word.parse().ok())
        .unwrap_or(0.0);
    pages * 4096.0
}
