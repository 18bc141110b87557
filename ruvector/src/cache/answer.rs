//! What is cached, and how it was found.

use std::sync::Arc;

use crate::error::Error;

/// An answer with what it weighs and what it cost. Clones share the value.
#[derive(Debug)]
pub struct Answer<V> {
    value: Arc<V>,
    bytes: usize,
    cost: f64,
}

impl<V> Clone for Answer<V> {
    fn clone(&self) -> Self {
        Self {
            value: Arc::clone(&self.value),
            bytes: self.bytes,
            cost: self.cost,
        }
    }
}

impl<V> Answer<V> {
    /// An answer that owns `heap_bytes` beside its own size, and cost 1.
    pub fn new(value: V, heap_bytes: usize) -> Self {
        Self {
            value: Arc::new(value),
            bytes: heap_bytes.saturating_add(size_of::<V>()),
            cost: 1.0,
        }
    }

    /// What computing it cost, in any unit (tokens, cents), the same for all answers. A cost that is
    /// negative or no number counts as 0.
    #[must_use]
    pub fn cost(mut self, cost: f64) -> Self {
        self.cost = if cost.is_finite() { cost.max(0.0) } else { 0.0 };
        self
    }

    /// The value.
    pub fn value(&self) -> &V {
        &self.value
    }

    /// The value, shared.
    pub fn shared(&self) -> Arc<V> {
        Arc::clone(&self.value)
    }

    /// Bytes that count against the budget.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What computing it cost.
    pub fn paid(&self) -> f64 {
        self.cost
    }
}

/// How an answer was come by.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum How {
    /// The same text was stored.
    Exact,
    /// A text that means the same was stored.
    Semantic {
        /// The stored text.
        matched: String,
        /// Cosine of the two texts.
        similarity: f32,
    },
    /// Another thread computed it meanwhile.
    Shared,
    /// It was computed by this call.
    Computed,
}

/// An answer that was found.
#[derive(Debug)]
pub struct Found<V> {
    /// The answer.
    pub answer: Answer<V>,
    /// How it was come by.
    pub how: How,
}

impl<V> Clone for Found<V> {
    fn clone(&self) -> Self {
        Self {
            answer: self.answer.clone(),
            how: self.how.clone(),
        }
    }
}

impl<V> Found<V> {
    /// The value.
    pub fn value(&self) -> &V {
        self.answer.value()
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure<E> {
    /// The cache, or the embedder that it called.
    #[error(transparent)]
    Cache(#[from] Error),
    /// The computation. Nothing was stored.
    #[error("the computation failed: {0}")]
    Compute(E),
}
