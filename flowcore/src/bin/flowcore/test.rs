//! `flowcore test`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use flowcore::definition::{ExpectDef, StepExpectDef, StepMoreDef, TestDef};
use flowcore::expr::Val;
use flowcore::{
    MemoryJournal, Replay, RunInfo, RunStatus, StepInfo, Timestamp, Workflow, parse_span,
};
use serde_json::{Value, json};

use crate::Ended;
use crate::actions::Programs;
use crate::drive::{Actions, Drive, Time, Unknown};
use crate::files;
use crate::mocks::Mocks;
use crate::output;

#[derive(Args)]
pub struct Test {
    /// Workflows with `tests`.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Only tests whose name contains this.
    #[arg(long)]
    name: Option<String>,
    /// Lines of JSON instead of text.
    #[arg(long)]
    json: bool,
    /// Workflows that steps use.
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,
}

impl Test {
    pub fn run(&self) -> Ended {
        let (mut passed, mut failed) = (0_u64, 0_u64);
        for file in &self.files {
            let workflow = files::workflow(file)?;
            let document = files::document(file)?;
            if document.tests.is_empty() {
                return Err(format!("{}: has no `tests`", file.display()).into());
            }
            for case in document.tests {
                let chosen = self
                    .name
                    .as_ref()
                    .is_none_or(|part| case.name.contains(part));
                if !chosen {
                    continue;
                }
                let name = case.name.clone();
                let faults = match self.case(file, &workflow, case) {
                    Ok(faults) => faults,
                    Err(error) => vec![error.to_string()],
                };
                if faults.is_empty() {
                    passed += 1;
                } else {
                    failed += 1;
                }
                self.tell(file, &name, &faults);
            }
        }
        if self.json {
            output::line(json!({"passed": passed, "failed": failed}));
        } else {
            output::line(format_args!("{passed} passed, {failed} failed"));
        }
        Ok(ExitCode::from(u8::from(failed > 0)))
    }

    fn tell(&self, file: &Path, name: &str, faults: &[String]) {
        if self.json {
            let passed = faults.is_empty();
            output::line(json!({"file": file, "test": name, "passed": passed, "faults": faults}));
            return;
        }
        let word = if faults.is_empty() { "ok" } else { "FAILED" };
        output::line(format_args!("{}: {name} ... {word}", file.display()));
        for fault in faults {
            output::line(format_args!("    {fault}"));
        }
    }

    /// Runs a test; returns what does not hold.
    fn case(
        &self,
        file: &Path,
        workflow: &Workflow,
        case: TestDef,
    ) -> Result<Vec<String>, Box<dyn Error>> {
        let mut workflows = Vec::new();
        for path in &self.with {
            workflows.push(files::workflow(path)?);
        }
        if let Some(history) = &case.history {
            let path = file.parent().unwrap_or(Path::new(".")).join(history);
            return self.replay(&path, workflow, &case.expect);
        }
        workflows.push(workflow.clone());
        let actions = Actions {
            mocks: Mocks::new(case.mocks),
            programs: Programs::Refused,
            unknown: Unknown::Failed,
        };
        let start = Timestamp::from_millis(0);
        let mut quiet = |_: Value| {};
        let mut drive = Drive::new(
            MemoryJournal::new(),
            workflows,
            actions,
            Time::Virtual(start),
            &mut quiet,
        )?;
        drive.schedule(case.events)?;
        let input = if case.input.is_null() {
            json!({})
        } else {
            case.input
        };
        let run = drive.engine.start(workflow.name(), None, input, start)?;
        let info = drive.run(run)?;
        let mut faults = check_run(&case.expect, &info);
        faults.extend(check_steps(&case.expect, &drive.steps));
        for (action, expected) in &case.expect.calls {
            let found = drive.calls.get(action).copied().unwrap_or(0);
            if found != *expected {
                faults.push(format!(
                    "action `{action}` was called {found} times, expected {expected}"
                ));
            }
        }
        let spent = drive.time.now().since(start);
        if let Some(text) = &case.expect.elapsed
            && parse_span(text) != Some(spent)
        {
            faults.push(format!(
                "the run took {} ms, expected {text}",
                spent.as_millis()
            ));
        }
        Ok(faults)
    }

    fn replay(
        &self,
        path: &Path,
        workflow: &Workflow,
        expect: &ExpectDef,
    ) -> Result<Vec<String>, Box<dyn Error>> {
        let history = files::history(path)?;
        let workflow = files::linked(workflow, &self.with)?;
        let (replay, mut steps) = Replay::of(&workflow, &history)?;
        steps.extend(replay.open_steps());
        let mut faults = Vec::new();
        if expect.status.is_some() || expect.error.is_some() {
            faults.extend(check_status(
                expect,
                replay.status(),
                replay.failure().map(|failure| failure.name.as_str()),
            ));
        }
        faults.extend(check_output(expect, replay.output()));
        faults.extend(check_steps(expect, &steps));
        Ok(faults)
    }
}

fn check_run(expect: &ExpectDef, info: &RunInfo) -> Vec<String> {
    let error = info.failure.as_ref().map(|failure| failure.name.as_str());
    let mut faults = check_status(expect, info.status, error);
    if let (false, Some(failure)) = (faults.is_empty(), &info.failure) {
        faults.push(format!(
            "it failed with {}: {}",
            failure.name, failure.message
        ));
    }
    faults.extend(check_output(expect, &info.output));
    faults
}

fn check_status(expect: &ExpectDef, status: RunStatus, error: Option<&str>) -> Vec<String> {
    let mut faults = Vec::new();
    let default = match expect.error {
        Some(_) => RunStatus::Failed,
        None => RunStatus::Succeeded,
    };
    let expected = expect.status.unwrap_or(default);
    if status != expected {
        faults.push(format!(
            "the run is {}, expected {}",
            json!(status),
            json!(expected)
        ));
    }
    if let Some(expected) = expect.error.as_deref()
        && error != Some(expected)
    {
        let found = error.unwrap_or("no error");
        faults.push(format!(
            "the run has {found}, expected the error {expected}"
        ));
    }
    faults
}

fn check_output(expect: &ExpectDef, output: &Value) -> Option<String> {
    let expected = expect.output.as_ref()?;
    (!same(expected, output)).then(|| format!("the output is {output}, expected {expected}"))
}

fn check_steps(expect: &ExpectDef, steps: &[StepInfo]) -> Vec<String> {
    let mut faults = Vec::new();
    for (path, expected) in &expect.steps {
        let Some(found) = steps.iter().rev().find(|step| step.path == *path) else {
            faults.push(format!("step `{path}` was never reached"));
            continue;
        };
        let more = match expected {
            StepExpectDef::Status(status) => StepMoreDef {
                status: Some(*status),
                ..StepMoreDef::default()
            },
            StepExpectDef::More(more) => more.clone(),
        };
        if let Some(status) = more.status.filter(|status| *status != found.status) {
            faults.push(format!(
                "step `{path}` is {}, expected {}",
                json!(found.status),
                json!(status)
            ));
        }
        if let Some(output) = more.output.filter(|output| !same(output, &found.output)) {
            faults.push(format!(
                "step `{path}` gave {}, expected {output}",
                found.output
            ));
        }
        if let Some(attempts) = more.attempts.filter(|attempts| *attempts != found.attempts) {
            faults.push(format!(
                "step `{path}` took {} attempts, expected {attempts}",
                found.attempts
            ));
        }
    }
    faults
}

/// Equal, with 1 and 1.0 the same number.
fn same(a: &Value, b: &Value) -> bool {
    Val::from_json(a).equals(&Val::from_json(b))
}
