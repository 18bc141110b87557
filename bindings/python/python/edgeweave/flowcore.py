"""Durable workflows from YAML whose actions are Python callables."""

from ._native import Call, Engine

__all__ = ["Call", "Engine"]
