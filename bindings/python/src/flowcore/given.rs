//! What Python gives, as the engine's types.

use std::collections::HashMap;

use flowcore::{Link, Resources, Tier, Verdict, Workflow};
use pyo3::prelude::*;
use pyo3::types::PyString;

use super::raise;
use crate::error::value;
use crate::json;

/// A part of a machine from `{"cpu_milli": …, "memory_bytes": …, "gpus": …}`.
pub(super) fn resources(given: &HashMap<String, u64>) -> PyResult<Resources> {
    let mut room = Resources::default();
    for (name, amount) in given {
        let small = || u32::try_from(*amount).map_err(|_| value(format!("{name} is {amount}")));
        match name.as_str() {
            "cpu_milli" => room.cpu_milli = small()?,
            "memory_bytes" => room.memory_bytes = *amount,
            "gpus" => room.gpus = small()?,
            _ => {
                return Err(value(format!(
                    "{name:?} is no resource: wanted cpu_milli, memory_bytes or gpus"
                )));
            }
        }
    }
    Ok(room)
}

pub(super) fn workflow(given: &Bound<'_, PyAny>) -> PyResult<Workflow> {
    match given.cast::<PyString>() {
        Ok(text) => Workflow::from_yaml(text.to_str()?),
        Err(_) => Workflow::from_json(&json::from_python(given)?.to_string()),
    }
    .map_err(raise)
}

pub(super) fn link(name: &str) -> PyResult<Link> {
    match name {
        "up" => Ok(Link::Up),
        "down" => Ok(Link::Down),
        _ => Err(value(format!("link {name:?}: wanted up or down"))),
    }
}

pub(super) fn verdict(name: &str) -> PyResult<Verdict> {
    match name {
        "approved" => Ok(Verdict::Approved),
        "rejected" => Ok(Verdict::Rejected),
        _ => Err(value(format!(
            "verdict {name:?}: wanted approved or rejected"
        ))),
    }
}

pub(super) fn tier(name: &str) -> PyResult<Tier> {
    match name {
        "far" => Ok(Tier::Far),
        "mid" => Ok(Tier::Mid),
        "network" => Ok(Tier::Network),
        _ => Err(value(format!("tier {name:?}: wanted far, mid or network"))),
    }
}
