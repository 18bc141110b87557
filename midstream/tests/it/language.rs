//! The text language gives the plan that the builder gives, and never panics.

use std::time::Duration;

use midstream::{Aggregate, Emit, Error, Having, Rule, gt, lt, parse_rules};
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
            "x", ">", "1", "-", "AND", "NOT", "RULE", ":", "SECONDS", "'ä'", "WINDOW", "SLIDING", "é",
        ]), 0..40)
    ) {
        let _ = parse_rules(&words.join(" "), "s");
    }
}
