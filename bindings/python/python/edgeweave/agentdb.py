"""Documents that merge, and events, in one SQLite file."""

from ._native import AgentDb, Transaction

__all__ = ["AgentDb", "Transaction"]
