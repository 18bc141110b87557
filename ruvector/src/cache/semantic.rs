//! The cache: the same text first, then a text that means the same.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use super::answer::{Answer, Failure, Found, How};
use super::counters::Counters;
use super::flight::{Flights, Turn};
use super::look::Ending;
use super::policy::{CacheBuilder, Policy, Same, Verify};
use super::shelf::{Entry, Scope, Shelf, Stored};
use super::text::normalised;
use super::time::Timestamp;
use super::ttl::Seen;
use crate::embedder::Embedder;
use crate::error::{Error, Result};

/// Most bytes of a namespace's name and a text together.
pub const TEXT_BYTES_MAX: usize = 64 << 10;

/// A cache of answers that finds them by meaning. Shared by reference between threads.
pub struct SemanticCache<V> {
    embedder: RwLock<Arc<Embedder>>,
    policies: RwLock<HashMap<String, Arc<Policy>>>,
    default_policy: Arc<Policy>,
    pub(super) verify: Option<Box<Verify>>,
    pub(super) same: Option<Box<Same<V>>>,
    pub(super) shelf: Mutex<Shelf<V>>,
    counters: Mutex<Counters>,
    flights: Flights<(Scope, String), Answer<V>>,
}

/// What the caller saw of an answer; see [`SemanticCache::report`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Report {
    /// It is no longer right.
    Stale,
    /// It is right still.
    StillRight,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<V> std::fmt::Debug for SemanticCache<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SemanticCache").finish_non_exhaustive()
    }
}

impl<V> SemanticCache<V> {
    /// Options of a cache whose texts this embedder turns into vectors.
    pub fn builder(embedder: Arc<Embedder>) -> CacheBuilder<V> {
        CacheBuilder::new(embedder)
    }

    pub(super) fn of(options: CacheBuilder<V>) -> Result<Self> {
        let policies = options.policies.into_iter();
        let policies = policies
            .map(|(name, policy)| Ok((name, Arc::new(policy.checked()?))))
            .collect::<Result<_>>()?;
        Ok(Self {
            embedder: RwLock::new(options.embedder),
            policies: RwLock::new(policies),
            default_policy: Arc::new(options.default_policy.checked()?),
            verify: options.verify,
            same: options.same,
            shelf: Mutex::new(Shelf::new(options.bytes_max, options.entries_max)),
            counters: Mutex::default(),
            flights: Flights::default(),
        })
    }

    pub(super) fn policy(&self, namespace: &str) -> Arc<Policy> {
        let policies = self.policies.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(policies.get(namespace).unwrap_or(&self.default_policy))
    }

    pub(super) fn embedder(&self) -> Arc<Embedder> {
        Arc::clone(&self.embedder.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn shelf(&self) -> MutexGuard<'_, Shelf<V>> {
        lock(&self.shelf)
    }

    pub(super) fn count(&self, change: impl FnOnce(&mut Counters)) {
        change(&mut lock(&self.counters));
    }

    pub(super) fn scope(&self, namespace: &str, policy: &Policy, embedder: &Embedder) -> Scope {
        Scope {
            namespace: namespace.to_owned(),
            embedder: embedder.tag().to_owned(),
            epoch: policy.epoch,
        }
    }

    /// The answer to a text, or none. A hit is an answer that was stored in this namespace, with this
    /// embedder and epoch, and has not expired at `now`.
    ///
    /// # Errors
    /// [`Error::TextTooLong`], [`Error::Embed`], and what a search can refuse.
    pub fn get(&self, namespace: &str, text: &str, now: Timestamp) -> Result<Option<Found<V>>> {
        let look = self.look(namespace, text, now)?;
        Ok(match look.ending {
            Ending::Hit(found) => Some(found),
            _ => None,
        })
    }

    /// The answer to a text; computed and stored if there is none. One thread computes an answer,
    /// others that want the same text meanwhile wait for it. An error is never stored: the next of
    /// those who wait computes itself.
    ///
    /// # Errors
    /// [`Failure::Compute`] with the computation's error; [`Failure::Cache`] as [`SemanticCache::get`], and with
    /// [`Error::Recursive`] when the computation asks for the text that it computes.
    pub fn get_or_compute<E>(
        &self,
        namespace: &str,
        text: &str,
        now: Timestamp,
        compute: impl FnOnce() -> std::result::Result<Answer<V>, E>,
    ) -> std::result::Result<Found<V>, Failure<E>> {
        let look = self.look(namespace, text, now)?;
        match look.ending {
            Ending::Hit(found) => return Ok(found),
            Ending::Bypassed => {
                return Ok(Found {
                    answer: self.computed(compute)?,
                    how: How::Computed,
                });
            }
            _ => {}
        }
        let key = (look.scope, look.text);
        let leader = loop {
            match self.flights.join(&key)? {
                Turn::Lead(leader) => break leader,
                Turn::Shared(answer) => return Ok(self.shared(answer)),
                Turn::Failed => {}
            }
        };
        // Another flight may have landed between the look-up and this one.
        if let Some(answer) = self.fresh(&key.0, &key.1, now) {
            leader.land(answer.clone());
            return Ok(self.shared(answer));
        }
        let answer = self.computed(compute)?;
        // The answer was paid for: it is given even if it cannot be kept.
        if self
            .store(key.0, key.1, &look.vector, answer.clone(), now)
            .is_err()
        {
            self.count(|counters| counters.store_errors += 1);
        }
        leader.land(answer.clone());
        Ok(Found {
            answer,
            how: How::Computed,
        })
    }

    fn computed<E>(
        &self,
        compute: impl FnOnce() -> std::result::Result<Answer<V>, E>,
    ) -> std::result::Result<Answer<V>, Failure<E>> {
        let answer = compute();
        self.count(|counters| match &answer {
            Ok(_) => counters.computed += 1,
            Err(_) => counters.compute_errors += 1,
        });
        answer.map_err(Failure::Compute)
    }

    fn shared(&self, answer: Answer<V>) -> Found<V> {
        self.count(|counters| {
            counters.shared += 1;
            counters.cost_saved += answer.paid();
        });
        Found {
            answer,
            how: How::Shared,
        }
    }

    /// Stores an answer, in the place of what the text had. Nothing is stored in a namespace that
    /// is not cached.
    ///
    /// # Errors
    /// As [`SemanticCache::get`].
    pub fn put(
        &self,
        namespace: &str,
        text: &str,
        answer: Answer<V>,
        now: Timestamp,
    ) -> Result<()> {
        let text = admitted(namespace, text)?;
        let policy = self.policy(namespace);
        if policy.ttl.first().is_none() {
            return Ok(());
        }
        let embedder = self.embedder();
        let vector = embedder.embed(&text)?;
        let scope = self.scope(namespace, &policy, &embedder);
        self.store(scope, text, &vector, answer, now)
    }

    fn store(
        &self,
        scope: Scope,
        text: String,
        vector: &[f32],
        answer: Answer<V>,
        now: Timestamp,
    ) -> Result<()> {
        let policy = self.policy(&scope.namespace);
        // An epoch that ended while the answer was computed: nobody would find it.
        let (true, Some(first)) = (policy.epoch == scope.epoch, policy.ttl.first()) else {
            return Ok(());
        };
        let mut shelf = self.shelf();
        let old = shelf
            .exact(&scope, &text)
            .and_then(|id| shelf.entries.get(&id));
        let ttl = old.map_or(first, |old| self.next_ttl(&policy, old, &answer, now));
        let done = shelf.store(scope, text, vector, answer, ttl, now)?;
        drop(shelf);
        self.count_stored(done);
        Ok(())
    }

    /// What the answer that is replaced teaches about the lifetime of the next.
    fn next_ttl(&self, policy: &Policy, old: &Entry<V>, new: &Answer<V>, now: Timestamp) -> i64 {
        let Some(same) = &self.same else {
            return old.ttl;
        };
        match same(old.answer.value(), new.value()) {
            true if old.expires <= now && !old.reported => {
                policy.ttl.adapted(old.ttl, Seen::Unchanged)
            }
            false if !old.reported => policy.ttl.adapted(old.ttl, Seen::Changed),
            _ => old.ttl,
        }
    }

    fn count_stored(&self, done: Stored) {
        self.count(|counters| {
            counters.stored += done.stored;
            counters.replaced += done.replaced;
            counters.too_large += done.too_large;
            counters.evicted += done.evicted;
            counters.expired_removed += done.expired;
        });
    }

    fn fresh(&self, scope: &Scope, text: &str, now: Timestamp) -> Option<Answer<V>> {
        let shelf = self.shelf();
        let entry = shelf.entries.get(&shelf.exact(scope, text)?)?;
        (now < entry.expires).then(|| entry.answer.clone())
    }

    /// Tells what the caller saw of the answer to a stored text (for a semantic hit, the
    /// [matched](How::Semantic) one); whether there is such an answer. A stale answer expires at once; with
    /// [`Ttl::Adaptive`](super::Ttl::Adaptive) the report also shortens or lengthens its lifetime.
    ///
    /// # Errors
    /// [`Error::TextTooLong`].
    pub fn report(
        &self,
        namespace: &str,
        text: &str,
        report: Report,
        now: Timestamp,
    ) -> Result<bool> {
        let text = admitted(namespace, text)?;
        let policy = self.policy(namespace);
        let scope = self.scope(namespace, &policy, &self.embedder());
        let mut shelf = self.shelf();
        let Some(id) = shelf.exact(&scope, &text) else {
            return Ok(false);
        };
        let Some(entry) = shelf.entries.get_mut(&id) else {
            return Ok(false);
        };
        let seen = match report {
            Report::Stale => Seen::Changed,
            Report::StillRight => Seen::Unchanged,
        };
        let repeated = report == Report::Stale && entry.reported;
        let ttl = if repeated {
            entry.ttl
        } else {
            policy.ttl.adapted(entry.ttl, seen)
        };
        entry.reported = report == Report::Stale;
        let expires = match report {
            Report::Stale => now,
            Report::StillRight => now.plus_millis(ttl),
        };
        shelf.set_expiry(id, ttl, expires);
        Ok(true)
    }

    /// Begins a new epoch of a namespace: none of its answers is found again, and their memory is
    /// given back. Returns how many there were.
    ///
    /// # Errors
    /// What removing from an index can refuse.
    pub fn advance_epoch(&self, namespace: &str) -> Result<usize> {
        {
            let mut policies = self
                .policies
                .write()
                .unwrap_or_else(PoisonError::into_inner);
            let full = policies.len() >= super::policy::NAMESPACES_MAX;
            if full && !policies.contains_key(namespace) {
                return Err(Error::Full {
                    what: "namespaces",
                    needed: policies.len() as u64 + 1,
                    limit: super::policy::NAMESPACES_MAX as u64,
                });
            }
            let policy = policies
                .entry(namespace.to_owned())
                .or_insert_with(|| Arc::clone(&self.default_policy));
            let epoch = policy.epoch.wrapping_add(1);
            *policy = Arc::new(Policy::clone(policy).epoch(epoch));
        }
        let mut shelf = self.shelf();
        let gone: Vec<u64> = shelf
            .entries
            .iter()
            .filter(|(_, entry)| entry.scope.namespace == namespace)
            .map(|(id, _)| *id)
            .collect();
        for id in &gone {
            shelf.remove(*id)?;
        }
        drop(shelf);
        self.count(|counters| counters.removed += gone.len() as u64);
        Ok(gone.len())
    }

    /// Changes the embedding model. Answers of the old one are not found while another tag is in
    /// use; they leave by age and budget.
    pub fn set_embedder(&self, embedder: Arc<Embedder>) {
        *self
            .embedder
            .write()
            .unwrap_or_else(PoisonError::into_inner) = embedder;
    }

    /// The lifetime in milliseconds that the answer to this text has, expired or not.
    pub fn ttl_millis(&self, namespace: &str, text: &str) -> Option<i64> {
        let scope = self.scope(namespace, &self.policy(namespace), &self.embedder());
        let shelf = self.shelf();
        let id = shelf.exact(&scope, &normalised(text))?;
        Some(shelf.entries.get(&id)?.ttl)
    }

    /// Number of answers, expired ones included that no one asked for since.
    pub fn len(&self) -> usize {
        self.shelf().entries.len()
    }

    /// Whether there is no answer.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes that count against the budget.
    pub fn bytes(&self) -> usize {
        self.shelf().bytes
    }

    /// What was counted so far.
    pub fn counters(&self) -> Counters {
        *lock(&self.counters)
    }
}

/// The normalised text, if it is within the limit.
pub(super) fn admitted(namespace: &str, text: &str) -> Result<String> {
    let got = namespace.len().saturating_add(text.len());
    if got > TEXT_BYTES_MAX {
        return Err(Error::TextTooLong {
            got,
            limit: TEXT_BYTES_MAX,
        });
    }
    Ok(normalised(text))
}
