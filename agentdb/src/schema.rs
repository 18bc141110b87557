//! The fields of a kind of document and how each merges.

/// Which of two concurrent changes wins where one adds and the other removes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wins {
    /// What was added, enabled or changed stays: a remove takes away only what it has seen.
    #[default]
    Add,
    /// What was removed or disabled stays away. A removal is remembered until something is added again by
    /// one who has seen it, or until all replicas are known to have seen it.
    Remove,
}

/// How a field merges.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// The last write wins: a write that saw another replaces it whatever the clocks say; clocks decide
    /// between true concurrents only. Those that lost are in the conflict report until the next write.
    Lww,
    /// All writes that no later one has seen: an array, of one value where nobody wrote concurrently.
    Mv,
    /// The largest number ever written.
    Max,
    /// The smallest number ever written.
    Min,
    /// The furthest status in a declared order.
    Status(Vec<String>),
    /// A number that replicas add to and take from, and may reset: a reset takes away exactly what it has
    /// seen.
    PnCounter,
    /// On or off. [`Wins::Add`]: on when any of the last concurrent writes said on (an emergency stop).
    /// [`Wins::Remove`]: off when any said off (a permission).
    Flag(Wins),
    /// A set of texts, whole numbers and truth values.
    OrSet(Wins),
    /// A map by text. Each value is a leaf of the same kind: `OrMap(Status)` at path `tasks/weld_a`.
    OrMap(Box<Field>, Wins),
    /// A text that is edited by position.
    List,
}

/// How deep maps may be within one another.
pub const MAP_DEPTH_MAX: usize = 8;

impl Field {
    /// A status with this order.
    pub fn status(order: &[&str]) -> Self {
        Self::Status(order.iter().map(|status| (*status).to_owned()).collect())
    }

    /// A flag that is on when any concurrent write said on.
    pub fn flag() -> Self {
        Self::Flag(Wins::Add)
    }

    /// A set in which an addition wins over a concurrent removal.
    pub fn or_set() -> Self {
        Self::OrSet(Wins::Add)
    }

    /// A map of such leaves, in which a change wins over a concurrent removal.
    pub fn or_map(value: Self) -> Self {
        Self::OrMap(Box::new(value), Wins::Add)
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Lww => "a last-write-wins register",
            Self::Mv => "a multi-value register",
            Self::Max => "a maximum",
            Self::Min => "a minimum",
            Self::Status(_) => "a status",
            Self::PnCounter => "a counter",
            Self::Flag(_) => "a flag",
            Self::OrSet(_) => "a set",
            Self::OrMap(..) => "a map",
            Self::List => "a list",
        }
    }
}

/// The fields of a kind of document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    name: String,
    fields: Vec<(String, Field)>,
    indexes: Vec<String>,
}

impl Schema {
    /// A kind of document without fields.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            fields: Vec::new(),
            indexes: Vec::new(),
        }
    }

    /// Adds a field; one of the same name is replaced.
    #[must_use]
    pub fn field(mut self, name: &str, field: Field) -> Self {
        self.fields.retain(|(known, _)| known != name);
        self.fields.push((name.to_owned(), field));
        self
    }

    /// Keeps an index over a field, so that queries that compare it need not read every document. Each
    /// commit that changes the field pays for it.
    #[must_use]
    pub fn index(mut self, field: &str) -> Self {
        if !self.indexes.iter().any(|known| known == field) {
            self.indexes.push(field.to_owned());
        }
        self
    }

    /// The fields that have an index.
    pub fn indexes(&self) -> impl Iterator<Item = &str> {
        self.indexes.iter().map(String::as_str)
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

    /// All fields in the order in which they were declared.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Field)> {
        self.fields
            .iter()
            .map(|(name, field)| (name.as_str(), field))
    }
}
