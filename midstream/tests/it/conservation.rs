//! Nothing is lost in silence: `events_in = events_out + sum(dropped) + held`.

use std::time::Duration;

use midstream::{DropReason, Engine, Error, FieldType, Schema, Timestamp};
use proptest::prelude::*;

use super::{event, schema};

fn engine(disorder_ms: u64) -> Engine {
    Engine::builder()
        .source(schema())
        .disorder(Duration::from_millis(disorder_ms))
        .dedup(Duration::from_millis(500))
        .future(Duration::from_secs(10))
        .build()
        .unwrap()
}

fn assert_adds_up(engine: &Engine) {
    let m = engine.metrics();
    assert_eq!(
        m.events_in,
        m.events_out + m.dropped.values().sum::<u64>() + m.held,
        "{m:?}"
    );
}

proptest! {
    #[test]
    fn counters_add_up_for_any_stream(events in prop::collection::vec((0..60_000_i64, 0..30_u8), 0..200), disorder in 0..2000_u64) {
        let mut engine = engine(disorder);
        for (at, id) in events {
            engine.push(event(&id.to_string(), at, "k", 0.0)).unwrap();
            assert_adds_up(&engine);
        }
        engine.advance_to(Timestamp::from_millis(1_000_000));
        assert_adds_up(&engine);
        prop_assert_eq!(engine.metrics().held, 0);
    }
}

#[test]
fn each_reason_is_counted_apart() {
    let mut engine = engine(100);
    let mut push = |id: &str, at| engine.push(event(id, at, "k", 0.0)).unwrap();
    push("a", 1000);
    push("a", 1000);
    push("b", 1050);
    push("late", 949);
    push("early enough", 950);
    push("future", 12_000);
    let stranger = Schema::new("other")
        .field("x", FieldType::Int)
        .event("x", Timestamp::from_millis(0), &[])
        .unwrap();
    assert!(matches!(engine.push(stranger), Err(Error::UnknownSource(name)) if name == "other"));
    let dropped = engine.metrics().dropped;
    for reason in [
        DropReason::Duplicate,
        DropReason::Late,
        DropReason::Future,
        DropReason::UnknownSource,
    ] {
        assert_eq!(dropped.get(&reason), Some(&1), "{reason:?}");
    }
    assert_eq!(engine.metrics().held, 2);
    assert_adds_up(&engine);
}

#[test]
fn an_id_is_known_for_its_time_and_no_longer() {
    let mut engine = engine(0);
    engine.push(event("a", 0, "k", 0.0)).unwrap();
    engine.push(event("a", 500, "k", 0.0)).unwrap();
    assert_eq!(
        engine.metrics().dropped.get(&DropReason::Duplicate),
        Some(&1)
    );
    engine.push(event("b", 501, "k", 0.0)).unwrap();
    engine.push(event("a", 502, "k", 0.0)).unwrap();
    assert_eq!(engine.metrics().events_out, 3);
}

#[test]
fn a_watermark_never_goes_back() {
    let mut engine = engine(0);
    engine.advance_to(Timestamp::from_millis(1000));
    engine.advance_to(Timestamp::from_millis(10));
    assert_eq!(engine.watermark(), Timestamp::from_millis(1000));
    engine.push(event("a", 999, "k", 0.0)).unwrap();
    assert_eq!(engine.metrics().dropped.get(&DropReason::Late), Some(&1));
}
