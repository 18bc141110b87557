//! The far edge loses nothing without counting it, and what it packs is what is unpacked.

use midstream::Timestamp;
use midstream::agent::{
    Agent, AgentOptions, AgentStats, BATCH_SAMPLES_MAX, Edge, Emit, MovingAverage, Sample,
    Threshold, decode_batch,
};
use proptest::prelude::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn assert_adds_up(stats: AgentStats) {
    assert_eq!(
        stats.samples_in,
        stats.samples_out + stats.averaged + stats.invalid + stats.held,
        "{stats:?}"
    );
}

/// What an agent that neither smooths nor thins gives back.
fn through(samples: &[(i64, f32)], options: AgentOptions) -> Vec<Sample> {
    let mut agent = Agent::new(options).unwrap();
    let mut out = Vec::new();
    let mut numbers = Vec::new();
    let mut take = |emit: Emit<'_>| {
        if let Emit::Batch(bytes) = emit {
            let batch = decode_batch(bytes).unwrap();
            assert_eq!(batch.channel, options.channel);
            numbers.push(batch.number);
            out.extend(batch.samples);
        }
    };
    for (time, value) in samples {
        agent.push(at(*time), *value, &mut take);
        assert_adds_up(agent.stats());
    }
    agent.flush(&mut take);
    assert_adds_up(agent.stats());
    assert!(numbers.iter().copied().eq(0..numbers.len() as u32));
    out
}

proptest! {
    #[test]
    fn samples_of_any_time_and_value_come_out_as_they_went_in(
        samples in prop::collection::vec((any::<i64>(), any::<f32>()), 0..600),
        batch_ms in 1..5000_u32,
    ) {
        let options = AgentOptions { channel: 513, average_over: 1, one_in: 1, batch_ms, ..AgentOptions::default() };
        let out = through(&samples, options);
        let finite = samples.iter().filter(|(_, value)| value.is_finite());
        let wanted: Vec<_> = finite.map(|(time, value)| (at(*time), *value)).collect();
        let found: Vec<_> = out.iter().map(|sample| (sample.at, sample.value)).collect();
        prop_assert_eq!(found, wanted);
    }

    #[test]
    fn any_bytes_are_a_batch_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = decode_batch(&bytes);
    }

    #[test]
    fn an_average_is_the_mean_of_the_last_values(values in prop::collection::vec(-1e6..1e6_f32, 1..300), over in 1..50_usize) {
        let mut average = MovingAverage::new(over);
        for place in 0..values.len() {
            let found = f64::from(average.push(values[place]));
            let window = &values[(place + 1).saturating_sub(over)..=place];
            let wanted = window.iter().map(|value| f64::from(*value)).sum::<f64>() / window.len() as f64;
            prop_assert!((found - wanted).abs() < 0.1, "{} {}", found, wanted);
        }
    }
}

#[test]
fn a_hundred_hertz_become_ten_in_batches_of_a_tenth_of_a_second() {
    let options = AgentOptions {
        average_over: 1,
        batch_ms: 1000,
        ..AgentOptions::default()
    };
    let samples: Vec<_> = (0..1000)
        .map(|tick| (tick * 10, (tick / 10) as f32))
        .collect();
    let out = through(&samples, options);
    assert_eq!(out.len(), 100);
    assert!(
        out.iter()
            .enumerate()
            .all(|(place, sample)| sample.value == place as f32)
    );
    assert!(
        out.windows(2)
            .all(|pair| pair[1].at.since(pair[0].at).as_millis() == 100)
    );
}

#[test]
fn a_steady_sensor_costs_three_bytes_a_sample() {
    let mut agent = Agent::new(AgentOptions {
        average_over: 1,
        one_in: 1,
        batch_ms: u32::MAX,
        ..AgentOptions::default()
    })
    .unwrap();
    let mut bytes = 0;
    for tick in 0..=BATCH_SAMPLES_MAX as i64 {
        agent.push(at(1_700_000_000_000 + tick * 10), 21.5, |emit| {
            if let Emit::Batch(batch) = emit {
                bytes = batch.len();
            }
        });
    }
    assert!(bytes > 0 && bytes < 3 * BATCH_SAMPLES_MAX, "{bytes}");
}

#[test]
fn a_value_that_trembles_at_the_limit_is_one_alarm() {
    let threshold = Some(Threshold::new(85.0, 80.0));
    let mut agent = Agent::new(AgentOptions {
        average_over: 1,
        threshold,
        ..AgentOptions::default()
    })
    .unwrap();
    let mut edges = Vec::new();
    for (tick, value) in [70.0, 86.0, 84.0, 86.0, 81.0, 85.5, 79.0, 84.9, 70.0]
        .into_iter()
        .enumerate()
    {
        agent.push(at(tick as i64), value, |emit| {
            if let Emit::Alarm(edge, sample) = emit {
                edges.push((edge, sample.value));
            }
        });
    }
    assert_eq!(edges, [(Edge::Raised, 86.0), (Edge::Ended, 79.0)]);
}

#[test]
fn the_ring_holds_the_newest_and_counts_the_rest() {
    let options = AgentOptions {
        ring_bytes: 10 * size_of::<Sample>(),
        ..AgentOptions::default()
    };
    let mut agent = Agent::new(options).unwrap();
    for tick in 0..25 {
        agent.push(at(tick), tick as f32, |_| {});
    }
    let values: Vec<f32> = agent.ring().iter().map(|sample| sample.value).collect();
    assert_eq!(values, (15..25).map(|tick| tick as f32).collect::<Vec<_>>());
    assert_eq!(agent.stats().overwritten, 15);
}
