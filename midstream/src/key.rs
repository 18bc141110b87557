//! The value of a key field, hashable: numbers by their bits. And a table by key.

use std::hash::{BuildHasher, Hasher};
use std::sync::Arc;

use hashbrown::{DefaultHashBuilder, HashTable};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::event::{Value, ValueRef};

/// Stands between the names of a key of several fields.
const BETWEEN: char = '\u{1f}';

/// The name of a key of these fields: of one, its own.
pub(crate) fn key_name(fields: &[&str]) -> String {
    fields.join(&BETWEEN.to_string())
}

/// The fields of a key, where there are several.
pub(crate) fn fields_of(key: &str) -> Option<Vec<&str>> {
    key.contains(BETWEEN).then(|| key.split(BETWEEN).collect())
}

/// Several values as one text, as it is told: `north, 3`. A comma within a value is written `\,`, so that no two lists
/// of values read alike.
pub(crate) fn tuple<'a>(values: impl Iterator<Item = &'a Value>) -> Value {
    let mut text = String::new();
    for (place, value) in values.enumerate() {
        if place > 0 {
            text.push_str(", ");
        }
        let value = value.to_string();
        if value.contains([',', '\\']) {
            text.push_str(&value.replace('\\', "\\\\").replace(',', "\\,"));
        } else {
            text.push_str(&value);
        }
    }
    Value::Text(text.into())
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Key {
    None,
    Bool(bool),
    Int(i64),
    Float(u64),
    Text(Arc<str>),
}

impl Key {
    pub fn of(value: ValueRef<'_>) -> Self {
        match value {
            ValueRef::Bool(value) => Self::Bool(value),
            ValueRef::Int(value) => Self::Int(value),
            // Adding zero makes -0 and 0 one key.
            ValueRef::Float(value) => Self::Float((value + 0.0).to_bits()),
            ValueRef::Text(value) => Self::Text(value.clone()),
        }
    }

    /// Whether it is the key of this value.
    pub fn is(&self, value: Option<ValueRef<'_>>) -> bool {
        match (self, value) {
            (Self::None, None) => true,
            (Self::Text(key), Some(ValueRef::Text(value))) => {
                Arc::ptr_eq(key, value) || key == value
            }
            (Self::Int(key), Some(ValueRef::Int(value))) => *key == value,
            (Self::Bool(key), Some(ValueRef::Bool(value))) => *key == value,
            (Self::Float(key), Some(ValueRef::Float(value))) => *key == (value + 0.0).to_bits(),
            _ => false,
        }
    }

    fn value_ref(&self) -> Option<ValueRef<'_>> {
        match self {
            Self::None => None,
            Self::Bool(value) => Some(ValueRef::Bool(*value)),
            Self::Int(value) => Some(ValueRef::Int(*value)),
            Self::Float(bits) => Some(ValueRef::Float(f64::from_bits(*bits))),
            Self::Text(value) => Some(ValueRef::Text(value)),
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

/// What is kept by key. A look-up makes no key, a key's place stays the same while it is there, and places
/// of removed keys are used again.
#[derive(Debug)]
pub(crate) struct KeyTable<T> {
    hasher: DefaultHashBuilder,
    places: HashTable<u32>,
    entries: Vec<Entry<T>>,
    free: Vec<u32>,
    /// Where the texts of a batch's dictionary were last found, by their code. Only a hint: the key there says whether
    /// it is the one.
    hints: Vec<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Entry<T> {
    key: Key,
    #[serde(skip)]
    hash: u64,
    value: T,
}

impl<T> Default for KeyTable<T> {
    fn default() -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            places: HashTable::new(),
            entries: Vec::new(),
            free: Vec::new(),
            hints: Vec::new(),
        }
    }
}

impl<T: Default> KeyTable<T> {
    /// How many keys there are.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// The hash of a key's value.
    pub fn hash(&self, value: Option<ValueRef<'_>>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        match value {
            None => {}
            Some(ValueRef::Text(text)) => hasher.write(text.as_bytes()),
            Some(ValueRef::Int(value)) => hasher.write_i64(value),
            Some(ValueRef::Float(value)) => hasher.write_u64((value + 0.0).to_bits()),
            Some(ValueRef::Bool(value)) => hasher.write_u8(u8::from(value)),
        }
        hasher.finish()
    }

    /// The place of a key.
    pub fn find(&self, value: Option<ValueRef<'_>>, hash: u64) -> Option<u32> {
        let same = |place: &u32| self.entries[*place as usize].key.is(value);
        self.places.find(hash, same).copied()
    }

    /// The place of the text with this code in a batch's dictionary. Batches of one source share their texts as a
    /// rule, so that nothing is hashed or compared for one that was found before.
    pub fn find_code(&mut self, text: &Arc<str>, code: u32) -> Option<u32> {
        let hint = self.hints.get(code as usize).copied();
        if let Some(place) = hint
            && let Some(entry) = self.entries.get(place as usize)
            && matches!(&entry.key, Key::Text(known) if Arc::ptr_eq(known, text))
        {
            return hint;
        }
        let value = Some(ValueRef::Text(text));
        let place = self.find(value, self.hash(value))?;
        if self.hints.len() <= code as usize {
            self.hints.resize(code as usize + 1, u32::MAX);
        }
        self.hints[code as usize] = place;
        Some(place)
    }

    /// Adds a key that is not there. Its value is a new one, or what a removed key left.
    pub fn insert(&mut self, value: Option<ValueRef<'_>>, hash: u64) -> u32 {
        let key = value.map_or(Key::None, Key::of);
        let place = match self.free.pop() {
            Some(place) => {
                let entry = &mut self.entries[place as usize];
                entry.key = key;
                entry.hash = hash;
                place
            }
            None => {
                self.entries.push(Entry {
                    key,
                    hash,
                    value: T::default(),
                });
                (self.entries.len() - 1) as u32
            }
        };
        let Self {
            places, entries, ..
        } = self;
        places.insert_unique(hash, place, |other| entries[*other as usize].hash);
        place
    }

    /// Removes a key; its value stays for the next one, so that what it has allocated is used again.
    pub fn remove(&mut self, place: u32) {
        let entry = &mut self.entries[place as usize];
        entry.key = Key::None;
        let found = self.places.find_entry(entry.hash, |other| *other == place);
        if let Ok(found) = found {
            found.remove();
            self.free.push(place);
        }
    }

    /// The key of a place.
    pub fn key(&self, place: u32) -> &Key {
        &self.entries[place as usize].key
    }

    /// What is kept at a place.
    pub fn at(&self, place: u32) -> &T {
        &self.entries[place as usize].value
    }

    /// What is kept at a place.
    pub fn at_mut(&mut self, place: u32) -> &mut T {
        &mut self.entries[place as usize].value
    }

    /// A place's key and what is kept there.
    pub fn entry_mut(&mut self, place: u32) -> (&Key, &mut T) {
        let entry = &mut self.entries[place as usize];
        (&entry.key, &mut entry.value)
    }

    /// All places in order of their keys.
    pub fn ordered(&self) -> Vec<u32> {
        let mut places: Vec<u32> = self.places.iter().copied().collect();
        places.sort_unstable_by(|a, b| self.key(*a).cmp(self.key(*b)));
        places
    }
}

/// All entries by place, also those that are free: what they have allocated, and the order in which places are
/// given out, are part of what a replay must find again.
impl<T: Serialize> Serialize for KeyTable<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (&self.entries, &self.free).serialize(serializer)
    }
}

impl<'de, T: Deserialize<'de> + Default> Deserialize<'de> for KeyTable<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let (entries, free) = <(Vec<Entry<T>>, Vec<u32>)>::deserialize(from)?;
        let wrong = || de::Error::custom("a table of keys that no engine has written");
        let mut is_free = vec![false; entries.len()];
        for place in &free {
            let taken = is_free.get_mut(*place as usize).ok_or_else(wrong)?;
            if std::mem::replace(taken, true) {
                return Err(wrong());
            }
        }
        let mut table = Self {
            entries,
            free,
            ..Self::default()
        };
        let taken = is_free.iter().enumerate().filter(|(_, free)| !**free);
        for (place, _) in taken {
            let value = table.entries[place].key.value_ref();
            let hash = table.hash(value);
            if table.find(value, hash).is_some() {
                return Err(wrong());
            }
            table.entries[place].hash = hash;
            let Self {
                places, entries, ..
            } = &mut table;
            places.insert_unique(hash, place as u32, |other| entries[*other as usize].hash);
        }
        Ok(table)
    }
}

impl<T> KeyTable<T> {
    /// Whether there is such a place.
    pub fn has(&self, place: u32) -> bool {
        (place as usize) < self.entries.len()
    }

    /// What is kept at all places, free ones among them, with their numbers.
    pub fn all(&self) -> impl Iterator<Item = (u32, &T)> {
        let entries = self.entries.iter().enumerate();
        entries.map(|(place, entry)| (place as u32, &entry.value))
    }
}
