//! Any text is rules or an error with a place in it; rules build or are refused, and take events without a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midstream::{Engine, Error, FieldType, Schema, Timestamp, Value, parse_program};

fuzz_target!(|text: &str| {
    let program = match parse_program(text, "s", None) {
        Ok(program) => program,
        Err(Error::Syntax { line, column, .. }) => {
            assert!(line >= 1 && column >= 1);
            assert!(line <= text.lines().count().max(1) + 1);
            return;
        }
        Err(_) => return,
    };
    let schema = Schema::new("s")
        .field("x", FieldType::Float)
        .field("k", FieldType::Text);
    let mut builder = Engine::builder().source(schema.clone());
    for statement in program.standardize {
        builder = builder.standardize("s", statement, None);
    }
    for rule in program.rules {
        builder = builder.rule(rule);
    }
    let Ok(mut engine) = builder.build() else {
        return;
    };
    for n in 0..8_i64 {
        let fields: [(&str, Value); 2] = [("x", (n as f64 - 3.0).into()), ("k", "a".into())];
        let event = schema.event(&n.to_string(), Timestamp::from_millis(n * 700), &fields);
        let _ = engine.push(event.expect("an event of the schema"));
    }
    let _ = engine.finish();
    let metrics = engine.metrics();
    assert_eq!(metrics.events_in, metrics.events_out);
});
