//! Machines with what they must give, as data in `cases/`.

use serde_json::{Value, json};

use super::machine::Machine;
use super::mocks::Mocks;
use super::{Execution, execute};

fn run(case: &Value) -> Execution {
    let machine = Machine::parse(&case["machine"].to_string()).expect("a machine");
    let mocks = match case.get("mocks") {
        Some(mocks) => Mocks::parse(&mocks.to_string(), None).expect("mocks"),
        None => Mocks::default(),
    };
    let start = "2026-01-02T03:04:05Z".parse().expect("a time");
    execute(machine, case["input"].clone().into(), mocks, start, 7).expect("an execution")
}

fn check(text: &str) {
    let cases: Value = serde_json::from_str(text).expect("cases");
    for case in cases.as_array().expect("a list") {
        let name = &case["name"];
        let found = run(case);
        assert_eq!(
            found.outcome, case["outcome"],
            "{name}: {:#?}",
            found.events
        );
        let types: Vec<&Value> = found.events.iter().map(|event| &event["type"]).collect();
        if let Some(expected) = case.get("events") {
            assert_eq!(json!(types), *expected, "{name}");
        }
        if let Some(expected) = case.get("previous") {
            let previous: Vec<&Value> = found
                .events
                .iter()
                .map(|event| &event["previousEventId"])
                .collect();
            assert_eq!(json!(previous), *expected, "{name}");
        }
        if let Some(expected) = case.get("seconds") {
            let last = found.events.last().expect("an event")["timestamp"].as_str();
            let last: jiff::Timestamp = last.expect("a text").parse().expect("a time");
            let start: jiff::Timestamp = "2026-01-02T03:04:05Z".parse().expect("a time");
            let spent = (last.as_millisecond() - start.as_millisecond()) as f64 / 1e3;
            assert_eq!(
                Some(spent),
                expected.as_f64(),
                "{name}: {:#?}",
                found.events
            );
        }
    }
}

#[test]
fn each_state_type_does_what_the_language_says() {
    check(include_str!("cases/states.json"));
}

#[test]
fn retriers_and_catchers_take_over() {
    check(include_str!("cases/errors.json"));
}

#[test]
fn states_in_jsonata_do_what_states_in_jsonpath_do() {
    check(include_str!("cases/jsonata.json"));
}

#[test]
fn a_left_state_names_the_variables_that_it_set() {
    let case = json!({"machine": {"StartAt": "A", "States": {"A": {"Type": "Pass",
        "Assign": {"n.$": "$.x", "k": "v"}, "End": true}}}, "input": {"x": [1]}});
    let found = run(&case);
    let exited = &found.events[2]["stateExitedEventDetails"];
    assert_eq!(
        exited["assignedVariables"],
        json!({"n": "[1]", "k": "\"v\""})
    );
}

#[test]
fn a_call_that_returns_too_much_is_named_by_its_service_or_its_function() {
    let large = "x".repeat(super::data::DATA_LEN_MAX);
    let function = "arn:aws:lambda:us-east-1:000000000000:function:weigh";
    for (resource, of, failed) in [
        ("arn:aws:states:::lambda:invoke", "lambda", "TaskFailed"),
        (function, function, "LambdaFunctionFailed"),
    ] {
        let case = json!({"machine": {"StartAt": "T", "States": {
            "T": {"Type": "Task", "Resource": resource,
                "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "H"}], "End": true},
            "H": {"Type": "Pass", "OutputPath": "$.Cause", "End": true}}},
            "input": {}, "mocks": {"T": {"0": {"Return": large}}}});
        let found = run(&case);
        assert_eq!(found.events[4]["type"], failed);
        let cause = format!(
            "The state/task '{of}' returned a result with a size exceeding the maximum number of bytes service limit."
        );
        assert_eq!(found.outcome["output"], cause);
    }
}

#[test]
fn branches_and_iterations_join_in_order() {
    check(include_str!("cases/compound.json"));
}

#[test]
fn mocks_in_the_format_of_step_functions_local_are_read() {
    let text = r#"{
        "StateMachines": {"m": {"TestCases": {"Bad": {"A": "fails"}, "Good": {"A": "works"}}}},
        "MockedResponses": {
            "works": {"0": {"Return": {"ok": 1}}},
            "fails": {"0-1": {"Throw": {"Error": "E", "Cause": "c"}}}
        }}"#;
    let mut good = Mocks::parse(text, Some("Good")).expect("mocks");
    assert_eq!(good.call("A", json!(0)).result, Ok(json!({"ok": 1})));
    assert_eq!(
        good.call("A", json!(0)).result.map_err(|fault| fault.error),
        Err("States.Runtime".to_owned())
    );
    assert_eq!(good.call("B", json!(5)).result, Ok(json!(5)));
    let mut bad = Mocks::parse(text, Some("Bad")).expect("mocks");
    for _ in 0..2 {
        assert_eq!(
            bad.call("A", json!(0)).result.map_err(|fault| fault.error),
            Err("E".to_owned())
        );
    }
    assert!(Mocks::parse(text, Some("Other")).is_err());
}
