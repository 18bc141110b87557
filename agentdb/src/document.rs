//! A document: fields that merge, and one causal context.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::clock::{Context, ReplicaId};
use crate::error::{Error, Result};
use crate::leaf::{Leaf, Stamp};
use crate::schema::{Field, Schema};

/// The longest text or JSON of one field, in bytes.
pub const FIELD_BYTES_MAX: usize = 1 << 20;

/// A document that merges with its copies on other replicas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    schema: String,
    context: Context,
    fields: BTreeMap<String, Leaf>,
    /// The latest stamp that was made or seen.
    stamp: Stamp,
}

impl Document {
    /// An empty document.
    pub fn new(schema: &Schema) -> Self {
        Self {
            schema: schema.name().to_owned(),
            context: Context::default(),
            fields: BTreeMap::new(),
            stamp: Stamp::default(),
        }
    }

    /// The name of its schema.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// What it has seen.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The latest stamp that was made or seen.
    pub fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// Whether a copy from elsewhere is one that this schema and a well-behaved replica could have made.
    pub(crate) fn check(&self, schema: &Schema) -> std::result::Result<(), String> {
        self.context.check()?;
        for (field, leaf) in &self.fields {
            let declared = schema
                .get(field)
                .ok_or_else(|| format!("schema `{}` has no field `{field}`", schema.name()))?;
            match (declared, leaf) {
                (Field::Lww, Leaf::Lww { value, dot, stamp }) => {
                    if !self.context.contains(*dot) || *stamp > self.stamp {
                        return Err(format!(
                            "field `{field}` holds a write that its clock has not seen"
                        ));
                    }
                    let found = value.to_string().len();
                    if found > FIELD_BYTES_MAX {
                        return Err(format!(
                            "field `{field}` is {found} bytes, at most {FIELD_BYTES_MAX} are allowed"
                        ));
                    }
                }
                (Field::Max, Leaf::Max { value }) if value.is_finite() => {}
                (Field::Status(order), Leaf::Status { rank }) if (*rank as usize) < order.len() => {
                }
                (Field::PnCounter, Leaf::PnCounter { .. }) => {}
                _ => {
                    return Err(format!(
                        "field `{field}` does not hold what {} holds",
                        declared.name()
                    ));
                }
            }
        }
        Ok(())
    }

    /// Writes a last-write-wins field.
    ///
    /// # Errors
    /// [`Error::UnknownField`], [`Error::WrongType`], [`Error::Limit`].
    pub fn set(
        &mut self,
        schema: &Schema,
        replica: ReplicaId,
        millis: i64,
        field: &str,
        value: Value,
    ) -> Result<()> {
        let Field::Lww = declared(schema, field)? else {
            return wrong(schema, field, "be set");
        };
        let found = value.to_string().len();
        if found > FIELD_BYTES_MAX {
            return Err(Error::Limit {
                what: "length of a field in bytes",
                found,
                limit: FIELD_BYTES_MAX,
            });
        }
        let dot = self.write(replica, millis);
        self.fields.insert(
            field.to_owned(),
            Leaf::Lww {
                value,
                dot,
                stamp: self.stamp,
            },
        );
        Ok(())
    }

    /// Raises a maximum; a smaller number changes nothing.
    ///
    /// # Errors
    /// [`Error::UnknownField`], [`Error::WrongType`], [`Error::NotFinite`].
    pub fn max(
        &mut self,
        schema: &Schema,
        replica: ReplicaId,
        millis: i64,
        field: &str,
        value: f64,
    ) -> Result<()> {
        let Field::Max = declared(schema, field)? else {
            return wrong(schema, field, "be raised");
        };
        if !value.is_finite() {
            return Err(Error::NotFinite {
                field: field.to_owned(),
                value,
            });
        }
        if let Some(Leaf::Max { value: before }) = self.fields.get(field)
            && *before >= value
        {
            return Ok(());
        }
        self.write(replica, millis);
        self.fields.insert(field.to_owned(), Leaf::Max { value });
        Ok(())
    }

    /// Moves a status forward; an earlier one changes nothing.
    ///
    /// # Errors
    /// [`Error::UnknownField`], [`Error::WrongType`], [`Error::UnknownStatus`].
    pub fn status(
        &mut self,
        schema: &Schema,
        replica: ReplicaId,
        millis: i64,
        field: &str,
        status: &str,
    ) -> Result<()> {
        let Field::Status(order) = declared(schema, field)? else {
            return wrong(schema, field, "have a status");
        };
        let place = order
            .iter()
            .position(|known| known == status)
            .and_then(|place| u32::try_from(place).ok());
        let rank = place.ok_or_else(|| Error::UnknownStatus {
            field: field.to_owned(),
            status: status.to_owned(),
            known: order.join(", "),
        })?;
        if let Some(Leaf::Status { rank: before }) = self.fields.get(field)
            && *before >= rank
        {
            return Ok(());
        }
        self.write(replica, millis);
        self.fields.insert(field.to_owned(), Leaf::Status { rank });
        Ok(())
    }

    /// Adds to a counter, or takes from it.
    ///
    /// # Errors
    /// [`Error::UnknownField`], [`Error::WrongType`].
    pub fn add(
        &mut self,
        schema: &Schema,
        replica: ReplicaId,
        millis: i64,
        field: &str,
        by: i64,
    ) -> Result<()> {
        let Field::PnCounter = declared(schema, field)? else {
            return wrong(schema, field, "be added to");
        };
        self.write(replica, millis);
        let leaf = self
            .fields
            .entry(field.to_owned())
            .or_insert_with(|| Leaf::PnCounter {
                totals: BTreeMap::new(),
            });
        if let Leaf::PnCounter { totals } = leaf {
            let mine = totals.entry(replica).or_default();
            let amount = by.unsigned_abs();
            if by >= 0 {
                mine.0 = mine.0.saturating_add(amount);
            } else {
                mine.1 = mine.1.saturating_add(amount);
            }
        }
        Ok(())
    }

    /// Joins with a copy from another replica, in any order and as often as one likes. Makes no dot.
    pub fn merge(&mut self, other: &Self) {
        let mine = self.context.clone();
        for (field, leaf) in &other.fields {
            match self.fields.get_mut(field) {
                Some(own) => own.join(&mine, leaf, &other.context),
                None => {
                    self.fields.insert(field.clone(), leaf.clone());
                }
            }
        }
        self.context.join(&other.context);
        self.stamp = self.stamp.max(other.stamp);
    }

    /// The document as JSON.
    pub fn to_json(&self, schema: &Schema) -> Value {
        let mut object = Map::new();
        for (field, leaf) in &self.fields {
            let value = match leaf {
                Leaf::Lww { value, .. } => value.clone(),
                Leaf::Max { value } => number(*value),
                Leaf::Status { rank } => match schema.get(field) {
                    Some(Field::Status(order)) => order
                        .get(*rank as usize)
                        .map_or(Value::Null, |status| json!(status)),
                    _ => Value::Null,
                },
                Leaf::PnCounter { totals } => {
                    let sum = totals
                        .values()
                        .map(|(up, down)| i128::from(*up) - i128::from(*down))
                        .sum::<i128>();
                    json!(i64::try_from(sum).unwrap_or(if sum > 0 { i64::MAX } else { i64::MIN }))
                }
            };
            object.insert(field.clone(), value);
        }
        Value::Object(object)
    }

    fn write(&mut self, replica: ReplicaId, millis: i64) -> crate::clock::Dot {
        self.stamp = self.stamp.next(millis);
        self.context.next(replica)
    }
}

/// Whole numbers without a fraction, as people write them.
fn number(value: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < EXACT {
        json!(value as i64)
    } else {
        json!(value)
    }
}

fn declared<'a>(schema: &'a Schema, field: &str) -> Result<&'a Field> {
    schema.get(field).ok_or_else(|| Error::UnknownField {
        schema: schema.name().to_owned(),
        field: field.to_owned(),
    })
}

fn wrong<T>(schema: &Schema, field: &str, change: &'static str) -> Result<T> {
    let is = schema.get(field).map_or("unknown", Field::name);
    Err(Error::WrongType {
        field: field.to_owned(),
        is,
        change,
    })
}
