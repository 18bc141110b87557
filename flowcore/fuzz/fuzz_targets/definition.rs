//! Any text is a definition or an error; a definition that is read goes through bytes unchanged.
#![no_main]

use flowcore::Workflow;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = Workflow::from_json(text);
    if let Ok(workflow) = Workflow::from_yaml(text) {
        let bytes = workflow.to_bytes().expect("what was read is written");
        let again = Workflow::from_bytes(&bytes).expect("what was written is read");
        assert_eq!(again.hash(), workflow.hash());
    }
});
