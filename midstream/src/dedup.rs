//! Event ids seen within a time: exact, bounded in number.
//!
//! The ids lie one behind the other in the order of their arrival, in chunks that are used again; a table holds
//! their places. Ten bytes beside each id and about eight in the table, and nothing is allocated for one.

use std::collections::VecDeque;
use std::hash::BuildHasher;
use std::time::Duration;

use hashbrown::{DefaultHashBuilder, HashTable};
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserializer, Serializer};

use crate::event::EVENT_ID_BYTES_MAX;
use crate::time::Timestamp;

/// Bytes of a chunk: places within one fit 16 bits.
const CHUNK_BYTES: usize = 1 << 16;
/// Before each id: its length and when it came.
const HEADER_BYTES: usize = 10;

#[derive(Debug)]
pub(crate) struct Dedup {
    horizon: Duration,
    limit: usize,
    hasher: DefaultHashBuilder,
    /// Places of ids: the chunk's number, 16 bits, and the place in it.
    places: HashTable<u32>,
    ids: Ids,
    /// Ids forgotten before their time because there were too many.
    pub forgotten: u64,
}

/// The ids in the order in which they came.
#[derive(Debug, Default)]
struct Ids {
    chunks: VecDeque<Vec<u8>>,
    /// The number of the first chunk; numbers begin anew after 2^16.
    first: u16,
    /// The place of the oldest id in the first chunk.
    head: usize,
    spare: Option<Vec<u8>>,
}

impl Ids {
    /// When an id came, and its bytes.
    fn get(&self, place: u32) -> (Timestamp, &[u8]) {
        let chunk = ((place >> 16) as u16).wrapping_sub(self.first);
        let from = (place & 0xffff) as usize;
        let entry = self
            .chunks
            .get(usize::from(chunk))
            .map_or(&[][..], |chunk| &chunk[from..]);
        let Some((header, rest)) = entry.split_first_chunk::<HEADER_BYTES>() else {
            return (Timestamp::from_millis(0), &[]);
        };
        let [a, b, at @ ..] = *header;
        let length = usize::from(u16::from_le_bytes([a, b]));
        (
            Timestamp::from_millis(i64::from_le_bytes(at)),
            &rest[..length],
        )
    }

    fn push(&mut self, id: &[u8], at: Timestamp) -> u32 {
        let needed = HEADER_BYTES + id.len();
        let room = |chunk: &Vec<u8>| chunk.len() + needed <= CHUNK_BYTES;
        if !self.chunks.back().is_some_and(room) {
            let chunk = self.spare.take();
            self.chunks
                .push_back(chunk.unwrap_or_else(|| Vec::with_capacity(CHUNK_BYTES)));
        }
        let number = self.first.wrapping_add((self.chunks.len() - 1) as u16);
        let Some(chunk) = self.chunks.back_mut() else {
            return 0;
        };
        let place = u32::from(number) << 16 | chunk.len() as u32;
        chunk.extend_from_slice(&(id.len() as u16).to_le_bytes());
        chunk.extend_from_slice(&at.as_millis().to_le_bytes());
        chunk.extend_from_slice(id);
        place
    }

    fn oldest(&self) -> Option<u32> {
        let chunk = self.chunks.front()?;
        (self.head < chunk.len()).then_some(u32::from(self.first) << 16 | self.head as u32)
    }

    fn pop(&mut self) {
        let Some(place) = self.oldest() else { return };
        self.head += HEADER_BYTES + self.get(place).1.len();
        if self
            .chunks
            .front()
            .is_some_and(|chunk| self.head >= chunk.len())
            && let Some(mut chunk) = self.chunks.pop_front()
        {
            chunk.clear();
            self.spare = Some(chunk);
            self.first = self.first.wrapping_add(1);
            self.head = 0;
        }
    }

    fn iter(&self) -> impl Iterator<Item = (Timestamp, &[u8])> {
        let mut place = self.oldest();
        std::iter::from_fn(move || {
            let here = place?;
            let (at, id) = self.get(here);
            let chunk = (here >> 16) as u16;
            let next = (here & 0xffff) as usize + HEADER_BYTES + id.len();
            let number = usize::from(chunk.wrapping_sub(self.first));
            place = if next < self.chunks.get(number).map_or(0, Vec::len) {
                Some(u32::from(chunk) << 16 | next as u32)
            } else if number + 1 < self.chunks.len() {
                Some(u32::from(chunk.wrapping_add(1)) << 16)
            } else {
                None
            };
            Some((at, id))
        })
    }
}

impl Dedup {
    pub fn new(horizon: Duration, limit: usize) -> Self {
        Self {
            horizon,
            limit,
            hasher: DefaultHashBuilder::default(),
            places: HashTable::new(),
            ids: Ids::default(),
            forgotten: 0,
        }
    }

    /// Whether the id is new; it is then remembered.
    pub fn insert(&mut self, id: &str, now: Timestamp) -> bool {
        if self.horizon.is_zero() {
            return true;
        }
        if !self.add(id.as_bytes(), now) {
            return false;
        }
        while let Some(oldest) = self.ids.oldest() {
            let (at, id) = self.ids.get(oldest);
            let over = self.places.len() > self.limit;
            if !over && now.since(at) <= self.horizon {
                break;
            }
            self.forgotten += u64::from(over && now.since(at) <= self.horizon);
            let hash = self.hasher.hash_one(id);
            if let Ok(found) = self.places.find_entry(hash, |place| *place == oldest) {
                found.remove();
            }
            self.ids.pop();
        }
        true
    }

    fn add(&mut self, id: &[u8], at: Timestamp) -> bool {
        let Self {
            hasher,
            places,
            ids,
            ..
        } = self;
        let hash = hasher.hash_one(id);
        if places.find(hash, |place| ids.get(*place).1 == id).is_some() {
            return false;
        }
        let place = ids.push(id, at);
        places.insert_unique(hash, place, |other| hasher.hash_one(ids.get(*other).1));
        true
    }

    /// Writes the ids, oldest first.
    pub fn serialize_ids<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut all = serializer.serialize_seq(Some(self.places.len()))?;
        for (at, id) in self.ids.iter() {
            all.serialize_element(&(at, std::str::from_utf8(id).unwrap_or_default()))?;
        }
        all.end()
    }

    /// Reads ids into a list that is empty.
    pub fn deserialize_ids<'de, D: Deserializer<'de>>(
        &mut self,
        deserializer: D,
    ) -> Result<(), D::Error> {
        deserializer.deserialize_seq(Reading(self))
    }
}

struct Reading<'a>(&'a mut Dedup);

impl<'de> Visitor<'de> for Reading<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("event ids and when they came, oldest first")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut before = Timestamp::from_millis(i64::MIN);
        while let Some((at, id)) = seq.next_element::<(Timestamp, String)>()? {
            let sound = at >= before
                && id.len() <= EVENT_ID_BYTES_MAX
                && self.0.places.len() < self.0.limit
                && self.0.add(id.as_bytes(), at);
            if !sound {
                return Err(A::Error::custom("ids that no engine remembers"));
            }
            before = at;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_used_again_and_ids_stay_exact() {
        let mut dedup = Dedup::new(Duration::from_millis(1000), usize::MAX);
        let at = Timestamp::from_millis;
        // More chunks than 16 bits number would take too long: the numbers begin near their end.
        dedup.ids.first = u16::MAX - 3;
        for turn in 0..200_000_i64 {
            let id = format!("event-{turn}");
            assert!(dedup.insert(&id, at(turn / 10)));
            assert!(!dedup.insert(&id, at(turn / 10)));
            if turn >= 10_000 {
                assert!(!dedup.insert(&format!("event-{}", turn - 9_000), at(turn / 10)));
            }
        }
        assert!(dedup.places.len() <= 10_010);
        assert!(dedup.ids.chunks.len() <= 5);
        assert_eq!(dedup.ids.iter().count(), dedup.places.len());
    }

    #[test]
    fn the_oldest_are_forgotten_when_there_are_too_many() {
        let mut dedup = Dedup::new(Duration::from_secs(1), 2);
        for id in ["a", "b", "c"] {
            assert!(dedup.insert(id, Timestamp::from_millis(0)));
        }
        assert_eq!(dedup.forgotten, 1);
        assert!(!dedup.insert("c", Timestamp::from_millis(0)));
        assert!(dedup.insert("a", Timestamp::from_millis(0)));
    }
}
