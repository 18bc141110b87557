//! Results of Task states from a file, in the format of AWS Step Functions Local: responses by
//! name, and which state gets which in a test case.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::data::Fault;

/// What a Task gets back, and after how many seconds.
pub struct Response {
    pub after: f64,
    pub result: Result<Value, Fault>,
}

impl Response {
    fn at_once(result: Result<Value, Fault>) -> Self {
        Self { after: 0.0, result }
    }
}

/// Responses by state, each a list of ranges of invocations.
#[derive(Debug, Default)]
pub struct Mocks {
    by_state: HashMap<String, Map<String, Value>>,
    calls: HashMap<String, u64>,
}

impl Mocks {
    /// Reads `{"StateMachines": {machine: {"TestCases": {case: {state: response}}}},
    /// "MockedResponses": {response: {"0": {"Return": …}, "1-2": {"Throw": {"Error", "Cause"}}}}}`,
    /// or the short form `{state: {"0": …}}`. `"After": seconds` in a response says how long the
    /// Task takes, which the original cannot. Without `case`, the only (or first) test case.
    pub fn parse(text: &str, case: Option<&str>) -> Result<Self, String> {
        let value: Value =
            serde_json::from_str(text).map_err(|error| format!("mocks are no JSON: {error}"))?;
        let mut by_state = HashMap::new();
        let Some(machines) = value.get("StateMachines").and_then(Value::as_object) else {
            let states = value.as_object().ok_or("mocks are no JSON object")?;
            for (state, responses) in states {
                let responses = responses.as_object();
                let responses =
                    responses.ok_or_else(|| format!("mocks of `{state}` are no object"))?;
                by_state.insert(state.clone(), responses.clone());
            }
            return Ok(Self {
                by_state,
                calls: HashMap::new(),
            });
        };
        let cases = machines
            .values()
            .filter_map(|machine| machine.get("TestCases")?.as_object())
            .flatten();
        let mut chosen = cases.filter(|(name, _)| case.is_none_or(|case| case == *name));
        let (_, states) = chosen
            .next()
            .ok_or_else(|| format!("mocks have no test case `{}`", case.unwrap_or("")))?;
        for (state, response) in states.as_object().into_iter().flatten() {
            let name = response.as_str().unwrap_or_default();
            let responses = value["MockedResponses"][name].as_object();
            let responses =
                responses.ok_or_else(|| format!("there is no mocked response `{name}`"))?;
            by_state.insert(state.clone(), responses.clone());
        }
        Ok(Self {
            by_state,
            calls: HashMap::new(),
        })
    }

    /// The result of the next call of a state; without a mock, the input as it is.
    pub fn call(&mut self, state: &str, input: Value) -> Response {
        let Some(responses) = self.by_state.get(state) else {
            return Response::at_once(Ok(input));
        };
        let call = self.calls.entry(state.to_owned()).or_default();
        let number = *call;
        *call += 1;
        let fits = |range: &str| {
            let (from, to) = range.split_once('-').unwrap_or((range, range));
            let bounds = from.trim().parse().ok().zip(to.trim().parse().ok());
            bounds.is_some_and(|(from, to): (u64, u64)| (from..=to).contains(&number))
        };
        let Some((_, response)) = responses.iter().find(|(range, _)| fits(range)) else {
            return Response::at_once(Err(Fault::runtime(format!(
                "the mocks of state `{state}` have nothing for call {number}"
            ))));
        };
        let part = |name: &str| response["Throw"][name].as_str().unwrap_or_default();
        let result = match response.get("Return") {
            Some(result) => Ok(result.clone()),
            None => Err(Fault::new(part("Error"), part("Cause"))),
        };
        let after = response["After"].as_f64().unwrap_or(0.0).max(0.0);
        Response { after, result }
    }
}
