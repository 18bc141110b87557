//! `flowcore history` and `flowcore verify-upgrade`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use flowcore::Clock as _;
use flowcore::{
    Engine, History, Replay, RunId, SqliteJournal, StepInfo, SystemClock, Upgrade, Workflow,
    verify_upgrade,
};
use serde_json::json;

use crate::{Ended, files, output};

#[derive(Args)]
pub struct VerifyUpgrade {
    /// The definition that the runs follow.
    old: PathBuf,
    /// The definition that they would follow.
    new: PathBuf,
    /// Histories of runs, from `run --history` or `history`.
    #[arg(required_unless_present = "journal")]
    histories: Vec<PathBuf>,
    /// Every live run of the old definition in this SQLite journal.
    #[arg(long, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Workflows that steps use.
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,
}

impl VerifyUpgrade {
    pub fn run(&self) -> Ended {
        let old = files::linked(&files::workflow(&self.old)?, &self.with)?;
        let new = files::linked(&files::workflow(&self.new)?, &self.with)?;
        let mut histories: Vec<(String, History)> = Vec::new();
        for path in &self.histories {
            histories.push((path.display().to_string(), files::history(path)?));
        }
        if let Some(path) = &self.journal {
            histories.extend(live(path, &old)?);
        }
        let mut stuck = 0;
        for (run, history) in &histories {
            match verify_upgrade(&old, &new, history)? {
                Upgrade::Possible => output::line(json!({"run": run, "upgrade": "possible"})),
                Upgrade::Impossible { record, reason } => {
                    stuck += 1;
                    let line = json!({"run": run, "upgrade": "impossible", "record": record, "reason": reason});
                    output::line(&line);
                }
            }
        }
        output::line(
            json!({"runs": histories.len(), "possible": histories.len() - stuck, "impossible": stuck}),
        );
        Ok(ExitCode::from(u8::from(stuck > 0)))
    }
}

/// The live runs of a definition.
fn live(path: &Path, old: &Workflow) -> Result<Vec<(String, History)>, Box<dyn Error>> {
    let mut engine = Engine::new(SqliteJournal::open(path)?);
    for action in files::actions(old) {
        engine = engine.action_external(action);
    }
    // Reading back writes nothing before the first step.
    engine.recover(SystemClock.now())?;
    let runs = engine.live_runs();
    let mine = runs.iter().filter(|info| info.definition == old.hash());
    mine.map(|info| {
        let history = History::of(engine.journal(), info.id)?;
        Ok((info.id.to_string(), history))
    })
    .collect()
}

pub fn of_journal(path: &Path, run: u64) -> Result<History, Box<dyn Error>> {
    let journal = SqliteJournal::open(path)?;
    Ok(History::of(&journal, RunId::new(run))?)
}

pub fn print(path: &Path, run: u64) -> Ended {
    output::text(of_journal(path, run)?.to_lines());
    Ok(ExitCode::SUCCESS)
}

/// The steps of a history as they stand at its end.
pub fn steps(workflow: &Workflow, history: &History) -> Result<Vec<StepInfo>, Box<dyn Error>> {
    let (replay, mut steps) = Replay::of(workflow, history)?;
    steps.extend(replay.open_steps());
    Ok(steps)
}
