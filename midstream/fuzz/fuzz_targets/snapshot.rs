//! Any bytes under a right checksum are a snapshot that an engine goes on from, or an error.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use midstream::{Emit, Engine, FieldType, Rule, Schema, Timestamp, gt, lt};

fuzz_target!(|bytes: &[u8]| {
    let schema = Schema::new("s").field("key", FieldType::Text).field("value", FieldType::Float);
    let second = Duration::from_secs(1);
    let plan = Engine::builder()
        .source(schema.clone())
        .disorder(second)
        .rule(Rule::window("w", "s").key("key").field("value").sliding(second * 4, second).emit(Emit::Every))
        .rule(Rule::sequence("p").key("key").step("s", lt("value", 3.0)).step("s", gt("value", 6.0)).within(second * 9));
    let mut snapshot = b"MSSNAP\0\x02".to_vec();
    snapshot.extend_from_slice(bytes);
    snapshot.extend_from_slice(&crc32c::crc32c(&snapshot).to_le_bytes());
    if let Ok(mut engine) = plan.restore(&snapshot) {
        for n in 0..20_i64 {
            let fields = [("key", "k".into()), ("value", ((n % 9) as f64).into())];
            if let Ok(event) = schema.event(&n.to_string(), Timestamp::from_millis(n * 300), &fields) {
                let _ = engine.push(event);
            }
        }
    }
});
