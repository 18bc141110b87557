//! An alarm climbs three tiers: the device tries by itself, the site decides, a person approves. Each
//! tier has a deadline, so nothing waits for ever. The workflow is `workflows/escalation.yaml`.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use flowcore::{
    ActionError, Decision, Engine, MemoryJournal, RunInfo, RunStatus, Runner, Timestamp, Verdict,
    Workflow,
};
use serde_json::json;

/// Minutes after which somebody presses a button, if at all.
struct Person {
    verdict: Verdict,
    after_ms: i64,
}

fn alarm(fault: &str, person: Option<Person>) -> Result<RunInfo, Box<dyn std::error::Error>> {
    let mut engine = Engine::new(MemoryJournal::new())
        .action("device_fix", |call| match call.params()["fault"].as_str() {
            Some("stall") => Ok(json!({"tier": "device", "fixed": true})),
            _ => Err(ActionError::new("Stuck", "the device cannot help itself")),
        })
        .action("site_fix", |call| match call.params()["fault"].as_str() {
            Some("jam") => Ok(json!({"tier": "site", "fixed": true})),
            _ => Err(ActionError::new("Stuck", "the site has no plan for this")),
        })
        .action("page_operator", |_| Ok(json!({})))
        .action("shut_down", |call| {
            Ok(json!({"tier": "operator", "by": call.params()["by"]}))
        });
    engine.deploy(Workflow::from_yaml(include_str!(
        "workflows/escalation.yaml"
    ))?)?;

    let clock = Arc::new(AtomicI64::new(0));
    let reading = Arc::clone(&clock);
    let now = move || Timestamp::from_millis(reading.load(Ordering::Relaxed));
    let run = engine.trigger("alarm", json!({"fault": fault}), now())?;
    let mut runner = Runner::with_clock(engine, now.clone());
    let mut person = person;
    loop {
        runner.run_until_idle()?;
        let info = runner.engine().status(run)?;
        let Some(due) = runner
            .engine()
            .next_wake()
            .filter(|_| info.status == RunStatus::Running)
        else {
            println!(
                "{fault}: {} after {} s",
                info.output,
                now().as_millis() / 1_000
            );
            return Ok(info);
        };
        let press = person.as_ref().map(|person| person.after_ms);
        match press.filter(|press| *press <= due.as_millis()) {
            Some(press) => {
                clock.store(press, Ordering::Relaxed);
                let verdict = person
                    .take()
                    .map_or(Verdict::Rejected, |person| person.verdict);
                let decision = Decision {
                    verdict,
                    by: "operator on duty".to_owned(),
                    note: None,
                };
                runner.engine().decide(run, "operator", decision, now())?;
            }
            None => clock.store(due.as_millis(), Ordering::Relaxed),
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    assert_eq!(alarm("stall", None)?.output["tier"], "device");
    assert_eq!(alarm("jam", None)?.output["tier"], "site");
    let approved = Person {
        verdict: Verdict::Approved,
        after_ms: 120_000,
    };
    assert_eq!(
        alarm("fire", Some(approved))?.output["by"],
        "operator on duty"
    );
    let rejected = Person {
        verdict: Verdict::Rejected,
        after_ms: 60_000,
    };
    assert_eq!(alarm("noise", Some(rejected))?.output["fixed"], false);
    assert_eq!(alarm("fire", None)?.output["by"], "timeout");
    Ok(())
}
