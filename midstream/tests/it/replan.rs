//! Rules come, change and go while the engine runs, and keep what both forms hold.

use std::time::Duration;

use midstream::{Aggregate, Emit, Engine, Error, Found, Having, Rule, State, Timestamp, gt, lt};

use super::{event, schema};

fn window(limit: f64) -> Rule {
    Rule::window("load", "s")
        .field("value")
        .tumbling(Duration::from_secs(1))
        .having(Having::AtLeast(Aggregate::Sum, limit))
        .emit(Emit::Every)
        .into()
}

fn sequence(name: &str) -> Rule {
    Rule::sequence(name)
        .key("key")
        .step("s", lt("value", 1.0))
        .step("s", gt("value", 5.0))
        .within(Duration::from_secs(10))
        .into()
}

#[test]
fn a_threshold_that_changes_keeps_the_window() {
    let mut engine = Engine::builder()
        .source(schema())
        .rule(window(100.0))
        .build()
        .unwrap();
    engine.push(event("1", 0, "k", 4.0)).unwrap();
    assert_eq!(engine.replace_rule(window(6.0)), Ok(State::Kept));
    engine.push(event("2", 10, "k", 3.0)).unwrap();
    let told = engine.advance_to(Timestamp::from_millis(1000));
    assert!(
        matches!(&told[0].found, Found::Window(all) if all.sum == 7.0),
        "{told:?}"
    );
}

#[test]
fn another_rule_of_the_same_name_begins_anew() {
    let mut engine = Engine::builder()
        .source(schema())
        .rule(window(1.0))
        .build()
        .unwrap();
    engine.push(event("1", 0, "k", 4.0)).unwrap();
    let wider = Rule::window("load", "s")
        .field("value")
        .tumbling(Duration::from_secs(2))
        .emit(Emit::Every);
    assert_eq!(engine.replace_rule(wider), Ok(State::New));
    assert!(engine.advance_to(Timestamp::from_millis(10_000)).is_empty());
}

#[test]
fn partial_matches_of_other_rules_outlive_each_change() {
    let mut engine = Engine::builder()
        .source(schema())
        .rule(sequence("stays"))
        .rule(sequence("goes"))
        .build()
        .unwrap();
    engine.push(event("1", 0, "k", 0.0)).unwrap();
    engine.remove_rule("goes").unwrap();
    engine.add_rule(sequence("comes")).unwrap();
    assert_eq!(engine.replace_rule(sequence("stays")), Ok(State::Kept));
    let told = engine.push(event("2", 10, "k", 9.0)).unwrap();
    let names: Vec<_> = told.iter().map(|output| &*output.rule).collect();
    assert_eq!(names, ["stays"]);
    assert_eq!(engine.metrics().events_in, 2);
}

#[test]
fn what_cannot_be_changed_leaves_the_engine_as_it_was() {
    let mut engine = Engine::builder()
        .source(schema())
        .rule(sequence("a"))
        .build()
        .unwrap();
    engine.push(event("1", 0, "k", 0.0)).unwrap();
    assert!(matches!(
        engine.add_rule(sequence("a")),
        Err(Error::Repeated { .. })
    ));
    assert_eq!(
        engine.remove_rule("b"),
        Err(Error::UnknownRule("b".to_owned()))
    );
    assert!(matches!(
        engine.replace_rule(sequence("b")),
        Err(Error::UnknownRule(_))
    ));
    let bad = Rule::sequence("a").step("nowhere", lt("value", 1.0));
    assert!(matches!(
        engine.replace_rule(bad),
        Err(Error::UnknownSource(_))
    ));
    assert_eq!(engine.push(event("2", 10, "k", 9.0)).unwrap().len(), 1);
}

#[test]
fn each_rule_has_its_counters() {
    let mut engine = Engine::builder()
        .source(schema())
        .rule(window(0.0))
        .rule(sequence("up"))
        .build()
        .unwrap();
    for (n, value) in [0.0, 3.0, 9.0, 3.0].into_iter().enumerate() {
        engine
            .push(event(&n.to_string(), n as i64, "k", value))
            .unwrap();
    }
    engine.advance_to(Timestamp::from_millis(2000));
    let metrics = engine.rule_metrics();
    let counts: Vec<_> = metrics
        .iter()
        .map(|rule| (rule.rule.as_str(), rule.events, rule.matched, rule.outputs))
        .collect();
    assert_eq!(counts, [("load", 4, None, 1), ("up", 4, Some(2), 1)]);
}
