//! Payloads into events of a declared schema; what is none is a [`Rejection`] for the dead letters.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::event::{Event, Schema, Value};
use crate::time::Timestamp;

/// The longest payload that is read.
pub const PAYLOAD_BYTES_MAX: usize = 256 << 10;
/// The most events of one payload.
pub const PAYLOAD_EVENTS_MAX: usize = 10_000;

/// What payloads look like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A JSON object, or an array of them; fields that the schema does not have are passed over.
    #[default]
    Json,
    /// A batch of [`agent`](crate::agent): events with the fields `channel` and `value`, where the schema has
    /// them.
    Samples,
}

/// Why a payload, or a part of it, is no event.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Rejection {
    /// It is longer than the limit, or holds more events.
    #[error("a payload of {found} {what}, at most {limit} are read")]
    TooLong {
        /// `bytes` or `events`.
        what: &'static str,
        /// How many.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// It cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// It has no id or no time.
    #[error("no `{0}`")]
    Missing(String),
    /// It does not fit the schema.
    #[error("{0}")]
    Schema(Error),
}

impl Rejection {
    /// Its name in counters.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "too_long",
            Self::Unreadable(_) => "unreadable",
            Self::Missing(_) => "missing",
            Self::Schema(_) => "schema",
        }
    }
}

/// Reads payloads of one source.
///
/// ```
/// use midstream::{FieldType, Schema};
/// use midstream::decode::{Decoder, Format};
///
/// let schema = Schema::new("machines").field("machine", FieldType::Text).field("temp", FieldType::Float);
/// let decoder = Decoder::new(schema, Format::Json, "id", "at");
/// let payload = br#"{"id": "a-1", "at": 1700000000000, "machine": "m-7", "temp": 90, "note": "passed over"}"#;
/// let events = decoder.decode(payload);
/// assert_eq!(events[0].as_ref().map(|event| event.id()), Ok("a-1"));
/// assert!(decoder.decode(b"{}")[0].is_err());
/// ```
#[derive(Clone, Debug)]
pub struct Decoder {
    schema: Schema,
    format: Format,
    id: String,
    time: String,
}

impl Decoder {
    /// Events of a schema; `id` and `time` (milliseconds since 1970) are the fields of JSON objects that hold
    /// these. The two may be fields of the schema as well.
    pub fn new(schema: Schema, format: Format, id: &str, time: &str) -> Self {
        Self {
            schema,
            format,
            id: id.to_owned(),
            time: time.to_owned(),
        }
    }

    /// The source's schema.
    pub fn schema(&self) -> &Schema {
        &self.schema
    }

    /// The events of a payload, each or why it is none; a payload that cannot be read is one rejection. Linear
    /// in its bytes.
    pub fn decode(&self, payload: &[u8]) -> Vec<Result<Event, Rejection>> {
        let too_long = |what, found, limit| vec![Err(Rejection::TooLong { what, found, limit })];
        if payload.len() > PAYLOAD_BYTES_MAX {
            return too_long("bytes", payload.len(), PAYLOAD_BYTES_MAX);
        }
        if self.format == Format::Samples {
            return self.samples(payload);
        }
        let mut reader = serde_json::Deserializer::from_slice(payload);
        let read = reader
            .deserialize_any(Objects(self))
            .and_then(|events| reader.end().map(|()| events));
        match read {
            Ok(events) if events.len() > PAYLOAD_EVENTS_MAX => {
                too_long("events", events.len(), PAYLOAD_EVENTS_MAX)
            }
            Ok(events) => events,
            Err(cause) => vec![Err(Rejection::Unreadable(cause.to_string()))],
        }
    }

    fn samples(&self, payload: &[u8]) -> Vec<Result<Event, Rejection>> {
        let batch = match crate::agent::decode_batch(payload) {
            Ok(batch) => batch,
            Err(cause) => return vec![Err(Rejection::Unreadable(cause.to_string()))],
        };
        let has = |name: &str| self.schema.index(name).is_ok();
        let (channel, value) = (has("channel"), has("value"));
        let begin = batch.samples.first().map_or(0, |s| s.at.as_millis());
        let event = |(place, sample): (usize, &crate::agent::Sample)| {
            let id = format!("{}-{begin}-{}-{place}", batch.channel, batch.number);
            let all = [
                (channel, "channel", Value::Int(i64::from(batch.channel))),
                (value, "value", Value::Float(f64::from(sample.value))),
            ];
            let fields: Vec<_> = all
                .into_iter()
                .filter_map(|(has, name, value)| has.then_some((name, value)))
                .collect();
            let event = self.schema.event(&id, sample.at, &fields);
            event.map_err(Rejection::Schema)
        };
        batch.samples.iter().enumerate().map(event).collect()
    }
}

/// An object, or an array of objects.
struct Objects<'a>(&'a Decoder);

impl<'de> Visitor<'de> for Objects<'_> {
    type Value = Vec<Result<Event, Rejection>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object or an array of objects")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        Ok(vec![Object(self.0).visit_map(map)?])
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut events = Vec::new();
        while let Some(event) = seq.next_element_seed(Object(self.0))? {
            events.push(event);
        }
        Ok(events)
    }
}

struct Object<'a>(&'a Decoder);

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = Result<Event, Rejection>;

    fn deserialize<D: serde::Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = Result<Event, Rejection>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let decoder = self.0;
        let mut id = None;
        let mut at = None;
        let mut fields: Vec<(&str, Value)> = Vec::with_capacity(8);
        while let Some(Name(name)) = map.next_key()? {
            let known = decoder.schema.fields().find(|(field, _)| *field == name);
            let is_id = name == decoder.id;
            let is_time = name == decoder.time;
            if known.is_none() && !is_id && !is_time {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let Scalar(Some(value)) = map.next_value()? else {
                continue;
            };
            if is_id {
                id = Some(match &value {
                    Value::Text(text) => text.clone(),
                    other => other.to_string().into(),
                });
            }
            if is_time {
                at = value.as_f64().map(|millis| millis as i64);
                if let Value::Int(millis) = value {
                    at = Some(millis);
                }
            }
            if let Some((field, _)) = known {
                fields.push((field, value));
            }
        }
        let missing = |name: &str| Ok(Err(Rejection::Missing(name.to_owned())));
        let Some(id) = id else {
            return missing(&decoder.id);
        };
        let Some(at) = at else {
            return missing(&decoder.time);
        };
        let event = decoder
            .schema
            .event(&id, Timestamp::from_millis(at), &fields);
        Ok(event.map_err(Rejection::Schema))
    }
}

/// A field's name, borrowed where it can be.
struct Name<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Name<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> Visitor<'de> for Text {
            type Value = Cow<'de, str>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Cow::Borrowed(text))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Cow::Owned(text.to_owned()))
            }
        }
        from.deserialize_str(Text).map(Name)
    }
}

/// A value that is no list and no object; none for null.
struct Scalar(Option<Value>);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Option<Value>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, a text, true, false or null")
            }
            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(None)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Some(Value::Bool(value)))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Some(Value::Int(value)))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
                Ok(Some(match i64::try_from(value) {
                    Ok(value) => Value::Int(value),
                    Err(_) => Value::Float(value as f64),
                }))
            }
            fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
                Ok(Some(Value::Float(value)))
            }
            fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Some(value.into()))
            }
        }
        from.deserialize_any(Any).map(Scalar)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FieldType;

    fn decoder() -> Decoder {
        let schema = Schema::new("s")
            .field("t", FieldType::Float)
            .field("n", FieldType::Int)
            .field("on", FieldType::Bool)
            .field("who", FieldType::Text);
        Decoder::new(schema, Format::Json, "id", "at")
    }

    #[test]
    fn each_way_to_be_no_event_has_its_reason() {
        let reason = |text: &str| {
            decoder().decode(text.as_bytes())[0]
                .clone()
                .map_err(|r| r.reason())
        };
        for (text, wanted) in [
            ("", "unreadable"),
            ("{", "unreadable"),
            ("7", "unreadable"),
            ("{\"id\":\"a\",\"at\":1} {}", "unreadable"),
            ("{\"id\":\"a\",\"at\":1,\"t\":{}}", "unreadable"),
            ("{\"at\":1}", "missing"),
            ("{\"id\":null,\"at\":1}", "missing"),
            ("{\"id\":\"a\"}", "missing"),
            ("{\"id\":\"a\",\"at\":\"now\"}", "missing"),
            ("{\"id\":\"a\",\"at\":1,\"t\":\"hot\"}", "schema"),
            ("{\"id\":\"a\",\"at\":1,\"n\":1.5}", "schema"),
        ] {
            assert_eq!(reason(text), Err(wanted), "{text}");
        }
        let long = format!("\"{}\"", "x".repeat(PAYLOAD_BYTES_MAX));
        assert_eq!(reason(&long), Err("too_long"));
        let id = "x".repeat(257);
        assert_eq!(
            reason(&format!("{{\"id\":\"{id}\",\"at\":1}}")),
            Err("schema")
        );
    }

    #[test]
    fn one_bad_object_of_an_array_leaves_the_others() {
        let events = decoder().decode(br#"[{"id":1,"at":5,"t":2,"on":true,"who":"\u00e9"},{"at":6},{"id":"c","at":7.0,"x":[1]}]"#);
        assert_eq!(events.len(), 3);
        let first = events[0].as_ref().unwrap();
        assert_eq!((first.id(), first.at()), ("1", Timestamp::from_millis(5)));
        assert!(events[1].is_err());
        assert_eq!(events[2].as_ref().unwrap().at(), Timestamp::from_millis(7));
    }
}
