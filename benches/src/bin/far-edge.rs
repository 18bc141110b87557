//! The far edge's agent on one channel: time, allocations and bytes a sample.
#![allow(clippy::print_stdout, reason = "a command prints")]

use std::hint::black_box;
use std::time::Instant;

use edgeweave_benches::counting::{Counting, allocations};
use midstream::Timestamp;
use midstream::agent::{Agent, AgentOptions, Emit, Threshold};
use serde_json::json;

#[global_allocator]
static COUNTING: Counting = Counting;

const WARM_UP: u64 = 1_000_000;
const SAMPLES: u64 = 20_000_000;

/// A slow wave with steps of a sensor's resolution.
fn value(tick: u64) -> f32 {
    let wave = (tick as f32 / 5000.0).sin() * 30.0 + 60.0;
    (wave * 16.0).round() / 16.0
}

fn main() {
    let options = AgentOptions {
        threshold: Some(Threshold::new(85.0, 80.0)),
        batch_ms: 1000,
        ..AgentOptions::default()
    };
    let Ok(mut agent) = Agent::new(options) else {
        return;
    };
    let (mut bytes, mut alarms) = (0_u64, 0_u64);
    let mut push = |tick: u64| {
        let at = Timestamp::from_millis(1_700_000_000_000 + tick as i64 * 10);
        agent.push(at, value(tick), |emit| match emit {
            Emit::Batch(batch) => bytes += black_box(batch).len() as u64,
            Emit::Alarm(..) => alarms += 1,
        });
    };
    (0..WARM_UP).for_each(&mut push);
    let before = allocations();
    let begin = Instant::now();
    (WARM_UP..WARM_UP + SAMPLES).for_each(&mut push);
    let seconds = begin.elapsed().as_secs_f64();
    let allocated = allocations() - before;
    let stats = agent.stats();
    println!(
        "{}",
        json!({
            "samples": SAMPLES,
            "allocations": allocated,
            "ns_a_sample": seconds * 1e9 / SAMPLES as f64,
            "samples_a_second": (SAMPLES as f64 / seconds).round(),
            "bytes_out": bytes,
            "bytes_a_sample_in": bytes as f64 / stats.samples_in as f64,
            "bytes_a_sample_out": bytes as f64 / stats.samples_out as f64,
            "alarms": alarms,
        })
    );
}
