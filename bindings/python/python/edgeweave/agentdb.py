"""Documents that merge, and events, in one SQLite file, and their sync with other stores; a text that merges."""

from ._native import AgentDb, Endpoint, List, Session, Transaction, Version, Watch

__all__ = ["AgentDb", "Endpoint", "List", "Session", "Transaction", "Version", "Watch"]
