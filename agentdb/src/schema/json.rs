//! Schemas as JSON. FORMAT.md tells the form.

use serde_json::{Map, Value, json};

use super::{Field, Schema, Wins};
use crate::error::{Error, Result};

/// The largest schema that is read, in bytes.
pub const SCHEMA_BYTES_MAX: usize = 1 << 20;

fn refused<T>(cause: impl Into<String>) -> Result<T> {
    Err(Error::Schema {
        cause: cause.into(),
    })
}

impl Field {
    /// A field from JSON: a name such as `"lww"`, or an object with a `type`:
    /// `{"type": "status", "order": ["queued", "done"]}`.
    ///
    /// # Errors
    /// [`Error::Schema`].
    pub fn from_json(value: &Value) -> Result<Self> {
        let none = Map::new();
        let (name, options) = match value {
            Value::String(name) => (name.as_str(), &none),
            Value::Object(options) => match options.get("type").and_then(Value::as_str) {
                Some(name) => (name, options),
                None => return refused(format!("{value} has no `type`")),
            },
            _ => {
                return refused(format!(
                    "{value} is no field: wanted a name or an object with a `type`"
                ));
            }
        };
        let allowed: &[&str] = match name {
            "status" => &["order"],
            "flag" | "or_set" => &["wins"],
            "or_map" => &["value", "wins"],
            _ => &[],
        };
        if let Some(other) = options
            .keys()
            .find(|key| *key != "type" && !allowed.contains(&key.as_str()))
        {
            return refused(format!("a field of type `{name}` has no `{other}`"));
        }
        let wins = match options.get("wins").map(Value::as_str) {
            None | Some(Some("add")) => Wins::Add,
            Some(Some("remove")) => Wins::Remove,
            Some(_) => return refused("`wins` is `add` or `remove`"),
        };
        Ok(match name {
            "lww" => Self::Lww,
            "mv" => Self::Mv,
            "max" => Self::Max,
            "min" => Self::Min,
            "pn_counter" => Self::PnCounter,
            "list" => Self::List,
            "flag" => Self::Flag(wins),
            "or_set" => Self::OrSet(wins),
            "or_map" => match options.get("value") {
                Some(value) => Self::OrMap(Box::new(Self::from_json(value)?), wins),
                None => return refused("an `or_map` needs a `value`: the field that each key has"),
            },
            "status" => {
                let order = options.get("order").and_then(Value::as_array);
                let order = order.and_then(|order| {
                    let names = order.iter().map(|name| name.as_str().map(str::to_owned));
                    names.collect::<Option<Vec<_>>>()
                });
                match order {
                    Some(order) => Self::Status(order),
                    None => {
                        return refused(
                            "a `status` needs an `order`: its names, the first one first",
                        );
                    }
                }
            }
            _ => {
                return refused(format!(
                    "no field has type `{name}`: there are lww, mv, max, min, status, pn_counter, flag, or_set, or_map, list"
                ));
            }
        })
    }

    /// What [`from_json`](Self::from_json) reads.
    pub fn to_json(&self) -> Value {
        let with_wins = |mut value: Value, wins: &Wins| {
            if *wins == Wins::Remove {
                value["wins"] = json!("remove");
            }
            value
        };
        match self {
            Self::Lww => json!("lww"),
            Self::Mv => json!("mv"),
            Self::Max => json!("max"),
            Self::Min => json!("min"),
            Self::PnCounter => json!("pn_counter"),
            Self::List => json!("list"),
            Self::Status(order) => json!({"type": "status", "order": order}),
            Self::Flag(wins) => with_wins(json!({"type": "flag"}), wins),
            Self::OrSet(wins) => with_wins(json!({"type": "or_set"}), wins),
            Self::OrMap(value, wins) => {
                with_wins(json!({"type": "or_map", "value": value.to_json()}), wins)
            }
        }
    }
}

impl Schema {
    /// Reads a schema.
    ///
    /// ```
    /// let robot = agentdb::Schema::from_json(r#"{
    ///     "name": "robot",
    ///     "fields": {
    ///         "battery": "lww",
    ///         "tasks": {"type": "or_map", "value": {"type": "status", "order": ["queued", "done"]}}
    ///     },
    ///     "indexes": ["battery"]
    /// }"#)?;
    /// assert_eq!(robot.get("battery"), Some(&agentdb::Field::Lww));
    /// # Ok::<(), agentdb::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Schema`]; [`Error::Limit`] above [`SCHEMA_BYTES_MAX`].
    pub fn from_json(text: &str) -> Result<Self> {
        if text.len() > SCHEMA_BYTES_MAX {
            return Err(Error::Limit {
                what: "length of a schema in bytes",
                found: text.len(),
                limit: SCHEMA_BYTES_MAX,
            });
        }
        let value: Value = serde_json::from_str(text).map_err(|cause| Error::Schema {
            cause: cause.to_string(),
        })?;
        let Some(name) = value["name"].as_str() else {
            return refused("a schema has a `name`");
        };
        let Some(fields) = value["fields"].as_object() else {
            return refused("a schema has `fields`: an object");
        };
        let mut schema = Self::new(name);
        for (field, kind) in fields {
            schema = schema.field(field, Field::from_json(kind)?);
        }
        match &value["indexes"] {
            Value::Null => {}
            Value::Array(indexes) => {
                for index in indexes {
                    let Some(field) = index.as_str() else {
                        return refused("`indexes` are names of fields");
                    };
                    schema = schema.index(field);
                }
            }
            _ => return refused("`indexes` are names of fields"),
        }
        let known = ["name", "fields", "indexes"];
        let keys = value.as_object().into_iter().flat_map(Map::keys);
        if let Some(other) = keys.into_iter().find(|key| !known.contains(&key.as_str())) {
            return refused(format!("a schema has no `{other}`"));
        }
        schema.check()?;
        Ok(schema)
    }

    /// What [`from_json`](Self::from_json) reads.
    pub fn to_json(&self) -> Value {
        let fields: Map<String, Value> = self
            .fields()
            .map(|(name, field)| (name.to_owned(), field.to_json()))
            .collect();
        let indexes: Vec<&str> = self.indexes().collect();
        json!({"name": self.name(), "fields": fields, "indexes": indexes})
    }
}
