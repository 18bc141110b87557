//! Writing a document.

use std::collections::BTreeMap;

use super::{Actors, COUNTER, FORMAT, MAP, Near, REGISTER, SET, TEXT};
use crate::bytes::{put, put_bytes, put_signed};
use crate::causal::{Context, Dots};
use crate::document::{Document, value};
use crate::leaf::Leaf;
use crate::leaf::counter::Tally;

pub(super) struct Writer<'a> {
    actors: &'a Actors,
    pub(super) out: &'a mut Vec<u8>,
    near: Near,
}

impl<'a> Writer<'a> {
    pub(super) fn new(actors: &'a Actors, out: &'a mut Vec<u8>) -> Self {
        let near = Near {
            counts: vec![0; actors.replicas.len()],
            millis: 0,
        };
        Self { actors, out, near }
    }

    pub(super) fn document(&mut self, document: &Document) {
        self.out.push(FORMAT);
        put_bytes(self.out, document.schema.as_bytes());
        self.context(&document.gone);
        self.context(&document.context);
        self.leaves(&document.fields);
    }

    pub(super) fn context(&mut self, context: &Context) {
        put(self.out, context.replicas().count() as u64);
        for replica in context.replicas() {
            let Some(runs) = context.of(replica) else {
                continue;
            };
            let place = self.actors.place(replica);
            put(self.out, place);
            put(self.out, runs.len() as u64);
            let mut before = 0;
            for (first, last) in runs.iter() {
                put(self.out, first - before - 1);
                put(self.out, last - first);
                before = last;
            }
            self.near.counts[place as usize] = before;
        }
    }

    fn leaves(&mut self, leaves: &BTreeMap<String, Leaf>) {
        put(self.out, leaves.len() as u64);
        for (name, leaf) in leaves {
            put_bytes(self.out, name.as_bytes());
            self.leaf(leaf);
        }
    }

    fn leaf(&mut self, leaf: &Leaf) {
        match leaf {
            Leaf::Register(register) => {
                self.out.push(REGISTER);
                self.dots(register, |w, sibling| {
                    value::write(w.out, &sibling.value, sibling.suspect);
                    put_signed(w.out, sibling.stamp.millis.wrapping_sub(w.near.millis));
                    put(w.out, u64::from(sibling.stamp.count));
                    w.near.millis = sibling.stamp.millis;
                });
            }
            Leaf::Counter(counter) => {
                self.out.push(COUNTER);
                self.dots(&counter.tallies, Self::tally);
                self.dots(&counter.resets, |w, floors| {
                    put(w.out, floors.len() as u64);
                    for (replica, tally) in floors {
                        let place = w.actors.place(*replica);
                        put(w.out, place);
                        w.tally(tally);
                    }
                });
            }
            Leaf::Set(set) => {
                self.out.push(SET);
                put(self.out, set.0.len() as u64);
                for (member, dots) in &set.0 {
                    put_bytes(self.out, member.as_bytes());
                    self.dots(dots, |w, added| w.out.push(u8::from(*added)));
                }
            }
            Leaf::Map(map) => {
                self.out.push(MAP);
                self.leaves(&map.leaves);
                put(self.out, map.removed.len() as u64);
                for (key, dots) in &map.removed {
                    put_bytes(self.out, key.as_bytes());
                    self.dots(dots, |_, ()| {});
                }
            }
            Leaf::Text(text) => {
                self.out.push(TEXT);
                // A list that is too large to be written took no edit: LETTERS_MAX is far below.
                let list = text.list.as_ref().and_then(|list| list.encode().ok());
                put_bytes(self.out, &list.unwrap_or_default());
                let deltas = text.waiting();
                put(self.out, deltas.len() as u64);
                for delta in deltas {
                    put_bytes(self.out, &delta);
                }
                put(self.out, text.marks.len() as u64);
                for (replica, marks) in &text.marks {
                    put(self.out, self.actors.place(*replica));
                    put(self.out, marks.len() as u64);
                    for mark in marks {
                        put(self.out, mark.count);
                        put(self.out, u64::from(mark.inserted));
                        put(self.out, u64::from(mark.deleted));
                    }
                }
            }
        }
    }

    fn tally(&mut self, tally: &Tally) {
        put(self.out, tally.up);
        put(self.out, tally.down);
    }

    fn dots<T: Clone>(&mut self, dots: &Dots<T>, mut each: impl FnMut(&mut Self, &T)) {
        put(self.out, dots.len() as u64);
        for (dot, value) in dots.iter() {
            let place = self.actors.place(dot.replica);
            put(self.out, place);
            let near = &mut self.near.counts[place as usize];
            put_signed(self.out, dot.count.wrapping_sub(*near) as i64);
            *near = dot.count;
            each(self, value);
        }
    }
}
