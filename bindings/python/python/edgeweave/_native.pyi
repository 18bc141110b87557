"""The native module: the classes of the submodules, with their contracts."""

from collections.abc import Callable, Sequence
from os import PathLike
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias, final

import numpy as np
import numpy.typing as npt

_Json: TypeAlias = None | bool | int | float | str | Sequence["_Json"] | dict[str, "_Json"]

__version__: Final[str]
__all__ = [
    "AgentDb",
    "Choice",
    "ClosedError",
    "CorruptError",
    "Engine",
    "Error",
    "Index",
    "PromptSet",
    "Transaction",
    "__version__",
]

class Error(Exception):
    """Any failure of edgeweave."""

class CorruptError(Error):
    """Stored bytes do not match their checksums or make no sense."""

class ClosedError(Error):
    """The object was closed."""

@final
class Index:
    """A vector index; threads may share one.

    Vectors are C-contiguous float32; they are read where they lie, and must not be written by other threads
    during a call. Other Python threads run during every call.
    """

    def __new__(
        cls,
        dim: int,
        *,
        metric: Literal["cosine", "dot", "l2", "hamming"] = "cosine",
        kind: Literal["auto", "exact", "hnsw", "ivf", "ivfpq"] = "auto",
        quantization: Literal["none", "f16", "int8", "pq", "binary"] = "int8",
        path: str | PathLike[str] | None = None,
        links: int = 16,
        build_effort: int = 128,
        seed: int | None = None,
        threads: int = 1,
        max_vectors: int | None = None,
        max_bytes: int | None = None,
        subspaces: int | None = None,
    ) -> Self:
        """An index of vectors of ``dim`` components, in memory or in the file ``path`` (opened if it is there)."""

    @staticmethod
    def open(path: str | PathLike[str]) -> Index:
        """Opens a file with the options that it was built with."""

    @staticmethod
    def verify(path: str | PathLike[str]) -> None:
        """Checks every byte of a file; raises :class:`CorruptError`."""

    def upsert(self, id: int, vector: npt.NDArray[np.float32], payload: _Json = None) -> None:
        """Stores a vector of shape (dim,) with a payload (a dict or None)."""

    def upsert_batch(
        self,
        ids: npt.NDArray[np.uint64],
        vectors: npt.NDArray[np.float32],
        payloads: Sequence[_Json] | None = None,
    ) -> None:
        """Stores rows of shape (n, dim) under ids of shape (n,)."""

    def search(
        self,
        query: npt.NDArray[np.float32],
        k: int = 10,
        *,
        filter: str | None = None,
        effort: int | None = None,
        rerank: int | None = None,
        min_score: float | None = None,
    ) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.float32]]:
        """Ids and scores of the nearest, the nearest first; fewer than k only if fewer qualify."""

    def hits(
        self,
        query: npt.NDArray[np.float32],
        k: int = 10,
        *,
        filter: str | None = None,
        effort: int | None = None,
        rerank: int | None = None,
        min_score: float | None = None,
    ) -> list[tuple[int, float, Any]]:
        """As :meth:`search`, with payloads: (id, score, payload)."""

    def search_batch(
        self,
        queries: npt.NDArray[np.float32],
        k: int = 10,
        *,
        filter: str | None = None,
        effort: int | None = None,
        rerank: int | None = None,
    ) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.float32]]:
        """For queries of shape (n, dim): ids and scores of shape (n, k); 2**64 - 1 and NaN where fewer qualify."""

    def search_range(
        self, query: npt.NDArray[np.float32], min_score: float, *, filter: str | None = None
    ) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.float32]]:
        """All that score at least ``min_score``, exactly."""

    def get(self, id: int) -> tuple[npt.NDArray[np.float32], Any] | None:
        """A stored vector and its payload."""

    def delete(self, id: int) -> bool:
        """Removes a vector; whether there was one."""

    def flush(self) -> None:
        """Makes every change survive a power cut."""

    def snapshot(self) -> None:
        """Replaces the file by one without a log."""

    def compact(self) -> None:
        """Gives the memory of deleted vectors back."""

    def save(self, path: str | PathLike[str]) -> None:
        """Writes a copy to another file."""

    def stats(self) -> dict[str, Any]:
        """Sizes and choices."""

    @property
    def dim(self) -> int:
        """Components of each vector."""

    def close(self) -> None:
        """Makes changes durable and lets the file go; closing twice is fine."""

    def __len__(self) -> int: ...
    def __contains__(self, id: int, /) -> bool: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, _kind: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None: ...

@final
class AgentDb:
    """Documents that merge, events and records in one file; threads may share one."""

    def __new__(
        cls,
        path: str | PathLike[str] | None,
        *,
        replica: int,
        schemas: dict[str, dict[str, Any]],
        durability: Literal["immediate", "buffered"] = "immediate",
        clock_ahead_max: float | None = None,
    ) -> Self:
        """Opens a file, or memory for None. A schema is {field: "lww" | "max" | "pn_counter" | {"status": [names]}}."""

    def begin(self, now: int) -> Transaction:
        """A transaction at a time in milliseconds since the Unix epoch."""

    def get(self, id: str) -> dict[str, Any] | None:
        """A document: id, state, version, at."""

    def query(self, schema: str, text: str) -> list[dict[str, Any]]:
        """Documents of a schema for which an expression holds."""

    def events(self, after: int = 0, limit: int = 1000, *, waiting: bool = False) -> list[dict[str, Any]]:
        """Events behind a sequence number, or only those that wait for their receiver."""

    def waiting(self) -> int:
        """How many events wait for their receiver."""

    def get_record(self, namespace: str, key: str) -> bytes | None:
        """An opaque record."""

    def flush(self) -> None:
        """Makes buffered commits durable."""

    def close(self) -> None:
        """Closes the file; closing twice is fine."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, _kind: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None: ...

@final
class Transaction:
    """Changes that are applied together by :meth:`commit`, or not at all."""

    def set(self, schema: str, agent: str, field: str, to: _Json) -> None:
        """Writes a last-writer-wins field."""

    def max(self, schema: str, agent: str, field: str, to: float) -> None:
        """Raises a maximum."""

    def status(self, schema: str, agent: str, field: str, to: str) -> None:
        """Moves a status on."""

    def add(self, schema: str, agent: str, field: str, by: int) -> None:
        """Adds to a counter, or takes from it."""

    def append_event(
        self,
        agent: str,
        event_type: str,
        payload: _Json,
        *,
        priority: Literal["telemetry", "normal", "safety_critical"] = "normal",
    ) -> None:
        """Appends an event."""

    def mark(
        self, sequence: int, status: Literal["waiting", "delivered", "refused"], note: str | None = None
    ) -> None:
        """Notes what became of an event."""

    def put_record(self, namespace: str, key: str, bytes: bytes) -> None:
        """Sets an opaque record."""

    def delete_record(self, namespace: str, key: str) -> None:
        """Removes a record."""

    def commit(self) -> list[int]:
        """Applies all changes; the sequence numbers of the events."""

    def rollback(self) -> None:
        """Gives the changes up."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, _kind: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None: ...

@final
class Engine:
    """Durable workflows. An action must not use its own engine; threads that share one wait for each other."""

    def __new__(cls, journal: str | PathLike[str] | None = None) -> Self:
        """An engine over a journal in a SQLite file, or in memory."""

    def action(self, name: str, call: Callable[[Any, dict[str, Any]], _Json]) -> None:
        """Registers ``call(params, info)``; info has input, run, workflow, step, attempt, idempotency_key.

        An exception fails the step; ``retry.on`` and ``catch`` match the name of its class.
        """

    def deploy(self, text: str) -> str:
        """Deploys a workflow from YAML; the hash of its definition."""

    def trigger(self, event: str, input: _Json) -> int:
        """Starts every workflow that the event triggers; the last run's number."""

    def start(self, workflow: str, input: _Json, *, key: str | None = None) -> int:
        """Starts a workflow by name; the same key gives the same run."""

    def publish(self, event: str, payload: _Json, *, key: str | None = None) -> int:
        """Hands an event to the runs that wait for it now; how many did."""

    def cancel(self, run: int, reason: str) -> None:
        """Cancels a run."""

    def run_until_idle(self) -> int:
        """Runs until nothing can go on without time passing or an event; how many actions ran."""

    def run_until_ended(self, run: int) -> dict[str, Any]:
        """Runs, sleeping through pauses, until the run ended or waits for an event."""

    def status(self, run: int) -> dict[str, Any]:
        """Where a run stands."""

    def live_runs(self) -> list[dict[str, Any]]:
        """Runs that have not ended."""

    def close(self) -> None:
        """Closes the journal; closing twice is fine."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, _kind: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None: ...

@final
class PromptSet:
    """Three prompts for one task, and the policy that picks one."""

    @staticmethod
    def load_dir(folder: str | PathLike[str]) -> PromptSet:
        """Reads prompt_ultra.json, prompt_fast.json, prompt_quality.json and, if there, policy.json."""

    def select(self, context: dict[str, Any], *, key: bytes | None = None) -> Choice:
        """Picks a prompt for a state of the device; ``key`` decides which version of an experiment."""

    def record(
        self,
        choice: Choice,
        output: str,
        *,
        latency: float,
        at: int,
        feedback: Literal["right", "wrong", "unreadable"] | None = None,
    ) -> None:
        """Tells what became of a choice: latency in seconds, at in milliseconds since the Unix epoch."""

    def outcome_stats(self) -> dict[str, int]:
        """Counters of the log of outcomes."""

@final
class Choice:
    """A picked prompt."""

    def render(self, inputs: dict[str, str]) -> str:
        """The prompt's text with the inputs in place."""

    @property
    def tier(self) -> str:
        """ultra, fast or quality."""

    @property
    def reason(self) -> str:
        """The rule that picked it."""

    @property
    def version(self) -> int:
        """The prompt's version."""

    @property
    def propensity(self) -> float:
        """Probability with which this version was picked within its tier."""

    @property
    def offload(self) -> bool:
        """Whether a larger model on the network may be asked instead."""
