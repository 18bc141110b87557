//! Events of a document as a series over time: buckets of one width, and retention.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::db::{AgentDb, Tx};
use crate::error::{Error, Result};
use crate::event::{Priority, Sequence, StoredEvent, SyncStatus};
use crate::storage::EventFilter;
use crate::time::Timestamp;

/// A page of events.
const PAGE: usize = 1_000;

/// How many buckets a series may have.
pub const BUCKETS_MAX: usize = 100_000;

/// What the numbers of a span of time were.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bucket {
    /// Where it begins: a multiple of the width since the Unix epoch.
    pub start: Timestamp,
    /// How many numbers.
    pub count: u64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// Their sum.
    pub sum: f64,
    /// The one that was appended first.
    pub first: f64,
    /// The one that was appended last.
    pub last: f64,
}

impl Bucket {
    /// Their mean.
    pub fn mean(&self) -> f64 {
        self.sum / self.count as f64
    }

    fn take(&mut self, other: &Self) {
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
        self.last = other.last;
    }

    fn to_json(self) -> Value {
        json!({
            "count": self.count, "min": self.min, "max": self.max, "sum": self.sum,
            "first": self.first, "last": self.last,
        })
    }

    /// The numbers that a rolled-up event stands for.
    fn from_json(start: Timestamp, value: &Value) -> Option<Self> {
        let number = |name: &str| value.get(name).and_then(Value::as_f64);
        Some(Self {
            start,
            count: value.get("count")?.as_u64()?,
            min: number("min")?,
            max: number("max")?,
            sum: number("sum")?,
            first: number("first")?,
            last: number("last")?,
        })
    }

    fn of(start: Timestamp, number: f64) -> Self {
        Self {
            start,
            count: 1,
            min: number,
            max: number,
            sum: number,
            first: number,
            last: number,
        }
    }
}

/// Which events of a document, and which number of theirs.
#[derive(Clone, Debug)]
pub struct Series<'a> {
    agent: &'a str,
    event_type: &'a str,
    field: &'a str,
    from: Timestamp,
    before: Timestamp,
}

impl<'a> Series<'a> {
    /// The number at `field` (`value`, `reading.celsius`; empty for the payload itself) of the events of one
    /// type about a document.
    pub fn new(agent: &'a str, event_type: &'a str, field: &'a str) -> Self {
        Self {
            agent,
            event_type,
            field,
            from: Timestamp::from_millis(i64::MIN),
            before: Timestamp::from_millis(i64::MAX),
        }
    }

    /// Only from a time on, up to but not including another.
    #[must_use]
    pub fn between(mut self, from: Timestamp, before: Timestamp) -> Self {
        self.from = from;
        self.before = before;
        self
    }
}

fn bucket_start(at: Timestamp, width: i64) -> Timestamp {
    Timestamp::from_millis(at.as_millis().div_euclid(width).saturating_mul(width))
}

fn width_millis(width: Duration) -> Result<i64> {
    i64::try_from(width.as_millis())
        .ok()
        .filter(|millis| *millis > 0)
        .ok_or(Error::Limit {
            what: "width of a bucket in milliseconds",
            found: usize::try_from(width.as_millis()).unwrap_or(usize::MAX),
            limit: usize::MAX >> 1,
        })
}

fn number_at(payload: &Value, field: &str) -> Option<f64> {
    if field.is_empty() {
        return payload.as_f64();
    }
    let at = field
        .split('.')
        .try_fold(payload, |value, key| value.get(key));
    at.and_then(Value::as_f64)
}

/// What an event adds to a series: a number, or the bucket that it was rolled up to.
fn part(event: &StoredEvent, field: &str, width: i64) -> Option<Bucket> {
    let start = bucket_start(event.at, width);
    match event.payload.get(ROLLED_UP) {
        Some(rolled) => Bucket::from_json(start, rolled.get(field)?),
        None => number_at(&event.payload, field).map(|number| Bucket::of(start, number)),
    }
}

/// The member of a payload that tells that the event stands for many.
const ROLLED_UP: &str = "rolled_up";

impl AgentDb {
    /// A series in buckets, by time; spans without numbers have none. Events without the number are passed
    /// over. Linear in the events.
    ///
    /// # Errors
    /// [`Error::Limit`] for a width of nothing or more than [`BUCKETS_MAX`] buckets; [`Error::Store`],
    /// [`Error::Damaged`].
    pub fn series(&self, series: &Series<'_>, width: Duration) -> Result<Vec<Bucket>> {
        let width = width_millis(width)?;
        let filter = EventFilter {
            agent: Some(series.agent),
            event_type: Some(series.event_type),
            from: Some(series.from),
            before: Some(series.before),
            ..EventFilter::default()
        };
        let mut buckets: BTreeMap<Timestamp, Bucket> = BTreeMap::new();
        let mut after = Sequence::new(0);
        loop {
            let page = self.events(&filter, after, PAGE)?;
            let Some(last) = page.last() else {
                return Ok(buckets.into_values().collect());
            };
            after = last.sequence;
            for part in page
                .iter()
                .filter_map(|event| part(event, series.field, width))
            {
                buckets
                    .entry(part.start)
                    .and_modify(|bucket| bucket.take(&part))
                    .or_insert(part);
            }
            if buckets.len() > BUCKETS_MAX {
                return Err(Error::Limit {
                    what: "number of buckets of a series",
                    found: buckets.len(),
                    limit: BUCKETS_MAX,
                });
            }
        }
    }
}

/// How long events of a type are kept, and what stays of them.
#[derive(Clone, Debug)]
pub struct Retention<'a> {
    event_type: &'a str,
    keep: Duration,
    rolled_up: Option<(&'a str, Duration)>,
}

/// What a retention did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retained {
    /// Events that are gone.
    pub expired: usize,
    /// Events that stand for them.
    pub rolled_up: usize,
}

impl<'a> Retention<'a> {
    /// Events of a type are kept so long. Those that wait for their receiver are kept until they no longer do.
    pub fn new(event_type: &'a str, keep: Duration) -> Self {
        Self {
            event_type,
            keep,
            rolled_up: None,
        }
    }

    /// Of the number at `field` one event a document and bucket stays, which a [series](AgentDb::series) reads
    /// as the numbers that it stands for.
    #[must_use]
    pub fn roll_up(mut self, field: &'a str, width: Duration) -> Self {
        self.rolled_up = Some((field, width));
        self
    }
}

impl Tx<'_> {
    /// Applies a retention at the transaction's time, to at most `limit` events, oldest first.
    ///
    /// # Errors
    /// [`Error::Limit`] for a width of nothing; [`Error::Store`], [`Error::Damaged`].
    pub fn retain(&mut self, retention: &Retention<'_>, limit: usize) -> Result<Retained> {
        let keep = i64::try_from(retention.keep.as_millis()).unwrap_or(i64::MAX);
        let mut before = Timestamp::from_millis(self.now().as_millis().saturating_sub(keep));
        let width = retention
            .rolled_up
            .map(|(_, width)| width_millis(width))
            .transpose()?;
        if let Some(width) = width {
            // A bucket is rolled up whole.
            before = bucket_start(before, width);
        }
        let gone = self.expire(retention.event_type, before, limit)?;
        let mut retained = Retained {
            expired: gone.len(),
            rolled_up: 0,
        };
        let (Some((field, _)), Some(width)) = (retention.rolled_up, width) else {
            return Ok(retained);
        };
        let mut buckets: BTreeMap<(String, Timestamp), Bucket> = BTreeMap::new();
        for event in &gone {
            if let Some(part) = part(event, field, width) {
                buckets
                    .entry((event.agent.clone(), part.start))
                    .and_modify(|bucket| bucket.take(&part))
                    .or_insert(part);
            }
        }
        for ((agent, start), bucket) in buckets {
            let payload = json!({ ROLLED_UP: { field: bucket.to_json() } });
            let kind = retention.event_type;
            let sequence = self.append_at(&agent, kind, &payload, Priority::Telemetry, start)?;
            self.mark(sequence, SyncStatus::Delivered, Some("rolled up"))?;
            retained.rolled_up += 1;
        }
        Ok(retained)
    }
}
