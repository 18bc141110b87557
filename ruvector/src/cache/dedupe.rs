//! Merging answers to questions that mean the same.

use std::collections::HashMap;

use super::guard::Verdict;
use super::semantic::SemanticCache;
use crate::error::{Error, Result};

/// Two questions that became one.
#[derive(Debug, Clone, PartialEq)]
pub struct Merge {
    /// Where they are.
    pub namespace: String,
    /// The question whose answer stays: the later one.
    pub kept: String,
    /// The question that finds that answer from now on.
    pub merged: String,
    /// Their cosine.
    pub similarity: f32,
}

/// What [`SemanticCache::dedupe`] did.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct DedupeReport {
    /// Answers that were looked at.
    pub examined: usize,
    /// What was merged.
    pub merges: Vec<Merge>,
    /// Near pairs that the guard kept apart.
    pub kept_apart: usize,
    /// Near pairs whose answers differ, by [`CacheBuilder::same_answer`](super::CacheBuilder::same_answer).
    pub answers_differ: usize,
    /// Bytes that were freed.
    pub freed_bytes: usize,
}

impl<V> SemanticCache<V> {
    /// Merges the questions of a namespace, embedder and epoch with at least this cosine, where the
    /// guard agrees without doubt. The later answer stays and the other text finds it. The cache is
    /// locked meanwhile: one search for each answer.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a similarity outside 0..=1, and what a search can refuse.
    pub fn dedupe(&self, similarity: f32) -> Result<DedupeReport> {
        if !(0.0..=1.0).contains(&similarity) {
            return Err(Error::Unsupported(
                "the similarity for dedupe must be in 0..=1",
            ));
        }
        let mut report = DedupeReport::default();
        let mut shelf = self.shelf();
        for scope in shelf.scopes() {
            let policy = self.policy(&scope.namespace);
            let mut ids: Vec<u64> = shelf
                .entries
                .iter()
                .filter(|(_, entry)| entry.scope == scope)
                .map(|(id, _)| *id)
                .collect();
            // The latest first, so that it is the one that stays.
            ids.sort_by_key(|id| {
                std::cmp::Reverse((shelf.entries.get(id).map(|entry| entry.stored), *id))
            });
            let ranks: HashMap<u64, usize> = ids
                .iter()
                .enumerate()
                .map(|(rank, id)| (*id, rank))
                .collect();
            report.examined += ids.len();
            for (rank, id) in ids.iter().enumerate() {
                let Some(index) = shelf.index(&scope) else {
                    continue;
                };
                if !shelf.entries.contains_key(id) {
                    continue;
                }
                let Some(own) = index.get(*id)? else {
                    continue;
                };
                for hit in index.search_range(&own.vector, similarity, None)? {
                    let later = ranks.get(&hit.id).is_some_and(|other| *other > rank);
                    let (Some(kept), Some(other)) =
                        (shelf.entries.get(id), shelf.entries.get(&hit.id))
                    else {
                        continue;
                    };
                    if !later {
                        continue;
                    }
                    if policy.guard.compare(&kept.text, &other.text) != Verdict::Agree {
                        report.kept_apart += 1;
                        continue;
                    }
                    let same = self.same.as_ref();
                    if same.is_some_and(|same| !same(kept.answer.value(), other.answer.value())) {
                        report.answers_differ += 1;
                        continue;
                    }
                    report.merges.push(Merge {
                        namespace: scope.namespace.clone(),
                        kept: kept.text.clone(),
                        merged: other.text.clone(),
                        similarity: hit.score,
                    });
                    report.freed_bytes += shelf.merge(*id, hit.id)?;
                }
            }
        }
        drop(shelf);
        self.count(|counters| counters.removed += report.merges.len() as u64);
        Ok(report)
    }
}
