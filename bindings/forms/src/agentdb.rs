//! Schemas, documents, events, sync.

use std::collections::BTreeMap;

use agentdb::offline::{Lane, LinkChange, Tally};
use agentdb::sync::{Peers, SessionStats};
use agentdb::{
    Agent, Bucket, Conflict, Field, Notice, Priority, ReplicaId, Schema, StoredEvent, WatchFilter,
    Wins, Write,
};
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

/// What a watch is told of: `null` for everything; `{"documents": schema}`, `{"events": type}`, and with either or alone
/// `"id"` and `"matching"`.
///
/// # Errors
/// What is not of this form, and a query that does not parse.
pub fn watch_filter(given: &Value) -> Result<WatchFilter> {
    const WANTED: &str = "a watch is null or an object of texts: documents or events, id, matching";
    let parts = match given {
        Value::Null => return Ok(WatchFilter::all()),
        Value::Object(parts) => parts,
        _ => return Err(Malformed::new(WANTED)),
    };
    let mut texts = BTreeMap::new();
    for (name, text) in parts {
        let text = text.as_str().ok_or_else(|| Malformed::new(WANTED))?;
        if !["documents", "events", "id", "matching"].contains(&name.as_str()) {
            return Err(Malformed::new(WANTED));
        }
        texts.insert(name.as_str(), text);
    }
    let mut filter = match (texts.get("documents"), texts.get("events")) {
        (Some(schema), None) => WatchFilter::documents(schema),
        (None, Some(event_type)) => WatchFilter::events(event_type),
        (None, None) => WatchFilter::all(),
        (Some(_), Some(_)) => return Err(Malformed::new(WANTED)),
    };
    if let Some(id) = texts.get("id") {
        filter = filter.of(id);
    }
    if let Some(query) = texts.get("matching") {
        filter = filter.matching(query).map_err(Malformed::new)?;
    }
    Ok(filter)
}

/// What a watch tells: `{"document": {id, schema, state}}` or `{"event": …}`.
pub fn notice(notice: &Notice) -> Value {
    match notice {
        Notice::Document { id, schema, state } => {
            json!({"document": {"id": id, "schema": schema, "state": state}})
        }
        Notice::Event(stored) => json!({"event": event(stored)}),
        // Notices of a newer release.
        _ => Value::Null,
    }
}

/// A bucket of a series.
pub fn bucket(bucket: &Bucket) -> Value {
    json!({
        "start": bucket.start.as_millis(),
        "count": bucket.count,
        "min": bucket.min,
        "max": bucket.max,
        "sum": bucket.sum,
        "mean": bucket.mean(),
        "first": bucket.first,
        "last": bucket.last,
    })
}

/// What became of the events of each priority.
pub fn tally(tally: &Tally) -> Value {
    let lane = |lane: &Lane| {
        json!({
            "appended": lane.appended,
            "held": lane.held,
            "held_bytes": lane.held_bytes,
            "sent": lane.sent,
            "dropped": lane.dropped,
        })
    };
    json!({
        "telemetry": lane(tally.lane(Priority::Telemetry)),
        "normal": lane(tally.lane(Priority::Normal)),
        "safety_critical": lane(tally.lane(Priority::SafetyCritical)),
    })
}

/// Whom an endpoint speaks with: these, or all for none, but never a revoked one.
pub fn peers(accepted: Option<&[u64]>, revoked: &[u64]) -> Peers {
    let begin = match accepted {
        Some(_) => Peers::none(),
        None => Peers::any(),
    };
    let accepted = accepted.unwrap_or_default().iter();
    let peers = accepted.fold(begin, |peers, id| peers.accept(ReplicaId::new(*id)));
    revoked
        .iter()
        .fold(peers, |peers, id| peers.revoke(ReplicaId::new(*id)))
}

/// `{"change": name}`, or null.
pub fn link_change(change: Option<LinkChange>) -> Value {
    change.map_or(Value::Null, |change| json!({"change": change.name()}))
}

/// What a session has done.
pub fn session_stats(stats: &SessionStats) -> Value {
    json!({
        "frames_sent": stats.frames_sent,
        "bytes_sent": stats.bytes_sent,
        "frames_taken": stats.frames_taken,
        "bytes_received": stats.bytes_received,
        "frames_stale": stats.frames_stale,
        "frames_refused": stats.frames_refused,
        "offers_sent": stats.offers_sent,
        "documents_sent": stats.documents_sent,
        "documents_received": stats.documents_received,
        "events_sent": stats.events_sent,
        "events_received": stats.events_received,
        "events_known": stats.events_known,
        "batches_rolled_back": stats.batches_rolled_back,
        "documents_unmended": stats.documents_unmended,
        "differences": stats.differences,
    })
}
