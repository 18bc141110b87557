//! Schemas, documents, events.

use agentdb::{Agent, Conflict, Field, Schema, StoredEvent, Wins, Write};
use serde_json::{Value, json};

use crate::{Malformed, Result};

const FIELD: &str = "wanted is lww, mv, max, min, pn_counter, flag, or_set, list, {\"status\": [names in order]}, \
     {\"or_map\": field}, and with {\"flag\" or \"or_set\": \"remove\"} or {\"or_map\": field, \"wins\": \"remove\"} \
     a removal wins";

fn wins(given: Option<&Value>) -> Option<Wins> {
    match given.map(Value::as_str) {
        None | Some(Some("add")) => Some(Wins::Add),
        Some(Some("remove")) => Some(Wins::Remove),
        _ => None,
    }
}

fn field(name: &str, kind: &Value) -> Result<Field> {
    let malformed = || Malformed::new(format_args!("field `{name}` is {kind}, {FIELD}"));
    let parts = match kind {
        Value::String(kind) => {
            return Ok(match kind.as_str() {
                "lww" => Field::Lww,
                "mv" => Field::Mv,
                "max" => Field::Max,
                "min" => Field::Min,
                "pn_counter" => Field::PnCounter,
                "flag" => Field::flag(),
                "or_set" => Field::or_set(),
                "list" => Field::List,
                _ => return Err(malformed()),
            });
        }
        Value::Object(parts) => parts,
        _ => return Err(malformed()),
    };
    let one = |known: &str| (parts.len() == 1).then(|| parts.get(known)).flatten();
    if let Some(order) = one("status") {
        let order = order
            .as_array()
            .map(|names| names.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
        return Ok(Field::status(&order.flatten().ok_or_else(malformed)?));
    }
    if let Some(given) = one("flag") {
        return Ok(Field::Flag(wins(Some(given)).ok_or_else(malformed)?));
    }
    if let Some(given) = one("or_set") {
        return Ok(Field::OrSet(wins(Some(given)).ok_or_else(malformed)?));
    }
    let inner = parts.get("or_map").ok_or_else(malformed)?;
    let known = 1 + usize::from(parts.contains_key("wins"));
    let wins = wins(parts.get("wins"))
        .filter(|_| parts.len() == known)
        .ok_or_else(malformed)?;
    Ok(Field::OrMap(Box::new(field(name, inner)?), wins))
}

/// Schemas of `{"cow": {"zone": "lww", "speed": "max", "steps": "pn_counter", "health": {"status": ["well", "ill"]},
/// "tags": "or_set", "visits": {"or_map": "pn_counter"}}}`; none of null.
///
/// # Errors
/// What is not of this form.
pub fn schemas(described: &Value) -> Result<Vec<Schema>> {
    let described = match described {
        Value::Null => return Ok(Vec::new()),
        Value::Object(described) => described,
        other => {
            return Err(Malformed::new(format_args!(
                "schemas: {other}, wanted is an object"
            )));
        }
    };
    let mut schemas = Vec::new();
    for (name, fields) in described {
        let Value::Object(fields) = fields else {
            return Err(Malformed::new(format_args!(
                "schema `{name}`: {fields}, wanted is an object of fields"
            )));
        };
        let mut schema = Schema::new(name);
        for (name, kind) in fields {
            schema = schema.field(name, field(name, kind)?);
        }
        schemas.push(schema);
    }
    Ok(schemas)
}

/// A document with its state.
pub fn agent(agent: &Agent) -> Value {
    json!({
        "id": agent.id,
        "state": agent.state,
        "version": agent.version,
        "at": agent.at.as_millis(),
    })
}

/// An event of the log.
pub fn event(event: &StoredEvent) -> Value {
    json!({
        "sequence": event.sequence.get(),
        "agent": event.agent,
        "type": event.event_type,
        "payload": event.payload,
        "priority": event.priority,
        "at": event.at.as_millis(),
    })
}

fn write(write: &Write) -> Value {
    json!({
        "replica": write.dot.replica.get(),
        "count": write.dot.count,
        "at": write.stamp.millis,
        "value": write.value,
    })
}

/// Concurrent writes of a register.
pub fn conflict(conflict: &Conflict) -> Value {
    json!({
        "path": conflict.path,
        "winner": write(&conflict.winner),
        "others": conflict.others.iter().map(write).collect::<Vec<_>>(),
    })
}
