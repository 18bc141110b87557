//! A document: fields that merge, and one causal context.

mod check;
mod codec;
mod conflict;
mod edit;
mod kills;
mod legacy;
mod value;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::causal::{Context, Dot, Join, ReplicaId, Stamp};
use crate::error::{Error, Result};
use crate::leaf::Leaf;
use crate::leaf::collection::join_leaves;
use crate::schema::Schema;
use crate::time::Timestamp;
use kills::{Kill, Kills};

pub use codec::{Actors, DOCUMENT_BYTES_MAX};
pub use conflict::{Conflict, Write};
pub use edit::Edit;

/// The longest text or JSON of one field, in bytes.
pub const FIELD_BYTES_MAX: usize = 1 << 20;

/// The longest key of a map or member of a set, in bytes.
pub const KEY_BYTES_MAX: usize = 512;

/// Whether a join has told anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// There was something new.
    New,
    /// All of it was known.
    Known,
}

/// A document that merges with its copies on other replicas, or a part of one: what a copy lacks.
///
/// A delta is a document too. It tells of some writes only: what they wrote, and which others they
/// replaced. So it is joined by the same [`merge`](Self::merge), in any order, again, and whatever else is
/// missing.
#[derive(Clone, Debug)]
pub struct Document {
    schema: String,
    /// The writes of which all is known: what they wrote and what they replaced.
    context: Context,
    /// Writes of which only that they are replaced is known. Empty where nothing came out of order; in a delta
    /// the ones that its writes have replaced.
    gone: Context,
    fields: BTreeMap<String, Leaf>,
    kills: Kills,
}

/// Two documents are the same that have seen the same and read the same.
impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        (&self.schema, &self.context, &self.gone, &self.fields)
            == (&other.schema, &other.context, &other.gone, &other.fields)
    }
}

impl Document {
    /// An empty document.
    pub fn new(schema: &Schema) -> Self {
        Self::named(schema.name())
    }

    pub(crate) fn named(schema: &str) -> Self {
        Self {
            schema: schema.to_owned(),
            context: Context::default(),
            gone: Context::default(),
            fields: BTreeMap::new(),
            kills: Kills::default(),
        }
    }

    /// The name of its schema.
    pub fn schema(&self) -> &str {
        &self.schema
    }

    /// What it has seen; of a delta: what it tells of.
    pub fn context(&self) -> &Context {
        &self.context
    }

    /// The latest stamp of its writes, without those that are marked as made by a wrong clock.
    pub fn stamp(&self) -> Stamp {
        let mut latest = Stamp::default();
        self.registers(&mut |_, register| {
            let trusted = register.values().filter(|sibling| !sibling.suspect);
            latest = trusted
                .map(|sibling| sibling.stamp)
                .fold(latest, Stamp::max);
        });
        latest
    }

    /// Marks stamps that are later than `latest` as made by a wrong clock: their writes are kept, and lose
    /// against concurrent ones that are not marked. Returns how many there were.
    pub fn mark_after(&mut self, latest: Timestamp) -> usize {
        let leaves = self.fields.values_mut();
        leaves.map(|leaf| leaf.mark_after(latest.as_millis())).sum()
    }

    /// Changes the document as a replica. Every change makes a dot; a stamp may be that of many changes.
    pub fn edit<'a>(
        &'a mut self,
        schema: &'a Schema,
        replica: ReplicaId,
        stamp: Stamp,
    ) -> Edit<'a> {
        Edit::new(self, schema, replica, stamp)
    }

    /// Joins with a copy, or a delta, from another replica, in any order and as often as one likes. Makes
    /// no dot. Linear in the leaves of both.
    ///
    /// # Errors
    /// [`Error::OtherSchema`]: nothing was joined.
    pub fn merge(&mut self, other: &Self) -> Result<Joined> {
        if self.schema != other.schema {
            return Err(Error::OtherSchema {
                agent: String::new(),
                is: self.schema.clone(),
                asked: other.schema.clone(),
            });
        }
        let new = other.context.without(&self.context);
        let mut fields = std::mem::take(&mut self.fields);
        let (mine, theirs) = (self.seen(), other.seen());
        let mut join = Join {
            mine: &mine,
            theirs: &theirs,
            dead: Context::default(),
            marked: false,
        };
        join_leaves(&mut fields, &other.fields, &mut join);
        let told = join.marked || !join.dead.is_empty() || !new.is_empty();
        if !new.is_empty() {
            // All that the other knows to be gone, known here or not, may be held by a third who hears of
            // the new writes from here.
            let mut held = Context::default();
            other.live(&mut |dot| held.insert(dot));
            let dead = theirs.without(&held);
            self.context.join(&new);
            self.kills.note(Kill { by: new, dead });
        }
        self.gone.join(&other.gone);
        if !self.gone.is_empty() {
            self.gone = self.gone.without(&self.context);
        }
        self.fields = fields;
        Ok(if told { Joined::New } else { Joined::Known })
    }

    /// Exactly what a copy lacks that has seen `since`; none where it lacks nothing.
    ///
    /// The delta tells of the writes beyond `since`, and that those which they replaced are gone.
    pub fn delta(&self, since: &Context) -> Option<Self> {
        let tells = self.context.without(since);
        if tells.is_empty() {
            return None;
        }
        let gone = self.kills.since(since).unwrap_or_else(|| {
            let mut held = Context::default();
            self.live(&mut |dot| held.insert(dot));
            self.seen().without(&held)
        });
        Some(self.within(tells, &gone, since))
    }

    /// The part that tells of some writes, and that others are gone, to one who has seen `since`.
    fn within(&self, tells: Context, gone: &Context, since: &Context) -> Self {
        let fields = self.fields.iter().filter_map(|(name, leaf)| {
            let leaf = leaf.within(&tells, since)?;
            Some((name.clone(), leaf))
        });
        Self {
            schema: self.schema.clone(),
            fields: fields.collect(),
            kills: Kills::unknown(&tells),
            gone: gone.without(&tells),
            context: tells,
        }
    }

    /// All writes of which anything is known.
    fn seen(&self) -> Cow<'_, Context> {
        if self.gone.is_empty() {
            return Cow::Borrowed(&self.context);
        }
        let mut seen = self.context.clone();
        seen.join(&self.gone);
        Cow::Owned(seen)
    }

    /// The document as JSON; a path such as `tasks/weld_a` is a member of the object `tasks`.
    pub fn to_json(&self, schema: &Schema) -> Value {
        let mut object = Map::new();
        for (name, leaf) in &self.fields {
            let value = schema.get(name).and_then(|field| leaf.to_json(field));
            if let Some(value) = value {
                object.insert(name.clone(), value);
            }
        }
        Value::Object(object)
    }

    /// Makes lists of what came as deltas of lists.
    pub(crate) fn adopt(&mut self, replica: ReplicaId) {
        for leaf in self.fields.values_mut() {
            if let Leaf::Text(text) = leaf {
                text.adopt(replica);
            }
        }
    }

    /// Tells each dot that is held.
    fn live(&self, tell: &mut impl FnMut(Dot)) {
        for leaf in self.fields.values() {
            leaf.live(tell);
        }
    }

    fn registers<'a>(&'a self, tell: &mut impl FnMut(String, &'a crate::leaf::register::Register)) {
        for (name, leaf) in &self.fields {
            leaf.registers(name, tell);
        }
    }
}
