//! Any bytes are a call or an error, and a worker that is sent them answers or hangs up.
#![no_main]

use flowcore::remote::RemoteWorker;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let worker = RemoteWorker::new().action("echo", |call| Ok(call.params.clone()));
    let _ = worker.serve_stream(&mut &bytes[..], &mut Vec::new());
});
