//! Any text is a row pattern or an error; a pattern takes rows without a panic and counts them all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midstream::{Engine, FieldType, Schema, Timestamp, Value, parse_sql};

fuzz_target!(|text: &str| {
    let Ok(rule) = parse_sql(text, "r") else {
        return;
    };
    let schema = Schema::new(rule.source())
        .field("v", FieldType::Int)
        .field("k", FieldType::Text);
    let Ok(mut engine) = Engine::builder().source(schema.clone()).rule(rule).build() else {
        return;
    };
    for n in 0..12_i64 {
        let fields: [(&str, Value); 2] = [("v", (n * 7 % 5).into()), ("k", "a".into())];
        let event = schema.event(&n.to_string(), Timestamp::from_millis(n * 700), &fields);
        let _ = engine.push(event.expect("an event of the schema"));
    }
    let _ = engine.finish();
    let metrics = engine.metrics();
    assert_eq!(metrics.events_in, metrics.events_out);
});
