//! Any text is an expression or an error, and evaluation ends within its budget.
#![no_main]

use flowcore::expr::{Program, Val};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|text: &str| {
    let data = json!({"b": "x", "n": 7, "f": 2.5, "l": [1, "2", null], "m": {"k": {"z": true}}});
    let values = [Val::from_json(&data)];
    for program in [
        Program::standalone(text, &["a"]),
        Program::unchecked(text, &["a"]),
    ]
    .into_iter()
    .flatten()
    {
        if let Ok(value) = program.evaluate(&values, 10_000) {
            let _ = value.to_json();
            let _ = value.display();
        }
    }
});
