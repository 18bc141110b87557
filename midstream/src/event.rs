//! Events and their schema.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::time::Timestamp;

/// The longest event id, in bytes.
pub const EVENT_ID_BYTES_MAX: usize = 256;

/// The type of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// A 64-bit floating point number.
    Float,
    /// A 64-bit integer.
    Int,
    /// True or false.
    Bool,
    /// Text.
    Text,
}

impl fmt::Display for FieldType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Float => "a float",
            Self::Int => "an integer",
            Self::Bool => "a boolean",
            Self::Text => "text",
        })
    }
}

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// True or false.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text.
    Text(Arc<str>),
}

impl Value {
    /// Its type.
    pub fn field_type(&self) -> FieldType {
        match self {
            Self::Bool(_) => FieldType::Bool,
            Self::Int(_) => FieldType::Int,
            Self::Float(_) => FieldType::Float,
            Self::Text(_) => FieldType::Text,
        }
    }

    /// Its value as a number; none for text.
    pub fn as_f64(&self) -> Option<f64> {
        self.as_value_ref().as_f64()
    }

    pub(crate) fn as_value_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Bool(value) => ValueRef::Bool(*value),
            Self::Int(value) => ValueRef::Int(*value),
            Self::Float(value) => ValueRef::Float(*value),
            Self::Text(value) => ValueRef::Text(value),
        }
    }
}

/// A value where it lies.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ValueRef<'a> {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(&'a Arc<str>),
}

impl ValueRef<'_> {
    pub fn as_f64(self) -> Option<f64> {
        match self {
            Self::Float(value) => Some(value),
            Self::Int(value) => Some(value as f64),
            Self::Bool(value) => Some(f64::from(u8::from(value))),
            Self::Text(_) => None,
        }
    }
}

impl From<ValueRef<'_>> for Value {
    fn from(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Bool(value) => Self::Bool(value),
            ValueRef::Int(value) => Self::Int(value),
            ValueRef::Float(value) => Self::Float(value),
            ValueRef::Text(value) => Self::Text(value.clone()),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Int(value) => value.fmt(f),
            Self::Float(value) => value.fmt(f),
            Self::Text(value) => f.write_str(value),
        }
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<i32> for Value {
    fn from(value: i32) -> Self {
        Self::Int(value.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.into())
    }
}

/// The name and the typed fields of one source of events.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    name: Arc<str>,
    fields: Vec<(String, FieldType)>,
    /// Keys of several fields, behind the fields: an engine fills them in, and no one else sees them.
    #[serde(skip)]
    tuples: Vec<String>,
}

impl Schema {
    /// A source of this name without fields.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            fields: Vec::new(),
            tuples: Vec::new(),
        }
    }

    /// Adds a field; one of the same name is replaced.
    #[must_use]
    pub fn field(mut self, name: &str, field_type: FieldType) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), field_type));
        self
    }

    /// The source's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn shared_name(&self) -> &Arc<str> {
        &self.name
    }

    /// The fields in order.
    pub fn fields(&self) -> impl Iterator<Item = (&str, FieldType)> {
        self.fields
            .iter()
            .map(|(name, field_type)| (name.as_str(), *field_type))
    }

    /// The place of a field.
    ///
    /// # Errors
    /// [`Error::UnknownField`], with the fields that there are.
    pub fn index(&self, field: &str) -> Result<usize> {
        let tuple = || {
            let place = self.tuples.iter().position(|known| known == field)?;
            Some(self.fields.len() + place)
        };
        self.fields
            .iter()
            .position(|(known, _)| known == field)
            .or_else(tuple)
            .ok_or_else(|| Error::UnknownField {
                source_name: self.name.to_string(),
                field: field.to_owned(),
                known: self
                    .fields
                    .iter()
                    .map(|(name, _)| name.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }

    /// Adds a key of several fields behind all others; its place.
    pub(crate) fn add_tuple(&mut self, name: &str) -> usize {
        self.tuples.push(name.to_owned());
        self.fields.len() + self.tuples.len() - 1
    }

    /// An event of this source with the given fields; absent fields are missing, and no predicate on them
    /// holds. An integer is taken for a float field.
    ///
    /// # Errors
    /// [`Error::UnknownField`], [`Error::Type`], [`Error::IdTooLong`].
    pub fn event(&self, id: &str, at: Timestamp, fields: &[(&str, Value)]) -> Result<Event> {
        if id.len() > EVENT_ID_BYTES_MAX {
            return Err(Error::IdTooLong {
                found: id.len(),
                limit: EVENT_ID_BYTES_MAX,
            });
        }
        let mut values = vec![None; self.fields.len()];
        for (name, value) in fields {
            let index = self.index(name)?;
            let wanted = self.fields[index].1;
            let value = match (wanted, value) {
                (FieldType::Float, Value::Int(value)) => Value::Float(*value as f64),
                (_, value) => value.clone(),
            };
            if value.field_type() != wanted {
                return Err(Error::Type {
                    field: (*name).to_owned(),
                    wanted,
                    found: value.field_type(),
                });
            }
            values[index] = Some(value);
        }
        Ok(Event {
            source: self.name.clone(),
            id: id.into(),
            at,
            values,
        })
    }
}

/// Something that happened, made by [`Schema::event`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub(crate) source: Arc<str>,
    pub(crate) id: Arc<str>,
    pub(crate) at: Timestamp,
    pub(crate) values: Vec<Option<Value>>,
}

impl Event {
    /// The name of its source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Its id, unique among all events of the engine.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// When it happened.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    pub(crate) fn value(&self, index: usize) -> Option<&Value> {
        self.values.get(index)?.as_ref()
    }
}
