//! The text language gives the plan that the builder gives, and never panics.

use std::time::Duration;

use midstream::{
    Aggregate, Emit, Engine, Error, FieldType, Found, Having, Output, Rule, Schema, Table,
    Timestamp, Value, gt, lt, parse_rules,
};
use proptest::prelude::*;

#[test]
fn a_sequence_is_the_plan_of_the_builder() {
    let text = "RULE hot: PATTERN SEQUENCE(a (temp > 85), b (pressure < 50 AND NOT vibration > 0.7)) WITHIN 30 SECONDS;";
    let built = Rule::sequence("hot")
        .step("s", gt("temp", 85.0))
        .step("s", lt("pressure", 50.0).and(gt("vibration", 0.7).negate()))
        .within(Duration::from_secs(30));
    assert_eq!(parse_rules(text, "s").unwrap(), [Rule::from(built)]);
}

#[test]
fn a_window_is_the_plan_of_the_builder() {
    let text = "-- busy\nFROM traffic WHERE vehicles > 100 GROUP BY crossing HAVING COUNT(*) > 5 \
                WITHIN SLIDING WINDOW 2 MINUTES SLIDE 10 SECONDS EMIT EVERY";
    let built = Rule::window("rule1", "traffic")
        .filter(gt("vehicles", 100.0))
        .key("crossing")
        .having(Having::Above(Aggregate::Count, 5.0))
        .sliding(Duration::from_secs(120), Duration::from_secs(10))
        .emit(Emit::Every);
    assert_eq!(parse_rules(text, "s").unwrap(), [Rule::from(built)]);
}

#[test]
fn an_error_has_a_place_and_a_suggestion() {
    let found = parse_rules("\nPATERN SEQUENCE(a (x > 1)) WITHIN 1 SECONDS", "s").unwrap_err();
    let Error::Syntax {
        line,
        column,
        cause,
    } = found
    else {
        panic!("{found}");
    };
    assert_eq!((line, column), (2, 1));
    assert!(cause.contains("did you mean `PATTERN`?"), "{cause}");
}

#[test]
fn deep_and_long_conditions_are_refused() {
    for inner in [
        format!("{}x > 1{}", "(".repeat(100_000), ")".repeat(100_000)),
        format!("{}x > 1", "NOT ".repeat(100_000)),
        format!("x > 1{}", " AND x > 1".repeat(50_000)),
    ] {
        let text = format!("PATTERN SEQUENCE(a ({inner})) WITHIN 1 SECONDS");
        assert!(matches!(parse_rules(&text, "s"), Err(Error::Syntax { .. })));
    }
}

#[test]
fn the_latest_values_of_several_sensors_are_looked_at_together() {
    let rule = "SELECT * FROM sensors WHERE temp > 80 AND vibration > 0.5 WITHIN 5 SECONDS";
    let schema = Schema::new("sensors")
        .field("temp", FieldType::Float)
        .field("vibration", FieldType::Float);
    let rows = [
        ("temp", 0, 85.0),
        ("vibration", 6, 0.7),
        ("temp", 7, 90.0),
        ("vibration", 8, 0.8),
        ("temp", 9, 70.0),
        ("temp", 10, 85.0),
        ("temp", 30, 85.0),
        ("vibration", 31, 0.9),
    ];
    let found = run_rows(rule, &schema, &rows);
    let times: Vec<i64> = found
        .iter()
        .map(|output| output.last.as_millis() / 1000)
        .collect();
    // At 6 the temperature is too old, at 8 it holds already, at 10 it holds again, at 30 the vibration is too old.
    assert_eq!(times, [7, 10, 31]);
    let Found::Row(record) = &found[0].found else {
        panic!()
    };
    assert_eq!(record.get("vibration"), Some(&Value::Float(0.7)));
}

#[test]
fn a_sliding_window_without_a_slide_tells_with_the_event_that_passes() {
    let rule = "FROM traffic WHERE vehicle_count > 100 GROUP BY intersection_id HAVING COUNT(*) > 5 WITHIN SLIDING WINDOW 2 MINUTES";
    let schema = Schema::new("traffic")
        .field("intersection_id", FieldType::Float)
        .field("vehicle_count", FieldType::Float);
    let mut engine = Engine::builder()
        .source(schema.clone())
        .rule(parse_rules(rule, "s").unwrap().remove(0))
        .build()
        .unwrap();
    let mut told = Vec::new();
    for n in 0..9_i64 {
        let at = Timestamp::from_millis(n * 24_000);
        for (crossing, count) in [(1.0, 150.0), (2.0, if n == 4 { 90.0 } else { 150.0 })] {
            let id = format!("{n}/{crossing}");
            let fields = [
                ("intersection_id", crossing.into()),
                ("vehicle_count", count.into()),
            ];
            let event = schema.event(&id, at, &fields).unwrap();
            told.extend(
                engine
                    .push(event)
                    .unwrap()
                    .into_iter()
                    .map(|output| (n, output.key)),
            );
        }
    }
    // Six events of one crossing are exactly two minutes apart from first to last.
    assert_eq!(told, [(5, Some(Value::Float(1.0)))]);
}

#[test]
fn streams_are_correlated_and_joined_with_a_table() {
    let text = "CORRELATE entry WITH pick WITH exit WITHIN 10 MINUTES JOIN products ON item_id";
    let schemas = ["entry", "pick", "exit"].map(|name| {
        Schema::new(name)
            .field("item_id", FieldType::Text)
            .field("gate", FieldType::Int)
    });
    let products = Schema::new("products")
        .field("item_id", FieldType::Text)
        .field("price", FieldType::Float);
    let mut products = Table::new(products, "item_id").unwrap();
    products
        .put(
            Timestamp::from_millis(0),
            &[("item_id", "bolt".into()), ("price", 0.5.into())],
        )
        .unwrap();
    let mut builder = Engine::builder().table(products);
    for schema in &schemas {
        builder = builder.source(schema.clone());
    }
    let mut engine = builder
        .rule(parse_rules(text, "s").unwrap().remove(0))
        .build()
        .unwrap();
    let mut found = Vec::new();
    for (n, (source, minute, item)) in [
        (1, 0, "bolt"),
        (0, 2, "bolt"),
        (0, 3, "nut"),
        (2, 10, "bolt"),
        (2, 11, "bolt"),
        (2, 12, "nut"),
    ]
    .into_iter()
    .enumerate()
    {
        let at = Timestamp::from_millis(minute * 60_000);
        let fields = [("item_id", item.into()), ("gate", Value::Int(minute))];
        let event = schemas[source].event(&n.to_string(), at, &fields).unwrap();
        found.extend(engine.push(event).unwrap());
    }
    assert_eq!(found.len(), 1, "{found:#?}");
    let Found::Row(record) = &found[0].found else {
        panic!()
    };
    assert_eq!(record.get("products.price"), Some(&Value::Float(0.5)));
    assert_eq!(record.get("exit.gate"), Some(&Value::Int(10)));
    assert_eq!(record.get("pick.gate"), Some(&Value::Int(0)));
}

#[test]
fn a_condition_looks_at_earlier_steps_and_computes() {
    let rule = "PATTERN SEQUENCE(a (v > 0), b+ (b.v > LAST(b.v) OR COUNT(b) = 0) STRICT, NEXT c (c.v > 2 * a.v + FIRST(b.v)))
                FROM s WITHIN 1 MINUTE AFTER MATCH NO SKIP";
    let schema = Schema::new("s").field("v", FieldType::Float);
    let rows = [("v", 1, 1.0), ("v", 2, 2.0), ("v", 3, 3.0), ("v", 4, 5.0)];
    let found = run_rows(rule, &schema, &rows);
    let steps: Vec<String> = found
        .iter()
        .map(|output| {
            let Found::Pattern(steps) = &output.found else {
                panic!()
            };
            let ids = steps.iter().map(|step| step.events.join("+"));
            ids.collect::<Vec<_>>().join(" ")
        })
        .collect();
    // 5 > 2 * 1 + 2 is true, 5 > 2 * 2 + 3 is not.
    assert_eq!(steps, ["0 1+2 3"]);
}

#[test]
fn changes_are_told_at_their_begin_and_end_with_hysteresis() {
    let rule =
        "FROM s HAVING AVG(v) > 10 UNTIL AVG(v) < 5 WITHIN TUMBLING WINDOW 1 SECONDS EMIT CHANGES";
    let schema = Schema::new("s").field("v", FieldType::Float);
    let values = [1.0, 12.0, 8.0, 12.0, 4.0, 8.0, 11.0, 11.0];
    let rows: Vec<(&str, i64, f64)> = values
        .iter()
        .enumerate()
        .map(|(n, v)| ("v", n as i64, *v))
        .collect();
    let found = run_rows(rule, &schema, &rows);
    let told: Vec<(i64, bool)> = found
        .iter()
        .map(|output| {
            (
                output.last.as_millis() / 1000,
                matches!(output.found, Found::Over(_)),
            )
        })
        .collect();
    assert_eq!(told, [(2, false), (5, true), (7, false)]);
}

/// Outputs of a rule over rows of one field each: name, second, value; then a minute without events.
fn run_rows(rule: &str, schema: &Schema, rows: &[(&str, i64, f64)]) -> Vec<Output> {
    let mut engine = Engine::builder()
        .source(schema.clone())
        .rule(parse_rules(rule, "s").unwrap().remove(0))
        .build()
        .unwrap();
    let mut found = Vec::new();
    for (n, (field, second, value)) in rows.iter().enumerate() {
        let at = Timestamp::from_millis(second * 1000);
        let event = schema
            .event(&n.to_string(), at, &[(field, (*value).into())])
            .unwrap();
        found.extend(engine.push(event).unwrap());
    }
    found.extend(engine.finish());
    found
}

#[test]
fn a_misspelt_word_a_wrong_type_and_an_unknown_step_are_told_with_a_suggestion() {
    for (text, wanted) in [
        ("SELECT * FORM s", "did you mean `FROM`?"),
        (
            "FROM s HAVING AVRG(x) > 1 WITHIN TUMBLING WINDOW 1 SECONDS",
            "did you mean `AVG`?",
        ),
        (
            "FROM s HAVING AVG(x) > 1 WITHIN TUMBLIN WINDOW 1 SECONDS",
            "did you mean `TUMBLING`?",
        ),
        (
            "FROM s HAVING AVG(x) > 1 WITHIN TUMBLING WINDOW 1 SECNDS",
            "did you mean `SECONDS`?",
        ),
        ("FROM s HAVING AVG(x) > 1", "aggregates need a window"),
        ("FROM s WHERE AVG(x) > 1", "is of a window"),
        ("FROM s WHERE (x > 1) + 2 > 3", "a value is expected here"),
        ("FROM s WHERE x + 1", "a condition is expected here"),
        (
            "PATTERN SEQUENCE(alpha (x > 1), b (x > LAST(alpah.x))) WITHIN 1 SECONDS",
            "did you mean `alpha`?",
        ),
        (
            "PATTERN SEQUENCE(a (x > 1) b (x > 2)) WITHIN 1 SECONDS",
            "`)` is expected here",
        ),
        ("SELECT ABS(x, y) FROM s", "ABS takes 1 values, not 2"),
    ] {
        match parse_rules(text, "s") {
            Err(Error::Syntax { cause, .. }) => assert!(cause.contains(wanted), "{text}: {cause}"),
            other => panic!("{text}: {other:?}"),
        }
    }
}

#[test]
fn every_example_of_the_page_is_read() {
    let page = include_str!("../../LANGUAGE.md");
    let examples: Vec<_> = page.split("```").skip(1).step_by(2).collect();
    assert!(examples.len() >= 2);
    for example in examples {
        let text = example.strip_prefix("sql").unwrap();
        assert!(!parse_rules(text, "s").unwrap().is_empty());
    }
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in ".{0,200}") {
        let _ = parse_rules(&text, "s");
    }

    #[test]
    fn any_words_are_read_or_refused(
        words in prop::collection::vec(prop::sample::select(vec![
            "PATTERN", "SEQUENCE", "FROM", "WHERE", "HAVING", "WITHIN", "COUNT", "(", ")", "*", ",", ";",
            "SELECT", "CORRELATE", "GROUP", "BY", "SESSION", "LIKE", "IN", "BETWEEN", "+", "*", "/", "{", "}",
            "ALL", "OF", "ANY", "NEXT", "FOR", "UNTIL", "a.x", "LAST", "EMIT", "AFTER", "MATCH", "SKIP",
            "x", ">", "1", "-", "AND", "NOT", "RULE", ":", "SECONDS", "'ä'", "WINDOW", "SLIDING", "é",
        ]), 0..40)
    ) {
        let _ = parse_rules(&words.join(" "), "s");
    }
}
