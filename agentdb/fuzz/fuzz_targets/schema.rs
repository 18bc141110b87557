//! Any text is a schema or an error; a schema reads back from its own JSON, and any JSON is a change or an error.
#![no_main]

use agentdb::{Document, ReplicaId, Schema, Stamp};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    let (text, change) = input;
    let Ok(schema) = Schema::from_json(text) else {
        return;
    };
    let again = Schema::from_json(&schema.to_json().to_string()).expect("a schema");
    assert_eq!(again.to_json(), schema.to_json());
    if let Ok(change) = serde_json::from_str(change) {
        let mut document = Document::new(&schema);
        let mut edit = document.edit(&schema, ReplicaId::new(1), Stamp::default());
        let _ = edit.merge_patch(&change).map(drop);
        let _ = edit.patch(&change).map(drop);
    }
});
