//! Windows of every kind, with several aggregates of several fields, agree with a plain recomputation.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use midstream::{
    Aggregate, Engine, FieldType, Fill, Found, Output, Rule, Schema, Timestamp, Value, WindowRule,
    aggregate, count, field, max, min,
};
use proptest::prelude::*;

/// Time, key, number; the number is missing where it is none.
type Event = (i64, u8, Option<i32>);

fn schema() -> Schema {
    Schema::new("s")
        .field("key", FieldType::Text)
        .field("value", FieldType::Float)
}

fn rule() -> WindowRule {
    Rule::window("w", "s")
        .key("key")
        .select("key", field("key"))
        .select("events", count())
        .select("values", aggregate(Aggregate::Count, field("value")))
        .select("different", aggregate(Aggregate::Distinct, field("value")))
        .select("first", aggregate(Aggregate::First, field("value")))
        .select("last", aggregate(Aggregate::Last, field("value")))
        .select("swing", max("value") - min("value"))
        .select("twice", aggregate(Aggregate::Sum, field("value") * 2.0))
}

#[test]
fn several_fields_are_one_key_and_no_two_keys_read_alike() {
    let schema = Schema::new("s")
        .field("hall", FieldType::Text)
        .field("row", FieldType::Text)
        .field("value", FieldType::Float);
    let text = "RULE text: SELECT hall, row, COUNT(*) AS events FROM s GROUP BY hall, row
                  WITHIN TUMBLING WINDOW 1 SECONDS";
    let rules = midstream::parse_rules(text, "s").unwrap();
    let builder = Rule::window("builder", "s")
        .keys(&["hall", "row"])
        .select("events", count())
        .tumbling(Duration::from_secs(1));
    let sequence = Rule::sequence("sequence")
        .keys(&["hall", "row"])
        .step("s", midstream::gt("value", 0.0))
        .step("s", midstream::gt("value", 0.0))
        .within(Duration::from_secs(1));
    let mut engine = rules
        .into_iter()
        .chain([Rule::from(builder), sequence.into()])
        .fold(Engine::builder().source(schema.clone()), |plan, rule| {
            plan.rule(rule)
        })
        .build()
        .unwrap();
    let mut found = Vec::new();
    for (n, (hall, row)) in [("a, b", "c"), ("a", "b, c"), ("a", "c"), ("a", "c")]
        .into_iter()
        .enumerate()
    {
        let fields = [
            ("hall", hall.into()),
            ("row", row.into()),
            ("value", 1.0.into()),
        ];
        let at = Timestamp::from_millis(n as i64);
        found.extend(
            engine
                .push(schema.event(&n.to_string(), at, &fields).unwrap())
                .unwrap(),
        );
    }
    // Without one of its fields an event has no key.
    let half = [("hall", Value::from("a")), ("value", 1.0.into())];
    found.extend(
        engine
            .push(
                schema
                    .event("half", Timestamp::from_millis(9), &half)
                    .unwrap(),
            )
            .unwrap(),
    );
    found.extend(engine.advance_to(Timestamp::from_millis(1000)));
    let keys = |rule: &str| -> Vec<String> {
        let of = found.iter().filter(|output| *output.rule == *rule);
        of.map(|output| {
            let events = match &output.found {
                Found::Row(record) => record.get("events").map(ToString::to_string),
                _ => None,
            };
            format!(
                "{} {}",
                output.key.as_ref().unwrap(),
                events.unwrap_or_default()
            )
        })
        .collect()
    };
    let wanted = ["a, b\\, c 1", "a, c 2", "a\\, b, c 1"];
    assert_eq!(keys("text"), wanted);
    assert_eq!(keys("builder"), wanted);
    assert_eq!(keys("sequence"), ["a, c "]);
}

/// Begin, end, key, then the columns as text.
type Row = (i64, i64, String, Vec<String>);

fn run(rule: WindowRule, events: &[Event], disorder: u64) -> Vec<Row> {
    let schema = schema();
    let mut engine = Engine::builder()
        .source(schema.clone())
        .rule(rule)
        .disorder(Duration::from_millis(disorder))
        .build()
        .unwrap();
    let mut found = Vec::new();
    for (n, (at, key, value)) in events.iter().enumerate() {
        let mut fields = vec![("key", Value::from(format!("k{key}").as_str()))];
        fields.extend(value.map(|value| ("value", Value::from(f64::from(value)))));
        let event = schema
            .event(&n.to_string(), Timestamp::from_millis(*at), &fields)
            .unwrap();
        found.extend(engine.push(event).unwrap());
    }
    found.extend(engine.advance_to(Timestamp::from_millis(1_000_000)));
    found.iter().map(row).collect()
}

fn row(output: &Output) -> Row {
    let Found::Row(record) = &output.found else {
        panic!("{output:?}")
    };
    let text = |value: &Option<Value>| value.as_ref().map(Value::to_string).unwrap_or_default();
    (
        output.first.as_millis(),
        output.last.as_millis(),
        output.key.as_ref().unwrap().to_string(),
        record.columns[1..]
            .iter()
            .map(|(_, value)| text(value))
            .collect(),
    )
}

/// The columns of some events, by plain recomputation.
fn columns(events: &[Event]) -> Vec<String> {
    let numbers: Vec<f64> = events
        .iter()
        .filter_map(|event| event.2)
        .map(f64::from)
        .collect();
    let text = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let most = numbers.iter().copied().reduce(f64::max);
    let least = numbers.iter().copied().reduce(f64::min);
    let different: BTreeSet<i64> = numbers.iter().map(|number| *number as i64).collect();
    let total: f64 = numbers.iter().map(|number| number * 2.0).sum();
    vec![
        events.len().to_string(),
        numbers.len().to_string(),
        different.len().to_string(),
        text(numbers.first().copied()),
        text(numbers.last().copied()),
        text(most.zip(least).map(|(most, least)| most - least)),
        text((!numbers.is_empty()).then_some(total)),
    ]
}

/// Each key's events in order of time, ties by arrival.
fn by_key(events: &[Event]) -> BTreeMap<String, Vec<Event>> {
    let mut keys: BTreeMap<String, Vec<Event>> = BTreeMap::new();
    for event in events {
        keys.entry(format!("k{}", event.1))
            .or_default()
            .push(*event);
    }
    for events in keys.values_mut() {
        events.sort_by_key(|event| event.0);
    }
    keys
}

fn sorted(mut rows: Vec<Row>) -> Vec<Row> {
    rows.sort();
    rows
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let number = prop_oneof![4 => (-3..4_i32).prop_map(Some), 1 => Just(None)];
    prop::collection::vec((0..400_i64, 0..3_u8, number), 0..50)
}

proptest! {
    #[test]
    fn sliding_windows_of_any_size_and_slide(events in events(), size in 1..120_i64, slide in 1..120_i64) {
        let ms = |millis: i64| Duration::from_millis(millis as u64);
        let found = run(rule().sliding(ms(size), ms(slide)), &events, 400);
        let mut wanted = Vec::new();
        for (key, events) in by_key(&events) {
            let mut begin = -(size / slide + 1) * slide;
            while begin <= 400 {
                let inside = events.iter().filter(|event| (begin..begin + size).contains(&event.0));
                let inside: Vec<Event> = inside.copied().collect();
                if !inside.is_empty() {
                    wanted.push((begin, begin + size, key.clone(), columns(&inside)));
                }
                begin += slide;
            }
        }
        prop_assert_eq!(sorted(found), sorted(wanted));
    }

    #[test]
    fn sessions_with_and_without_a_longest_time(
        events in events(), gap in 1..60_i64, longest in prop::option::of(1..100_i64)
    ) {
        let ms = |millis: i64| Duration::from_millis(millis as u64);
        let rule = match longest {
            None => rule().session(ms(gap)),
            Some(longest) => rule().session_at_most(ms(gap), ms(longest)),
        };
        let found = run(rule, &events, 400);
        let mut wanted = Vec::new();
        for (key, events) in by_key(&events) {
            let mut rest = &events[..];
            while let Some(first) = rest.first() {
                let limit = longest.map_or(i64::MAX, |longest| first.0 + longest);
                let mut length = 1;
                while let Some(next) = rest.get(length) {
                    if next.0 > rest[length - 1].0 + gap || next.0 > limit {
                        break;
                    }
                    length += 1;
                }
                let end = (rest[length - 1].0 + gap).min(limit);
                wanted.push((first.0, end, key.clone(), columns(&rest[..length])));
                rest = &rest[length..];
            }
        }
        prop_assert_eq!(sorted(found), sorted(wanted));
    }

    #[test]
    fn windows_of_so_many_events(events in events(), size in 1..9_u32, slide in 1..9_u32, partial: bool) {
        let fill = if partial { Fill::Partial } else { Fill::Full };
        let found = run(rule().count_sliding(size, slide, fill), &events, 400);
        let mut wanted = Vec::new();
        for (key, events) in by_key(&events) {
            for end in 1..=events.len() {
                let full = end >= size as usize;
                if end % slide as usize == 0 && (full || partial) {
                    let inside = &events[end.saturating_sub(size as usize)..end];
                    wanted.push((inside[0].0, events[end - 1].0, key.clone(), columns(inside)));
                }
            }
        }
        prop_assert_eq!(sorted(found), sorted(wanted));
    }

    #[test]
    fn a_window_for_each_event(events in events(), size in 1..120_i64) {
        let found = run(rule().sliding_each(Duration::from_millis(size as u64)), &events, 400);
        let mut wanted = Vec::new();
        for (key, events) in by_key(&events) {
            for end in 1..=events.len() {
                let at = events[end - 1].0;
                let inside = events[..end].iter().filter(|event| event.0 >= at - size);
                let inside: Vec<Event> = inside.copied().collect();
                wanted.push((inside[0].0, at, key.clone(), columns(&inside)));
            }
        }
        prop_assert_eq!(sorted(found), sorted(wanted));
    }

    #[test]
    fn what_is_late_within_the_lateness_ends_up_in_its_windows(events in events(), size in 1..5_i64, slide in 1..5_i64) {
        // Each window's last word is what all events give, whatever their order; none is late by more than is allowed.
        let ms = |millis: i64| Duration::from_millis(millis as u64);
        let rule = rule().sliding(ms(size * 20), ms(slide * 20)).lateness(ms(500));
        let mut last = BTreeMap::new();
        for (begin, end, key, columns) in run(rule, &events, 0) {
            // First and last are in order of arrival.
            last.insert((begin, end, key), (columns[..3].to_vec(), columns[5..].to_vec()));
        }
        let mut wanted = BTreeMap::new();
        for (begin, end, key, columns) in run(self::rule().sliding(ms(size * 20), ms(slide * 20)), &events, 400) {
            wanted.insert((begin, end, key), (columns[..3].to_vec(), columns[5..].to_vec()));
        }
        prop_assert_eq!(last, wanted);
    }

    #[test]
    fn a_percentile_is_within_a_percent(values in prop::collection::vec(0.1..1e6_f64, 1..200), percent in 0..=1000_u16) {
        let schema = schema();
        let rule = Rule::window("w", "s")
            .select("p", aggregate(Aggregate::Percentile(percent), field("value")))
            .tumbling(Duration::from_secs(1));
        let mut engine = Engine::builder().source(schema.clone()).rule(rule).build().unwrap();
        for (n, value) in values.iter().enumerate() {
            let fields = [("value", Value::Float(*value))];
            engine.push(schema.event(&n.to_string(), Timestamp::from_millis(0), &fields).unwrap()).unwrap();
        }
        let found = engine.advance_to(Timestamp::from_millis(1000));
        let Found::Row(record) = &found[0].found else { panic!() };
        let Some(Value::Float(found)) = record.get("p") else { panic!() };
        let mut values = values;
        values.sort_by(f64::total_cmp);
        let rank = f64::from(percent) / 1000.0 * (values.len() - 1) as f64;
        let (low, high) = (values[rank.floor() as usize], values[rank.ceil() as usize]);
        prop_assert!((low * 0.989..=high * 1.011).contains(found), "{} {} {}", low, found, high);
    }
}

#[test]
fn a_late_event_is_kept_where_no_window_may_change() {
    let schema = schema();
    let mut engine = Engine::builder()
        .source(schema.clone())
        .rule(rule().tumbling(Duration::from_millis(10)))
        .keep_late(1)
        .build()
        .unwrap();
    for (id, at) in [("a", 100), ("b", 50), ("c", 60)] {
        let fields = [("key", "k".into())];
        let event = schema
            .event(id, Timestamp::from_millis(at), &fields)
            .unwrap();
        assert!(engine.push(event).unwrap().is_empty());
    }
    let late: Vec<String> = engine
        .take_late()
        .iter()
        .map(|event| event.id().to_owned())
        .collect();
    assert_eq!(late, ["c"]);
    let metrics = engine.metrics();
    assert_eq!(
        metrics.events_in,
        metrics.events_out + metrics.dropped.values().sum::<u64>()
    );
}
