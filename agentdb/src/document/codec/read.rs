//! Reading a document from bytes that no one vouches for.

use std::collections::{BTreeMap, BTreeSet};

use super::{Actors, COUNTER, FORMAT, MAP, MEMBER_BYTES_MAX, Near, REGISTER, SET, TEXT};
use crate::bytes::{Malformed, Reader};
use crate::causal::{COUNT_MAX, Context, Dot, Dots, ReplicaId, Stamp};
use crate::document::kills::Kills;
use crate::document::{Document, FIELD_BYTES_MAX, KEY_BYTES_MAX, value};
use crate::leaf::Leaf;
use crate::leaf::collection::{Map, Set};
use crate::leaf::counter::{Counter, Floors, Tally};
use crate::leaf::register::Sibling;
use crate::leaf::text::{MARKS_MAX, Mark, Text};
use crate::list::{ENCODED_BYTES_MAX, List};
use crate::schema::{MAP_DEPTH_MAX, NAME_BYTES_MAX};

pub(super) struct Parser<'a> {
    actors: &'a Actors,
    near: Near,
    depth: usize,
}

pub(super) type Read<T> = Result<T, Malformed>;

impl<'a> Parser<'a> {
    pub(super) fn new(actors: &'a Actors) -> Self {
        let near = Near {
            counts: vec![0; actors.replicas.len()],
            millis: 0,
        };
        Self {
            actors,
            near,
            depth: 0,
        }
    }

    /// The name of the schema, what is gone, what was seen.
    pub(super) fn head<'r>(
        &mut self,
        reader: &mut Reader<'r>,
    ) -> Read<(&'r str, Context, Context)> {
        if reader.byte()? != FORMAT {
            return Err(reader.wrong("it is of a newer format, or no document"));
        }
        let schema = reader.string(NAME_BYTES_MAX)?;
        Ok((schema, self.context(reader)?, self.context(reader)?))
    }

    pub(super) fn document(&mut self, reader: &mut Reader<'_>) -> Read<Document> {
        let (schema, gone, context) = self.head(reader)?;
        if !gone.is_empty() && gone.without(&context) != gone {
            return Err(reader.wrong("a write is both gone and told of"));
        }
        let fields = self.leaves(reader, NAME_BYTES_MAX)?;
        Ok(Document {
            schema: schema.to_owned(),
            kills: Kills::unknown(&context),
            context,
            gone,
            fields,
        })
    }

    fn replica(&self, reader: &mut Reader<'_>) -> Read<(usize, ReplicaId)> {
        let place = reader.number()? as usize;
        match self.actors.replicas.get(place) {
            Some(replica) => Ok((place, *replica)),
            None => Err(reader.wrong("it names a replica that its table has not")),
        }
    }

    pub(super) fn context(&mut self, reader: &mut Reader<'_>) -> Read<Context> {
        let mut context = Context::default();
        let mut last = None;
        for _ in 0..reader.count(4)? {
            let (place, replica) = self.replica(reader)?;
            if last.is_some_and(|last| last >= place) {
                return Err(reader.wrong("the replicas of a context are not in order"));
            }
            last = Some(place);
            let mut before = 0;
            let runs = reader.count(2)?;
            if runs == 0 {
                return Err(reader.wrong("a context names a replica of which nothing was seen"));
            }
            for run in 0..runs {
                let gap = reader.number()?;
                let more = reader.number()?;
                if gap.max(more) > COUNT_MAX || (run > 0 && gap == 0) {
                    return Err(reader.wrong("a count is above its limit, or runs touch"));
                }
                let first = before + 1 + gap;
                before = first + more;
                if before > COUNT_MAX {
                    return Err(reader.wrong("a count is above its limit"));
                }
                context.add(replica, first, before);
            }
            self.near.counts[place] = before;
        }
        Ok(context)
    }

    fn leaves(&mut self, reader: &mut Reader<'_>, name_max: usize) -> Read<BTreeMap<String, Leaf>> {
        let mut leaves = BTreeMap::new();
        for _ in 0..reader.count(3)? {
            let name = ordered(reader, leaves.last_key_value(), name_max)?;
            let leaf = self.leaf(reader)?;
            leaves.insert(name, leaf);
        }
        Ok(leaves)
    }

    fn leaf(&mut self, reader: &mut Reader<'_>) -> Read<Leaf> {
        let leaf = match reader.byte()? {
            REGISTER => Leaf::Register(self.dots(reader, |p, reader| {
                let (value, suspect) = value::read(reader)?;
                let millis = p.near.millis.wrapping_add(reader.signed()?);
                p.near.millis = millis;
                let count = reader.small()?;
                Ok(Sibling {
                    value,
                    stamp: Stamp { millis, count },
                    suspect,
                })
            })?),
            COUNTER => {
                let tallies = self.dots(reader, |_, reader| tally(reader))?;
                let resets = self.dots(reader, |p, reader| {
                    let mut floors = Floors::new();
                    for _ in 0..reader.count(3)? {
                        let (_, replica) = p.replica(reader)?;
                        if floors.insert(replica, tally(reader)?).is_some() {
                            return Err(reader.wrong("a reset names a replica twice"));
                        }
                    }
                    Ok(floors)
                })?;
                Leaf::Counter(Counter { tallies, resets })
            }
            SET => {
                let mut set = BTreeMap::new();
                for _ in 0..reader.count(5)? {
                    let member = ordered(reader, set.last_key_value(), MEMBER_BYTES_MAX)?;
                    let dots = self.writes(reader, |_, reader| match reader.byte()? {
                        0 => Ok(false),
                        1 => Ok(true),
                        _ => Err(reader.wrong("a member is neither added nor removed")),
                    })?;
                    set.insert(member, dots);
                }
                Leaf::Set(Set(set))
            }
            MAP => {
                self.depth += 1;
                if self.depth > MAP_DEPTH_MAX {
                    return Err(reader.wrong("maps are too deep within one another"));
                }
                let leaves = self.leaves(reader, KEY_BYTES_MAX)?;
                self.depth -= 1;
                let mut removed = BTreeMap::new();
                for _ in 0..reader.count(4)? {
                    let key = ordered(reader, removed.last_key_value(), KEY_BYTES_MAX)?;
                    removed.insert(key, self.writes(reader, |_, _| Ok(()))?);
                }
                Leaf::Map(Map { leaves, removed })
            }
            TEXT => Leaf::Text(Box::new(self.text(reader)?)),
            _ => return Err(reader.wrong("a field is of no known kind")),
        };
        if leaf.is_empty() {
            return Err(reader.wrong("a field holds nothing"));
        }
        Ok(leaf)
    }

    fn text(&mut self, reader: &mut Reader<'_>) -> Read<Text> {
        let bytes = reader.bytes(ENCODED_BYTES_MAX)?;
        let list = match bytes.is_empty() {
            true => None,
            false => Some(
                List::decode(ReplicaId::new(0), bytes)
                    .map_err(|_| reader.wrong::<Malformed>("a list is damaged"))?,
            ),
        };
        let mut deltas = BTreeSet::new();
        for _ in 0..reader.count(2)? {
            let delta = reader.bytes(FIELD_BYTES_MAX * 16)?;
            if List::check(delta).is_err() {
                return Err(reader.wrong("a delta of a list is damaged"));
            }
            deltas.insert(delta.to_vec());
        }
        let mut marks = BTreeMap::new();
        for _ in 0..reader.count(5)? {
            let (_, replica) = self.replica(reader)?;
            let count = reader.count(3)?;
            if count > MARKS_MAX {
                return Err(reader.wrong("a list has more marks than are kept"));
            }
            let mut of: Vec<Mark> = Vec::with_capacity(count);
            for _ in 0..count {
                let mark = Mark {
                    count: reader.number()?,
                    inserted: reader.small()?,
                    deleted: reader.small()?,
                };
                if of.last().is_some_and(|last| last.count >= mark.count) {
                    return Err(reader.wrong("the marks of a list are not in order"));
                }
                of.push(mark);
            }
            marks.insert(replica, of);
        }
        let mut text = Text {
            list,
            deltas,
            marks,
        };
        text.settle();
        Ok(text)
    }

    /// The writes of a member of a set or of a removed key, which is there only while it has any.
    fn writes<T: Clone>(
        &mut self,
        reader: &mut Reader<'_>,
        each: impl FnMut(&mut Self, &mut Reader<'_>) -> Read<T>,
    ) -> Read<Dots<T>> {
        let dots = self.dots(reader, each)?;
        if dots.is_empty() {
            return Err(reader.wrong("a member or a removed key has no write"));
        }
        Ok(dots)
    }

    fn dots<T: Clone>(
        &mut self,
        reader: &mut Reader<'_>,
        mut each: impl FnMut(&mut Self, &mut Reader<'_>) -> Read<T>,
    ) -> Read<Dots<T>> {
        let mut dots: Vec<(Dot, T)> = Vec::new();
        for _ in 0..reader.count(2)? {
            let (place, replica) = self.replica(reader)?;
            let count = self.near.counts[place].wrapping_add(reader.signed()? as u64);
            if count == 0 || count > COUNT_MAX {
                return Err(reader.wrong("a count is nought, or above its limit"));
            }
            self.near.counts[place] = count;
            let dot = Dot { replica, count };
            if dots.last().is_some_and(|(last, _)| *last >= dot) {
                return Err(reader.wrong("the writes of a field are not in order"));
            }
            dots.push((dot, each(self, reader)?));
        }
        Ok(Dots::from_sorted(dots))
    }
}

fn tally(reader: &mut Reader<'_>) -> Read<Tally> {
    Ok(Tally {
        up: reader.number()?,
        down: reader.number()?,
    })
}

/// A name that is behind the last one.
fn ordered<T>(reader: &mut Reader<'_>, last: Option<(&String, &T)>, limit: usize) -> Read<String> {
    let name = reader.string(limit)?;
    if last.is_some_and(|(last, _)| last.as_str() >= name) {
        return Err(reader.wrong("names are not in order"));
    }
    Ok(name.to_owned())
}
