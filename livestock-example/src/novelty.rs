//! Whether a person was seen before: the look of each alerted person is kept in a vector index.
//!
//! A person who looks like one that was alerted in the same zone, in the same light, a short while ago is
//! the same person: counted, not alerted again.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use ruvector::{Filter, Index, Metric};
use serde_json::json;

use crate::sighting::Sighting;
use crate::time::Timestamp;

/// Above this cosine similarity two looks are the same.
pub const SAME_LOOK: f32 = 0.95;
/// The most looks that are kept; past it the oldest is forgotten.
pub const LOOKS_MAX: usize = 4096;

/// Why the index cannot be asked.
#[derive(Debug, thiserror::Error)]
#[error("novelty index: {0}")]
pub struct NoveltyError(#[from] ruvector::Error);

/// What the index says of a person.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// The look was alerted here before, within the memory.
    Before,
    /// It was not; it is now remembered.
    Never,
}

/// The looks of alerted persons.
pub struct Novelty {
    memory: Duration,
    /// By length of the embedding: another detector begins another index.
    index: Option<Index>,
    /// What was kept, oldest first.
    kept: VecDeque<(u64, Timestamp)>,
    next: u64,
    /// The latest look of a person in each zone.
    latest: BTreeMap<String, Look>,
}

struct Look {
    embedding: Vec<f32>,
    night: bool,
}

impl Novelty {
    /// An empty index that remembers for this long.
    pub fn new(memory: Duration) -> Self {
        Self {
            memory,
            index: None,
            kept: VecDeque::new(),
            next: 0,
            latest: BTreeMap::new(),
        }
    }

    /// Notes how a person looks, in case an alert is about to be raised in that zone.
    pub fn note(&mut self, sighting: &Sighting) {
        if sighting.embedding.iter().any(|value| *value != 0.0) {
            let look = Look {
                embedding: sighting.embedding.clone(),
                night: sighting.night,
            };
            self.latest.insert(sighting.zone.clone(), look);
        }
    }

    /// Whether the person last noted in `zone` was alerted there before; if not, it counts as alerted now.
    ///
    /// A zone without a look (a detector without embeddings) is never known.
    ///
    /// # Errors
    /// [`NoveltyError`] when the index refuses.
    pub fn alerted(&mut self, zone: &str, at: Timestamp) -> Result<Seen, NoveltyError> {
        let Some(look) = self.latest.get(zone) else {
            return Ok(Seen::Never);
        };
        let length = look.embedding.len();
        let index = match &mut self.index {
            Some(index) if index.dim() == length => index,
            index => {
                self.kept.clear();
                index.insert(Index::builder(length).metric(Metric::Cosine).build()?)
            }
        };
        while let Some((id, when)) = self.kept.front().copied() {
            if at.since(when) <= self.memory && self.kept.len() < LOOKS_MAX {
                break;
            }
            index.delete(id)?;
            self.kept.pop_front();
        }
        let here = Filter::parse(&format!(
            "zone == '{}' && night == {}",
            zone.replace('\'', ""),
            look.night
        ))?;
        let best = index.search(&look.embedding, 1).filter(here).run()?;
        if best.first().is_some_and(|hit| hit.score > SAME_LOOK) {
            return Ok(Seen::Before);
        }
        self.next += 1;
        index.upsert(
            self.next,
            &look.embedding,
            json!({ "zone": zone.replace('\'', ""), "night": look.night }),
        )?;
        self.kept.push_back((self.next, at));
        Ok(Seen::Never)
    }
}
