//! Caches behind one another: this device, the site, the network, and at last the computation.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::answer::{Answer, Failure};
use super::flight::{Flights, Turn};
use super::latency::Latency;
use super::semantic::SemanticCache;
use super::time::Timestamp;
use crate::embedder::BoxError;
use crate::error::{Error, Result};

/// Most tiers before the fallback.
pub const TIERS_MAX: usize = 16;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Question<'q> {
    /// What separates answers of one kind from others.
    pub namespace: &'q str,
    /// The text.
    pub text: &'q str,
}

/// A cache that may be anywhere: in this process, at the site, behind a network.
pub trait Tier<V>: Send + Sync {
    /// The answer to a question, or none.
    ///
    /// # Errors
    /// Whatever went wrong; the next tier is asked then.
    fn look(
        &self,
        question: Question<'_>,
        now: Timestamp,
    ) -> std::result::Result<Option<Answer<V>>, BoxError>;

    /// Stores an answer.
    ///
    /// # Errors
    /// Whatever went wrong; it is counted, and the answer is given nevertheless.
    fn store(
        &self,
        question: Question<'_>,
        answer: &Answer<V>,
        now: Timestamp,
    ) -> std::result::Result<(), BoxError>;
}

impl<V: Send + Sync> Tier<V> for SemanticCache<V> {
    fn look(
        &self,
        question: Question<'_>,
        now: Timestamp,
    ) -> std::result::Result<Option<Answer<V>>, BoxError> {
        let found = self.get(question.namespace, question.text, now)?;
        Ok(found.map(|found| found.answer))
    }

    fn store(
        &self,
        question: Question<'_>,
        answer: &Answer<V>,
        now: Timestamp,
    ) -> std::result::Result<(), BoxError> {
        Ok(self.put(question.namespace, question.text, answer.clone(), now)?)
    }
}

impl<V, T: Tier<V> + ?Sized> Tier<V> for std::sync::Arc<T> {
    fn look(
        &self,
        question: Question<'_>,
        now: Timestamp,
    ) -> std::result::Result<Option<Answer<V>>, BoxError> {
        (**self).look(question, now)
    }

    fn store(
        &self,
        question: Question<'_>,
        answer: &Answer<V>,
        now: Timestamp,
    ) -> std::result::Result<(), BoxError> {
        (**self).store(question, answer, now)
    }
}

/// What a tier counts: `lookups == hits + misses + errors`. The look-ups of a tier are the misses
/// and errors of the one before.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct TierStats {
    /// Name of the tier.
    pub name: String,
    /// Questions that came this far.
    pub lookups: u64,
    /// Questions that it answered.
    pub hits: u64,
    /// Questions that it could not answer.
    pub misses: u64,
    /// Look-ups that failed.
    pub errors: u64,
    /// Answers of farther tiers that it took.
    pub fills: u64,
    /// Answers that it failed to take.
    pub fill_errors: u64,
    /// Sum of the costs of the answers that it gave.
    pub cost_saved: f64,
    /// How long its look-ups took.
    pub latency: Latency,
}

impl TierStats {
    /// Hits by look-ups; none before the first.
    pub fn hit_rate(&self) -> Option<f64> {
        (self.lookups > 0).then(|| self.hits as f64 / self.lookups as f64)
    }
}

/// Counts of a [`TieredCache`]: `lookups == shared + hits of all tiers + computed + compute_errors`,
/// questions that were refused aside.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct TieredStats {
    /// Questions.
    pub lookups: u64,
    /// Questions that another thread's look-up answered.
    pub shared: u64,
    /// Answers of the fallback.
    pub computed: u64,
    /// Failures of the fallback.
    pub compute_errors: u64,
    /// Sum of the costs that the fallback reported.
    pub cost_paid: f64,
    /// How long the fallback took.
    pub fallback_latency: Latency,
    /// The tiers, the nearest first.
    pub tiers: Vec<TierStats>,
}

/// Where an answer came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Source {
    /// The tier with this number, 0 is the nearest.
    Tier(usize),
    /// Another thread's look-up of the same question.
    Shared,
    /// The fallback.
    Fallback,
}

/// A question of which the right answer is known.
#[derive(Debug, Clone, PartialEq)]
pub struct Labelled<'q, V> {
    /// The question.
    pub question: Question<'q>,
    /// Its right answer.
    pub right: V,
}

/// How a tier did on labelled questions.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TierAudit {
    /// Name of the tier.
    pub name: String,
    /// Questions.
    pub asked: u64,
    /// Questions that it answered.
    pub hits: u64,
    /// Answers that were wrong.
    pub false_hits: u64,
    /// Look-ups that failed.
    pub errors: u64,
}

impl TierAudit {
    /// Wrong answers by answers; none without an answer.
    pub fn false_hit_rate(&self) -> Option<f64> {
        (self.hits > 0).then(|| self.false_hits as f64 / self.hits as f64)
    }
}

type Clock = dyn Fn() -> Duration + Send + Sync;

/// Options of a tiered cache.
#[must_use = "a builder does nothing until `build`"]
pub struct TieredBuilder<V> {
    tiers: Vec<(String, Box<dyn Tier<V>>)>,
    clock: Box<Clock>,
}

impl<V> TieredBuilder<V> {
    /// Adds a tier behind those that were added before.
    pub fn tier(mut self, name: impl Into<String>, tier: impl Tier<V> + 'static) -> Self {
        self.tiers.push((name.into(), Box::new(tier)));
        self
    }

    /// Builds the cache.
    ///
    /// # Errors
    /// [`Error::Option`] for no tier or more than [`TIERS_MAX`].
    pub fn build(self) -> Result<TieredCache<V>> {
        if !(1..=TIERS_MAX).contains(&self.tiers.len()) {
            return Err(Error::Option {
                option: "tiers",
                got: self.tiers.len() as u64,
                allowed: "1..=16",
            });
        }
        let tiers = self.tiers.iter().map(|(name, _)| TierStats {
            name: name.clone(),
            ..TierStats::default()
        });
        let stats = TieredStats {
            tiers: tiers.collect(),
            ..TieredStats::default()
        };
        Ok(TieredCache {
            tiers: self.tiers,
            clock: self.clock,
            stats: Mutex::new(stats),
            flights: Flights::default(),
        })
    }
}

/// Tiers of caches. An answer of a far tier is stored in all nearer ones, a computed one in all.
pub struct TieredCache<V> {
    tiers: Vec<(String, Box<dyn Tier<V>>)>,
    clock: Box<Clock>,
    stats: Mutex<TieredStats>,
    flights: Flights<(String, String), Answer<V>>,
}

impl<V> std::fmt::Debug for TieredCache<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TieredCache").finish_non_exhaustive()
    }
}

impl<V> TieredCache<V> {
    /// Options of a cache. The clock returns the time since any fixed moment and never goes back;
    /// latencies are its differences.
    pub fn builder(clock: impl Fn() -> Duration + Send + Sync + 'static) -> TieredBuilder<V> {
        TieredBuilder {
            tiers: Vec::new(),
            clock: Box::new(clock),
        }
    }

    fn stats_mut(&self) -> MutexGuard<'_, TieredStats> {
        self.stats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn timed<T>(&self, call: impl FnOnce() -> T) -> (T, Duration) {
        let start = (self.clock)();
        let value = call();
        (value, (self.clock)().saturating_sub(start))
    }

    /// The answer to a question from the nearest tier that has it, else from the fallback. One
    /// thread at a time looks for a question; others wait for its answer.
    ///
    /// # Errors
    /// [`Failure::Compute`] with the fallback's error, which is not stored; [`Failure::Cache`] with
    /// [`Error::Recursive`] when the fallback asks for the question that it answers. The errors of
    /// tiers are counted and otherwise passed over.
    pub fn get_or_compute<E>(
        &self,
        question: Question<'_>,
        now: Timestamp,
        fallback: impl FnOnce() -> std::result::Result<Answer<V>, E>,
    ) -> std::result::Result<(Answer<V>, Source), Failure<E>> {
        let key = (question.namespace.to_owned(), question.text.to_owned());
        let leader = loop {
            match self.flights.join(&key)? {
                Turn::Lead(leader) => break leader,
                Turn::Shared(answer) => {
                    let mut stats = self.stats_mut();
                    stats.lookups += 1;
                    stats.shared += 1;
                    return Ok((answer, Source::Shared));
                }
                Turn::Failed => {}
            }
        };
        self.stats_mut().lookups += 1;
        let (answer, source) = match self.look(question, now) {
            Some((answer, tier)) => (answer, Source::Tier(tier)),
            None => (self.fall_back(fallback)?, Source::Fallback),
        };
        let nearer = match source {
            Source::Tier(tier) => tier,
            _ => self.tiers.len(),
        };
        self.fill(nearer, question, &answer, now);
        leader.land(answer.clone());
        Ok((answer, source))
    }

    fn look(&self, question: Question<'_>, now: Timestamp) -> Option<(Answer<V>, usize)> {
        self.tiers.iter().enumerate().find_map(|(at, (_, tier))| {
            let (found, took) = self.timed(|| tier.look(question, now));
            let mut stats = self.stats_mut();
            let stats = &mut stats.tiers[at];
            stats.lookups += 1;
            stats.latency.add(took);
            match &found {
                Ok(Some(answer)) => {
                    stats.hits += 1;
                    stats.cost_saved += answer.paid();
                }
                Ok(None) => stats.misses += 1,
                Err(_) => stats.errors += 1,
            }
            Some((found.ok()??, at))
        })
    }

    fn fall_back<E>(
        &self,
        fallback: impl FnOnce() -> std::result::Result<Answer<V>, E>,
    ) -> std::result::Result<Answer<V>, Failure<E>> {
        let (answer, took) = self.timed(fallback);
        let mut stats = self.stats_mut();
        stats.fallback_latency.add(took);
        match &answer {
            Ok(answer) => {
                stats.computed += 1;
                stats.cost_paid += answer.paid();
            }
            Err(_) => stats.compute_errors += 1,
        }
        answer.map_err(Failure::Compute)
    }

    fn fill(&self, tiers: usize, question: Question<'_>, answer: &Answer<V>, now: Timestamp) {
        for (at, (_, tier)) in self.tiers.iter().enumerate().take(tiers) {
            let stored = tier.store(question, answer, now);
            let mut stats = self.stats_mut();
            match stored {
                Ok(()) => stats.tiers[at].fills += 1,
                Err(_) => stats.tiers[at].fill_errors += 1,
            }
        }
    }

    /// Asks each tier by itself questions of which the right answer is known. Nothing is filled and
    /// nothing is counted here (the tiers count on their own).
    pub fn audit(&self, questions: &[Labelled<'_, V>], now: Timestamp) -> Vec<TierAudit>
    where
        V: PartialEq,
    {
        let audit = |(name, tier): &(String, Box<dyn Tier<V>>)| {
            let mut audit = TierAudit {
                name: name.clone(),
                asked: questions.len() as u64,
                hits: 0,
                false_hits: 0,
                errors: 0,
            };
            for labelled in questions {
                match tier.look(labelled.question, now) {
                    Ok(Some(answer)) => {
                        audit.hits += 1;
                        audit.false_hits += u64::from(*answer.value() != labelled.right);
                    }
                    Ok(None) => {}
                    Err(_) => audit.errors += 1,
                }
            }
            audit
        };
        self.tiers.iter().map(audit).collect()
    }

    /// What was counted so far.
    pub fn stats(&self) -> TieredStats {
        self.stats_mut().clone()
    }
}
