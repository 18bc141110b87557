//! Any text is a prompt file or an error; a prompt is written to a file that reads back the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use promptopt::Prompt;

fuzz_target!(|text: &str| {
    if let Ok(prompt) = Prompt::from_json(text, "fuzzed") {
        let written = prompt.to_json().expect("what was read is written");
        let again = Prompt::from_json(&written, "written").expect("what was written is read");
        assert_eq!(again, prompt);
    }
});
