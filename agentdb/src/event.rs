//! The event log: append-only, and the offline buffer of what others must learn.

use rusqlite::{Connection, Row, params};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::time::Timestamp;

/// The largest payload of an event, in bytes.
pub const EVENT_BYTES_MAX: usize = 1 << 20;

/// The place of an event in this store's log; grows by one or more.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Sequence(i64);

impl Sequence {
    /// The place with this number; 0 is before all events.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

/// How much an event matters.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Priority {
    /// Measurements.
    Telemetry,
    /// What happens.
    #[default]
    Normal,
    /// What must reach its receiver.
    SafetyCritical,
}

impl Priority {
    fn from_number(number: i64) -> Option<Self> {
        [Self::Telemetry, Self::Normal, Self::SafetyCritical]
            .into_iter()
            .find(|known| *known as i64 == number)
    }
}

/// Whether an event has reached its receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncStatus {
    /// It waits for a link.
    Waiting,
    /// The receiver has it.
    Delivered,
    /// The receiver will not have it.
    Refused,
}

impl SyncStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::Refused => "refused",
        }
    }
}

/// One event of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredEvent {
    /// Its place.
    pub sequence: Sequence,
    /// The document that it is about.
    pub agent: String,
    /// What kind of event.
    pub event_type: String,
    /// What happened.
    pub payload: Value,
    /// How much it matters.
    pub priority: Priority,
    /// When.
    pub at: Timestamp,
}

pub(crate) fn append(
    connection: &Connection,
    agent: &str,
    event_type: &str,
    payload: &Value,
    priority: Priority,
    at: Timestamp,
) -> Result<Sequence> {
    let payload = payload.to_string();
    if payload.len() > EVENT_BYTES_MAX {
        return Err(Error::Limit {
            what: "length of an event in bytes",
            found: payload.len(),
            limit: EVENT_BYTES_MAX,
        });
    }
    let mut statement = connection.prepare_cached(
        "INSERT INTO agent_events (agent_id, event_type, payload, priority, timestamp) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    statement.execute(params![
        agent,
        event_type,
        payload,
        priority as i64,
        at.as_millis()
    ])?;
    let sequence = connection.last_insert_rowid();
    connection
        .prepare_cached("INSERT INTO sync_log (local_seq, sync_status) VALUES (?1, 'waiting')")?
        .execute(params![sequence])?;
    Ok(Sequence(sequence))
}

/// Reads rows of event_id, agent_id, event_type, payload, priority, timestamp.
pub(crate) fn read(
    connection: &Connection,
    sql: &str,
    parameters: impl rusqlite::Params,
) -> Result<Vec<StoredEvent>> {
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let mut events = Vec::new();
    while let Some(row) = rows.next()? {
        events.push(event(row)?);
    }
    Ok(events)
}

fn event(row: &Row<'_>) -> Result<StoredEvent> {
    let agent: String = row.get(1)?;
    let payload: String = row.get(3)?;
    let damaged = |cause: String| Error::Damaged {
        agent: agent.clone(),
        cause,
    };
    let payload = serde_json::from_str(&payload).map_err(|cause| damaged(cause.to_string()))?;
    let number: i64 = row.get(4)?;
    let priority = Priority::from_number(number)
        .ok_or_else(|| damaged(format!("no priority has number {number}")))?;
    Ok(StoredEvent {
        sequence: Sequence(row.get(0)?),
        event_type: row.get(2)?,
        payload,
        priority,
        at: Timestamp::from_millis(row.get(5)?),
        agent,
    })
}

/// A count as SQLite takes it.
pub(crate) fn rows_max(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
