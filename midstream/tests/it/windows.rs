//! Windows agree with a plain evaluation.

use std::collections::BTreeMap;
use std::time::Duration;

use midstream::{
    Aggregate, Emit, Engine, Error, Found, Having, Output, Rule, Timestamp, Value, gt,
};
use proptest::prelude::*;

use super::{event, schema};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn engine(rule: impl Into<Rule>, disorder: u64) -> Engine {
    Engine::builder()
        .source(schema())
        .rule(rule)
        .disorder(ms(disorder))
        .build()
        .unwrap()
}

type Row = (i64, String, u64, i64, i64, i64, i64, i64);

/// End, key, count, sum, min, max, average and deviation in millionths.
fn row(output: &Output) -> Row {
    let Found::Window(all) = &output.found else {
        panic!("{output:?}")
    };
    let key = output
        .key
        .as_ref()
        .map(Value::to_string)
        .unwrap_or_default();
    let micro = |value: Option<f64>| value.map_or(-1, |value| (value * 1e6).round() as i64);
    let one = |kind| micro(all.get(kind));
    (
        output.last.as_millis(),
        key,
        all.count,
        one(Aggregate::Sum),
        one(Aggregate::Min),
        one(Aggregate::Max),
        one(Aggregate::Avg),
        one(Aggregate::Stddev),
    )
}

/// Every window with something in it, by plain recomputation.
fn naive(events: &[(i64, u8, i32)], size: i64, slide: i64) -> Vec<Row> {
    let Some(last) = events.iter().map(|(at, ..)| *at).max() else {
        return Vec::new();
    };
    let mut rows = Vec::new();
    for end in (1..=(last + size) / slide + 1).map(|n| n * slide) {
        let mut keys: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for (at, key, value) in events {
            if (end - size..end).contains(at) {
                keys.entry(format!("k{key}"))
                    .or_default()
                    .push(f64::from(*value));
            }
        }
        for (key, values) in keys {
            let n = values.len() as f64;
            let sum: f64 = values.iter().sum();
            let mean = sum / n;
            let spread: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
            let micro = |value: f64| (value * 1e6).round() as i64;
            let fold = |f: fn(f64, f64) -> f64| values.iter().copied().reduce(f).unwrap();
            let deviation = if values.len() > 1 {
                micro((spread / (n - 1.0)).sqrt())
            } else {
                -1
            };
            rows.push((
                end,
                key,
                values.len() as u64,
                micro(sum),
                micro(fold(f64::min)),
                micro(fold(f64::max)),
                micro(mean),
                deviation,
            ));
        }
    }
    rows
}

fn near(a: &Row, b: &Row) -> bool {
    let close = |x: i64, y: i64| (x - y).abs() <= 2;
    (a.0, &a.1, a.2, a.4, a.5) == (b.0, &b.1, b.2, b.4, b.5)
        && close(a.3, b.3)
        && close(a.6, b.6)
        && close(a.7, b.7)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn windows_agree_with_plain_recomputation_whatever_the_order(
        events in prop::collection::vec((0..3000_i64, 0..4_u8, -50..50_i32), 1..80),
        panes in 1..6_i64,
        slide in prop::sample::select(vec![50_i64, 100, 170, 500]),
    ) {
        let size = panes * slide;
        let rule = Rule::window("w", "s").key("key").field("value").sliding(ms(size as u64), ms(slide as u64)).emit(Emit::Every);
        // All disorder there can be is waited for.
        let mut engine = engine(rule, 3000);
        let mut found = Vec::new();
        for (n, (at, key, value)) in events.iter().enumerate() {
            found.extend(engine.push(event(&n.to_string(), *at, &format!("k{key}"), f64::from(*value))).unwrap());
        }
        found.extend(engine.advance_to(Timestamp::from_millis(100_000)));
        let found: Vec<Row> = found.iter().map(row).collect();
        let wanted = naive(&events, size, slide);
        prop_assert_eq!(found.len(), wanted.len());
        for (found, wanted) in found.iter().zip(&wanted) {
            prop_assert!(near(found, wanted), "{:?} for {:?}", found, wanted);
        }
    }
}

#[test]
fn a_tumbling_window_ends_exclusively() {
    let mut engine = engine(
        Rule::window("w", "s").tumbling(ms(100)).emit(Emit::Every),
        0,
    );
    for (id, at) in [("a", 0), ("b", 99), ("c", 100)] {
        assert!(engine.push(event(id, at, "k", 1.0)).unwrap().len() <= 1);
    }
    let rest = engine.advance_to(Timestamp::from_millis(200));
    assert_eq!(rest.len(), 1);
    let Found::Window(all) = &rest[0].found else {
        panic!()
    };
    assert_eq!(all.count, 1);
}

#[test]
fn a_threshold_tells_on_its_rising_edge_and_again_after_it_fell() {
    let rule = Rule::window("high", "s")
        .key("key")
        .field("value")
        .tumbling(ms(100))
        .having(Having::Above(Aggregate::Avg, 10.0));
    let mut engine = engine(rule, 0);
    let mut ends = Vec::new();
    for (n, value) in [5.0, 20.0, 30.0, 5.0, 20.0, 20.0].into_iter().enumerate() {
        let found = engine
            .push(event(&n.to_string(), n as i64 * 100, "k", value))
            .unwrap();
        ends.extend(found.iter().map(|output| output.last.as_millis()));
    }
    ends.extend(
        engine
            .advance_to(Timestamp::from_millis(1000))
            .iter()
            .map(|output| output.last.as_millis()),
    );
    assert_eq!(ends, [200, 500]);
}

#[test]
fn only_what_passes_the_filter_is_counted() {
    let rule = Rule::window("w", "s")
        .filter(gt("value", 3.0))
        .tumbling(ms(100))
        .emit(Emit::Every);
    let mut engine = engine(rule, 0);
    for (n, value) in [1.0, 4.0, f64::NAN, 5.0].into_iter().enumerate() {
        engine
            .push(event(&n.to_string(), n as i64, "k", value))
            .unwrap();
    }
    let Found::Window(all) = engine.advance_to(Timestamp::from_millis(100))[0].found else {
        panic!()
    };
    assert_eq!(all.count, 2);
}

#[test]
fn a_window_that_cannot_be_is_refused() {
    let build =
        |rule: midstream::WindowRule| Engine::builder().source(schema()).rule(rule).build().err();
    assert!(matches!(
        build(Rule::window("w", "s").sliding(ms(1_000_000), ms(7))),
        Some(Error::Slide { .. })
    ));
    assert!(matches!(
        build(Rule::window("w", "s")),
        Some(Error::Rule { .. })
    ));
    assert!(matches!(
        build(Rule::window("w", "x").tumbling(ms(1))),
        Some(Error::UnknownSource(_))
    ));
    assert!(matches!(
        build(Rule::window("w", "s").field("key").tumbling(ms(1))),
        Some(Error::Type { .. })
    ));
    let error = build(Rule::window("w", "s").field("valeu").tumbling(ms(1)))
        .unwrap()
        .to_string();
    assert!(
        error.contains("valeu") && error.contains("key, value"),
        "{error}"
    );
}
