//! Any text is a deployment or an error that says what is wrong; a deployment takes payloads and a clock without a
//! panic, and routes only to sinks that it has.
#![no_main]

use libfuzzer_sys::fuzz_target;
use midstream::Timestamp;
use midstream::deploy::Deployment;

fuzz_target!(|text: &str| {
    let deployment = match Deployment::parse(text) {
        Ok(deployment) => deployment,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let router = deployment.router().expect("what was parsed was checked");
    let engine = deployment.engine().and_then(|builder| builder.build());
    let mut engine = engine.expect("what was parsed was checked");
    let mut entries = Vec::new();
    for decoder in deployment.decoders() {
        let payload = br#"[{"id": "1", "at": 0, "temp": 9.5, "machine": "m"}, {"id": "2", "at": 700, "temp": 99}]"#;
        for event in decoder.decode(payload).into_iter().flatten() {
            router.event(&event, &mut entries);
            for output in engine.push(event).into_iter().flatten() {
                router.output(&output, &mut entries);
            }
        }
    }
    for output in engine.advance_to(Timestamp::from_millis(9000)) {
        router.output(&output, &mut entries);
    }
    assert!(entries.iter().all(|entry| entry.sink < router.sinks().len()));
});
