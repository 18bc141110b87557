//! Tables as of a time, sources whose clocks differ, and joins that agree with a plain one.

use std::time::Duration;

use midstream::{
    Engine, Error, FieldType, Found, Output, Rule, Schema, Table, Timestamp, Value, Watermarks,
    field,
};
use proptest::prelude::*;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

fn prices() -> Schema {
    Schema::new("prices")
        .field("item", FieldType::Text)
        .field("price", FieldType::Float)
}

fn sales() -> Schema {
    Schema::new("sales").field("item", FieldType::Text)
}

fn price(output: &Output) -> Option<f64> {
    let Found::Row(record) = &output.found else {
        panic!("{output:?}")
    };
    record.get("prices.price").and_then(Value::as_f64)
}

#[test]
fn an_event_sees_the_row_as_of_its_own_time() {
    let mut table = Table::new(prices(), "item")
        .unwrap()
        .lifetime(Duration::from_millis(100));
    for (millis, price) in [(0, 1.0), (50, 2.0)] {
        table
            .put(
                at(millis),
                &[("item", "bolt".into()), ("price", price.into())],
            )
            .unwrap();
    }
    let mut engine = Engine::builder()
        .source(sales())
        .table(table)
        .enrich("sales", "prices", "item")
        .rule(Rule::select("all", "sales").select("prices.price", field("prices.price")))
        .build()
        .unwrap();
    let mut told = Vec::new();
    for (n, (millis, item)) in [
        (49, "bolt"),
        (50, "bolt"),
        (60, "nut"),
        (150, "bolt"),
        (151, "bolt"),
    ]
    .into_iter()
    .enumerate()
    {
        let event = sales()
            .event(&n.to_string(), at(millis), &[("item", item.into())])
            .unwrap();
        told.extend(engine.push(event).unwrap().iter().map(price));
    }
    assert_eq!(told, [Some(1.0), Some(2.0), None, Some(2.0), None]);
    let row = [("item", "bolt".into()), ("price", 3.0.into())];
    engine.table("prices").unwrap().put(at(151), &row).unwrap();
    let event = sales()
        .event("last", at(152), &[("item", "bolt".into())])
        .unwrap();
    assert_eq!(price(&engine.push(event).unwrap()[0]), Some(3.0));
    assert!(engine.table("other").is_none());
}

#[test]
fn a_table_follows_a_stream_and_gives_way_at_its_limit() {
    let feed = Schema::new("feed")
        .field("item", FieldType::Text)
        .field("price", FieldType::Float);
    let table = Table::new(prices(), "item")
        .unwrap()
        .follows("feed")
        .limit(2);
    let mut engine = Engine::builder()
        .source(sales())
        .source(feed.clone())
        .table(table)
        .rule(Rule::join("sold", "sales").table("prices", "item"))
        .build()
        .unwrap();
    let mut told = Vec::new();
    let steps = [
        ("feed", "bolt", 1.0),
        ("sales", "bolt", 0.0),
        ("feed", "bolt", 2.0),
        ("sales", "bolt", 0.0),
        ("feed", "nut", 5.0),
        ("feed", "nail", 6.0),
        ("sales", "bolt", 0.0),
        ("sales", "nail", 0.0),
    ];
    for (n, (source, item, price_now)) in steps.into_iter().enumerate() {
        let fields = [("item", item.into()), ("price", Value::from(price_now))];
        let event = match source {
            "feed" => feed.event(&n.to_string(), at(n as i64), &fields),
            _ => sales().event(&n.to_string(), at(n as i64), &fields[..1]),
        };
        told.extend(engine.push(event.unwrap()).unwrap().iter().map(price));
    }
    assert_eq!(told, [Some(1.0), Some(2.0), None, Some(6.0)]);
    assert_eq!(engine.metrics().table_rows_dropped, 2);
}

#[test]
fn a_plan_with_an_unknown_table_is_refused() {
    let build = |builder: midstream::EngineBuilder| builder.source(sales()).build().err();
    assert_eq!(
        build(Engine::builder().enrich("sales", "prices", "item")),
        Some(Error::UnknownTable("prices".to_owned()))
    );
    let join = Rule::join("j", "sales").table("prices", "item");
    assert_eq!(
        build(Engine::builder().rule(join)),
        Some(Error::UnknownTable("prices".to_owned()))
    );
}

#[test]
fn a_source_that_is_behind_is_waited_for_until_it_is_idle() {
    let (fast, slow) = (Schema::new("fast"), Schema::new("slow"));
    let idle = Duration::from_millis(1000);
    let build = |of: Watermarks| {
        Engine::builder()
            .source(fast.clone())
            .source(slow.clone())
            .watermarks(of)
            .rule(Rule::select("slow", "slow"))
            .build()
            .unwrap()
    };
    let steps = [
        (&fast, 0),
        (&slow, 0),
        (&fast, 900),
        (&slow, 100),
        (&slow, 700),
        (&fast, 2000),
        (&slow, 800),
    ];
    let told = |of: Watermarks| {
        let mut engine = build(of);
        let mut told = Vec::new();
        for (n, (schema, millis)) in steps.iter().enumerate() {
            let event = schema.event(&n.to_string(), at(*millis), &[]).unwrap();
            let found = engine.push(event).unwrap();
            told.extend(found.iter().map(|output| output.last.as_millis()));
        }
        let metrics = engine.metrics();
        let dropped: u64 = metrics.dropped.values().sum();
        assert_eq!(
            metrics.events_in,
            metrics.events_out + dropped + metrics.held
        );
        told
    };
    assert_eq!(told(Watermarks::BySource { idle }), [0, 100, 700]);
    assert_eq!(told(Watermarks::All), [0]);
}

proptest! {
    #[test]
    fn a_join_tells_each_combination_within_its_time_once(
        events in prop::collection::vec((0..3_usize, 0..6_i64, 0..3_i64), 0..40), within in 1..20_i64
    ) {
        let names = ["a", "b", "c"];
        let schemas = names.map(|name| Schema::new(name).field("k", FieldType::Int));
        let rule = Rule::join("j", "a").with("b").with("c").key("k").within(Duration::from_millis(within as u64));
        let mut builder = Engine::builder().rule(rule);
        for schema in &schemas {
            builder = builder.source(schema.clone());
        }
        let mut engine = builder.build().unwrap();
        let (mut now, mut rows, mut found) = (0, Vec::new(), Vec::new());
        for (n, (source, gap, key)) in events.into_iter().enumerate() {
            now += gap;
            rows.push((source, now, key, n));
            let event = schemas[source].event(&n.to_string(), at(now), &[("k", key.into())]).unwrap();
            for output in engine.push(event).unwrap() {
                let Found::Row(record) = &output.found else { panic!() };
                found.push(record.events.iter().map(|id| id.parse::<usize>().unwrap()).collect::<Vec<_>>());
            }
        }
        let mut wanted = Vec::new();
        let of = |source: usize| rows.iter().filter(move |row| row.0 == source);
        for a in of(0) {
            for b in of(1) {
                for c in of(2) {
                    let times = [a.1, b.1, c.1];
                    let close = times.iter().max().unwrap() - times.iter().min().unwrap() <= within;
                    if close && a.2 == b.2 && b.2 == c.2 {
                        wanted.push(vec![a.3, b.3, c.3]);
                    }
                }
            }
        }
        found.sort();
        wanted.sort();
        prop_assert_eq!(found, wanted);
    }
}
