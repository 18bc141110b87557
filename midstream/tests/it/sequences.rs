//! Sequences agree with a brute-force matcher.

use std::collections::BTreeMap;
use std::time::Duration;

use midstream::{Engine, Error, Found, Output, PartialLimits, Rule, Timestamp, eq, gt, lt};
use proptest::prelude::*;

use super::{event, schema};

fn ids(output: &Output) -> Vec<String> {
    let Found::Sequence(ids) = &output.found else {
        panic!("{output:?}")
    };
    ids.iter().map(|id| id.to_string()).collect()
}

/// For each key: from each start, oldest first, the next fitting events; the first start that is completed
/// by an event is the match, and what lies before its end is used up.
fn brute(events: &[(i64, u8, u8)], steps: &[u8], within: i64) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut keys: BTreeMap<u8, Vec<usize>> = BTreeMap::new();
    for (n, (_, key, _)) in events.iter().enumerate() {
        keys.entry(*key).or_default().push(n);
    }
    for places in keys.values() {
        let mut from = 0;
        'again: loop {
            let mut best: Option<(usize, Vec<usize>)> = None;
            for start in from..places.len() {
                let Some(matched) = follow(events, &places[start..], steps, within) else {
                    continue;
                };
                let end = places
                    .iter()
                    .position(|p| p == matched.last().unwrap())
                    .unwrap();
                if best.as_ref().is_none_or(|(last, _)| end < *last) {
                    best = Some((end, matched));
                }
            }
            let Some((end, matched)) = best else {
                break 'again;
            };
            found.push(matched);
            from = end + 1;
        }
    }
    found.sort_by_key(|matched| *matched.last().unwrap());
    found
        .into_iter()
        .map(|matched| matched.iter().map(usize::to_string).collect())
        .collect()
}

fn follow(
    events: &[(i64, u8, u8)],
    places: &[usize],
    steps: &[u8],
    within: i64,
) -> Option<Vec<usize>> {
    let first = events[places[0]].0;
    let mut matched = Vec::new();
    for place in places {
        let (at, _, value) = events[*place];
        if at - first > within {
            return None;
        }
        if value == steps[matched.len()] {
            matched.push(*place);
            if matched.len() == steps.len() {
                return Some(matched);
            }
        } else if matched.is_empty() {
            return None;
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn sequences_agree_with_a_brute_force_matcher(
        gaps in prop::collection::vec((1..40_i64, 0..2_u8, 0..3_u8), 0..40),
        steps in prop::collection::vec(0..3_u8, 1..4),
        within in 20..200_i64,
    ) {
        let mut now = 0;
        let events: Vec<(i64, u8, u8)> = gaps.into_iter().map(|(gap, key, value)| { now += gap; (now, key, value) }).collect();
        let mut rule = Rule::sequence("seq").key("key").within(Duration::from_millis(within as u64));
        for step in &steps {
            rule = rule.step("s", eq("value", f64::from(*step)));
        }
        let mut engine = Engine::builder().source(schema()).rule(rule).build().unwrap();
        let mut found = Vec::new();
        for (n, (at, key, value)) in events.iter().enumerate() {
            let outputs = engine.push(event(&n.to_string(), *at, &key.to_string(), f64::from(*value))).unwrap();
            found.extend(outputs.iter().map(ids));
        }
        prop_assert_eq!(found, brute(&events, &steps, within));
    }
}

fn overheat() -> Engine {
    let rule = Rule::sequence("overheat")
        .key("key")
        .step("s", gt("value", 85.0))
        .step("s", lt("value", 50.0))
        .within(Duration::from_secs(30));
    Engine::builder()
        .source(schema())
        .rule(rule)
        .build()
        .unwrap()
}

#[test]
fn the_time_limit_is_inclusive() {
    for (second, matches) in [(30_000, 1), (30_001, 0)] {
        let mut engine = overheat();
        engine.push(event("a", 0, "k", 90.0)).unwrap();
        assert_eq!(
            engine.push(event("b", second, "k", 40.0)).unwrap().len(),
            matches,
            "{second}"
        );
    }
}

#[test]
fn keys_are_matched_apart() {
    let mut engine = overheat();
    engine.push(event("a", 0, "k", 90.0)).unwrap();
    assert!(engine.push(event("b", 1, "l", 40.0)).unwrap().is_empty());
    assert_eq!(
        ids(&engine.push(event("c", 2, "k", 40.0)).unwrap()[0]),
        ["a", "c"]
    );
}

#[test]
fn a_replay_gives_the_same_match_ids() {
    let run = || {
        let mut engine = overheat();
        engine.push(event("a", 0, "k", 90.0)).unwrap();
        engine.push(event("b", 5, "k", 40.0)).unwrap()[0].id
    };
    assert_eq!(run(), run());
    let mut engine = overheat();
    engine.push(event("z", 0, "k", 90.0)).unwrap();
    assert_ne!(engine.push(event("b", 5, "k", 40.0)).unwrap()[0].id, run());
}

#[test]
fn partial_matches_are_bounded_and_expire() {
    let limits = PartialLimits {
        per_key: 64,
        ..PartialLimits::default()
    };
    let rule = Rule::sequence("overheat")
        .key("key")
        .step("s", gt("value", 85.0))
        .step("s", lt("value", 50.0))
        .within(Duration::from_secs(30))
        .limits(limits);
    let mut engine = Engine::builder()
        .source(schema())
        .rule(rule)
        .build()
        .unwrap();
    for n in 0..100 {
        engine.push(event(&n.to_string(), n, "k", 90.0)).unwrap();
    }
    assert_eq!(engine.metrics().partial_matches_dropped, 36);
    assert_eq!(engine.metrics().partial_matches, 64);
    engine.advance_to(Timestamp::from_millis(60_000));
    assert_eq!(engine.metrics().partial_matches_expired, 64);
    assert_eq!(engine.metrics().partial_matches, 0);
    assert_eq!(engine.metrics().partial_match_bytes, 0);
}

#[test]
fn a_sequence_without_time_or_steps_is_refused() {
    let build =
        |rule: midstream::SequenceRule| Engine::builder().source(schema()).rule(rule).build().err();
    assert!(matches!(
        build(Rule::sequence("x")),
        Some(Error::Rule { .. })
    ));
    let two = Rule::sequence("x")
        .step("s", gt("value", 1.0))
        .step("s", gt("value", 1.0));
    assert!(matches!(build(two), Some(Error::Rule { .. })));
}
