//! The fields of a kind of document and how each merges.

use serde::{Deserialize, Serialize};

/// How a field merges.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Field {
    /// The last write wins: a write that saw another replaces it whatever the clocks say; clocks decide
    /// between true concurrents only.
    Lww,
    /// The largest number ever written.
    Max,
    /// The furthest status in a declared order.
    Status(Vec<String>),
    /// A number that replicas add to and take from.
    PnCounter,
}

impl Field {
    /// A status with this order.
    pub fn status(order: &[&str]) -> Self {
        Self::Status(order.iter().map(|status| (*status).to_owned()).collect())
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Lww => "a last-write-wins register",
            Self::Max => "a maximum",
            Self::Status(_) => "a status",
            Self::PnCounter => "a counter",
        }
    }
}

/// The fields of a kind of document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    name: String,
    fields: Vec<(String, Field)>,
}

impl Schema {
    /// A kind of document without fields.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            fields: Vec::new(),
        }
    }

    /// Adds a field; one of the same name is replaced.
    #[must_use]
    pub fn field(mut self, name: &str, field: Field) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), field));
        self
    }

    /// The kind's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// How a field merges; none when there is no such field.
    pub fn get(&self, field: &str) -> Option<&Field> {
        self.fields
            .iter()
            .find(|(known, _)| known == field)
            .map(|(_, field)| field)
    }
}
