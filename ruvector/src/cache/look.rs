//! Looking for an answer: by the text itself, then among the nearest texts, which the guard and the verifier judge.

use super::answer::{Answer, Found, How};
use super::guard::Verdict;
use super::policy::Policy;
use super::semantic::{SemanticCache, admitted};
use super::shelf::Scope;
use super::time::Timestamp;
use crate::error::Result;

/// Near texts that a look-up judges, the nearest first.
const CANDIDATES: usize = 16;

/// How a look-up ended, and what a computation after it needs.
pub(super) struct Look<V> {
    pub ending: Ending<V>,
    pub scope: Scope,
    pub text: String,
    pub vector: Vec<f32>,
}

pub(super) enum Ending<V> {
    Hit(Found<V>),
    GuardRefused,
    VerifierRefused,
    Expired,
    Miss,
    Bypassed,
}

/// A near text.
struct Candidate<V> {
    id: u64,
    text: String,
    answer: Answer<V>,
    similarity: f32,
}

impl<V> SemanticCache<V> {
    /// Looks for an answer and counts how that ended.
    pub(super) fn look(&self, namespace: &str, text: &str, now: Timestamp) -> Result<Look<V>> {
        let look = self.look_uncounted(namespace, text, now);
        self.count(|counters| {
            counters.lookups += 1;
            match look.as_ref().map(|look| &look.ending) {
                Ok(Ending::Hit(found)) => {
                    counters.cost_saved += found.answer.paid();
                    match found.how {
                        How::Semantic { .. } => counters.semantic_hits += 1,
                        _ => counters.exact_hits += 1,
                    }
                }
                Ok(Ending::GuardRefused) => counters.guard_refusals += 1,
                Ok(Ending::VerifierRefused) => counters.verifier_refusals += 1,
                Ok(Ending::Expired) => counters.expired += 1,
                Ok(Ending::Miss) => counters.misses += 1,
                Ok(Ending::Bypassed) => counters.bypassed += 1,
                Err(_) => counters.failures += 1,
            }
        });
        look
    }

    fn look_uncounted(&self, namespace: &str, text: &str, now: Timestamp) -> Result<Look<V>> {
        let text = admitted(namespace, text)?;
        let policy = self.policy(namespace);
        let embedder = self.embedder();
        let mut look = Look {
            ending: Ending::Miss,
            scope: self.scope(namespace, &policy, &embedder),
            text,
            vector: Vec::new(),
        };
        if policy.ttl.first().is_none() {
            look.ending = Ending::Bypassed;
            return Ok(look);
        }
        let index = {
            let mut shelf = self.shelf();
            if let Some(id) = shelf.exact(&look.scope, &look.text)
                && let Some(entry) = shelf.entries.get(&id)
            {
                if now < entry.expires {
                    look.ending = Ending::Hit(Found {
                        answer: entry.answer.clone(),
                        how: How::Exact,
                    });
                    shelf.touch(id);
                    return Ok(look);
                }
                look.ending = Ending::Expired;
            }
            shelf.index(&look.scope)
        };
        look.vector = embedder.embed(&look.text)?;
        let Some(index) = index else {
            return Ok(look);
        };
        let hits = index
            .search(&look.vector, CANDIDATES)
            .min_score(policy.grey)
            .run()?;
        let near: Vec<(u64, f32)> = hits.iter().map(|hit| (hit.id, hit.score)).collect();
        let candidates = self.candidates(&look, &near, now);
        if let Some(ending) = self.judge(&policy, &look.text, candidates) {
            look.ending = match (&look.ending, &ending) {
                (Ending::Expired, Ending::GuardRefused | Ending::VerifierRefused) => {
                    Ending::Expired
                }
                _ => ending,
            };
        }
        Ok(look)
    }

    fn candidates(&self, look: &Look<V>, near: &[(u64, f32)], now: Timestamp) -> Vec<Candidate<V>> {
        let shelf = self.shelf();
        near.iter()
            .filter_map(|(id, similarity)| {
                let entry = shelf.entries.get(id)?;
                let usable = now < entry.expires && *entry.scope == look.scope;
                usable.then(|| Candidate {
                    id: *id,
                    text: entry.text.clone(),
                    answer: entry.answer.clone(),
                    similarity: *similarity,
                })
            })
            .collect()
    }

    /// The first candidate that may answer; else why none may, if the reason is not distance.
    fn judge(
        &self,
        policy: &Policy,
        text: &str,
        candidates: Vec<Candidate<V>>,
    ) -> Option<Ending<V>> {
        let (mut guarded, mut refuted) = (false, false);
        for candidate in candidates {
            let near = candidate.similarity >= policy.threshold;
            let accepted = match (policy.guard.compare(text, &candidate.text), &self.verify) {
                (Verdict::Agree, _) if near => true,
                (Verdict::Agree | Verdict::Doubtful(_), Some(verify)) => {
                    let same = verify(text, &candidate.text);
                    refuted |= !same;
                    same
                }
                _ => {
                    guarded |= near;
                    false
                }
            };
            if accepted {
                self.shelf().touch(candidate.id);
                return Some(Ending::Hit(Found {
                    answer: candidate.answer,
                    how: How::Semantic {
                        matched: candidate.text,
                        similarity: candidate.similarity,
                    },
                }));
            }
        }
        match (refuted, guarded) {
            (true, _) => Some(Ending::VerifierRefused),
            (_, true) => Some(Ending::GuardRefused),
            _ => None,
        }
    }
}
