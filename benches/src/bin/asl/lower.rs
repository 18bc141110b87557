//! A state machine as a workflow of `flowcore`.
//!
//! `Next` may point anywhere, so each level becomes a loop over "the state that comes next" with a
//! case a state. What flows round the loop is a token: `{next, data, vars, lane, map}`. Waits,
//! branches, iterations, retries and catchers are the engine's own `wait`, `parallel`, `for_each`,
//! `while` and `catch`; reading and writing data by paths is left to actions (`interpreter`).

use flowcore::definition::{BranchDef, CaseDef, CatchDef, StepDef, WaitDef, WorkflowDef};
use serde_json::{Value, json};

use super::machine::{Kind, Level, Machine, State};

/// States that one level may enter: the history of the original holds 25,000 events.
const ENTERED_MAX: u64 = 25_000;
/// Attempts of one state.
const ATTEMPTS_MAX: u64 = 100_000;
/// Iterations of a Map that run at once when `MaxConcurrency` is 0, as in the original.
const CONCURRENCY_DEFAULT: u64 = 40;

pub const WORKFLOW: &str = "machine";
/// The step that is the whole machine.
pub const TOP: &str = "level_top";

pub fn lower(machine: &Machine) -> WorkflowDef {
    let mut steps = level(machine, &machine.top, "top", "input");
    if let (Some(seconds), Some(run)) = (machine.timeout_seconds, steps.first_mut()) {
        run.timeout = Some(format!("{seconds}s"));
    }
    WorkflowDef {
        name: WORKFLOW.to_owned(),
        steps,
        ..WorkflowDef::default()
    }
}

fn action(id: String, name: &str, params: Value) -> StepDef {
    StepDef {
        id,
        action: Some(name.to_owned()),
        params: Some(params),
        ..StepDef::default()
    }
}

/// The loop over the states of a level; `from` is the expression of its first token.
fn level(machine: &Machine, level: &Level, tag: &str, from: &str) -> Vec<StepDef> {
    let (token, go) = (format!("token_{tag}"), format!("state_{tag}"));
    let cases = level
        .names
        .iter()
        .filter_map(|name| Some((name, machine.states.get(name)?)))
        .map(|(name, state)| CaseDef {
            is: Some(Value::from(name.as_str())),
            steps: body(machine, name, state, &token),
            ..CaseDef::default()
        })
        .collect();
    vec![StepDef {
        id: format!("level_{tag}"),
        while_: Some("index == 0 || has(last.next)".to_owned()),
        max_iterations: Some(ENTERED_MAX),
        steps: Some(vec![
            StepDef {
                id: token.clone(),
                set: Some(Value::from(format!("${{index == 0 ? {from} : last}}"))),
                ..StepDef::default()
            },
            StepDef {
                id: go,
                switch: Some(format!("{token}.next")),
                cases: Some(cases),
                ..StepDef::default()
            },
        ]),
        ..StepDef::default()
    }]
}

fn reference(name: &str) -> String {
    format!("${{{name}}}")
}

/// The steps of one state.
fn body(machine: &Machine, name: &str, state: &State, token: &str) -> Vec<StepDef> {
    let n = state.number;
    let with_token = json!({"state": name, "token": reference(token)});
    match state.kind {
        Kind::Pass | Kind::Choice | Kind::Succeed | Kind::Fail => {
            vec![action(format!("s{n}"), "state", with_token)]
        }
        Kind::Wait => vec![
            action(format!("s{n}_in"), "wait", with_token),
            StepDef {
                id: format!("s{n}_wait"),
                wait: Some(WaitDef {
                    span: Some(format!("${{s{n}_in.seconds}}")),
                    ..WaitDef::default()
                }),
                ..StepDef::default()
            },
            action(
                format!("s{n}"),
                "waited",
                json!({"state": name, "token": format!("${{s{n}_in.token}}")}),
            ),
        ],
        Kind::Task | Kind::Parallel | Kind::Map => vec![
            action(format!("s{n}_in"), "enter", with_token),
            attempts(machine, name, state),
        ],
    }
}

/// The loop over the attempts of a state that can be retried and caught.
fn attempts(machine: &Machine, name: &str, state: &State) -> StepDef {
    let n = state.number;
    let attempt = format!("s{n}_attempt");
    let mut then = vec![action(
        format!("s{n}_begin"),
        "begin",
        json!({"state": name, "token": reference(&attempt)}),
    )];
    then.extend(work(machine, name, state));
    then.push(action(
        format!("s{n}_out"),
        "finish",
        json!({"state": name, "token": reference(&attempt), "result": format!("${{s{n}_work}}")}),
    ));
    let failed = action(
        format!("s{n}_failed"),
        "failed",
        json!({"state": name, "token": reference(&attempt), "error": "${error}"}),
    );
    StepDef {
        id: format!("s{n}"),
        while_: Some("index == 0 || has(last.again)".to_owned()),
        max_iterations: Some(ATTEMPTS_MAX),
        steps: Some(vec![
            StepDef {
                id: attempt,
                set: Some(Value::from(format!(
                    "${{index == 0 ? s{n}_in : last.token}}"
                ))),
                ..StepDef::default()
            },
            StepDef {
                id: format!("s{n}_pause"),
                condition: Some("index > 0".to_owned()),
                wait: Some(WaitDef {
                    span: Some("${last.again}".to_owned()),
                    ..WaitDef::default()
                }),
                ..StepDef::default()
            },
            guarded(format!("s{n}_try"), then, failed),
        ]),
        ..StepDef::default()
    }
}

/// Steps with one `catch` around them.
fn guarded(id: String, then: Vec<StepDef>, failed: StepDef) -> StepDef {
    StepDef {
        id,
        if_: Some("true".to_owned()),
        then: Some(then),
        catch: Some(vec![CatchDef {
            on: None,
            steps: vec![failed],
        }]),
        ..StepDef::default()
    }
}

fn work(machine: &Machine, name: &str, state: &State) -> Vec<StepDef> {
    let n = state.number;
    let id = format!("s{n}_work");
    match state.kind {
        Kind::Parallel => vec![StepDef {
            id,
            parallel: Some(
                state
                    .inner
                    .iter()
                    .enumerate()
                    .map(|(index, branch)| BranchDef {
                        id: format!("b{index:05}"),
                        steps: level(
                            machine,
                            branch,
                            &format!("{n}_{index}"),
                            &format!("s{n}_begin.tokens[{index}]"),
                        ),
                    })
                    .collect(),
            ),
            ..StepDef::default()
        }],
        Kind::Map => {
            let item = format!("item_{n}");
            let mut steps = vec![action(
                format!("s{n}_item"),
                "iteration",
                json!({"state": name, "token": reference(&item)}),
            )];
            for body in &state.inner {
                steps.extend(level(machine, body, &format!("{n}"), &format!("s{n}_item")));
            }
            steps.push(action(
                format!("s{n}_iterated"),
                "iterated",
                json!({"state": name, "token": format!("${{level_{n}}}")}),
            ));
            let failed = action(
                format!("s{n}_item_failed"),
                "iteration_failed",
                json!({"state": name, "token": reference(&item), "error": "${error}"}),
            );
            let iterations = |id: String, limit: u64| StepDef {
                id,
                for_each: Some(format!("s{n}_begin.tokens")),
                as_: Some(item.clone()),
                limit: Some(u32::try_from(limit).unwrap_or(u32::MAX).min(1_024)),
                steps: Some(vec![guarded(
                    format!("s{n}_iteration"),
                    steps.clone(),
                    failed.clone(),
                )]),
                ..StepDef::default()
            };
            let computed = state.fields.contains_key("MaxConcurrencyPath")
                || state.text("MaxConcurrency").is_some();
            if computed {
                // Known when it runs: one by one is told apart from side by side.
                let one_by_one = vec![iterations(format!("s{n}_one_by_one"), 1)];
                let beside = vec![iterations(format!("s{n}_beside"), CONCURRENCY_DEFAULT)];
                return vec![StepDef {
                    id,
                    if_: Some(format!("s{n}_begin.limit == 1.0")),
                    then: Some(one_by_one),
                    else_: Some(beside),
                    ..StepDef::default()
                }];
            }
            let limit = state.fields.get("MaxConcurrency").and_then(Value::as_u64);
            let limit = limit.filter(|limit| *limit > 0);
            vec![iterations(id, limit.unwrap_or(CONCURRENCY_DEFAULT))]
        }
        _ => {
            let token = format!("${{s{n}_attempt}}");
            let call = json!({"state": name, "token": token, "call": format!("${{s{n}_begin}}")});
            let answer = json!({"state": name, "token": token, "call": format!("${{s{n}_call}}")});
            vec![
                action(format!("s{n}_call"), "call", call),
                StepDef {
                    id: format!("s{n}_busy"),
                    condition: Some(format!("s{n}_call.after > 0.0")),
                    wait: Some(WaitDef {
                        span: Some(format!("${{s{n}_call.after}}")),
                        ..WaitDef::default()
                    }),
                    ..StepDef::default()
                },
                action(id, "task", answer),
            ]
        }
    }
}
