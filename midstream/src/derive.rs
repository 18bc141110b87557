//! What is added to events before the rules see them: the fields of a table's row, values in standard
//! deviations, and keys of several fields.

use std::collections::HashMap;
use std::sync::Arc;

use crate::error::{Error, Result};
use crate::event::{Event, FieldType, Schema, Value};
use crate::key::{Key, tuple};
use crate::language::Standardize;
use crate::standardize::Standardizer;
use crate::table::Table;

/// The most keys whose usual values are learnt; events of further ones get none.
pub const STANDARDIZED_KEYS_MAX: usize = 100_000;

/// What is added to the events of one source.
#[derive(Debug)]
pub(crate) struct Derive {
    source: Arc<str>,
    /// Where what is added begins.
    begin: usize,
    what: What,
}

#[derive(Debug)]
enum What {
    Row {
        table: String,
        on: usize,
        fields: usize,
    },
    Standard {
        fields: Vec<usize>,
        key: Option<usize>,
        statement: Standardize,
        learnt: HashMap<Key, Standardizer>,
    },
    /// A key of several fields, as one.
    Tuple { fields: Vec<usize> },
}

impl Derive {
    /// Adds the fields of a table's row, as `table.field`, to a source's schema.
    pub fn row(schema: &mut Schema, table: &Table, on: &str) -> Result<Self> {
        let on = schema.index(on)?;
        let begin = schema.fields().count();
        let name = table.schema().name().to_owned();
        let mut wider = schema.clone();
        for (field, kind) in table.schema().fields() {
            wider = add(wider, &format!("{name}.{field}"), kind)?;
        }
        *schema = wider;
        Ok(Self {
            source: schema.shared_name().clone(),
            begin,
            what: What::Row {
                table: name,
                on,
                fields: table.schema().fields().count(),
            },
        })
    }

    /// Adds fields in standard deviations, as `field_z`, to a source's schema; each value of `key` for itself.
    pub fn standard(
        schema: &mut Schema,
        statement: &Standardize,
        key: Option<&str>,
    ) -> Result<Self> {
        let fields = statement.fields.iter().map(|field| schema.index(field));
        let fields = fields.collect::<Result<Vec<_>>>()?;
        let key = key.map(|key| schema.index(key)).transpose()?;
        let begin = schema.fields().count();
        let mut wider = schema.clone();
        for field in &statement.fields {
            wider = add(wider, &format!("{field}_z"), FieldType::Float)?;
        }
        *schema = wider;
        Ok(Self {
            source: schema.shared_name().clone(),
            begin,
            what: What::Standard {
                fields,
                key,
                statement: statement.clone(),
                learnt: HashMap::new(),
            },
        })
    }

    /// Adds a key of several fields to a source's schema, behind all fields.
    pub fn tuple(schema: &mut Schema, name: &str, fields: &[&str]) -> Result<Self> {
        let fields = fields.iter().map(|field| schema.index(field));
        let fields = fields.collect::<Result<Vec<_>>>()?;
        Ok(Self {
            begin: schema.add_tuple(name),
            source: schema.shared_name().clone(),
            what: What::Tuple { fields },
        })
    }

    /// What was learnt, for a snapshot.
    pub fn save(&self) -> Vec<(Key, Standardizer)> {
        let What::Standard { learnt, .. } = &self.what else {
            return Vec::new();
        };
        let mut list: Vec<_> = learnt
            .iter()
            .map(|(key, of)| (key.clone(), of.clone()))
            .collect();
        list.sort_by(|a, b| a.0.cmp(&b.0));
        list
    }

    /// Goes on from what was learnt; whether it fits.
    pub fn restore(&mut self, saved: Vec<(Key, Standardizer)>) -> bool {
        let What::Standard { fields, learnt, .. } = &mut self.what else {
            return saved.is_empty();
        };
        let fits = saved.iter().all(|(_, of)| of.fields() == fields.len());
        *learnt = saved.into_iter().collect();
        fits
    }

    pub fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// Adds to an event, which has what was declared before.
    pub fn apply(&mut self, event: &mut Event, tables: &HashMap<String, Table>) {
        event.values.resize(self.begin, None);
        match &mut self.what {
            What::Row { table, on, fields } => {
                let row = event.value(*on).and_then(|on| {
                    let table = tables.get(table)?;
                    table.get(on.as_value_ref(), event.at.as_millis())
                });
                let row = row.cloned();
                event
                    .values
                    .extend(row.iter().flat_map(|row| row.iter().cloned()));
                event.values.resize(self.begin + *fields, None);
            }
            What::Tuple { fields } => {
                // Where one is missing there is no key.
                let values = fields.iter().map(|field| event.value(*field));
                let values: Option<Vec<&Value>> = values.collect();
                let key = values.map(|values| tuple(values.into_iter()));
                event.values.push(key);
            }
            What::Standard {
                fields,
                key,
                statement,
                learnt,
            } => {
                let values: Vec<Option<f64>> = fields
                    .iter()
                    .map(|field| event.value(*field)?.as_f64())
                    .collect();
                let key = match key {
                    None => Key::None,
                    Some(key) => event
                        .value(*key)
                        .map_or(Key::None, |value| Key::of(value.as_value_ref())),
                };
                if !learnt.contains_key(&key) && learnt.len() >= STANDARDIZED_KEYS_MAX {
                    event.values.resize(self.begin + fields.len(), None);
                    return;
                }
                let standardizer = learnt
                    .entry(key)
                    .or_insert_with(|| Standardizer::of(fields.len(), statement.over));
                let standard = standardizer.push(event.at, &values);
                event
                    .values
                    .extend(standard.into_iter().map(|value| value.map(Value::Float)));
            }
        }
    }
}

/// Adds a field that must be a new one.
fn add(schema: Schema, name: &str, kind: FieldType) -> Result<Schema> {
    if schema.index(name).is_ok() {
        return Err(Error::Repeated {
            what: "fields",
            name: name.to_owned(),
        });
    }
    Ok(schema.field(name, kind))
}
