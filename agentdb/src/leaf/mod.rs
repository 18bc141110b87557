//! The mergeable values of fields. All are made of [`Dots`] but the list, which brings its own order.

pub(crate) mod collection;
pub(crate) mod counter;
pub(crate) mod register;
pub(crate) mod text;

use serde_json::Value;

use crate::causal::{Context, Dot, Dots, Join};
use crate::schema::Field;
use collection::{Map, Set};
use counter::Counter;
use register::Register;
use text::Text;

/// A mergeable value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Leaf {
    /// Last-write-wins and multi-value registers, extremes, statuses, flags.
    Register(Register),
    Counter(Counter),
    Set(Set),
    Map(Map),
    Text(Box<Text>),
}

impl Leaf {
    /// A leaf of a field to which nothing has happened.
    pub(crate) fn of(field: &Field) -> Self {
        match field {
            Field::Lww
            | Field::Mv
            | Field::Max
            | Field::Min
            | Field::Status(_)
            | Field::Flag(_) => Self::Register(Dots::default()),
            Field::PnCounter => Self::Counter(Counter::default()),
            Field::OrSet(_) => Self::Set(Set::default()),
            Field::OrMap(..) => Self::Map(Map::default()),
            Field::List => Self::Text(Box::default()),
        }
    }

    /// A leaf of the same kind to which nothing has happened.
    pub(crate) fn none(&self) -> Self {
        match self {
            Self::Register(_) => Self::Register(Dots::default()),
            Self::Counter(_) => Self::Counter(Counter::default()),
            Self::Set(_) => Self::Set(Set::default()),
            Self::Map(_) => Self::Map(Map::default()),
            Self::Text(_) => Self::Text(Box::default()),
        }
    }

    /// Joins two values of one field. Commutative, associative, idempotent. Values of different kinds, which
    /// one schema never gives, keep the first.
    pub(crate) fn join(&mut self, other: &Self, join: &mut Join<'_>) {
        match (self, other) {
            (Self::Register(own), Self::Register(other)) => register::join(own, other, join),
            (Self::Counter(own), Self::Counter(other)) => own.join(other, join),
            (Self::Set(own), Self::Set(other)) => own.join(other, join),
            (Self::Map(own), Self::Map(other)) => own.join(other, join),
            (Self::Text(own), Self::Text(other)) => own.join(other),
            _ => {}
        }
    }

    /// Whether nothing is left of it.
    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Register(register) => register.is_empty(),
            Self::Counter(counter) => counter.tallies.is_empty() && counter.resets.is_empty(),
            Self::Set(set) => set.0.is_empty(),
            Self::Map(map) => map.is_empty(),
            Self::Text(text) => text.is_empty(),
        }
    }

    /// Takes out everything that is there, as a removal that has seen it does.
    pub(crate) fn clear(&mut self, dead: &mut Context) {
        match self {
            Self::Register(register) => register.clear(dead),
            Self::Counter(counter) => {
                counter.tallies.clear(dead);
                counter.resets.clear(dead);
            }
            Self::Set(set) => {
                for dots in set.0.values_mut() {
                    dots.clear(dead);
                }
                set.0.clear();
            }
            Self::Map(map) => map.clear(dead),
            // A text is no value of a map, and fields are not removed.
            Self::Text(_) => {}
        }
    }

    /// Tells each dot that is held.
    pub(crate) fn live(&self, tell: &mut impl FnMut(Dot)) {
        match self {
            Self::Register(register) => register.iter().for_each(|(dot, _)| tell(dot)),
            Self::Counter(counter) => {
                counter.tallies.iter().for_each(|(dot, _)| tell(dot));
                counter.resets.iter().for_each(|(dot, _)| tell(dot));
            }
            Self::Set(set) => {
                let dots = set.0.values().flat_map(Dots::iter);
                dots.for_each(|(dot, _)| tell(dot));
            }
            Self::Map(map) => {
                for leaf in map.leaves.values() {
                    leaf.live(tell);
                }
                let dots = map.removed.values().flat_map(Dots::iter);
                dots.for_each(|(dot, ())| tell(dot));
            }
            Self::Text(_) => {}
        }
    }

    /// The part that a context tells of, for one who has seen `since`; none where that is nothing.
    pub(crate) fn within(&self, context: &Context, since: &Context) -> Option<Self> {
        let part = match self {
            Self::Register(register) => Self::Register(register.within(context)),
            Self::Counter(counter) => Self::Counter(Counter {
                tallies: counter.tallies.within(context),
                resets: counter.resets.within(context),
            }),
            Self::Set(set) => {
                let members = set.0.iter().filter_map(|(member, dots)| {
                    let dots = dots.within(context);
                    (!dots.is_empty()).then(|| (member.clone(), dots))
                });
                Self::Set(Set(members.collect()))
            }
            Self::Map(map) => {
                let leaves = map.leaves.iter().filter_map(|(key, leaf)| {
                    let leaf = leaf.within(context, since)?;
                    Some((key.clone(), leaf))
                });
                let removed = map.removed.iter().filter_map(|(key, dots)| {
                    let dots = dots.within(context);
                    (!dots.is_empty()).then(|| (key.clone(), dots))
                });
                Self::Map(Map {
                    leaves: leaves.collect(),
                    removed: removed.collect(),
                })
            }
            Self::Text(text) => Self::Text(Box::new(text.since(since))),
        };
        (!part.is_empty()).then_some(part)
    }

    /// What it reads as; none where it holds nothing that this field could.
    pub(crate) fn to_json(&self, field: &Field) -> Option<Value> {
        match (self, field) {
            (Self::Register(register), field) => register::to_json(register, field),
            (Self::Counter(counter), Field::PnCounter) => Some(counter.to_json()),
            (Self::Set(set), Field::OrSet(wins)) => Some(set.to_json(*wins)),
            (Self::Map(map), Field::OrMap(value, _)) => Some(map.to_json(value)),
            (Self::Text(text), Field::List) => Some(text.to_json()),
            _ => None,
        }
    }

    /// Tells each register within, with its path.
    pub(crate) fn registers<'a>(&'a self, path: &str, tell: &mut impl FnMut(String, &'a Register)) {
        match self {
            Self::Register(register) => tell(path.to_owned(), register),
            Self::Map(map) => {
                for (key, leaf) in &map.leaves {
                    leaf.registers(&crate::path::join(path, key), tell);
                }
            }
            Self::Counter(_) | Self::Set(_) | Self::Text(_) => {}
        }
    }

    /// Marks stamps later than `latest`; returns how many.
    pub(crate) fn mark_after(&mut self, latest: i64) -> usize {
        match self {
            Self::Register(register) => register::mark_after(register, latest),
            Self::Map(map) => {
                let leaves = map.leaves.values_mut();
                leaves.map(|leaf| leaf.mark_after(latest)).sum()
            }
            Self::Counter(_) | Self::Set(_) | Self::Text(_) => 0,
        }
    }
}
