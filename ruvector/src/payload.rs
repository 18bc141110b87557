//! What is stored beside a vector, and its columns that filters read.
//!
//! The payload itself is kept as compact JSON text. Each scalar in it is also kept in a column by
//! its path (`zone`, `camera.lens`), so that a filter reads one array instead of parsing texts.
//! Numbers compare as `f64`. Arrays are stored but are no columns.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::Value;

use crate::error::{Error, Result};

/// Most bytes of one payload as JSON text.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// Most distinct field paths over all payloads of an index.
pub const FIELDS_MAX: usize = 1024;

/// One value of a column.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) enum Cell {
    #[default]
    Missing,
    Null,
    Bool(bool),
    Number(f64),
    /// Position in the column's dictionary.
    Text(u32),
}

/// The values of one field path, by slot; slots past the end have none.
#[derive(Debug, Default)]
pub(crate) struct Column {
    pub cells: Vec<Cell>,
    pub texts: Vec<Box<str>>,
    by_text: HashMap<Box<str>, u32>,
}

impl Column {
    fn text(&mut self, text: &str) -> u32 {
        if let Some(at) = self.by_text.get(text) {
            return *at;
        }
        let at = self.texts.len() as u32;
        self.texts.push(text.into());
        self.by_text.insert(text.into(), at);
        at
    }

    pub fn find(&self, text: &str) -> Option<u32> {
        self.by_text.get(text).copied()
    }
}

/// A payload that was checked and encoded.
#[derive(Debug, Default, Clone)]
pub(crate) struct Encoded {
    /// Empty for none.
    pub text: Box<[u8]>,
    pub value: Value,
}

impl Encoded {
    pub fn new(value: Value) -> Result<Self> {
        let kind = match &value {
            Value::Null => return Ok(Self::default()),
            Value::Object(_) => None,
            Value::Bool(_) => Some("a boolean"),
            Value::Number(_) => Some("a number"),
            Value::String(_) => Some("a string"),
            Value::Array(_) => Some("an array"),
        };
        if let Some(kind) = kind {
            return Err(Error::PayloadNotObject(kind));
        }
        let text = value.to_string().into_bytes();
        if text.len() > PAYLOAD_BYTES_MAX {
            return Err(Error::PayloadTooLong {
                got: text.len(),
                limit: PAYLOAD_BYTES_MAX,
            });
        }
        Ok(Self {
            text: text.into(),
            value,
        })
    }

    /// From text that was written by [`Encoded::new`]; `None` if it was not.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.is_empty() {
            return Some(Self::default());
        }
        let value: Value = serde_json::from_slice(text).ok()?;
        value.is_object().then(|| Self {
            text: text.into(),
            value,
        })
    }
}

/// All payloads of an index, by slot.
#[derive(Debug, Default)]
pub(crate) struct Payloads {
    texts: Vec<Box<[u8]>>,
    columns: BTreeMap<String, Column>,
    bytes: usize,
}

impl Payloads {
    /// Checks that the fields of all payloads together fit, without keeping anything.
    pub fn check<'p>(&self, payloads: impl IntoIterator<Item = &'p Encoded>) -> Result<()> {
        let mut fresh = BTreeSet::new();
        for payload in payloads {
            leaves(&payload.value, &mut String::new(), &mut |path, _| {
                if !self.columns.contains_key(path) && !fresh.contains(path) {
                    fresh.insert(path.to_owned());
                }
            });
            if self.columns.len() + fresh.len() > FIELDS_MAX {
                return Err(Error::TooManyFields { limit: FIELDS_MAX });
            }
        }
        Ok(())
    }

    /// Stores the payload of a slot that had none.
    pub fn set(&mut self, slot: u32, payload: &Encoded) {
        if payload.text.is_empty() {
            return;
        }
        let slot = slot as usize;
        if self.texts.len() <= slot {
            self.texts.resize_with(slot + 1, Box::default);
        }
        self.bytes += payload.text.len();
        self.texts[slot] = payload.text.clone();
        let columns = &mut self.columns;
        leaves(&payload.value, &mut String::new(), &mut |path, leaf| {
            if !columns.contains_key(path) {
                columns.insert(path.to_owned(), Column::default());
            }
            let Some(column) = columns.get_mut(path) else {
                return;
            };
            let cell = match leaf {
                Value::Null => Cell::Null,
                Value::Bool(b) => Cell::Bool(*b),
                Value::Number(n) => n.as_f64().map_or(Cell::Missing, Cell::Number),
                Value::String(s) => Cell::Text(column.text(s)),
                Value::Array(_) | Value::Object(_) => return,
            };
            if column.cells.len() <= slot {
                column.cells.resize(slot + 1, Cell::Missing);
            }
            column.cells[slot] = cell;
        });
    }

    /// Forgets the payload of a slot.
    pub fn clear(&mut self, slot: u32) {
        let slot = slot as usize;
        if let Some(text) = self.texts.get_mut(slot) {
            self.bytes -= text.len();
            *text = Box::default();
        }
        for column in self.columns.values_mut() {
            if let Some(cell) = column.cells.get_mut(slot) {
                *cell = Cell::Missing;
            }
        }
    }

    /// The text of a slot's payload, empty for none.
    pub fn text(&self, slot: u32) -> &[u8] {
        self.texts.get(slot as usize).map_or(&[], |text| text)
    }

    /// The payload of a slot.
    pub fn get(&self, slot: u32) -> Option<Value> {
        let text = self.text(slot);
        if text.is_empty() {
            return None;
        }
        serde_json::from_slice(text).ok()
    }

    pub fn column(&self, path: &str) -> Option<&Column> {
        self.columns.get(path)
    }

    pub fn heap_bytes(&self) -> usize {
        let cells: usize = self
            .columns
            .values()
            .map(|column| {
                column.cells.capacity() * size_of::<Cell>()
                    + column
                        .texts
                        .iter()
                        .map(|text| 2 * text.len() + 64)
                        .sum::<usize>()
            })
            .sum();
        self.bytes + self.texts.capacity() * size_of::<Box<[u8]>>() + cells
    }
}

/// Calls `each` with the path and value of every scalar outside arrays.
fn leaves(value: &Value, path: &mut String, each: &mut impl FnMut(&str, &Value)) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let length = path.len();
                if length > 0 {
                    path.push('.');
                }
                path.push_str(key);
                leaves(value, path, each);
                path.truncate(length);
            }
        }
        Value::Array(_) => {}
        leaf if !path.is_empty() => each(path, leaf),
        _ => {}
    }
}
