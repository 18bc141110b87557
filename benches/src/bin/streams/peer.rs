//! The pattern matcher of varpulis (`varpulis-sase`), which can be linked: the same sequences over the same readings,
//! as events of one type, by event time, partitioned by machine. Events are prepared and shared, so that neither
//! their making nor their copying is timed.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use chrono::DateTime;
use varpulis_core::{Event, Value};
use varpulis_sase::{CompareOp, Predicate, SaseEngine, SasePattern, SelectionStrategy};

use crate::load::{KEYS, Load, Random};

pub const NAME: &str = "varpulis-sase 0.11";

/// Events a second of the processor's work, the median of the rounds, and the matches of one.
pub fn sequence(load: &Load, steps: usize, events: usize, rounds: usize) -> (f64, u64) {
    let mut random = Random(7);
    let prepared: Vec<Arc<Event>> = (0..events)
        .map(|n| {
            let machine = format!("machine-{}", random.next() % KEYS);
            let at = load.at(n).as_millis();
            let at = DateTime::from_timestamp_millis(at).unwrap_or_default();
            let mut event = Event::new_at("machines", at).with_field("machine", machine.as_str());
            for field in ["temperature", "vibration", "pressure"] {
                event = event.with_field(field, random.reading());
            }
            Arc::new(event)
        })
        .collect();
    let mut rates = Vec::with_capacity(rounds);
    let mut matches = 0;
    for _ in 0..rounds {
        let fields = ["temperature", "vibration", "pressure"];
        let parts = (0..steps).map(|step| SasePattern::Event {
            event_type: "machines".to_owned(),
            predicate: Some(Predicate::Compare {
                field: fields[step % 3].to_owned(),
                op: CompareOp::Gt,
                value: Value::Float(90.0),
            }),
            alias: Some(format!("s{step}")),
        });
        let pattern = SasePattern::Within(
            Box::new(SasePattern::Seq(parts.collect())),
            Duration::from_secs(30),
        );
        let mut engine = SaseEngine::new(pattern)
            .with_strategy(SelectionStrategy::SkipTillNextMatch)
            .with_partition_by("machine".to_owned())
            .with_event_time();
        matches = 0;
        let begin = crate::cpu_time();
        for event in &prepared {
            let found = engine.process_shared(event.clone());
            matches += found.len() as u64;
            black_box(found);
        }
        rates.push(events as f64 / (crate::cpu_time() - begin).as_secs_f64());
    }
    rates.sort_by(f64::total_cmp);
    (rates[rates.len() / 2], matches)
}
