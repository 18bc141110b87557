//! What a small device links: a definition in JSON, actions, and a journal. With the feature `sqlite` runs
//! outlive the process, in the file that is named; with `yaml` the definition is read as YAML. Its size:
//! `cargo build --profile firmware -p edgeweave-flowcore --no-default-features --example device`.
#![allow(clippy::print_stdout, reason = "an example")]

use flowcore::{Engine, Journal, Runner, Timestamp, Workflow};
use serde_json::json;

const WORKFLOW: &str = r#"{"workflow": {"name": "overheat", "trigger": "sensor_reading", "steps": [
    {"id": "check", "action": "threshold_check", "params": {"threshold": 39.5}},
    {"id": "fan", "action": "switch_fan", "params": {"on": "${check.hot}"}, "retry": {"max_attempts": 3}},
    {"id": "alert", "action": "send_event", "condition": "check.hot"}
]}}"#;

#[cfg(feature = "sqlite")]
fn journal() -> Result<impl Journal, Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1);
    Ok(flowcore::SqliteJournal::open(
        path.as_deref().unwrap_or(":memory:"),
    )?)
}

#[cfg(not(feature = "sqlite"))]
fn journal() -> Result<impl Journal, Box<dyn std::error::Error>> {
    Ok(flowcore::MemoryJournal::new())
}

// JSON is YAML too, so the same text shows what the reader of YAML adds.
#[cfg(feature = "yaml")]
fn workflow() -> flowcore::Result<Workflow> {
    Workflow::from_yaml(WORKFLOW)
}

#[cfg(not(feature = "yaml"))]
fn workflow() -> flowcore::Result<Workflow> {
    Workflow::from_json(WORKFLOW)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut engine = Engine::new(journal()?)
        .action("threshold_check", |call| {
            let hot = call.input()["value"].as_f64() > call.params()["threshold"].as_f64();
            Ok(json!({"hot": hot}))
        })
        .action("switch_fan", |call| Ok(json!({"fan": call.params()["on"]})))
        .action("send_event", |call| {
            Ok(json!({"sent": call.idempotency_key()}))
        });
    engine.deploy(workflow()?)?;
    let reading = json!({"value": 40.2});
    let run = engine.trigger("sensor_reading", reading, Timestamp::from_millis(0))?;
    let info = Runner::blocking(engine).run_until_ended(run)?;
    println!("{}", serde_json::to_string(&info)?);
    Ok(())
}
