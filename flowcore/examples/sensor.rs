//! The smallest useful program: three steps on a sensor reading, kept in memory.
#![allow(clippy::print_stdout, reason = "an example")]

use flowcore::{Engine, MemoryJournal, Runner, Timestamp, Workflow};
use serde_json::json;

const WORKFLOW: &str = "
workflow:
  name: anomaly_detection
  trigger: sensor_reading
  steps:
    - {id: filter, action: moving_average, params: {window: 10}}
    - {id: detect, action: threshold_check, params: {threshold: 0.8}}
    - {id: alert, action: send_event, condition: \"detect.result == 'anomaly'\"}
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut engine = Engine::new(MemoryJournal::new())
        .action("moving_average", |call| {
            Ok(json!({"mean": call.input()["value"]}))
        })
        .action("threshold_check", |call| {
            let anomaly = call.input()["value"].as_f64() > call.params()["threshold"].as_f64();
            Ok(json!({"result": if anomaly { "anomaly" } else { "normal" }}))
        })
        .action("send_event", |call| {
            println!("alert {} for {}", call.idempotency_key(), call.input());
            Ok(json!({"sent": true}))
        });
    engine.deploy(Workflow::from_yaml(WORKFLOW)?)?;
    let run = engine.trigger(
        "sensor_reading",
        json!({"value": 0.93}),
        Timestamp::from_millis(0),
    )?;
    let info = Runner::blocking(engine).run_until_ended(run)?;
    println!("{}", serde_json::to_string_pretty(&info)?);
    Ok(())
}
