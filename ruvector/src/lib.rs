//! Embeddable vector index: similarity search, semantic cache, local retrieval.
