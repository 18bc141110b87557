//! A replay after a restore tells what would have been told without it, from any point of any stream.

use std::time::Duration;

use midstream::{
    Aggregate, Emit, Engine, EngineBuilder, Error, Event, FieldType, Fill, Having, Output, Pattern,
    Rule, Schema, Table, Timeouts, Timestamp, Watermarks, aggregate, field, ge, gt, lt, step,
};
use proptest::prelude::*;

use super::{event, schema};

/// A second source, whose last event of a key is also a table's row.
fn other() -> Schema {
    Schema::new("t")
        .field("key", FieldType::Text)
        .field("limit", FieldType::Float)
}

fn builder() -> EngineBuilder {
    let ms = Duration::from_millis;
    let builder = Engine::builder()
        .source(schema())
        .source(other())
        .watermarks(Watermarks::BySource { idle: ms(900) })
        .disorder(ms(300))
        .dedup(ms(2000))
        .future(ms(20_000))
        .rule(
            Rule::window("each", "s")
                .key("key")
                .field("value")
                .tumbling(ms(500))
                .emit(Emit::Every),
        )
        .rule(
            Rule::window("edge", "s")
                .key("key")
                .field("value")
                .sliding(ms(2000), ms(250))
                .having(Having::Above(Aggregate::Avg, 4.0)),
        )
        .rule(
            Rule::window("session", "s")
                .key("key")
                .session_at_most(ms(200), ms(900))
                .select("p90", aggregate(Aggregate::Percentile(900), field("value")))
                .select("kinds", aggregate(Aggregate::Distinct, field("value")))
                .select("last", aggregate(Aggregate::Last, field("key")))
                .emit(Emit::Every),
        )
        .rule(
            Rule::window("count", "s")
                .key("key")
                .field("value")
                .count_sliding(5, 2, Fill::Partial)
                .emit(Emit::Every),
        )
        .rule(
            Rule::window("own", "s")
                .key("key")
                .field("value")
                .sliding_each(ms(700))
                .having(Having::Above(Aggregate::Sum, 20.0))
                .emit(Emit::Changes),
        )
        .rule(
            Rule::window("late", "s")
                .key("key")
                .field("value")
                .tumbling(ms(400))
                .lateness(ms(600))
                .emit(Emit::Every),
        )
        .rule(
            Rule::select("latest", "s")
                .key("key")
                .filter(gt("value", 7.0))
                .within(ms(300)),
        )
        .rule(Rule::join("both", "s").with("t").key("key").within(ms(500)))
        .table(Table::new(other(), "key").unwrap().follows("t"))
        .enrich("s", "t", "key")
        .keep_late(5)
        .rule(
            Rule::sequence("up")
                .key("key")
                .step("s", lt("value", 3.0))
                .step("s", gt("value", 6.0))
                .step("s", lt("value", 3.0))
                .within(ms(3000)),
        )
        .rule(
            Rule::pattern(
                "steps",
                Pattern::default()
                    .then(step("low", "s", lt("value", 4.0)).one_or_more())
                    .then(step("high", "s", ge("value", 7.0))),
            )
            .key("key")
            .within(ms(1500))
            .timeouts(Timeouts::Tell),
        )
        .rule(
            Rule::window("several", "s")
                .keys(&["key", "t.limit"])
                .field("value")
                .tumbling(ms(500))
                .emit(Emit::Every),
        );
    #[cfg(feature = "sql")]
    let builder = ["", "LAST(high.value) + "]
        .iter()
        .enumerate()
        .fold(builder, |builder, (place, back)| {
            // The second asks what was taken before.
            let text = format!(
                "SELECT * FROM s MATCH_RECOGNIZE (PARTITION BY key ORDER BY at
                   MEASURES FIRST(low.value) AS least, COUNT(high.value) AS steps
                   ALL ROWS PER MATCH AFTER MATCH SKIP TO NEXT ROW
                   PATTERN (low+? {{- middle* -}} high{{2,}}) WITHIN INTERVAL '3' SECOND
                   DEFINE low AS value < 4, middle AS value < 6, high AS value > {back}PREV(value) - 1)"
            );
            builder.rule(midstream::parse_sql(&text, &format!("rows {place}")).unwrap())
        });
    builder
}

fn run(engine: &mut Engine, events: &[Event]) -> Vec<Output> {
    let mut out = Vec::new();
    for event in events {
        out.extend(engine.push(event.clone()).unwrap());
    }
    out
}

fn end(engine: &mut Engine) -> Vec<Output> {
    engine.advance_to(Timestamp::from_millis(1_000_000))
}

fn snapshot(engine: &Engine) -> Vec<u8> {
    let mut bytes = Vec::new();
    engine.snapshot(&mut bytes).unwrap();
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn any_stream_restored_at_any_point_goes_on_the_same(
        steps in prop::collection::vec((0..200_i64, 0..500_i64, 0..4_u8, 0..10_u8, 0..150_u16), 1..150),
        splits in prop::collection::vec(any::<prop::sample::Index>(), 1..4),
    ) {
        let mut now = 0;
        let events: Vec<_> = steps.iter().map(|(later, back, key, value, id)| {
            now += later;
            if value % 4 == 1 {
                return other()
                    .event(
                        &id.to_string(),
                        Timestamp::from_millis(now - back),
                        &[("key", format!("k{key}").as_str().into()), ("limit", f64::from(*value).into())],
                    )
                    .unwrap();
            }
            event(&id.to_string(), now - back, &format!("k{key}"), f64::from(*value))
        }).collect();
        let mut whole = builder().build().unwrap();
        let mut wanted = run(&mut whole, &events);
        wanted.extend(end(&mut whole));

        let mut places: Vec<_> = splits.iter().map(|split| split.index(events.len())).collect();
        places.sort_unstable();
        let mut engine = builder().build().unwrap();
        let mut found = Vec::new();
        let mut from = 0;
        for place in places {
            found.extend(run(&mut engine, &events[from..place]));
            let bytes = snapshot(&engine);
            engine = builder().restore(&bytes).unwrap();
            prop_assert_eq!(&snapshot(&engine), &bytes, "what is written is what was read");
            from = place;
        }
        found.extend(run(&mut engine, &events[from..]));
        found.extend(end(&mut engine));
        prop_assert_eq!(found, wanted);
        prop_assert_eq!(engine.metrics(), whole.metrics());
        prop_assert_eq!(engine.rule_metrics(), whole.rule_metrics());
    }
}

fn busy() -> Engine {
    let mut engine = builder().build().unwrap();
    let events: Vec<_> = (0..200_i64)
        .map(|n| {
            event(
                &n.to_string(),
                n * 37 % 5000,
                &format!("k{}", n % 3),
                (n * 7 % 10) as f64,
            )
        })
        .collect();
    run(&mut engine, &events);
    engine
}

#[test]
fn a_snapshot_that_is_torn_or_turned_is_refused() {
    let bytes = snapshot(&busy());
    for length in (0..bytes.len()).step_by(5) {
        let restored = builder().restore(&bytes[..length]);
        assert!(matches!(restored, Err(Error::Corrupt { .. })), "{length}");
    }
    for place in (0..bytes.len()).step_by(5) {
        let mut turned = bytes.clone();
        turned[place] ^= 1;
        assert!(
            matches!(builder().restore(&turned), Err(Error::Corrupt { .. })),
            "{place}"
        );
    }
}

#[test]
fn a_snapshot_that_lies_under_a_right_checksum_never_panics() {
    let bytes = snapshot(&busy());
    let (body, _) = bytes.split_last_chunk::<4>().unwrap();
    let more: Vec<_> = (0..50_i64)
        .map(|n| event(&format!("m{n}"), 5000 + n * 100, "k1", (n % 10) as f64))
        .collect();
    let mut taken = 0;
    for place in (8..body.len()).step_by(37) {
        for turn in [0x01, 0xff] {
            let mut lie = body.to_vec();
            lie[place] ^= turn;
            let sum = crc32c::crc32c(&lie);
            lie.extend_from_slice(&sum.to_le_bytes());
            if let Ok(mut engine) = builder().restore(&lie) {
                taken += 1;
                run(&mut engine, &more);
                end(&mut engine);
            }
        }
    }
    assert!(
        taken > 3,
        "the lies are not only refused by their form: {taken}"
    );
}

#[test]
fn rules_that_changed_begin_anew_and_those_that_stay_go_on() {
    let ms = Duration::from_millis;
    let a = Rule::window("a", "s").tumbling(ms(1000)).emit(Emit::Every);
    let b = Rule::window("b", "s").tumbling(ms(1000)).emit(Emit::Every);
    let mut engine = Engine::builder()
        .source(schema())
        .rule(a.clone())
        .rule(b.clone())
        .build()
        .unwrap();
    engine.push(event("1", 100, "k", 1.0)).unwrap();
    let changed = b.filter(gt("value", 0.0));
    let plan = Engine::builder().source(schema()).rule(a).rule(changed);
    let mut engine = plan.restore(&snapshot(&engine)).unwrap();
    engine.push(event("2", 200, "k", 1.0)).unwrap();
    let counts: Vec<_> = end(&mut engine)
        .into_iter()
        .map(|output| match output.found {
            midstream::Found::Window(all) => (output.rule.to_string(), all.count),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(counts, [("a".to_owned(), 2), ("b".to_owned(), 1)]);
}

#[test]
fn events_of_a_source_that_has_changed_are_not_taken_for_its_new_fields() {
    let mut engine = Engine::builder()
        .source(schema())
        .disorder(Duration::from_secs(9))
        .build()
        .unwrap();
    engine.push(event("1", 100, "k", 1.0)).unwrap();
    let other = Schema::new("s").field("value", FieldType::Text);
    let restored = Engine::builder().source(other).restore(&snapshot(&engine));
    assert!(matches!(restored, Err(Error::Corrupt { .. })));
}
