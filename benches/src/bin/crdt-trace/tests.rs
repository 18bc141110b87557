//! Traces with forks and concurrent insertions at one place. `cases/forks.json` holds 24 of them: made at random,
//! their `endContent` by diamond-types 1.0 (npm `diamond-types-node`), whose agents were named `0000`, `0001` and
//! so on. Six kinds each: agents on branches of their own, agents who change branches, thirteen agents, letters beyond
//! the basic plane.

use agentdb::list::List;

use super::plan::Plan;
use super::replay::{self, replay};
use super::trace::Trace;

fn wrong(json: &str) -> usize {
    let trace = Trace::from_json(json.as_bytes()).expect("a trace");
    let plan = Plan::new(&trace).expect("a plan");
    let edits = replay::edits(&trace, &plan).expect("edits");
    let outcome = replay::<List>(&trace, &plan, &edits).expect("a replay");
    outcome.wrong
}

#[test]
fn concurrent_insertions_at_one_place_end_as_diamond_types_orders_them() {
    let cases: Vec<serde_json::Value> =
        serde_json::from_str(include_str!("cases/forks.json")).expect("traces");
    assert_eq!(cases.len(), 24);
    for (at, case) in cases.iter().enumerate() {
        assert_eq!(wrong(&case.to_string()), 0, "trace {at}");
    }
}

#[test]
fn a_text_that_is_not_the_end_content_is_told() {
    let json = r#"{"endContent": "ba", "numAgents": 2, "txns": [
        {"parents": [], "agent": 0, "patches": [[0, 0, "a"]]},
        {"parents": [], "agent": 1, "patches": [[0, 0, "b"]]}]}"#;
    assert_eq!(wrong(json), 2);
}
