//! Changing a document.

use serde_json::Value;

use super::kills::Kill;
use super::{Document, FIELD_BYTES_MAX, KEY_BYTES_MAX};
use crate::causal::{Context, Dot, ReplicaId, Stamp};
use crate::error::{Error, Result};
use crate::leaf::Leaf;
use crate::leaf::register::{self, Register, Sibling};
use crate::path;
use crate::schema::{Field, Schema, Wins};

/// Changes of one document by one replica.
///
/// Paths name a field, and a key for each map on the way: `battery`, `tasks/weld_a`; in a key `/` is
/// written `~1` and `~` is written `~0`. A change that is refused changes nothing.
pub struct Edit<'a> {
    document: &'a mut Document,
    schema: &'a Schema,
    replica: ReplicaId,
    stamp: Stamp,
    before: Context,
    /// The dots of the changes.
    tells: Context,
    /// The dots that they replaced.
    gone: Context,
}

impl<'a> Edit<'a> {
    pub(super) fn new(
        document: &'a mut Document,
        schema: &'a Schema,
        replica: ReplicaId,
        stamp: Stamp,
    ) -> Self {
        Self {
            before: document.context.clone(),
            document,
            schema,
            replica,
            stamp,
            tells: Context::default(),
            gone: Context::default(),
        }
    }

    /// What these changes are to a copy that has not seen them, and what they replaced.
    pub fn delta(&self) -> Document {
        self.document
            .within(self.tells.clone(), &self.gone, &self.before)
    }

    /// The document as it is now.
    pub fn document(&self) -> &Document {
        self.document
    }

    /// Writes a last-write-wins or multi-value register.
    ///
    /// # Errors
    /// [`Error::UnknownField`], [`Error::WrongType`], [`Error::Limit`].
    pub fn set(&mut self, path: &str, value: impl Into<Value>) -> Result<&mut Self> {
        let value = value.into();
        match self.field(path)? {
            Field::Lww | Field::Mv => {}
            field => return wrong(path, field, "be set"),
        }
        let found = json_bytes(&value);
        if found > FIELD_BYTES_MAX {
            return Err(Error::Limit {
                what: "length of a field in bytes",
                found,
                limit: FIELD_BYTES_MAX,
            });
        }
        self.write(path, value)
    }

    /// Raises a maximum; a smaller number changes nothing.
    ///
    /// # Errors
    /// [`Error::UnknownField`], [`Error::WrongType`], [`Error::NotFinite`].
    pub fn max(&mut self, path: &str, value: f64) -> Result<&mut Self> {
        match self.field(path)? {
            Field::Max => {}
            field => return wrong(path, field, "be raised"),
        }
        finite(path, value)?;
        match self.register(path).and_then(register::largest) {
            Some(largest) if largest >= value => Ok(self),
            _ => self.write(path, register::number(value)),
        }
    }

    /// Lowers a minimum; a larger number changes nothing.
    ///
    /// # Errors
    /// [`Error::UnknownField`], [`Error::WrongType`], [`Error::NotFinite`].
    pub fn min(&mut self, path: &str, value: f64) -> Result<&mut Self> {
        match self.field(path)? {
            Field::Min => {}
            field => return wrong(path, field, "be lowered"),
        }
        finite(path, value)?;
        match self.register(path).and_then(register::smallest) {
            Some(smallest) if smallest <= value => Ok(self),
            _ => self.write(path, register::number(value)),
        }
    }

    /// Moves a status forward; an earlier one changes nothing.
    ///
    /// # Errors
    /// [`Error::UnknownField`], [`Error::WrongType`], [`Error::UnknownStatus`].
    pub fn status(&mut self, path: &str, status: &str) -> Result<&mut Self> {
        let order = match self.field(path)? {
            Field::Status(order) => order,
            field => return wrong(path, field, "have a status"),
        };
        let value = Value::from(status);
        let rank = register::rank(order, &value).ok_or_else(|| Error::UnknownStatus {
            field: path.to_owned(),
            status: status.to_owned(),
            known: order.join(", "),
        })?;
        let before = self.register(path);
        match before.and_then(|register| register::furthest(register, order)) {
            Some(furthest) if furthest >= rank => Ok(self),
            _ => self.write(path, value),
        }
    }

    /// Turns a flag on.
    ///
    /// # Errors
    /// [`Error::UnknownField`], [`Error::WrongType`].
    pub fn enable(&mut self, path: &str) -> Result<&mut Self> {
        self.turn(path, "be turned on", true)
    }

    /// Turns a flag off.
    ///
    /// # Errors
    /// [`Error::UnknownField`], [`Error::WrongType`].
    pub fn disable(&mut self, path: &str) -> Result<&mut Self> {
        self.turn(path, "be turned off", false)
    }

    fn turn(&mut self, path: &str, change: &'static str, on: bool) -> Result<&mut Self> {
        match self.field(path)? {
            Field::Flag(_) => self.write(path, on.into()),
            field => wrong(path, field, change),
        }
    }

    /// Adds to a counter, or takes from it.
    ///
    /// # Errors
    /// [`Error::UnknownField`], [`Error::WrongType`], [`Error::CounterFull`].
    pub fn add(&mut self, path: &str, by: i64) -> Result<&mut Self> {
        match self.field(path)? {
            Field::PnCounter => {}
            field => return wrong(path, field, "be added to"),
        }
        let replica = self.replica;
        let none = crate::leaf::counter::Counter::default();
        let counter = match self.leaf(path) {
            Some(Leaf::Counter(counter)) => counter,
            _ => &none,
        };
        let tally = counter.add(replica, by).ok_or_else(|| Error::CounterFull {
            field: path.to_owned(),
        })?;
        self.change(path, |leaf, dot, dead| {
            if let Leaf::Counter(counter) = leaf {
                counter.set_tally(dot, tally, dead);
            }
        })
    }

    /// Takes from a counter what this copy has seen in it, so that it reads 0 here. What others add at the
    /// same time stays.
    ///
    /// # Errors
    /// [`Error::UnknownField`], [`Error::WrongType`].
    pub fn reset(&mut self, path: &str) -> Result<&mut Self> {
        match self.field(path)? {
            Field::PnCounter => {}
            field => return wrong(path, field, "be reset"),
        }
        self.change(path, |leaf, dot, dead| {
            if let Leaf::Counter(counter) = leaf {
                counter.reset(dot, dead);
            }
        })
    }

    /// Adds a member to a set: a text, a whole number or a truth value.
    ///
    /// # Errors
    /// [`Error::UnknownField`], [`Error::WrongType`], [`Error::Member`], [`Error::Limit`].
    pub fn insert(&mut self, path: &str, member: impl Into<Value>) -> Result<&mut Self> {
        let field = self.field(path)?;
        if !matches!(field, Field::OrSet(_)) {
            return wrong(path, field, "have members");
        }
        let member = member_text(path, &member.into())?;
        self.change(path, |leaf, dot, dead| {
            if let Leaf::Set(set) = leaf {
                let dots = set.0.entry(member).or_default();
                dots.clear(dead);
                dots.insert(dot, true);
            }
        })
    }

    /// Removes a member from a set; one that is not there changes nothing.
    ///
    /// # Errors
    /// [`Error::UnknownField`], [`Error::WrongType`], [`Error::Member`], [`Error::Limit`].
    pub fn remove(&mut self, path: &str, member: impl Into<Value>) -> Result<&mut Self> {
        let wins = match self.field(path)? {
            Field::OrSet(wins) => *wins,
            field => return wrong(path, field, "have members"),
        };
        let member = member_text(path, &member.into())?;
        match self.leaf(path) {
            Some(Leaf::Set(set)) if set.0.contains_key(&member) => {}
            _ => return Ok(self),
        }
        self.change(path, |leaf, dot, dead| {
            if let Leaf::Set(set) = leaf
                && let Some(dots) = set.0.get_mut(&member)
            {
                dots.clear(dead);
                match wins {
                    Wins::Add => drop(set.0.remove(&member)),
                    Wins::Remove => dots.insert(dot, false),
                }
            }
        })
    }

    /// Removes a key and all below it from a map: `tasks/weld_a`. One that is not there changes nothing.
    ///
    /// # Errors
    /// [`Error::UnknownField`], [`Error::WrongType`] for a path that is no key of a map.
    pub fn remove_key(&mut self, path: &str) -> Result<&mut Self> {
        let Some((map, key)) = path.rsplit_once('/') else {
            let field = self.field(path)?;
            return wrong(path, field, "be removed");
        };
        let wins = match self.field(map)? {
            Field::OrMap(_, wins) => *wins,
            field => return wrong(map, field, "have keys"),
        };
        if self.leaf(path).is_none() {
            return Ok(self);
        }
        let key = path::split(key).collect::<String>();
        self.change(map, |leaf, dot, dead| {
            if let Leaf::Map(map) = leaf
                && let Some(mut leaf) = map.leaves.remove(&key)
            {
                leaf.clear(dead);
                let removed = map.removed.entry(key.clone()).or_default();
                removed.clear(dead);
                match wins {
                    Wins::Add => drop(map.removed.remove(&key)),
                    Wins::Remove => removed.insert(dot, ()),
                }
            }
        })
    }

    /// Replaces so many letters of a list from a position on by others; nothing by nothing changes nothing.
    ///
    /// # Errors
    /// [`Error::UnknownField`], [`Error::WrongType`], [`Error::List`].
    pub fn splice(
        &mut self,
        path: &str,
        position: usize,
        delete: usize,
        insert: &str,
    ) -> Result<&mut Self> {
        match self.field(path)? {
            Field::List => {}
            field => return wrong(path, field, "be spliced"),
        }
        if delete == 0 && insert.is_empty() {
            return Ok(self);
        }
        let replica = self.replica;
        let mut text = match self.leaf(path) {
            Some(Leaf::Text(text)) => text.clone(),
            _ => Box::default(),
        };
        let refused = |cause| Error::List {
            field: path.to_owned(),
            cause,
        };
        let list = text.edit(replica);
        list.delete(position, delete).map_err(refused)?;
        list.insert(position, insert).map_err(refused)?;
        self.change(path, |leaf, dot, _| {
            text.mark(dot);
            *leaf = Leaf::Text(text);
        })
    }

    /// How the field at a path merges.
    fn field(&self, path: &str) -> Result<&'a Field> {
        let unknown = || Error::UnknownField {
            schema: self.schema.name().to_owned(),
            field: path.to_owned(),
        };
        let mut keys = path::split(path);
        let mut field = keys
            .next()
            .and_then(|name| self.schema.get(&name))
            .ok_or_else(unknown)?;
        for key in keys {
            let Field::OrMap(value, _) = field else {
                return Err(unknown());
            };
            if key.len() > KEY_BYTES_MAX {
                return Err(Error::Limit {
                    what: "length of a key in bytes",
                    found: key.len(),
                    limit: KEY_BYTES_MAX,
                });
            }
            field = value;
        }
        Ok(field)
    }

    /// The leaf at a path, where anything has happened to it.
    fn leaf(&self, path: &str) -> Option<&Leaf> {
        let mut keys = path::split(path);
        let mut leaf = self.document.fields.get(&*keys.next()?)?;
        for key in keys {
            let Leaf::Map(map) = leaf else { return None };
            leaf = map.leaves.get(&*key)?;
        }
        Some(leaf)
    }

    fn register(&self, path: &str) -> Option<&Register> {
        match self.leaf(path)? {
            Leaf::Register(register) => Some(register),
            _ => None,
        }
    }

    /// Replaces all writes of a register that were seen.
    fn write(&mut self, path: &str, value: Value) -> Result<&mut Self> {
        let sibling = Sibling {
            value,
            stamp: self.stamp,
            suspect: false,
        };
        self.change(path, |leaf, dot, dead| {
            if let Leaf::Register(register) = leaf {
                register.clear(dead);
                register.insert(dot, sibling);
            }
        })
    }

    /// Changes the leaf at a path, which was checked, under a new dot.
    fn change(
        &mut self,
        path: &str,
        change: impl FnOnce(&mut Leaf, Dot, &mut Context),
    ) -> Result<&mut Self> {
        let dot = self.document.context.next(self.replica);
        let mut dead = Context::default();
        let mut keys = path::split(path);
        let name = keys.next().unwrap_or_default();
        let Some(mut field) = self.schema.get(&name) else {
            return Ok(self);
        };
        let mut leaf = self
            .document
            .fields
            .entry(name.into_owned())
            .or_insert_with(|| Leaf::of(field));
        for key in keys {
            let (Field::OrMap(value, _), Leaf::Map(map)) = (field, leaf) else {
                return Ok(self);
            };
            field = value;
            // A change that has seen a removal ends it.
            if let Some(mut removed) = map.removed.remove(&*key) {
                removed.clear(&mut dead);
            }
            leaf = map
                .leaves
                .entry(key.into_owned())
                .or_insert_with(|| Leaf::of(field));
        }
        change(leaf, dot, &mut dead);
        self.prune(path);
        self.tells.insert(dot);
        self.gone.join(&dead);
        let mut by = Context::default();
        by.insert(dot);
        self.document.kills.note(Kill { by, dead });
        Ok(self)
    }

    /// Takes out what a removal has left empty, from a path upwards.
    fn prune(&mut self, path: &str) {
        fn prune(
            leaves: &mut std::collections::BTreeMap<String, Leaf>,
            keys: &mut dyn Iterator<Item = String>,
        ) {
            let Some(key) = keys.next() else { return };
            if let Some(leaf) = leaves.get_mut(&key) {
                if let Leaf::Map(map) = leaf {
                    prune(&mut map.leaves, keys);
                }
                if leaf.is_empty() {
                    leaves.remove(&key);
                }
            }
        }
        let mut keys = path::split(path).map(std::borrow::Cow::into_owned);
        prune(&mut self.document.fields, &mut keys);
    }
}

fn wrong<T>(path: &str, field: &Field, change: &'static str) -> Result<T> {
    Err(Error::WrongType {
        field: path.to_owned(),
        is: field.name(),
        change,
    })
}

fn finite(path: &str, value: f64) -> Result<()> {
    if value.is_finite() {
        return Ok(());
    }
    Err(Error::NotFinite {
        field: path.to_owned(),
        value,
    })
}

/// How long a value is as JSON. Short texts and numbers, the usual, are not written out for it.
fn json_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 32,
        Value::String(text) if text.len() < FIELD_BYTES_MAX / 8 => text.len() + 2,
        value => value.to_string().len(),
    }
}

/// A member of a set as its JSON text.
fn member_text(path: &str, member: &Value) -> Result<String> {
    match member {
        Value::String(text) if text.len() <= KEY_BYTES_MAX => Ok(member.to_string()),
        Value::String(text) => Err(Error::Limit {
            what: "length of a member in bytes",
            found: text.len(),
            limit: KEY_BYTES_MAX,
        }),
        Value::Bool(_) => Ok(member.to_string()),
        Value::Number(number) if !number.is_f64() => Ok(member.to_string()),
        _ => Err(Error::Member {
            field: path.to_owned(),
        }),
    }
}
