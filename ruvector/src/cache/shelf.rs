//! The stored answers: found by text, by vector, by when they expire and by what they are worth.
//!
//! What is worth keeping is decided by Greedy-Dual-Size (Cao and Irani, 1997): an entry's priority is
//! a floor plus cost by byte, renewed by each hit; the lowest goes first, and the floor rises to the
//! priority of what went. So an entry that nobody asks for sinks, a costly one slower.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::answer::Answer;
use super::policy::NAMESPACES_MAX;
use super::time::Timestamp;
use crate::builder::Quantization;
use crate::error::{Error, Result};
use crate::index::Index;

/// What separates answers: texts of different scopes are never compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Scope {
    pub namespace: String,
    pub embedder: String,
    pub epoch: u64,
}

pub(super) struct Entry<V> {
    pub scope: Arc<Scope>,
    pub text: String,
    /// Texts that were merged into this one.
    pub aliases: Vec<String>,
    pub answer: Answer<V>,
    pub ttl: i64,
    pub stored: Timestamp,
    pub expires: Timestamp,
    /// Whether the caller reported it as stale, which has shortened `ttl` already.
    pub reported: bool,
    priority: u64,
    bytes: usize,
}

/// What happened to an answer that was to be stored.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Stored {
    pub stored: u64,
    pub replaced: u64,
    pub too_large: u64,
    pub evicted: u64,
    pub expired: u64,
}

pub(super) struct Shelf<V> {
    pub entries: HashMap<u64, Entry<V>>,
    next: u64,
    exact: HashMap<Arc<Scope>, Place>,
    by_priority: BTreeSet<(u64, u64)>,
    by_expiry: BTreeSet<(Timestamp, u64)>,
    floor: f64,
    pub bytes: usize,
    bytes_max: usize,
    entries_max: usize,
}

/// The answers of one scope.
struct Place {
    texts: HashMap<String, u64>,
    index: Arc<Index>,
    live: usize,
}

/// Estimate of what the maps need for an entry.
const BOOKKEEPING: usize = 512;

impl<V> Shelf<V> {
    pub fn new(bytes_max: usize, entries_max: usize) -> Self {
        Self {
            entries: HashMap::new(),
            next: 0,
            exact: HashMap::new(),
            by_priority: BTreeSet::new(),
            by_expiry: BTreeSet::new(),
            floor: 0.0,
            bytes: 0,
            bytes_max,
            entries_max,
        }
    }

    /// The entry of exactly this text, expired or not.
    pub fn exact(&self, scope: &Scope, text: &str) -> Option<u64> {
        self.exact.get(scope)?.texts.get(text).copied()
    }

    pub fn index(&self, scope: &Scope) -> Option<Arc<Index>> {
        Some(Arc::clone(&self.exact.get(scope)?.index))
    }

    pub fn scopes(&self) -> Vec<Arc<Scope>> {
        let mut scopes: Vec<_> = self.exact.keys().cloned().collect();
        scopes.sort_by(|a, b| {
            (&a.namespace, &a.embedder, a.epoch).cmp(&(&b.namespace, &b.embedder, b.epoch))
        });
        scopes
    }

    /// Renews an entry that was asked for.
    pub fn touch(&mut self, id: u64) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        self.by_priority.remove(&(entry.priority, id));
        entry.priority = priority(self.floor, entry.answer.paid(), entry.bytes);
        self.by_priority.insert((entry.priority, id));
    }

    pub fn set_expiry(&mut self, id: u64, ttl: i64, expires: Timestamp) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        self.by_expiry.remove(&(entry.expires, id));
        entry.ttl = ttl;
        entry.expires = expires;
        self.by_expiry.insert((expires, id));
    }

    /// Stores an answer in the place of what the text had.
    pub fn store(
        &mut self,
        scope: Scope,
        text: String,
        vector: &[f32],
        answer: Answer<V>,
        ttl: i64,
        now: Timestamp,
    ) -> Result<Stored> {
        let mut done = Stored::default();
        // Deleted rows stay in the index until there are as many as live ones: a vector counts twice.
        let vectors = vector.len().saturating_mul(2 * size_of::<f32>());
        let bytes = [2 * text.len(), vectors, answer.bytes(), BOOKKEEPING]
            .into_iter()
            .fold(0, usize::saturating_add);
        if let Some(old) = self.exact(&scope, &text) {
            self.remove(old)?;
            done.replaced = 1;
        }
        if bytes > self.bytes_max || self.entries_max == 0 {
            done.too_large = 1;
            return Ok(done);
        }
        while self.bytes.saturating_add(bytes) > self.bytes_max
            || self.entries.len() >= self.entries_max
        {
            self.make_room(now, &mut done)?;
        }
        let scope = self.place(scope, vector.len())?;
        let id = self.next;
        if let Some(place) = self.exact.get_mut(&scope) {
            let stored = place.index.upsert(id, vector, serde_json::Value::Null);
            if let Err(error) = stored {
                self.drop_if_empty(&scope);
                return Err(error);
            }
            place.texts.insert(text.clone(), id);
            place.live += 1;
        }
        self.next += 1;
        let entry = Entry {
            scope,
            text,
            aliases: Vec::new(),
            priority: priority(self.floor, answer.paid(), bytes),
            answer,
            ttl,
            stored: now,
            expires: now.plus_millis(ttl),
            reported: false,
            bytes,
        };
        self.bytes += bytes;
        self.by_priority.insert((entry.priority, id));
        self.by_expiry.insert((entry.expires, id));
        self.entries.insert(id, entry);
        done.stored = 1;
        Ok(done)
    }

    fn make_room(&mut self, now: Timestamp, done: &mut Stored) -> Result<()> {
        if let Some((expires, id)) = self.by_expiry.first().copied()
            && expires <= now
        {
            done.expired += 1;
            return self.remove(id).map(drop);
        }
        if let Some((lowest, id)) = self.by_priority.first().copied() {
            self.floor = f64::from_bits(lowest);
            done.evicted += 1;
            self.remove(id)?;
        }
        Ok(())
    }

    fn place(&mut self, scope: Scope, dim: usize) -> Result<Arc<Scope>> {
        if let Some((scope, _)) = self.exact.get_key_value(&scope) {
            return Ok(Arc::clone(scope));
        }
        if self.exact.len() >= NAMESPACES_MAX {
            return Err(Error::Full {
                what: "namespaces",
                needed: self.exact.len() as u64 + 1,
                limit: NAMESPACES_MAX as u64,
            });
        }
        let index = Index::builder(dim)
            .quantization(Quantization::None)
            .build()?;
        let scope = Arc::new(scope);
        let place = Place {
            texts: HashMap::new(),
            index: Arc::new(index),
            live: 0,
        };
        self.exact.insert(Arc::clone(&scope), place);
        Ok(scope)
    }

    fn drop_if_empty(&mut self, scope: &Scope) {
        if self.exact.get(scope).is_some_and(|place| place.live == 0) {
            self.exact.remove(scope);
        }
    }

    /// Removes an entry and gives back the bytes that it counted.
    pub fn remove(&mut self, id: u64) -> Result<usize> {
        let Some(entry) = self.entries.remove(&id) else {
            return Ok(0);
        };
        self.by_priority.remove(&(entry.priority, id));
        self.by_expiry.remove(&(entry.expires, id));
        self.bytes -= entry.bytes;
        if let Some(place) = self.exact.get_mut(&entry.scope) {
            for text in entry.aliases.iter().chain([&entry.text]) {
                if place.texts.get(text) == Some(&id) {
                    place.texts.remove(text);
                }
            }
            place.live -= 1;
            place.index.delete(id)?;
            let deleted = place.index.stats().deleted;
            if place.live > 0 && deleted > place.live + 64 {
                place.index.compact()?;
            }
        }
        self.drop_if_empty(&entry.scope);
        Ok(entry.bytes)
    }

    /// Makes the texts of `dropped` find `kept`, and removes `dropped`.
    pub fn merge(&mut self, kept: u64, dropped: u64) -> Result<usize> {
        let Some(entry) = self.entries.get(&dropped) else {
            return Ok(0);
        };
        let mut texts = entry.aliases.clone();
        texts.push(entry.text.clone());
        let freed = self.remove(dropped)?;
        let Some(entry) = self.entries.get_mut(&kept) else {
            return Ok(freed);
        };
        let added: usize = texts.iter().map(|text| 2 * text.len()).sum();
        entry.bytes += added;
        self.bytes += added;
        if let Some(place) = self.exact.get_mut(&entry.scope) {
            for text in &texts {
                place.texts.insert(text.clone(), kept);
            }
        }
        entry.aliases.extend(texts);
        Ok(freed.saturating_sub(added))
    }
}

/// As the bits of a float that is not negative, which order as the float does.
fn priority(floor: f64, cost: f64, bytes: usize) -> u64 {
    (floor + cost / bytes.max(1) as f64).to_bits()
}
