"""A vector index: rows of float32 in, neighbours out."""

from ._native import Index

__all__ = ["Index"]
