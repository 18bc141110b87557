//! Tables that events are enriched from and joined with: rows by key, each from a time on.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;

use crate::error::{Error, Result};
use crate::event::{Event, Schema, Value, ValueRef};
use crate::key::Key;
use crate::time::{Timestamp, millis};

/// The values of a row, by field.
type Row = Arc<[Option<Value>]>;

/// The most rows of a table, over all their versions; the oldest one written gives way.
pub const TABLE_ROWS_MAX: usize = 1_000_000;

/// Rows by the value of a key field. A row counts from its time on until the next of its key, or until it is
/// older than the table's limit: an event sees the row as of its own time.
///
/// ```
/// use midstream::{FieldType, Schema, Table, Timestamp};
///
/// let products = Schema::new("products").field("item", FieldType::Text).field("price", FieldType::Float);
/// let mut table = Table::new(products, "item")?;
/// table.put(Timestamp::from_millis(0), &[("item", "bolt".into()), ("price", 0.2.into())])?;
/// # Ok::<(), midstream::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    schema: Schema,
    key: usize,
    lifetime: Option<i64>,
    /// Each write of an event of this source is a row.
    pub(crate) follows: Option<String>,
    rows: HashMap<Key, BTreeMap<i64, Row>>,
    /// In order of writing.
    written: VecDeque<(Key, i64)>,
    limit: usize,
    /// Rows that gave way to newer ones because there were too many.
    pub(crate) dropped: u64,
}

impl Table {
    /// An empty table of the schema's name, whose rows are told apart by a field.
    ///
    /// # Errors
    /// [`Error::UnknownField`].
    pub fn new(schema: Schema, key: &str) -> Result<Self> {
        Ok(Self {
            key: schema.index(key)?,
            schema,
            lifetime: None,
            follows: None,
            rows: HashMap::new(),
            written: VecDeque::new(),
            limit: TABLE_ROWS_MAX,
            dropped: 0,
        })
    }

    /// A row that is older than this is none.
    #[must_use]
    pub fn lifetime(mut self, limit: Duration) -> Self {
        self.lifetime = Some(millis(limit));
        self
    }

    /// The last event of a source with a key is the key's row from the event's time on. The schema has the
    /// fields of the source that are kept, by the same names.
    #[must_use]
    pub fn follows(mut self, source: &str) -> Self {
        self.follows = Some(source.to_owned());
        self
    }

    /// The most rows, over all versions; default [`TABLE_ROWS_MAX`].
    #[must_use]
    pub fn limit(mut self, rows: usize) -> Self {
        self.limit = rows.max(1);
        self
    }

    /// The table's name and fields.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// How many rows there are, over all versions.
    pub fn len(&self) -> usize {
        self.written.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.written.is_empty()
    }

    /// Writes a row that counts from a time on; one of the same key and time is replaced.
    ///
    /// # Errors
    /// As [`Schema::event`]; [`Error::Misplaced`] for a row without a key.
    pub fn put(&mut self, at: Timestamp, fields: &[(&str, Value)]) -> Result<()> {
        let event = self.schema.event("", at, fields)?;
        if event.value(self.key).is_none() {
            return Err(Error::Misplaced(
                "a row of a table has a value in its key field",
            ));
        }
        self.write(at, event.values);
        Ok(())
    }

    pub(crate) fn write(&mut self, at: Timestamp, values: Vec<Option<Value>>) {
        let Some(Some(key)) = values.get(self.key) else {
            return;
        };
        let key = Key::of(key.as_value_ref());
        let at = at.as_millis();
        let versions = self.rows.entry(key.clone()).or_default();
        if versions.insert(at, values.into()).is_none() {
            self.written.push_back((key, at));
        }
        if self.written.len() > self.limit
            && let Some((key, at)) = self.written.pop_front()
        {
            self.dropped += 1;
            if let Some(versions) = self.rows.get_mut(&key) {
                versions.remove(&at);
                if versions.is_empty() {
                    self.rows.remove(&key);
                }
            }
        }
    }

    /// A key's row as of a time.
    pub(crate) fn get(&self, key: ValueRef<'_>, at: i64) -> Option<&Row> {
        let versions = self.rows.get(&Key::of(key))?;
        let (from, row) = versions.range(..=at).next_back()?;
        let alive = self
            .lifetime
            .is_none_or(|lifetime| at.saturating_sub(*from) <= lifetime);
        alive.then_some(row)
    }

    /// Writes an event's fields that the table has.
    pub(crate) fn follow(&mut self, source: &Schema, event: &Event) {
        let values = self.schema.fields().map(|(name, _)| {
            let place = source.index(name).ok()?;
            event.value(place).cloned()
        });
        let values = values.collect();
        self.write(event.at(), values);
    }
}
