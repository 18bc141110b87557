//! A machine that overheats, and a room that is too warm on average.
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::time::Duration;

use midstream::{Aggregate, Engine, FieldType, Having, Rule, Schema, Timestamp, Value, gt, lt};

fn main() -> midstream::Result<()> {
    let machines = Schema::new("machines")
        .field("machine", FieldType::Text)
        .field("temperature", FieldType::Float)
        .field("pressure", FieldType::Float);
    let mut engine = Engine::builder()
        .source(machines.clone())
        .rule(
            Rule::sequence("overheat")
                .key("machine")
                .step("machines", gt("temperature", 85.0))
                .step("machines", lt("pressure", 50.0))
                .within(Duration::from_secs(30)),
        )
        .rule(
            Rule::window("warm", "machines")
                .key("machine")
                .field("temperature")
                .sliding(Duration::from_secs(10), Duration::from_secs(5))
                .having(Having::Above(Aggregate::Avg, 80.0)),
        )
        .disorder(Duration::from_secs(2))
        .build()?;

    for second in 0..60_i64 {
        let temperature = 60.0 + second as f64;
        let pressure = if second == 40 { 45.0 } else { 101.0 };
        let fields = [
            ("machine", Value::from("press-1")),
            ("temperature", temperature.into()),
            ("pressure", pressure.into()),
        ];
        let event = machines.event(
            &second.to_string(),
            Timestamp::from_millis(second * 1000),
            &fields,
        )?;
        for output in engine.push(event)? {
            println!("{} at {}: {:?}", output.rule, output.last, output.found);
        }
    }
    println!("{:?}", engine.metrics());
    Ok(())
}
