//! Whatever stands in a log, the engine reads the run back or parks it with the reason, and goes on
//! to drive it. Records are lines; the first may be a start or a snapshot of the workflow deployed.
#![no_main]

use flowcore::journal::{Batch, Op};
use flowcore::{Command, Engine, Journal, MemoryJournal, RunId, Timestamp, Work, Workflow};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

const WORK: &str = "
workflow:
  name: w
  steps:
    - {id: all, for_each: input.n, limit: 2, steps: [{id: s, action: work, params: {n: '${item}'}}]}
    - id: both
      parallel:
        - {id: left, steps: [{id: l, action: work, retry: {max_attempts: 1, interval: 0s}}]}
        - {id: right, steps: [{id: r, wait: {event: go, timeout: 5s}}]}
    - {id: ask, approval: {prompt: well, timeout: 1s}}
    - {id: round, while: 'index < 3', max_iterations: 3, steps: [{id: x, set: '${index}'}]}
";

fuzz_target!(|text: &str| {
    let mut journal = MemoryJournal::new();
    let run = RunId::new(1);
    let workflow = Workflow::from_yaml(WORK).expect("a definition");
    // The hash of the definition, so that an input need not guess it.
    let text = text.replace("HASH", &workflow.hash().to_string());
    let record = |(line, seq): (&str, u64)| Op::Append {
        run,
        seq,
        record: line.as_bytes().to_vec(),
    };
    let mut ops: Vec<Op> = text.lines().zip(0..).map(record).collect();
    ops.push(Op::Put {
        space: "live",
        key: format!("{:020}", 1),
        value: b"{}".to_vec(),
    });
    journal.commit(&Batch { epoch: 0, ops }).expect("a commit");
    let mut engine = Engine::new(journal).action("work", |_| Ok(json!({"n": 1})));
    engine.deploy(workflow).expect("a deployment");
    let mut now = Timestamp::from_millis(0);
    for _ in 0..100 {
        let commands = engine.step(now).expect("a journal in memory");
        for command in commands {
            if let Command::Execute(call) = command
                && let Work::Ready(result) = call.perform()
            {
                engine.complete(call.token(), result, now);
            }
        }
        match engine.next_wake() {
            Some(due) if !engine.has_work() => now = now.max(due),
            None if !engine.has_work() => break,
            _ => {}
        }
    }
});
