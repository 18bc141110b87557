"""A vector index, a cache of answers found by meaning, and a retriever of passages."""

from ._native import Embedder, Index, Retriever, SemanticCache

__all__ = ["Embedder", "Index", "Retriever", "SemanticCache"]
