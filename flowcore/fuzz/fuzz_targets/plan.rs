//! Any bytes are a workflow or an error. The checksum is made to fit, so that what lies behind it
//! is reached.
#![no_main]

use flowcore::Workflow;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = Workflow::from_bytes(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    // A definition without the key `workflow` around it is what plan bytes carry.
    if let Ok(definition) = serde_json::from_str(text)
        && let Ok(workflow) = Workflow::from_definition(definition)
    {
        let bytes = workflow.to_bytes().expect("what was compiled is written");
        let again = Workflow::from_bytes(&bytes).expect("what was written is read");
        assert_eq!(again.hash(), workflow.hash());
    }
});
