"""Documents that merge, and events, in one SQLite file; a text that merges."""

from ._native import AgentDb, List, Transaction, Version

__all__ = ["AgentDb", "List", "Transaction", "Version"]
