//! Schemas, documents, events.

use agentdb::{Agent, Field, Schema, StoredEvent};
use serde_json::{Value, json};

use crate::{Malformed, Result};

const FIELD: &str = "wanted is lww, max, pn_counter, or {\"status\": [names in order]}";

fn field(name: &str, kind: &Value) -> Result<Field> {
    let malformed = || Malformed::new(format_args!("field `{name}` is {kind}, {FIELD}"));
    match kind {
        Value::String(kind) => match kind.as_str() {
            "lww" => Ok(Field::Lww),
            "max" => Ok(Field::Max),
            "pn_counter" => Ok(Field::PnCounter),
            name => Field::from_json(&name.into()).map_err(|_| malformed()),
        },
        Value::Object(parts) if parts.len() == 1 && parts.contains_key("status") => {
            let order = parts.get("status").and_then(Value::as_array);
            let order =
                order.and_then(|names| names.iter().map(Value::as_str).collect::<Option<Vec<_>>>());
            Ok(Field::status(&order.ok_or_else(malformed)?))
        }
        kind => Field::from_json(kind).map_err(|_| malformed()),
    }
}

/// Schemas of `{"cow": {"zone": "lww", "speed": "max", "steps": "pn_counter", "health": {"status": ["well", "ill"]}}}`;
/// none of null.
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
