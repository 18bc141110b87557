//! The rules of a namespace, and the options of a cache.

use std::collections::HashMap;
use std::sync::Arc;

use super::guard::Guard;
use super::semantic::SemanticCache;
use super::ttl::Ttl;
use crate::embedder::Embedder;
use crate::error::{Error, Result};

/// Most namespaces with rules of their own, and most that hold answers at once.
pub const NAMESPACES_MAX: usize = 65_536;

/// The rules of a namespace.
#[derive(Debug, Clone)]
pub struct Policy {
    pub(super) threshold: f32,
    pub(super) grey: f32,
    pub(super) ttl: Ttl,
    pub(super) guard: Guard,
    pub(super) epoch: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            threshold: 0.95,
            grey: 0.95,
            ttl: Ttl::default(),
            guard: Guard::default(),
            epoch: 0,
        }
    }
}

impl Policy {
    /// Cosine from which a stored text may answer, in 0..=1. Default: 0.95.
    #[must_use]
    pub fn threshold(mut self, cosine: f32) -> Self {
        self.threshold = cosine;
        self.grey = self.grey.min(cosine);
        self
    }

    /// Cosine from which the verifier is asked about texts below the threshold, up to it. Default: the
    /// threshold, so that it is asked only where the guard is in doubt.
    #[must_use]
    pub fn grey_from(mut self, cosine: f32) -> Self {
        self.grey = cosine;
        self
    }

    /// How answers expire. Default: 1 hour.
    #[must_use]
    pub fn ttl(mut self, ttl: Ttl) -> Self {
        self.ttl = ttl;
        self
    }

    /// What keeps look-alikes apart.
    #[must_use]
    pub fn guard(mut self, guard: Guard) -> Self {
        self.guard = guard;
        self
    }

    /// Version of the data that answers are made from; answers of another epoch are not found.
    #[must_use]
    pub fn epoch(mut self, epoch: u64) -> Self {
        self.epoch = epoch;
        self
    }

    pub(super) fn checked(self) -> Result<Self> {
        let valid =
            (0.0..=1.0).contains(&self.threshold) && (0.0..=self.threshold).contains(&self.grey);
        if !valid {
            return Err(Error::Unsupported(
                "a cache's threshold must be in 0..=1 and its grey zone must begin in 0..=threshold",
            ));
        }
        Ok(self)
    }
}

pub(super) type Verify = dyn Fn(&str, &str) -> bool + Send + Sync;
pub(super) type Same<V> = dyn Fn(&V, &V) -> bool + Send + Sync;

/// Options of a cache.
#[must_use = "a builder does nothing until `build`"]
pub struct CacheBuilder<V> {
    pub(super) embedder: Arc<Embedder>,
    pub(super) bytes_max: usize,
    pub(super) entries_max: usize,
    pub(super) default_policy: Policy,
    pub(super) policies: HashMap<String, Policy>,
    pub(super) verify: Option<Box<Verify>>,
    pub(super) same: Option<Box<Same<V>>>,
}

impl<V> CacheBuilder<V> {
    pub(super) fn new(embedder: Arc<Embedder>) -> Self {
        Self {
            embedder,
            bytes_max: 64 << 20,
            entries_max: 100_000,
            default_policy: Policy::default(),
            policies: HashMap::new(),
            verify: None,
            same: None,
        }
    }

    /// Most bytes of texts, vectors and answers. Default: 64 MiB. An answer's bytes are what
    /// [`Answer::new`](super::Answer::new) was told; bookkeeping is estimated.
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.bytes_max = bytes;
        self
    }

    /// Most answers. Default: 100,000.
    pub fn max_entries(mut self, entries: usize) -> Self {
        self.entries_max = entries;
        self
    }

    /// Rules of namespaces that have none of their own.
    pub fn default_policy(mut self, policy: Policy) -> Self {
        self.default_policy = policy;
        self
    }

    /// Rules of one namespace.
    pub fn namespace(mut self, name: impl Into<String>, policy: Policy) -> Self {
        self.policies.insert(name.into(), policy);
        self
    }

    /// Decides where similarity and guard cannot: gets the text that is asked and the stored one, and
    /// returns whether one answer is right for both. It may be slow (a small model); no lock is held.
    pub fn verify(
        mut self,
        same_meaning: impl Fn(&str, &str) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.verify = Some(Box::new(same_meaning));
        self
    }

    /// Whether two answers are the same, so that [`Ttl::Adaptive`] learns from answers that were
    /// computed again, and [`SemanticCache::dedupe`] leaves differing answers apart. It must not call
    /// the cache, which is locked meanwhile.
    pub fn same_answer(mut self, same: impl Fn(&V, &V) -> bool + Send + Sync + 'static) -> Self {
        self.same = Some(Box::new(same));
        self
    }

    /// Builds the cache.
    ///
    /// # Errors
    /// [`Error::Unsupported`] for a threshold outside its range, [`Error::Full`] for more than
    /// [`NAMESPACES_MAX`] namespaces.
    pub fn build(self) -> Result<SemanticCache<V>> {
        if self.policies.len() > NAMESPACES_MAX {
            return Err(Error::Full {
                what: "namespaces",
                needed: self.policies.len() as u64,
                limit: NAMESPACES_MAX as u64,
            });
        }
        SemanticCache::of(self)
    }
}
