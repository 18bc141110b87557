//! Runs a state machine in Amazon States Language through `flowcore`'s engine.
//!
//! `asl MACHINE.json [--input FILE] [--mocks FILE [--case NAME]] [--start TIME] [--seed N]` lowers the
//! machine to a workflow, runs it under a virtual clock, prints the history as lines of JSON (types,
//! fields and chains of events as AWS has them) and a last line with `status` and `output`, or
//! `error` and `cause`. Exit code: 0 when the execution ended, however it ended; 2 when the machine
//! cannot be run. `--workflow` prints the workflow instead.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command")]

mod choice;
mod compound;
mod data;
mod functions;
mod history;
mod interpreter;
mod intrinsics;
mod jsonata;
mod jsonpath;
mod lower;
mod machine;
mod mocks;
mod query;
mod rescue;
mod task;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use clap::Parser;
use flowcore::{Engine, MemoryJournal, RunStatus, Runner, Workflow};
use jiff::Timestamp;
use serde_json::{Value, json};

use history::History;
use interpreter::{Interpreter, Shared};
use machine::Machine;
use mocks::Mocks;

#[derive(Parser)]
#[command(about = "Run a state machine in Amazon States Language through flowcore")]
struct Options {
    /// The state machine.
    machine: PathBuf,
    /// Its input; without it `{}`.
    #[arg(long)]
    input: Option<PathBuf>,
    /// Results of Task states, as AWS Step Functions Local reads them. A Task without a mock gives
    /// its input.
    #[arg(long)]
    mocks: Option<PathBuf>,
    /// Which test case of the mocks.
    #[arg(long, requires = "mocks")]
    case: Option<String>,
    /// When the execution starts, such as 2026-01-01T00:00:00Z; without it, now.
    #[arg(long)]
    start: Option<Timestamp>,
    /// Seed of `States.UUID`, `States.MathRandom` and jitter.
    #[arg(long)]
    seed: Option<u64>,
    /// Print the workflow that the machine becomes, and do not run it.
    #[arg(long)]
    workflow: bool,
}

fn main() -> ExitCode {
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("asl: {message}");
            ExitCode::from(2)
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let read = |path: &PathBuf| {
        std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
    };
    let machine = Machine::parse(&read(&options.machine)?)?;
    if options.workflow {
        let document = json!({"workflow": lower::lower(&machine)});
        println!("{document:#}");
        return Ok(());
    }
    let input = match &options.input {
        Some(path) => {
            Input::parse(&read(path)?).map_err(|error| format!("{}: {error}", path.display()))?
        }
        None => Input::from(json!({})),
    };
    let mocks = match &options.mocks {
        Some(path) => Mocks::parse(&read(path)?, options.case.as_deref())?,
        None => Mocks::default(),
    };
    let start = options.start.unwrap_or_else(Timestamp::now);
    let seed = options.seed.unwrap_or(start.as_nanosecond() as u64);
    let execution = execute(machine, input, mocks, start, seed)?;
    for event in &execution.events {
        println!("{event}");
    }
    println!("{}", execution.outcome);
    Ok(())
}

/// What an execution leaves.
struct Execution {
    events: Vec<Value>,
    outcome: Value,
}

/// The input of an execution, and as it was written.
struct Input {
    value: Value,
    text: String,
}

impl Input {
    fn parse(text: &str) -> serde_json::Result<Self> {
        let value = serde_json::from_str(text)?;
        let text = text.trim().to_owned();
        Ok(Self { value, text })
    }
}

impl From<Value> for Input {
    fn from(value: Value) -> Self {
        let text = value.to_string();
        Self { value, text }
    }
}

fn execute(
    machine: Machine,
    input: Input,
    mocks: Mocks,
    start: Timestamp,
    seed: u64,
) -> Result<Execution, String> {
    let account = "us-east-1:000000000000";
    let definition = lower::lower(&machine);
    let token = json!({"next": machine.top.start, "data": input.value, "vars": {}, "lane": "0"});
    let clock = Arc::new(AtomicI64::new(start.as_millisecond()));
    let interpreter = Arc::new(Interpreter {
        machine,
        clock: Arc::clone(&clock),
        execution: json!({
            "Execution": {
                "Id": format!("arn:aws:states:{account}:execution:machine:execution"),
                "Input": input.value, "Name": "execution",
                "RoleArn": "arn:aws:iam::000000000000:role/execution",
                "StartTime": format!("{start:.3}"), "RedriveCount": 0,
            },
            "StateMachine": {"Id": format!("arn:aws:states:{account}:stateMachine:machine"), "Name": "machine"},
        }),
        input_text: input.text.clone(),
        shared: Mutex::new(Shared {
            history: History::default(),
            mocks,
            seed: Cell::new(seed),
        }),
    });
    let details = json!({
        "input": input.text, "inputDetails": {"truncated": false},
        "roleArn": "arn:aws:iam::000000000000:role/execution",
    });
    let started = Some(("executionStartedEventDetails", details));
    let at = format!("{start:.3}");
    // The first state's event follows none, as in the original.
    interpreter
        .shared()
        .history
        .alone(&at, "ExecutionStarted", started);

    let now = || flowcore::Timestamp::from_millis(clock.load(Ordering::Relaxed));
    let mut engine = interpreter.register(Engine::new(MemoryJournal::new()));
    let text = |error: flowcore::Error| error.to_string();
    engine
        .deploy(Workflow::from_definition(definition).map_err(text)?)
        .map_err(text)?;
    let run = engine
        .start(lower::WORKFLOW, None, token, now())
        .map_err(text)?;
    let virtual_clock = Arc::clone(&clock);
    let mut runner = Runner::with_clock(engine, move || {
        flowcore::Timestamp::from_millis(virtual_clock.load(Ordering::Relaxed))
    });
    let info = loop {
        runner.run_until_idle().map_err(text)?;
        let info = runner.engine().status(run).map_err(text)?;
        match runner.engine().next_wake() {
            Some(due) if info.status == RunStatus::Running => {
                clock.store(due.as_millis().max(now().as_millis()), Ordering::Relaxed);
            }
            _ => break info,
        }
    };
    let at = format!("{:.3}", interpreter.now());
    let mut shared = interpreter.shared();
    let outcome = if info.status == RunStatus::Succeeded {
        let output = info.output["data"].clone();
        let details = json!({"output": output.to_string(), "outputDetails": {"truncated": false}});
        let details = Some(("executionSucceededEventDetails", details));
        shared.history.add("0", &at, "ExecutionSucceeded", details);
        json!({"status": "SUCCEEDED", "output": output})
    } else {
        let failure = info
            .failure
            .ok_or("the execution neither ended nor failed")?;
        // The limit of the whole machine, and no error that a state calls so.
        let timed_out = failure.step.as_deref() == Some(lower::TOP) && failure.name == "Timeout";
        if timed_out {
            let details = Some((
                "executionTimedOutEventDetails",
                json!({"error": "States.Timeout"}),
            ));
            shared.history.alone(&at, "ExecutionTimedOut", details);
            json!({"status": "TIMED_OUT"})
        } else {
            let mut details = serde_json::Map::new();
            let name = data::public_name(&failure.name);
            for (field, value) in [("error", name), ("cause", &failure.message)] {
                if !value.is_empty() {
                    details.insert(field.to_owned(), Value::from(value));
                }
            }
            let mut outcome = Value::Object(details);
            let details = Some(("executionFailedEventDetails", outcome.clone()));
            shared.history.add("0", &at, "ExecutionFailed", details);
            outcome["status"] = Value::from("FAILED");
            outcome
        }
    };
    Ok(Execution {
        events: std::mem::take(&mut shared.history.events),
        outcome,
    })
}
