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

/// What a slot without a number has among a column's numbers: it is in no range.
const NO_NUMBER: f64 = f64::NAN;
/// Codes that are no position in a column's dictionary.
pub(crate) const NO_CODE: u32 = u32::MAX;
pub(crate) const NULL: u32 = u32::MAX - 1;
pub(crate) const FALSE: u32 = u32::MAX - 2;
pub(crate) const TRUE: u32 = u32::MAX - 3;

/// The values of one field path, by slot; slots past an end have none there.
///
/// Numbers lie apart from all else, so that a comparison reads an array of one type. A field is nearly
/// always of one type, and then the other array is empty.
#[derive(Debug, Default)]
pub(crate) struct Column {
    pub numbers: Vec<f64>,
    /// Null, booleans, and positions in the dictionary of texts.
    pub codes: Vec<u32>,
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

    fn set(&mut self, slot: usize, leaf: &Value) {
        let code = match leaf {
            Value::Number(number) => {
                if let Some(number) = number.as_f64() {
                    put(&mut self.numbers, slot, number, NO_NUMBER);
                }
                return;
            }
            Value::Null => NULL,
            Value::Bool(false) => FALSE,
            Value::Bool(true) => TRUE,
            Value::String(text) => self.text(text),
            Value::Array(_) | Value::Object(_) => return,
        };
        put(&mut self.codes, slot, code, NO_CODE);
    }

    fn clear(&mut self, slot: usize) {
        if let Some(number) = self.numbers.get_mut(slot) {
            *number = NO_NUMBER;
        }
        if let Some(code) = self.codes.get_mut(slot) {
            *code = NO_CODE;
        }
    }

    fn heap_bytes(&self) -> usize {
        let texts = self.texts.iter().map(|text| 2 * text.len() + 64);
        self.numbers.capacity() * size_of::<f64>()
            + self.codes.capacity() * size_of::<u32>()
            + texts.sum::<usize>()
    }
}

fn put<T: Copy>(values: &mut Vec<T>, slot: usize, value: T, none: T) {
    if values.len() <= slot {
        values.resize(slot + 1, none);
    }
    values[slot] = value;
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
    /// Checks that the fields of all payloads together fit, without keeping anything. Returns the bytes
    /// that their columns and places take at most when they are stored in slots below `slots`: a field that is new
    /// to a late slot has a column for all the slots before.
    pub fn check<'p>(
        &self,
        payloads: impl IntoIterator<Item = &'p Encoded>,
        slots: usize,
    ) -> Result<usize> {
        let mut fresh = BTreeSet::new();
        let mut values = 0_usize;
        for payload in payloads {
            leaves(&payload.value, &mut String::new(), &mut |path, _| {
                values += 1;
                if !self.columns.contains_key(path) && !fresh.contains(path) {
                    fresh.insert(path.to_owned());
                }
            });
            if self.columns.len() + fresh.len() > FIELDS_MAX {
                return Err(Error::TooManyFields { limit: FIELDS_MAX });
            }
        }
        let cells = fresh.len().saturating_mul(slots).saturating_add(values);
        let texts = match values {
            0 => 0,
            _ => slots.saturating_sub(self.texts.len()),
        };
        let texts = texts.saturating_mul(size_of::<Box<[u8]>>());
        Ok(cells.saturating_mul(size_of::<f64>()).saturating_add(texts))
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
            if let Some(column) = columns.get_mut(path) {
                column.set(slot, leaf);
            }
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
            column.clear(slot);
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
        let columns: usize = self.columns.values().map(Column::heap_bytes).sum();
        self.bytes + self.texts.capacity() * size_of::<Box<[u8]>>() + columns
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
