//! Any text is a DSPy program or an error; every predictor read can be set again without a change.
#![no_main]

use libfuzzer_sys::fuzz_target;
use promptopt::optimize::DspyProgram;

fuzz_target!(|text: &str| {
    let Ok(mut program) = DspyProgram::from_json(text) else {
        return;
    };
    let predictors = program.predictors();
    for predictor in &predictors {
        let _ = program.set(predictor);
    }
    assert_eq!(program.predictors(), predictors);
    program.to_json().expect("what was read is written");
});
