//! A document, or a delta of one, as bytes. FORMAT.md tells them.
//!
//! One document gives one sequence of bytes: names and dots are in order, and replicas are places in a table
//! that is in order too. So equal documents have equal bytes, and a digest tells documents apart.

use std::collections::{BTreeMap, BTreeSet};

use super::kills::{Kill, Kills};
use super::{Document, FIELD_BYTES_MAX, KEY_BYTES_MAX, value};
use crate::bytes::{Malformed, Reader, put, put_bytes, put_signed};
use crate::causal::{COUNT_MAX, Context, Dot, Dots, ReplicaId, Stamp};
use crate::error::{Error, Result};
use crate::leaf::Leaf;
use crate::leaf::collection::{Map, Set};
use crate::leaf::counter::{Counter, Floors, Tally};
use crate::leaf::register::Sibling;
use crate::leaf::text::{MARKS_MAX, Mark, Text};
use crate::list::{ENCODED_BYTES_MAX, List};
use crate::schema::MAP_DEPTH_MAX;

/// The largest document that is read, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 64 << 20;

const FORMAT: u8 = 1;
const REGISTER: u8 = 0;
const COUNTER: u8 = 1;
const SET: u8 = 2;
const MAP: u8 = 3;
const TEXT: u8 = 4;
/// The longest name of a schema or a field, in bytes.
const NAME_BYTES_MAX: usize = 512;
/// How long the JSON text of a set's member may be: escapes make up to six bytes of one.
const MEMBER_BYTES_MAX: usize = KEY_BYTES_MAX * 6 + 2;

/// A table of the replicas that some documents name, so that each is named once: a frame that carries many
/// documents has one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Actors {
    replicas: Vec<ReplicaId>,
    places: BTreeMap<ReplicaId, u64>,
}

impl Actors {
    /// A table of all replicas that these documents name.
    pub fn of<'d>(documents: impl IntoIterator<Item = &'d Document>) -> Self {
        let mut named = BTreeSet::new();
        for document in documents {
            named.extend(document.context.replicas());
            named.extend(document.gone.replicas());
            for leaf in document.fields.values() {
                named_by(leaf, &mut named);
            }
            named.extend(document.kills.base.replicas());
            for kill in &document.kills.entries {
                named.extend(kill.by.replicas());
                named.extend(kill.dead.replicas());
            }
        }
        let mut actors = Self::default();
        for replica in named {
            actors.add(replica);
        }
        actors
    }

    fn add(&mut self, replica: ReplicaId) {
        self.places.insert(replica, self.replicas.len() as u64);
        self.replicas.push(replica);
    }

    /// The replicas, in order.
    pub fn replicas(&self) -> &[ReplicaId] {
        &self.replicas
    }

    /// Appends the table to bytes.
    pub fn encode(&self, out: &mut Vec<u8>) {
        put(out, self.replicas.len() as u64);
        for replica in &self.replicas {
            put(out, replica.get());
            put(out, u64::from(replica.incarnation()));
        }
    }

    /// Reads a table; returns it and how many bytes it took.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<(Self, usize)> {
        let mut reader = Reader::new(bytes);
        let actors = Self::read(&mut reader)?;
        Ok((actors, bytes.len() - reader.left()))
    }

    fn read(reader: &mut Reader<'_>) -> std::result::Result<Self, Malformed> {
        let mut actors = Self::default();
        for _ in 0..reader.count(2)? {
            let replica = ReplicaId::new(reader.number()?).with_incarnation(reader.small()?);
            if actors.replicas.last().is_some_and(|last| *last >= replica) {
                return Err(reader.wrong("its table of replicas is not in order"));
            }
            actors.add(replica);
        }
        Ok(actors)
    }

    fn place(&self, replica: ReplicaId) -> u64 {
        self.places.get(&replica).copied().unwrap_or_default()
    }
}

/// The replicas that a leaf names and the context of its document may not.
fn named_by(leaf: &Leaf, named: &mut BTreeSet<ReplicaId>) {
    match leaf {
        Leaf::Counter(counter) => {
            let floors = counter.resets.values().flat_map(Floors::keys);
            named.extend(floors.copied());
        }
        Leaf::Text(text) => named.extend(text.marks.keys().copied()),
        Leaf::Map(map) => map.leaves.values().for_each(|leaf| named_by(leaf, named)),
        Leaf::Register(_) | Leaf::Set(_) => {}
    }
    leaf.live(&mut |dot| {
        named.insert(dot.replica);
    });
}

impl Document {
    /// The document as bytes, with a table of its replicas.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        let bare = Self {
            kills: Kills::default(),
            ..self.clone()
        };
        let actors = Actors::of([&bare]);
        actors.encode(&mut out);
        self.encode_with(&actors, &mut out);
        out
    }

    /// Appends the document to bytes; its replicas are in a table that travels apart.
    pub fn encode_with(&self, actors: &Actors, out: &mut Vec<u8>) {
        Writer::new(actors, out).document(self);
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Limit`] above [`DOCUMENT_BYTES_MAX`].
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        limit(bytes)?;
        let mut reader = Reader::new(bytes);
        let actors = Actors::read(&mut reader)?;
        let document = Parser::new(&actors).document(&mut reader)?;
        end(&reader)?;
        Ok(document)
    }

    /// Reads what [`encode_with`](Self::encode_with) wrote with the same table.
    ///
    /// # Errors
    /// [`Error::Malformed`], [`Error::Limit`] above [`DOCUMENT_BYTES_MAX`].
    pub fn decode_with(actors: &Actors, bytes: &[u8]) -> Result<Self> {
        limit(bytes)?;
        let mut reader = Reader::new(bytes);
        let document = Parser::new(actors).document(&mut reader)?;
        end(&reader)?;
        Ok(document)
    }

    /// The document and its journal, for the store.
    pub(crate) fn encode_stored(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        let actors = Actors::of([self]);
        actors.encode(&mut out);
        let mut writer = Writer::new(&actors, &mut out);
        writer.document(self);
        writer.context(&self.kills.base);
        put(writer.out, self.kills.entries.len() as u64);
        for kill in &self.kills.entries {
            writer.context(&kill.by);
            writer.context(&kill.dead);
        }
        out
    }

    /// Reads what [`encode_stored`](Self::encode_stored) wrote.
    pub(crate) fn decode_stored(bytes: &[u8]) -> Result<Self> {
        limit(bytes)?;
        let mut reader = Reader::new(bytes);
        let actors = Actors::read(&mut reader)?;
        let mut parser = Parser::new(&actors);
        let mut document = parser.document(&mut reader)?;
        let base = parser.context(&mut reader)?;
        let mut kills = Kills::unknown(&base);
        for _ in 0..reader.count(2)? {
            let (by, dead) = (parser.context(&mut reader)?, parser.context(&mut reader)?);
            kills.entries.push_back(Kill { by, dead });
        }
        document.kills = kills;
        end(&reader)?;
        Ok(document)
    }
}

fn limit(bytes: &[u8]) -> Result<()> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(Error::Limit {
            what: "length of a document in bytes",
            found: bytes.len(),
            limit: DOCUMENT_BYTES_MAX,
        });
    }
    Ok(())
}

fn end(reader: &Reader<'_>) -> std::result::Result<(), Malformed> {
    if reader.left() > 0 {
        return Err(reader.wrong("there are bytes after its end"));
    }
    Ok(())
}

/// Dots and stamps are near the ones before them.
struct Near {
    counts: Vec<u64>,
    millis: i64,
}

struct Writer<'a> {
    actors: &'a Actors,
    out: &'a mut Vec<u8>,
    near: Near,
}

impl<'a> Writer<'a> {
    fn new(actors: &'a Actors, out: &'a mut Vec<u8>) -> Self {
        let near = Near {
            counts: vec![0; actors.replicas.len()],
            millis: 0,
        };
        Self { actors, out, near }
    }

    fn document(&mut self, document: &Document) {
        self.out.push(FORMAT);
        put_bytes(self.out, document.schema.as_bytes());
        self.context(&document.gone);
        self.context(&document.context);
        self.leaves(&document.fields);
    }

    fn context(&mut self, context: &Context) {
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

struct Parser<'a> {
    actors: &'a Actors,
    near: Near,
    depth: usize,
}

type Read<T> = std::result::Result<T, Malformed>;

impl<'a> Parser<'a> {
    fn new(actors: &'a Actors) -> Self {
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

    fn document(&mut self, reader: &mut Reader<'_>) -> Read<Document> {
        if reader.byte()? != FORMAT {
            return Err(reader.wrong("it is of a newer format, or no document"));
        }
        let schema = reader.string(NAME_BYTES_MAX)?.to_owned();
        let gone = self.context(reader)?;
        let context = self.context(reader)?;
        let fields = self.leaves(reader, NAME_BYTES_MAX)?;
        Ok(Document {
            schema,
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

    fn context(&mut self, reader: &mut Reader<'_>) -> Read<Context> {
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
                    let dots = self.dots(reader, |_, reader| match reader.byte()? {
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
                    removed.insert(key, self.dots(reader, |_, _| Ok(()))?);
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
