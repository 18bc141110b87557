//! What an expression computes with. JSON is borrowed, never copied: a field access hands out a
//! reference into the step's output, and only results of operators are owned.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::rc::Rc;

use serde_json::Value;

use super::ast::Literal;
use super::civil::{Instant, Span};
use super::net::Net;

/// A value while an expression is evaluated; `'a` is the life of the program and the data.
#[derive(Debug, Clone)]
pub enum Val<'a> {
    /// `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A signed 64-bit integer: JSON numbers without fraction.
    Int(i64),
    /// An unsigned 64-bit integer (`1u`), and JSON numbers above `i64::MAX`.
    Uint(u64),
    /// A double.
    Double(f64),
    /// A string.
    Str(Text<'a>),
    /// Bytes (`b'…'`).
    Bytes(Rc<[u8]>),
    /// A list.
    List(List<'a>),
    /// A map; keys are booleans, integers or strings.
    Map(Map<'a>),
    /// An instant, as `timestamp('2026-01-01T00:00:00Z')` gives it.
    Timestamp(Instant),
    /// A span of time, as `duration('90s')` gives it.
    Duration(Span),
    /// The name of a type, as `type(x)` gives it.
    Type(&'static str),
    /// A value or none, as `a.?b` gives it.
    Optional(Option<Rc<Val<'a>>>),
    /// An address or a range of addresses, as `ip('10.0.0.1')` and `cidr('10.0.0.0/8')` give it.
    Net(Net),
}

/// A borrowed or computed string.
#[derive(Debug, Clone)]
pub enum Text<'a> {
    /// From the program or the data.
    Borrowed(&'a str),
    /// Computed.
    Owned(Rc<str>),
}

impl Text<'_> {
    /// The characters.
    pub fn as_str(&self) -> &str {
        match self {
            Text::Borrowed(text) => text,
            Text::Owned(text) => text,
        }
    }
}

/// A borrowed JSON array or a computed list.
#[derive(Debug, Clone)]
pub enum List<'a> {
    /// From the data.
    Json(&'a [Value]),
    /// Computed.
    Owned(Rc<Vec<Val<'a>>>),
}

impl<'a> List<'a> {
    /// Number of elements.
    pub fn len(&self) -> usize {
        match self {
            List::Json(items) => items.len(),
            List::Owned(items) => items.len(),
        }
    }

    /// Whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The element at `index`.
    pub fn get(&self, index: usize) -> Option<Val<'a>> {
        match self {
            List::Json(items) => items.get(index).map(Val::from_json),
            List::Owned(items) => items.get(index).cloned(),
        }
    }

    /// All elements in order.
    pub fn iter(&self) -> impl Iterator<Item = Val<'a>> + '_ {
        (0..self.len()).filter_map(|index| self.get(index))
    }
}

/// A borrowed JSON object or a computed map.
#[derive(Debug, Clone)]
pub enum Map<'a> {
    /// From the data.
    Json(&'a serde_json::Map<String, Value>),
    /// Computed: pairs in the order written, keys unique.
    Owned(Rc<Vec<(Val<'a>, Val<'a>)>>),
}

impl<'a> Map<'a> {
    /// Number of entries.
    pub fn len(&self) -> usize {
        match self {
            Map::Json(map) => map.len(),
            Map::Owned(pairs) => pairs.len(),
        }
    }

    /// Whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value under `key`; numbers of different types that are equal find the same entry.
    pub fn get(&self, key: &Val<'_>) -> Option<Val<'a>> {
        match self {
            Map::Json(map) => match key {
                Val::Str(name) => map.get(name.as_str()).map(Val::from_json),
                _ => None,
            },
            Map::Owned(pairs) => pairs
                .iter()
                .find(|(found, _)| found.equals(key))
                .map(|(_, value)| value.clone()),
        }
    }

    /// The value of the field `name`.
    pub fn field(&self, name: &str) -> Option<Val<'a>> {
        match self {
            Map::Json(map) => map.get(name).map(Val::from_json),
            Map::Owned(pairs) => {
                let named = |key: &Val<'_>| matches!(key, Val::Str(text) if text.as_str() == name);
                pairs
                    .iter()
                    .find(|(key, _)| named(key))
                    .map(|(_, value)| value.clone())
            }
        }
    }

    /// All entries.
    pub fn entries(&self) -> Vec<(Val<'a>, Val<'a>)> {
        match self {
            Map::Json(map) => map
                .iter()
                .map(|(k, v)| (Val::Str(Text::Borrowed(k)), Val::from_json(v)))
                .collect(),
            Map::Owned(pairs) => pairs.as_ref().clone(),
        }
    }
}

impl<'a> Val<'a> {
    /// A view of a JSON value. O(1).
    #[inline]
    pub fn from_json(value: &'a Value) -> Self {
        match value {
            Value::Null => Val::Null,
            Value::Bool(flag) => Val::Bool(*flag),
            Value::Number(number) => match number.as_i64() {
                Some(int) => Val::Int(int),
                None => match number.as_u64() {
                    Some(uint) => Val::Uint(uint),
                    None => Val::Double(number.as_f64().unwrap_or(f64::NAN)),
                },
            },
            Value::String(text) => Val::Str(Text::Borrowed(text)),
            Value::Array(items) => Val::List(List::Json(items)),
            Value::Object(map) => Val::Map(Map::Json(map)),
        }
    }

    pub(crate) fn from_literal(literal: &'a Literal) -> Self {
        match literal {
            Literal::Null => Val::Null,
            Literal::Bool(flag) => Val::Bool(*flag),
            Literal::Int(int) => Val::Int(*int),
            Literal::Uint(uint) => Val::Uint(*uint),
            Literal::Double(double) => Val::Double(*double),
            Literal::Str(text) => Val::Str(Text::Borrowed(text)),
            Literal::Bytes(bytes) => Val::Bytes(Rc::from(bytes.as_ref())),
        }
    }

    pub(crate) fn some(value: Val<'a>) -> Self {
        Val::Optional(Some(Rc::new(value)))
    }

    pub(crate) fn text(text: impl Into<Rc<str>>) -> Self {
        Val::Str(Text::Owned(text.into()))
    }

    pub(crate) fn list(items: Vec<Val<'a>>) -> Self {
        Val::List(List::Owned(Rc::new(items)))
    }

    pub(crate) fn map(pairs: Vec<(Val<'a>, Val<'a>)>) -> Self {
        Val::Map(Map::Owned(Rc::new(pairs)))
    }

    /// The type's CEL name.
    pub fn type_name(&self) -> &'static str {
        match self {
            Val::Null => "null_type",
            Val::Bool(_) => "bool",
            Val::Int(_) => "int",
            Val::Uint(_) => "uint",
            Val::Double(_) => "double",
            Val::Str(_) => "string",
            Val::Bytes(_) => "bytes",
            Val::List(_) => "list",
            Val::Map(_) => "map",
            Val::Timestamp(_) => "google.protobuf.Timestamp",
            Val::Duration(_) => "google.protobuf.Duration",
            Val::Type(_) => "type",
            Val::Optional(_) => "optional_type",
            Val::Net(Net::Ip(_)) => "net.IP",
            Val::Net(Net::Cidr(..)) => "net.CIDR",
        }
    }

    /// The value as JSON. Bytes become base64 text, doubles without a JSON form become `null`.
    pub fn to_json(&self) -> Value {
        match self {
            Val::Null => Value::Null,
            Val::Bool(flag) => Value::Bool(*flag),
            Val::Int(int) => Value::from(*int),
            Val::Uint(uint) => Value::from(*uint),
            Val::Double(double) => Value::from(*double),
            Val::Str(text) => Value::from(text.as_str()),
            Val::Bytes(bytes) => Value::from(super::base64::encode(bytes)),
            Val::List(List::Json(items)) => Value::Array(items.to_vec()),
            Val::List(list) => Value::Array(list.iter().map(|item| item.to_json()).collect()),
            Val::Map(Map::Json(map)) => Value::Object((*map).clone()),
            Val::Map(map) => Value::Object(
                map.entries()
                    .iter()
                    .map(|(k, v)| (k.display().into_owned(), v.to_json()))
                    .collect(),
            ),
            Val::Timestamp(instant) => Value::from(instant.format()),
            Val::Duration(span) => Value::from(span.format()),
            Val::Type(name) => Value::from(*name),
            Val::Optional(Some(value)) => value.to_json(),
            Val::Optional(None) => Value::Null,
            Val::Net(net) => Value::from(net.to_string()),
        }
    }

    /// The text that `${…}` inside a longer string puts in its place.
    pub fn display(&self) -> Cow<'_, str> {
        match self {
            Val::Str(text) => Cow::Borrowed(text.as_str()),
            Val::Null => Cow::Borrowed("null"),
            other => Cow::Owned(other.to_json().to_string()),
        }
    }

    /// CEL's heterogeneous equality: numbers by value over types, everything else by type first.
    pub fn equals(&self, other: &Val<'_>) -> bool {
        match (self, other) {
            (Val::Str(a), Val::Str(b)) => a.as_str() == b.as_str(),
            (Val::Null, Val::Null) => true,
            (Val::Bool(a), Val::Bool(b)) => a == b,
            (Val::Bytes(a), Val::Bytes(b)) => a == b,
            (Val::Type(a), Val::Type(b)) => a == b,
            (Val::Optional(Some(a)), Val::Optional(Some(b))) => a.equals(b),
            (Val::Optional(a), Val::Optional(b)) => a.is_none() && b.is_none(),
            (Val::Net(a), Val::Net(b)) => a == b,
            (Val::Timestamp(a), Val::Timestamp(b)) => a == b,
            (Val::Duration(a), Val::Duration(b)) => a == b,
            (Val::List(a), Val::List(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .zip(b.iter())
                        .all(|(left, right)| left.equals(&right))
            }
            (Val::Map(a), Val::Map(b)) => {
                a.len() == b.len()
                    && a.entries()
                        .iter()
                        .all(|(key, value)| b.get(key).is_some_and(|found| found.equals(value)))
            }
            _ => self.compare_numbers(other) == Some(Ordering::Equal),
        }
    }

    /// Integers against doubles compare as doubles, as CEL says: rounded above 2^53.
    fn compare_numbers(&self, other: &Val<'_>) -> Option<Ordering> {
        match (self, other) {
            (Val::Int(a), Val::Int(b)) => Some(a.cmp(b)),
            (Val::Uint(a), Val::Uint(b)) => Some(a.cmp(b)),
            (Val::Double(a), Val::Double(b)) => a.partial_cmp(b),
            (Val::Int(a), Val::Uint(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
            (Val::Uint(a), Val::Int(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
            (Val::Int(a), Val::Double(b)) => (*a as f64).partial_cmp(b),
            (Val::Uint(a), Val::Double(b)) => (*a as f64).partial_cmp(b),
            (Val::Double(a), Val::Int(b)) => a.partial_cmp(&(*b as f64)),
            (Val::Double(a), Val::Uint(b)) => a.partial_cmp(&(*b as f64)),
            _ => None,
        }
    }

    /// Order of two values; `None` when they have none. The outer `Err` says that the types never do.
    pub(crate) fn compare(&self, other: &Val<'_>) -> Result<Option<Ordering>, ()> {
        match (self, other) {
            (Val::Str(a), Val::Str(b)) => Ok(Some(a.as_str().cmp(b.as_str()))),
            (Val::Bytes(a), Val::Bytes(b)) => Ok(Some(a.cmp(b))),
            (Val::Bool(a), Val::Bool(b)) => Ok(Some(a.cmp(b))),
            (Val::Timestamp(a), Val::Timestamp(b)) => Ok(Some(a.cmp(b))),
            (Val::Duration(a), Val::Duration(b)) => Ok(Some(a.cmp(b))),
            (
                Val::Int(_) | Val::Uint(_) | Val::Double(_),
                Val::Int(_) | Val::Uint(_) | Val::Double(_),
            ) => Ok(self.compare_numbers(other)),
            _ => Err(()),
        }
    }
}
