//! What a cache counts.

/// Counts since the cache was built. Each look-up ends in one of eight ways:
/// `lookups == exact_hits + semantic_hits + guard_refusals + verifier_refusals + expired + misses +
/// bypassed + failures`.
///
/// Each [`get_or_compute`](super::SemanticCache::get_or_compute) that did not hit and did not fail ends in one of
/// `computed`, `shared`, `compute_errors` (or in an error of the cache itself).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Counters {
    /// Questions.
    pub lookups: u64,
    /// The same text was there.
    pub exact_hits: u64,
    /// A text that means the same was there.
    pub semantic_hits: u64,
    /// A near text was there, but the guard kept it apart.
    pub guard_refusals: u64,
    /// A near text was there, but the verifier kept it apart.
    pub verifier_refusals: u64,
    /// The same text was there, but its answer had expired.
    pub expired: u64,
    /// Nothing near was there.
    pub misses: u64,
    /// The namespace is not cached.
    pub bypassed: u64,
    /// The embedder or the index failed.
    pub failures: u64,
    /// Answers that were computed.
    pub computed: u64,
    /// Answers that another thread computed meanwhile.
    pub shared: u64,
    /// Computations that failed.
    pub compute_errors: u64,
    /// Answers that were stored.
    pub stored: u64,
    /// Answers that were computed and given but could not be stored.
    pub store_errors: u64,
    /// Answers that a later one of the same text replaced.
    pub replaced: u64,
    /// Answers that were not stored because they exceed the budget alone.
    pub too_large: u64,
    /// Answers that went because of the budget.
    pub evicted: u64,
    /// Expired answers that went because of the budget.
    pub expired_removed: u64,
    /// Answers that were merged into another or dropped by the caller.
    pub removed: u64,
    /// Sum of the costs of the answers that were hit or shared.
    pub cost_saved: f64,
}

impl Counters {
    /// Hits by look-ups that could hit; none before the first.
    pub fn hit_rate(&self) -> Option<f64> {
        let asked = self.lookups - self.bypassed;
        (asked > 0).then(|| (self.exact_hits + self.semantic_hits) as f64 / asked as f64)
    }
}
