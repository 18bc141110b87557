//! `flowcore run`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use flowcore::definition::EventDef;
use flowcore::{History, Journal, MemoryJournal, RunStatus, SqliteJournal, Timestamp, Workflow};
use serde_json::{Value, json};

use crate::Ended;
use crate::actions::Programs;
use crate::drive::{Actions, Drive, Time, Unknown};
use crate::files;
use crate::mocks::Mocks;
use crate::output;

#[derive(Args)]
pub struct Run {
    /// The workflow, in YAML or JSON.
    file: PathBuf,
    /// Data of the trigger in JSON; `-` for the standard input; without it `{}`.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// Lines of JSON: calls, changes of steps, and the outcome last.
    #[arg(long)]
    json: bool,
    /// Results of actions: `{action: {output: …}}`, as in tests.
    #[arg(long, value_name = "FILE")]
    mocks: Option<PathBuf>,
    /// Actions that are neither mocked nor built in give their params.
    #[arg(long)]
    echo: bool,
    /// Let the action `exec` start programs.
    #[arg(long)]
    allow_exec: bool,
    /// What comes from outside: a list of events, decisions and cancellations, as in tests.
    #[arg(long, value_name = "FILE")]
    events: Option<PathBuf>,
    /// Whether pauses take real time.
    #[arg(long, value_enum, default_value_t = ClockKind::Real)]
    clock: ClockKind,
    /// Keep runs in this SQLite file. Called again with the same `--key`, it goes on where it was.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Key of the run: a second start with it attaches to the first run.
    #[arg(long)]
    key: Option<String>,
    /// Write the run's history here, for `test`, `graph` and `verify-upgrade`.
    #[arg(long, value_name = "FILE")]
    history: Option<PathBuf>,
    /// Workflows that steps use.
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ClockKind {
    /// Pauses are slept through.
    Real,
    /// Pauses cost nothing; the clock starts at 0.
    Virtual,
}

impl Run {
    pub fn run(&self) -> Ended {
        let input = match &self.input {
            Some(path) => files::json(path)?,
            None => json!({}),
        };
        let mut workflows = Vec::new();
        for path in &self.with {
            workflows.push(files::workflow(path)?);
        }
        workflows.push(files::workflow(&self.file)?);
        match &self.journal {
            Some(path) => self.over(SqliteJournal::open(path)?, workflows, input),
            None => self.over(MemoryJournal::new(), workflows, input),
        }
    }

    fn over<J: Journal>(&self, journal: J, workflows: Vec<Workflow>, input: Value) -> Ended {
        let name = workflows.last().map(|workflow| workflow.name().to_owned());
        let name = name.unwrap_or_default();
        let actions = Actions {
            mocks: match &self.mocks {
                Some(path) => Mocks::new(files::parsed(path)?),
                None => Mocks::default(),
            },
            programs: if self.allow_exec {
                Programs::Allowed
            } else {
                Programs::Refused
            },
            unknown: if self.echo {
                Unknown::Echo
            } else {
                Unknown::Refused
            },
        };
        let time = match self.clock {
            ClockKind::Real => Time::Real,
            ClockKind::Virtual => Time::Virtual(Timestamp::from_millis(0)),
        };
        let as_json = self.json;
        let mut progress = move |line: Value| {
            if as_json {
                output::line(&line);
            } else if line["event"] == "step" {
                let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
                let output = line
                    .get("output")
                    .map_or_else(String::new, |value| format!(" {value}"));
                output::line(format_args!(
                    "{:>10} {}{output}",
                    text("status"),
                    text("step")
                ));
            }
        };
        let mut drive = Drive::new(journal, workflows, actions, time, &mut progress)?;
        let events: Vec<EventDef> = match &self.events {
            Some(path) => files::parsed(path)?,
            None => Vec::new(),
        };
        drive.schedule(events)?;
        let now = drive.time.now();
        let run = drive.engine.start(&name, self.key.as_deref(), input, now)?;
        let info = drive.run(run)?;
        if let Some(path) = &self.history {
            std::fs::write(path, History::of(drive.engine.journal(), run)?.to_lines())?;
        }
        let open: Vec<Value> = drive
            .steps
            .iter()
            .filter(|step| info.status == RunStatus::Running && !is_over(step.status))
            .map(|step| json!({"step": step.path, "status": step.status}))
            .collect();
        let mut outcome = json!({
            "event": "run", "at": drive.time.now().as_millis(), "run": run.as_u64(),
            "workflow": info.workflow, "status": info.status, "output": info.output,
        });
        if let Some(failure) = &info.failure {
            outcome["failure"] = json!(failure);
        }
        if !open.is_empty() {
            outcome["waits"] = json!(open);
        }
        if self.json {
            output::line(&outcome);
        } else {
            let status = outcome["status"].as_str().unwrap_or_default();
            match &info.failure {
                Some(failure) => output::line(format_args!(
                    "run {run} {status}: {}: {}",
                    failure.name, failure.message
                )),
                None => output::line(format_args!("run {run} {status}: {}", info.output)),
            }
        }
        Ok(match info.status {
            RunStatus::Succeeded => ExitCode::SUCCESS,
            RunStatus::Failed | RunStatus::Cancelled => ExitCode::from(1),
            _ => ExitCode::from(3),
        })
    }
}

fn is_over(status: flowcore::StepStatus) -> bool {
    use flowcore::StepStatus::{Cancelled, Failed, Skipped, Succeeded};
    matches!(status, Succeeded | Skipped | Failed | Cancelled)
}
