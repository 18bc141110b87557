"""Durable workflows from YAML whose actions are Python callables."""

from ._native import Engine

__all__ = ["Engine"]
