//! Queries agree with a plain filter over the same documents.

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::{at, store};

#[test]
fn values_of_another_type_satisfy_nothing_but_unequal() {
    let mut db = store(1);
    let mut tx = db.begin(at(1)).unwrap();
    for (id, value) in [
        ("number", json!(30)),
        ("text", json!("30")),
        ("truth", json!(true)),
        ("one", json!(1)),
        ("null", json!(null)),
        ("list", json!([30])),
        ("nested", json!({"level": 30})),
    ] {
        tx.agent("robot", id)
            .unwrap()
            .set("battery", value)
            .unwrap();
    }
    tx.agent("robot", "absent")
        .unwrap()
        .set("place", "x")
        .unwrap();
    tx.commit().unwrap();
    let ids = |text: &str| -> Vec<String> {
        db.query("robot", text)
            .unwrap()
            .into_iter()
            .map(|agent| agent.id)
            .collect()
    };
    assert_eq!(ids("battery > 5"), ["number"]);
    assert_eq!(ids("battery == '30'"), ["text"]);
    assert_eq!(ids("battery == true"), ["truth"]);
    assert_eq!(ids("battery == 1"), ["one"]);
    assert_eq!(ids("battery.level == 30"), ["nested"]);
    assert_eq!(
        ids("battery != 30"),
        ["absent", "list", "nested", "null", "one", "text", "truth"]
    );
    assert_eq!(ids("battery != true && battery <= 1"), ["one"]);
}

#[test]
fn a_query_sees_only_its_schema_and_only_what_was_committed() {
    let mut db = store(1);
    let mut tx = db.begin(at(1)).unwrap();
    tx.agent("robot", "R1").unwrap().set("battery", 5).unwrap();
    tx.commit().unwrap();
    assert_eq!(
        db.query("robot", "battery < 20 && task != 'done'")
            .unwrap()
            .len(),
        1
    );
    assert!(db.query("other", "battery < 20").unwrap().is_empty());
}

#[derive(Clone, Debug)]
struct Comparison(&'static str, &'static str, Value);

fn comparison() -> impl Strategy<Value = Comparison> {
    let operators = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let fields = prop::sample::select(vec!["battery", "place"]);
    (fields, operators, value())
        .prop_map(|(field, operator, value)| Comparison(field, operator, value))
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        (-5..5i64).prop_map(|number| json!(number)),
        (-5..5i64).prop_map(|number| json!(number as f64 / 2.0)),
        prop::sample::select(vec!["a", "b", "é", ""]).prop_map(|text| json!(text)),
    ]
}

fn satisfies(state: &Value, Comparison(field, operator, literal): &Comparison) -> bool {
    let order = match (&state[*field], literal) {
        (Value::Number(a), Value::Number(b)) => {
            a.as_f64().unwrap().partial_cmp(&b.as_f64().unwrap())
        }
        (Value::String(a), Value::String(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        _ => None,
    };
    match *operator {
        "!=" => !order.is_some_and(|order| order.is_eq()),
        "==" => order.is_some_and(|order| order.is_eq()),
        "<" => order.is_some_and(|order| order.is_lt()),
        "<=" => order.is_some_and(|order| order.is_le()),
        ">" => order.is_some_and(|order| order.is_gt()),
        _ => order.is_some_and(|order| order.is_ge()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn a_query_finds_what_a_plain_filter_finds(
        documents in vec((proptest::option::of(value()), proptest::option::of(value())), 0..12),
        comparisons in vec(comparison(), 1..4),
    ) {
        let mut db = store(1);
        let mut tx = db.begin(at(1)).unwrap();
        let mut expected = Vec::new();
        for (number, (battery, place)) in documents.iter().enumerate() {
            let id = format!("{number:02}");
            let mut state = json!({});
            let mut agent = tx.agent("robot", &id).unwrap();
            for (field, value) in [("battery", battery), ("place", place)] {
                if let Some(value) = value {
                    agent.set(field, value.clone()).unwrap();
                    state[field] = value.clone();
                }
            }
            // A document to which nothing has happened is not there.
            let is_there = battery.is_some() || place.is_some();
            if is_there && comparisons.iter().all(|comparison| satisfies(&state, comparison)) {
                expected.push(id);
            }
        }
        tx.commit().unwrap();
        let text: Vec<String> = comparisons
            .iter()
            .map(|Comparison(field, operator, literal)| format!("{field} {operator} {literal}"))
            .collect();
        let found = db.query("robot", &text.join(" && ")).unwrap();
        prop_assert_eq!(found.into_iter().map(|agent| agent.id).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn any_text_is_a_query_or_a_typed_refusal(text in "[a-c0-9.<>=!&'\" ]{0,40}|\\PC{0,40}") {
        match store(1).query("robot", &text) {
            Ok(found) => prop_assert!(found.is_empty()),
            Err(error) => prop_assert!(matches!(error, agentdb::Error::Query { .. }), "{}", error),
        }
    }
}
