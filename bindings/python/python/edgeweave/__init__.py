"""AI at the edge, in process: a vector index, documents that merge, durable workflows, prompt selection, event rules.

Submodules: :mod:`edgeweave.ruvector`, :mod:`edgeweave.agentdb`, :mod:`edgeweave.flowcore`,
:mod:`edgeweave.promptopt`, :mod:`edgeweave.midstream`. Every exception is an :class:`Error`.
"""

from ._native import ClosedError, CorruptError, Error, __version__


class InvalidError(Error, ValueError):
    """An argument that makes no sense; the message says which and what is wanted."""


class StorageError(Error, OSError):
    """The system could not read, write or lock a file."""


from . import agentdb, flowcore, midstream, promptopt, ruvector  # noqa: E402  (their errors are the classes above)

__all__ = [
    "ClosedError",
    "CorruptError",
    "Error",
    "InvalidError",
    "StorageError",
    "__version__",
    "agentdb",
    "flowcore",
    "midstream",
    "promptopt",
    "ruvector",
]
