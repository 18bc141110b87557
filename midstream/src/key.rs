//! The value of a key field, hashable: numbers by their bits.

use std::sync::Arc;

use crate::event::Value;

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Key {
    None,
    Bool(bool),
    Int(i64),
    Float(u64),
    Text(Arc<str>),
}

impl Key {
    pub fn of(value: &Value) -> Self {
        match value {
            Value::Bool(value) => Self::Bool(*value),
            Value::Int(value) => Self::Int(*value),
            // Adding zero makes -0 and 0 one key.
            Value::Float(value) => Self::Float((value + 0.0).to_bits()),
            Value::Text(value) => Self::Text(value.clone()),
        }
    }

    /// Whether it is the key of this value.
    pub fn is(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            (Self::None, None) => true,
            (Self::Text(key), Some(Value::Text(value))) => key == value,
            (Self::Int(key), Some(Value::Int(value))) => key == value,
            (Self::Bool(key), Some(Value::Bool(value))) => key == value,
            (Self::Float(key), Some(Value::Float(value))) => *key == (value + 0.0).to_bits(),
            _ => false,
        }
    }

    pub fn value(&self) -> Option<Value> {
        match self {
            Self::None => None,
            Self::Bool(value) => Some(Value::Bool(*value)),
            Self::Int(value) => Some(Value::Int(*value)),
            Self::Float(bits) => Some(Value::Float(f64::from_bits(*bits))),
            Self::Text(value) => Some(Value::Text(value.clone())),
        }
    }
}
