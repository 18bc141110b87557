//! Sets and maps.
//!
//! A member is there while a write that added or changed it is. Removing takes away the writes that were
//! seen, so a concurrent one stays. Where removal wins it is a write of its own beside them.

use std::collections::BTreeMap;

use serde_json::{Map as Object, Value};

use super::Leaf;
use crate::causal::{Context, Dots, Join};
use crate::schema::{Field, Wins};

/// Members by their JSON text; each write tells whether it added (true) or removed (false).
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Set(pub(crate) BTreeMap<String, Dots<bool>>);

impl Set {
    pub(crate) fn join(&mut self, other: &Self, join: &mut Join<'_>) {
        let none = Dots::default();
        for (member, dots) in &mut self.0 {
            dots.join(other.0.get(member).unwrap_or(&none), join, |_, _| {});
        }
        for (member, theirs) in &other.0 {
            if !self.0.contains_key(member) {
                let mut dots = Dots::default();
                dots.join(theirs, join, |_, _| {});
                self.0.insert(member.clone(), dots);
            }
        }
        self.0.retain(|_, dots| !dots.is_empty());
    }

    fn has(dots: &Dots<bool>, wins: Wins) -> bool {
        match wins {
            Wins::Add => dots.values().any(|added| *added),
            Wins::Remove => dots.values().all(|added| *added),
        }
    }

    pub(crate) fn to_json(&self, wins: Wins) -> Value {
        let members = self.0.iter().filter(|(_, dots)| Self::has(dots, wins));
        let values = members.filter_map(|(member, _)| serde_json::from_str(member).ok());
        Value::Array(values.collect())
    }
}

/// Leaves by key.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Map {
    pub(crate) leaves: BTreeMap<String, Leaf>,
    /// Removals that no later change has seen; only where removal wins.
    pub(crate) removed: BTreeMap<String, Dots<()>>,
}

impl Map {
    pub(crate) fn join(&mut self, other: &Self, join: &mut Join<'_>) {
        join_leaves(&mut self.leaves, &other.leaves, join);
        let none = Dots::default();
        for (key, dots) in &mut self.removed {
            dots.join(other.removed.get(key).unwrap_or(&none), join, |(), ()| {});
        }
        for (key, theirs) in &other.removed {
            if !self.removed.contains_key(key) {
                let mut dots = Dots::default();
                dots.join(theirs, join, |(), ()| {});
                self.removed.insert(key.clone(), dots);
            }
        }
        self.removed.retain(|_, dots| !dots.is_empty());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.leaves.is_empty() && self.removed.is_empty()
    }

    pub(crate) fn clear(&mut self, dead: &mut Context) {
        for leaf in self.leaves.values_mut() {
            leaf.clear(dead);
        }
        for dots in self.removed.values_mut() {
            dots.clear(dead);
        }
        self.leaves.clear();
        self.removed.clear();
    }

    pub(crate) fn to_json(&self, value: &Field) -> Value {
        let mut object = Object::new();
        for (key, leaf) in &self.leaves {
            if !self.removed.contains_key(key)
                && let Some(value) = leaf.to_json(value)
            {
                object.insert(key.clone(), value);
            }
        }
        Value::Object(object)
    }
}

/// Joins leaves by name: of a document or of a map. Those of which nothing is left are taken out.
pub(crate) fn join_leaves(
    own: &mut BTreeMap<String, Leaf>,
    other: &BTreeMap<String, Leaf>,
    join: &mut Join<'_>,
) {
    for (name, leaf) in own.iter_mut() {
        match other.get(name) {
            Some(theirs) => leaf.join(theirs, join),
            None => leaf.join(&leaf.none(), join),
        }
    }
    for (name, theirs) in other {
        if !own.contains_key(name) {
            let mut leaf = theirs.none();
            leaf.join(theirs, join);
            own.insert(name.clone(), leaf);
        }
    }
    own.retain(|_, leaf| !leaf.is_empty());
}
