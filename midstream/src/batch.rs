//! Rows of one source by column, for what arrives in bulk.

use std::fmt::Write as _;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::event::{Event, FieldType, Schema, Value, ValueRef};
use crate::time::Timestamp;

/// The values of one field, one a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// Numbers.
    Float(Vec<f64>),
    /// Integers.
    Int(Vec<i64>),
    /// True or false.
    Bool(Vec<bool>),
    /// Texts: the distinct ones, and for each row the place of its text among them.
    Text {
        /// The distinct texts.
        dictionary: Vec<Arc<str>>,
        /// A place in the dictionary for each row.
        codes: Vec<u32>,
    },
}

impl Column {
    fn field_type(&self) -> FieldType {
        match self {
            Self::Float(_) => FieldType::Float,
            Self::Int(_) => FieldType::Int,
            Self::Bool(_) => FieldType::Bool,
            Self::Text { .. } => FieldType::Text,
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Float(values) => values.len(),
            Self::Int(values) => values.len(),
            Self::Bool(values) => values.len(),
            Self::Text { codes, .. } => codes.len(),
        }
    }

    fn value(&self, row: usize) -> Option<ValueRef<'_>> {
        Some(match self {
            Self::Float(values) => ValueRef::Float(*values.get(row)?),
            Self::Int(values) => ValueRef::Int(*values.get(row)?),
            Self::Bool(values) => ValueRef::Bool(*values.get(row)?),
            Self::Text { dictionary, codes } => {
                ValueRef::Text(dictionary.get(*codes.get(row)? as usize)?)
            }
        })
    }
}

/// Rows of one source: a time and a value of each field a row. No value is missing.
///
/// A row's event id is the batch's name, `/` and the row's number from 0. Ids of rows are not looked up among
/// those seen before.
#[derive(Clone, Debug, PartialEq)]
pub struct Batch {
    pub(crate) source: Arc<str>,
    name: Arc<str>,
    pub(crate) at: Vec<Timestamp>,
    pub(crate) columns: Vec<Column>,
}

impl Batch {
    /// Rows of a source at these times, with a column for each of its fields in the schema's order.
    ///
    /// # Errors
    /// [`Error::Type`] for a column of another type than its field, [`Error::Columns`] where columns are missing
    /// or differ in length, or a text has no place in its dictionary. Linear in the rows.
    pub fn new(
        schema: &Schema,
        name: &str,
        at: Vec<Timestamp>,
        columns: Vec<Column>,
    ) -> Result<Self> {
        if columns.len() != schema.fields().count() {
            return Err(Error::Columns {
                source_name: schema.name().to_owned(),
                cause: "as many columns as fields are wanted",
            });
        }
        for ((field, wanted), column) in schema.fields().zip(&columns) {
            if column.field_type() != wanted {
                return Err(Error::Type {
                    field: field.to_owned(),
                    wanted,
                    found: column.field_type(),
                });
            }
            let placed = match column {
                Column::Text { dictionary, codes } => {
                    codes.iter().all(|code| (*code as usize) < dictionary.len())
                }
                _ => true,
            };
            if column.len() != at.len() || !placed {
                return Err(Error::Columns {
                    source_name: schema.name().to_owned(),
                    cause: "each column has a value for each time, each text is in its dictionary",
                });
            }
        }
        Ok(Self {
            source: schema.shared_name().clone(),
            name: name.into(),
            at,
            columns,
        })
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.at.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.at.is_empty()
    }

    /// A row as an event.
    pub(crate) fn event(&self, row: usize) -> Event {
        let values = self
            .columns
            .iter()
            .map(|column| column.value(row).map(Value::from));
        Event {
            source: self.source.clone(),
            id: self.id(row),
            at: self.at[row],
            values: values.collect(),
        }
    }

    fn id(&self, row: usize) -> Arc<str> {
        id_of_row(&self.name, row, &mut String::new())
    }
}

fn id_of_row(batch: &str, row: usize, text: &mut String) -> Arc<str> {
    text.clear();
    // Writing to a text does not fail.
    let _ = write!(text, "{batch}/{row}");
    text.as_str().into()
}

/// An event's id. That of a row is made into text only where it is told: most rows that a pattern keeps never are.
#[derive(Clone, Debug)]
pub(crate) enum EventId {
    Text(Arc<str>),
    /// The batch's name and the row's number.
    Row(Arc<str>, usize),
}

impl EventId {
    pub fn text(&self) -> Arc<str> {
        self.text_by(&mut String::new())
    }

    /// As [`EventId::text`], made in a text that serves for the next one too.
    pub fn text_by(&self, text: &mut String) -> Arc<str> {
        match self {
            Self::Text(id) => id.clone(),
            Self::Row(batch, row) => id_of_row(batch, *row, text),
        }
    }

    /// Bytes of the text.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(id) => id.len(),
            Self::Row(batch, row) => batch.len() + 2 + row.checked_ilog10().unwrap_or(0) as usize,
        }
    }
}

impl Default for EventId {
    fn default() -> Self {
        Self::Text(Arc::default())
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text())
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        Arc::deserialize(from).map(Self::Text)
    }
}

/// An event, or a row of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Row<'a> {
    Event(&'a Event),
    Batch(&'a Batch, usize),
}

impl<'a> Row<'a> {
    pub fn at(self) -> Timestamp {
        match self {
            Self::Event(event) => event.at,
            Self::Batch(batch, row) => batch.at[row],
        }
    }

    pub fn source(self) -> &'a Arc<str> {
        match self {
            Self::Event(event) => &event.source,
            Self::Batch(batch, _) => &batch.source,
        }
    }

    pub fn id(self) -> Arc<str> {
        match self {
            Self::Event(event) => event.id.clone(),
            Self::Batch(batch, row) => batch.id(row),
        }
    }

    /// The id, not yet as text.
    pub fn event_id(self) -> EventId {
        match self {
            Self::Event(event) => EventId::Text(event.id.clone()),
            Self::Batch(batch, row) => EventId::Row(batch.name.clone(), row),
        }
    }

    /// The text of a field and its code in the batch's dictionary.
    pub fn code(self, field: usize) -> Option<(&'a Arc<str>, u32)> {
        match self {
            Self::Batch(batch, row) => match batch.columns.get(field)? {
                Column::Text { dictionary, codes } => {
                    let code = *codes.get(row)?;
                    Some((dictionary.get(code as usize)?, code))
                }
                _ => None,
            },
            Self::Event(_) => None,
        }
    }

    pub fn value(self, field: usize) -> Option<ValueRef<'a>> {
        match self {
            Self::Event(event) => event.value(field).map(Value::as_value_ref),
            Self::Batch(batch, row) => batch.columns.get(field)?.value(row),
        }
    }
}
