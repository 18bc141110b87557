//! The time from an event to its alert at a constant offered rate.
//!
//! Each event has a due time; the clock of its alert runs from then, also when the engine is late and the
//! event has to wait (no coordinated omission).

use std::time::{Duration, Instant};

use midstream::{Engine, Result, Timestamp};

use crate::load::{Random, event, schema, sequence};

/// Percentiles in microseconds.
pub struct Latencies {
    pub p50_us: f64,
    pub p99_us: f64,
    pub max_us: f64,
    pub alerts: usize,
}

/// Offers `rate` events a second for `time` to a sequence of three steps and a count by machine.
pub fn measure(rate: u32, time: Duration) -> Result<Latencies> {
    let schema = schema();
    let mut random = Random(11);
    let count = (f64::from(rate) * time.as_secs_f64()) as usize;
    let gap = Duration::from_secs(1) / rate;
    let mut prepared = Vec::with_capacity(count);
    for n in 0..count {
        let at = Timestamp::from_millis((gap * n as u32).as_millis() as i64);
        prepared.push(event(&schema, &mut random, n, at)?);
    }
    let mut engine = Engine::builder()
        .source(schema)
        .rule(sequence("three", 3))
        .build()?;
    let mut latencies = Vec::with_capacity(count);
    let begin = Instant::now();
    for (n, event) in prepared.into_iter().enumerate() {
        let due = begin + gap * n as u32;
        while Instant::now() < due {
            std::hint::spin_loop();
        }
        for _alert in engine.push(event)? {
            latencies.push(due.elapsed().as_secs_f64() * 1e6);
        }
    }
    latencies.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let place =
            ((latencies.len() as f64 * share) as usize).min(latencies.len().saturating_sub(1));
        latencies.get(place).copied().unwrap_or(f64::NAN)
    };
    Ok(Latencies {
        p50_us: at(0.5),
        p99_us: at(0.99),
        max_us: at(1.0),
        alerts: latencies.len(),
    })
}
