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
    "Agent",
    "AgentDb",
    "Call",
    "Choice",
    "ClosedError",
    "CorruptError",
    "Embedder",
    "Endpoint",
    "Engine",
    "Error",
    "Index",
    "List",
    "PromptSet",
    "Retriever",
    "SemanticCache",
    "Session",
    "Standardizer",
    "StreamEngine",
    "Transaction",
    "Version",
    "Watch",
    "__version__",
    "decode_batch",
    "open_bundle",
    "pack_bundle",
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
        max_log_bytes: int | None = None,
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

    def upsert_bits(
        self,
        ids: npt.NDArray[np.uint64],
        bits: npt.NDArray[np.uint8],
        payloads: Sequence[_Json] | None = None,
    ) -> None:
        """Stores rows of bits under the metric "hamming": shape (n, bytes), ``numpy.packbits(rows, axis=1,
        bitorder="little")``; what the last byte has left over is 0."""

    def search_bits(
        self,
        query: npt.NDArray[np.uint8],
        k: int = 10,
        *,
        filter: str | None = None,
        effort: int | None = None,
        min_score: float | None = None,
    ) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.float32]]:
        """As :meth:`search`, for bits of shape (bytes,)."""

    def search_range_bits(
        self, query: npt.NDArray[np.uint8], min_score: float, *, filter: str | None = None
    ) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.float32]]:
        """All that differ from the query in at most ``-min_score`` bits."""

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
class Embedder:
    """An embedding model, named: ``call(text)`` returns float32 of shape (dim,).

    The tag says model and version; vectors of different tags are never compared. An exception of ``call`` becomes the
    cause of the error.
    """

    def __new__(cls, tag: str, dim: int, call: Callable[[str], npt.NDArray[np.float32]]) -> Self: ...
    @property
    def tag(self) -> str:
        """Name of the model."""

    @property
    def dim(self) -> int:
        """Components of each vector."""

@final
class SemanticCache:
    """A cache of answers that are found by meaning; threads may share one. Answers are any Python objects.

    ``now`` is milliseconds since any moment, the same for all calls.
    """

    def __new__(
        cls,
        embedder: Embedder,
        *,
        policies: dict[str, dict[str, Any]] | None = None,
        max_bytes: int | None = None,
        max_entries: int | None = None,
        verify: Callable[[str, str], bool] | None = None,
    ) -> Self:
        """``policies`` has the rules of namespaces, "" those of all others: threshold, grey_from, ttl ("static",
        "dynamic", "user_specific", "realtime" or milliseconds), adaptive, epoch, exclusive (groups of words of which
        each excludes the others). ``verify(asked, stored)`` decides where similarity cannot."""

    def get(
        self, namespace: str, text: str, now: int
    ) -> tuple[Any, Literal["exact", "semantic", "shared", "computed"], float] | None:
        """The answer, how it was come by, and the similarity; None if there is none."""

    def get_or_compute(
        self, namespace: str, text: str, now: int, compute: Callable[[], Any], *, cost: float = 1.0
    ) -> tuple[Any, Literal["exact", "semantic", "shared", "computed"], float]:
        """As :meth:`get`, but ``compute()`` gives an answer if there is none: one thread computes, others wait."""

    def put(self, namespace: str, text: str, answer: Any, now: int, *, cost: float = 1.0) -> None:
        """Stores an answer in the place of what the text had."""

    def report(self, namespace: str, text: str, report: Literal["stale", "still_right"], now: int) -> bool:
        """Tells what was seen of the answer to a stored text; whether there is one."""

    def advance_epoch(self, namespace: str) -> int:
        """Begins a new epoch: no answer of the namespace is found again; how many there were."""

    def set_embedder(self, embedder: Embedder) -> None:
        """Changes the model; answers of the old one are not found while another tag is in use."""

    def dedupe(self, similarity: float) -> dict[str, Any]:
        """Merges questions with at least this cosine whose answers are equal; what was done."""

    def ttl(self, namespace: str, text: str) -> int | None:
        """The lifetime in milliseconds that the answer to this text has."""

    def stats(self) -> dict[str, Any]:
        """What it holds and counted."""

    def __len__(self) -> int: ...

@final
class Retriever:
    """Finds passages of documents; threads may share one. It takes the index over, which is closed for others."""

    def __new__(
        cls,
        index: Index,
        embedder: Embedder,
        *,
        chunking: Literal["sentences", "characters"] = "sentences",
        chars: int = 800,
        overlap: int = 0,
    ) -> Self: ...
    def add(self, document: int, text: str, metadata: dict[str, Any] | None = None) -> int:
        """Stores a document in the place of what the id had; into how many chunks it was cut."""

    def remove(self, document: int) -> bool:
        """Removes a document; whether there was one."""

    def retrieve(
        self,
        question: str,
        k: int = 5,
        *,
        filter: str | None = None,
        relevance: float = 1.0,
        pool: int | None = None,
        min_score: float | None = None,
    ) -> list[dict[str, Any]]:
        """The passages that answer a question: document, chunk, start, end (in bytes of UTF-8), text, score, metadata."""

    def flush(self) -> None:
        """Makes what was added survive a power cut."""

    def __len__(self) -> int: ...

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
        clock_drift_max: float | None = None,
        waiting_events_max: int | None = None,
        waiting_bytes_max: int | None = None,
        waiting_age_max: float | None = None,
        restored: bool = False,
    ) -> Self:
        """Opens a file, or memory for None. A schema is {field: kind}, a kind one of "lww", "mv", "max", "min",
        "pn_counter", "flag", "or_set", "list", {"status": [names in order]}, {"or_map": kind}; with {"flag": "remove"},
        {"or_set": "remove"}, {"or_map": kind, "wins": "remove"} a removal wins. A field of a map is a path, "tasks/weld".

        Spans are in seconds. A copy may be ``clock_ahead_max`` ahead (an hour); from ``clock_drift_max`` on its writes
        lose against concurrent ones. ``waiting_…`` bound what waits for a link (10,000 events, 64 MiB, 72 hours): the
        least important are thinned, and counted by :meth:`tally`. ``restored`` says that the file is an older copy."""

    def begin(self, now: int) -> Transaction:
        """A transaction at a time in milliseconds since the Unix epoch."""

    def get(self, id: str) -> dict[str, Any] | None:
        """A document: id, state, version, at."""

    def document(self, id: str) -> bytes | None:
        """A document as another copy takes it with :meth:`Transaction.merge`."""

    def conflicts(self, id: str) -> list[dict[str, Any]]:
        """Concurrent writes of a document's registers: path, winner, others; a write is replica, count, at, value."""

    def changes(self, after: int = 0, limit: int = 1000) -> list[tuple[str, int]]:
        """Documents that changed after a change of this store, with their last change."""

    def verify(self) -> list[str]:
        """Checks everything that is stored; what is wrong."""

    def compact(self) -> None:
        """Gives the room of what was deleted back."""

    def query(self, schema: str, text: str) -> list[dict[str, Any]]:
        """Documents of a schema for which an expression holds."""

    def find(
        self,
        schema: str,
        text: str | None = None,
        *,
        order_by: str | None = None,
        descending: bool = False,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """Documents for which an expression holds (None: all), by a field or by id, at most so many."""

    def count(self, schema: str, text: str | None = None, *, limit: int | None = None) -> int:
        """How many documents :meth:`find` would find."""

    def explain(
        self,
        schema: str,
        text: str | None = None,
        *,
        order_by: str | None = None,
        descending: bool = False,
        limit: int | None = None,
    ) -> str:
        """How :meth:`find` would find them, for people: "index battery (1 ranges), first 50"."""

    def ids(self, after: str = "", limit: int = 1000) -> list[str]:
        """Ids of documents above one, in order."""

    def watch(self, filter: dict[str, str] | None = None) -> Watch:
        """Tells of what is committed from now on: everything, or {"documents": schema} or {"events": type}, and with
        either or alone "id" (of one document) and "matching" (an expression that documents satisfy)."""

    def series(
        self,
        id: str,
        event_type: str,
        field: str,
        width: float,
        *,
        from_: int = -(2**63),
        before: int = 2**63 - 1,
    ) -> list[dict[str, Any]]:
        """The number at ``field`` ("value", "reading.celsius", "" for the payload itself) of the events of one type about
        a document, in buckets of ``width`` seconds: start, count, min, max, sum, mean, first, last."""

    def tally(self) -> dict[str, dict[str, int]]:
        """What became of the events of each priority: appended = held + sent + dropped."""

    def limit_file(self, pages: int) -> None:
        """Lets the file grow to so many pages of 4 KiB; beyond, commits are refused."""

    def durable(self) -> int:
        """The last change that a power cut would not lose."""

    @property
    def replica(self) -> tuple[int, int]:
        """The replica's number, and its present incarnation."""

    def events(
        self, after: int = 0, limit: int = 1000, *, waiting: bool = False, event_type: str | None = None
    ) -> list[dict[str, Any]]:
        """Events behind a sequence number: all, those of a type, or those that wait for their receiver."""

    def last_event(self) -> int:
        """The sequence number of the last event; 0 before the first."""

    def scan_records(self, namespace: str, after: str = "", limit: int = 1000) -> list[tuple[str, bytes]]:
        """Keys and bytes of records behind a key, in order."""

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

    def min(self, schema: str, agent: str, field: str, to: float) -> None:
        """Lowers a minimum."""

    def enable(self, schema: str, agent: str, field: str) -> None:
        """Turns a flag on."""

    def disable(self, schema: str, agent: str, field: str) -> None:
        """Turns a flag off."""

    def reset(self, schema: str, agent: str, field: str) -> None:
        """Sets a counter to 0 for all that it has seen."""

    def insert(self, schema: str, agent: str, field: str, member: _Json) -> None:
        """Adds a member to a set."""

    def remove(self, schema: str, agent: str, field: str, member: _Json) -> None:
        """Takes a member out of a set."""

    def remove_key(self, schema: str, agent: str, field: str) -> None:
        """Takes a key out of a map; the field is its path."""

    def splice(self, schema: str, agent: str, field: str, position: int, removed: int, inserted: str) -> None:
        """Replaces so many letters of a list from a position on by others."""

    def merge_patch(self, schema: str, agent: str, patch: dict[str, _Json]) -> None:
        """Makes the fields that a merge patch (RFC 7396) names read what it says; None removes a key of a map."""

    def retain(
        self, event_type: str, keep: float, *, roll_up: tuple[str, float] | None = None, limit: int = 10_000
    ) -> None:
        """Removes events of a type that are older than ``keep`` seconds, the oldest first; those that wait stay. With
        ``roll_up`` = (field, width in seconds) one event a document and bucket stays, which :meth:`AgentDb.series`
        reads as what it stands for."""

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

    def delete_records(self, namespace: str, from_: str, below: str) -> None:
        """Removes the records with keys from ``from_`` and below ``below``."""

    def merge(self, id: str, document: bytes) -> None:
        """Joins a document of another copy into this one's."""

    def commit(self) -> list[int]:
        """Applies all changes; the sequence numbers of the events."""

    def rollback(self) -> None:
        """Gives the changes up."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, _kind: type[BaseException] | None, _value: BaseException | None, _trace: TracebackType | None
    ) -> None: ...

@final
class Watch:
    """Notices of what is committed, in order; 4,096 wait at most."""

    def next(self, wait: float = 0.0) -> dict[str, Any] | None:
        """The next notice, waiting for at most so many seconds: {"document": {id, schema, state}} or {"event": …}."""

    @property
    def missed(self) -> int:
        """How many notices were given up because too many waited."""

@final
class Endpoint:
    """A store as its peers see it: what all its links share. The file stays open as long as the endpoint lives."""

    def __new__(
        cls,
        db: AgentDb,
        role: Literal["device", "aggregator", "root"] = "device",
        *,
        events_per_second: int | None = None,
        window: float | None = None,
        upward: float | None = None,
        retry: float | None = None,
        keep_alive: float | None = None,
        checkpoint: float | None = None,
        events_a_batch: int | None = None,
    ) -> Self:
        """A device hands its events to its parent, an aggregator those of its children, a root keeps them. Spans are in
        seconds; None is the role's default."""

    def session(self, toward: Literal["parent", "child", "peer"], now: int) -> Session:
        """One side of a link that has not said anything yet; ``toward`` is what the other side is."""

    def set_peers(self, accepted: Sequence[int] | None = None, revoked: Sequence[int] | None = None) -> None:
        """Whom it speaks with, also on links that are up: the accepted replicas (None: all), never a revoked one."""

    def note_links(self, links: int, alert: float, now: int) -> str | None:
        """Notes how many links are up. The store appends an event when the last one went, after ``alert`` seconds without
        one, and when one is back; its type, or None."""

    @property
    def is_degraded(self) -> bool:
        """Whether the store works alone, as far as :meth:`note_links` was told."""

@final
class Session:
    """One side of a link to one peer. Frames may be lost, come twice or in another order on their way."""

    def poll(self, now: int) -> bytes | None:
        """The next frame to send; None when there is nothing to say now. Ask until then, a few times a second or after
        each change of the store."""

    def receive(self, frame: bytes, now: int) -> None:
        """Takes a frame that came. After an error nothing of it was kept, and its ``ends_the_link`` tells whether
        nothing can come of going on with this peer."""

    def reset(self, now: int) -> None:
        """Forgets the link, as when a connection broke."""

    @property
    def phase(self) -> Literal["greeting", "checkpoint", "state", "events", "compare", "live"]:
        """How far the link has come; all is there in "live"."""

    @property
    def is_up(self) -> bool:
        """Whether the peer was heard and not lost since."""

    @property
    def peer(self) -> int | None:
        """The peer's replica, once it is known."""

    def is_idle(self) -> bool:
        """Whether the peer has acknowledged everything that is meant for it."""

    def stats(self) -> dict[str, int]:
        """Frames and bytes, offers, documents and events, sent and received."""

@final
class List:
    """A text that merges with its copies; threads may share one. ``str()`` is the text, ``len()`` its letters."""

    def __new__(cls, replica: int) -> Self: ...
    @staticmethod
    def decode(replica: int, bytes: bytes) -> List:
        """A list from what :meth:`encode` wrote."""

    def insert(self, position: int, text: str) -> None:
        """Inserts a text before the letter at a position."""

    def delete(self, position: int, count: int) -> None:
        """Deletes letters from a position on."""

    def merge(self, delta: bytes) -> Literal["new", "known", "waits"]:
        """Takes what another copy changed, in any order and more than once."""

    def delta_since(self, version: Version | None = None) -> bytes:
        """What a copy that has seen ``version`` lacks; everything for None."""

    def encode(self) -> bytes:
        """The whole list, compressed."""

    def version(self) -> Version:
        """How much this copy has seen."""

    def waiting(self) -> tuple[int, int]:
        """Deltas that wait for one that comes before them, and their bytes."""

    @property
    def replica(self) -> int:
        """The number of this copy."""

    def __len__(self) -> int: ...

@final
class Version:
    """How much of a list a copy has seen."""

    def __new__(cls) -> Self: ...
    def seen(self, replica: int) -> tuple[int, int]:
        """How many letters of a copy were seen, and how many of its deletions."""

    def join(self, other: Version) -> Version:
        """What both have seen."""

    def covers(self, other: Version) -> bool:
        """Whether everything that the other has seen was seen."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

@final
class Engine:
    """Durable workflows. An action must not use its own engine; threads that share one wait for each other."""

    def __new__(
        cls,
        journal: str | PathLike[str] | None = None,
        *,
        clock: Callable[[], int] | None = None,
        audit_entries: int = 0,
        measure: bool = False,
        recoveries_max: int = 10,
        budget: dict[Literal["cpu_milli", "memory_bytes", "gpus"], int] | None = None,
        reserved_for_safety: dict[Literal["cpu_milli", "memory_bytes", "gpus"], int] | None = None,
    ) -> Self:
        """An engine over a journal in a SQLite file, or in memory; ``clock()`` gives milliseconds since the Unix epoch
        in the place of the system's clock. It keeps the latest ``audit_entries`` of an audit log, measures steps for
        :meth:`latencies`, parks a run that was read back ``recoveries_max`` times in a row without getting further, and
        holds back calls beyond ``budget``, of which a part is for safety-critical ones only."""

    def action(self, name: str, call: Callable[[Any, dict[str, Any]], _Json]) -> None:
        """Registers ``call(params, info)``; info has input, run, workflow, step, path, attempt, deadline, idempotency_key.

        An exception fails the step; ``retry.on`` and ``catch`` match the name of its class.
        """

    def action_external(self, name: str) -> None:
        """Registers an action whose calls :meth:`next_call` hands out."""

    def deploy(self, workflow: str | dict[str, Any]) -> str:
        """Deploys a workflow from YAML text, or a dict of the same shape; the hash of its definition."""

    def trigger(self, event: str, input: _Json, *, key: str | None = None) -> int:
        """Starts every workflow that the event triggers; the last run's number. The same key gives the same run."""

    def pause(self, run: int, reason: str) -> None:
        """Parks a run: nothing more of it begins until :meth:`resume`."""

    def resume(self, run: int) -> None:
        """Lets a parked run go on."""

    def fork(self, run: int, step: str) -> int:
        """Starts a new run that begins at a step of another, with the results before it; its number."""

    def set_link(self, name: str, link: Literal["up", "down"]) -> None:
        """Says whether a link that steps require (``requires: cloud``) is there."""

    def start(
        self, workflow: str, input: _Json, *, key: str | None = None, tenant: str | None = None
    ) -> int:
        """Starts a workflow by name; the same key (of a tenant) gives the same run."""

    def deploy_standby(self, workflow: str | dict[str, Any]) -> str:
        """Deploys a version without making it the active one; the hash of its definition."""

    def activate(self, version: str) -> None:
        """Makes a deployed version (a hash) the active one: later triggers start it, live runs keep theirs."""

    def rollback(self, workflow: str) -> str:
        """Makes the version before the active one the active one again; its hash."""

    def active_version(self, workflow: str) -> str | None:
        """The hash of the version that triggers start now."""

    def workflow(self, workflow: str) -> dict[str, Any] | None:
        """The definition of a workflow's active version."""

    def check_upgrade(self, run: int, workflow: str | dict[str, Any]) -> dict[str, Any]:
        """Whether a live run could go on under another version: possible, and if not record and reason."""

    def upgrade(self, run: int, version: str) -> None:
        """Moves a live run to another deployed version of its workflow."""

    def quota(
        self,
        tenant: str,
        *,
        live_runs_max: int | None = None,
        running_steps_max: int | None = None,
        starts_per_minute_max: int | None = None,
    ) -> None:
        """How much a tenant may use from now on; None for no limit."""

    def lease(self, owner: str, ttl: float) -> int:
        """Claims the journal for ``ttl`` seconds, which running renews; the fencing epoch."""

    def forget_ended(self, before: int, limit: int = 1000) -> int:
        """Removes runs that ended before a time, with their logs and keys; how many."""

    def audit_log(self, from_: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        """Entries of the audit log from a number on: number, at, act, run, note."""

    def latencies(self) -> list[dict[str, Any]]:
        """How long each step took: workflow, definition, step, count, failures, p50_ms, p95_ms, p99_ms, max_ms."""

    def held(self) -> dict[str, int]:
        """How many calls wait: offline, budget, quota."""

    def place(
        self, tier: Literal["far", "mid", "network"], call: Callable[[Any, dict[str, Any]], _Json]
    ) -> None:
        """Hands the calls of steps that belong on a tier (by their ``latency``) to ``call`` instead of the action of
        their name."""

    def progress(self, listener: Callable[[dict[str, Any]], Any]) -> None:
        """Calls ``listener(change)`` for every change, in order, after the commit that made it durable. It must not use
        this engine; an exception of it is raised by the call that ran the engine."""

    def publish(self, event: str, payload: _Json, *, key: str | None = None) -> int:
        """Hands an event to the runs that wait for it now; how many did."""

    def cancel(self, run: int, reason: str) -> None:
        """Cancels a run."""

    def run_until_idle(self) -> int:
        """Runs until nothing can go on without time passing or an event; how many actions ran."""

    def signal(self, run: int, event: str, payload: _Json, *, key: str | None = None) -> None:
        """Hands an event to one run, which waits for it now or will."""

    def decide(
        self, run: int, step: str, verdict: Literal["approved", "rejected"], *, by: str, note: str | None = None
    ) -> None:
        """A person's answer to an approval step."""

    def steps(self, run: int) -> list[dict[str, Any]]:
        """The steps of a live run: path, status, attempts, output, deadline."""

    def ended_runs(self, after: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        """Runs that ended, with numbers above ``after``."""

    def next_wake(self) -> int | None:
        """When the engine wants to be run again; None for not by itself."""

    def has_work(self) -> bool:
        """Whether something can go on now."""

    def stale_results(self) -> int:
        """Results that came for calls that nobody waited for any more."""

    def recover(self) -> None:
        """Takes up the runs of an earlier process; other calls do it by themselves."""

    def state(self, collection: str, key: str) -> Any:
        """What actions wrote last at a key of a collection."""

    def next_call(self) -> tuple[Literal["execute", "cancel"], Call] | None:
        """The next thing to do for whoever performs calls elsewhere."""

    def complete(self, call: Call, output: _Json) -> None:
        """Ends a call well."""

    def fail(self, call: Call, name: str, message: str) -> None:
        """Ends a call with a failure, whose name ``retry.on`` and ``catch`` match."""

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
class Call:
    """A call that is performed outside of the engine; equal to others of the same call."""

    @property
    def info(self) -> dict[str, Any]:
        """What an action would be called with; only the run for a call that is cancelled."""

    def __eq__(self, other: object, /) -> bool: ...
    def __ne__(self, other: object, /) -> bool: ...

def pack_bundle(prompts: Sequence[str | dict[str, Any]]) -> bytes:
    """Packs one to three prompts, in the form or as the text of their files, with a checksum."""

def open_bundle(bundle: bytes) -> list[dict[str, Any]]:
    """Checks a bundle; its prompts."""

@final
class StreamEngine:
    """Rules over events; threads that share one wait for each other. Times are milliseconds since the Unix epoch.

    An output is a dict of rule, id, key, first, last, found.
    """

    def __new__(
        cls,
        sources: dict[str, dict[str, Literal["float", "int", "bool", "text"]]],
        rules: str = "",
        *,
        source: str | None = None,
        key: str | None = None,
        disorder: float = 0.0,
        dedup: float = 600.0,
        future: float = 86_400.0,
        tables: dict[str, dict[str, Any]] | None = None,
        watermarks: tuple[str, float] | None = None,
        late_kept: int = 0,
        snapshot: bytes | None = None,
    ) -> Self:
        """Sources with their fields, and rules as text. Patterns without FROM are over ``source`` (the first one);
        rules without a key are told apart by the field ``key``. Spans are in seconds: how late an event may be, how
        long ids are remembered, how far ahead an event may be.

        A table of ``tables`` is {"fields": {name: type}, "key": field}, and may have "follows" (the source whose last
        event is the row), "lifetime" and "limit". ``watermarks`` is ("source", idle) or (field, idle): the watermark
        follows the source, or the device that the field names, that is furthest behind but not by more than ``idle``.
        ``snapshot`` goes on from what :meth:`snapshot` gave. The newest ``late_kept`` late events are kept."""

    def snapshot(self) -> bytes:
        """Everything that the engine holds."""

    def add_rule(self, rule: str) -> None:
        """Adds one rule, which sees the events from now on."""

    def replace_rule(self, rule: str) -> bool:
        """Puts a rule in the place of that of its name; whether it goes on from what that one held."""

    def remove_rule(self, name: str) -> None:
        """Takes a rule out, with what it holds."""

    def rule_metrics(self) -> list[dict[str, Any]]:
        """Counters of each rule: rule, events, matched, outputs, keys, partial_matches, state_bytes, dropped, expired."""

    def put(self, table: str, at: int, fields: dict[str, float | int | bool | str | None]) -> None:
        """Writes a row of a table that counts from a time on."""

    def table_len(self, table: str) -> int:
        """How many rows a table has, over all versions."""

    def take_late(self) -> list[tuple[str, str, int]]:
        """The late events that were kept, in order of arrival: (source, id, at). They are kept no longer."""

    def push(
        self, source: str, id: str, at: int, fields: dict[str, float | int | bool | str | None]
    ) -> list[dict[str, Any]]:
        """Gives one event to the rules; fields that are not there or None are missing."""

    def push_columns(
        self, source: str, name: str, at: npt.NDArray[np.int64], columns: dict[str, Any]
    ) -> list[dict[str, Any]]:
        """Gives rows: a column of shape (rows,) for each field (float64, int64, bool, or a sequence of str). The id of
        row i is ``name``/i. One call is one batch, which an interrupt does not end."""

    def advance_to(self, watermark: int) -> list[dict[str, Any]]:
        """Says that no event before this time will come."""

    def finish(self) -> list[dict[str, Any]]:
        """Says that nothing more will come."""

    def metrics(self) -> dict[str, Any]:
        """Counters: events_in = events_out + the sum of dropped + held."""

    @property
    def watermark(self) -> int:
        """The time before which no event is taken."""

@final
class Standardizer:
    """Tells values in standard deviations from the mean of their first ``first`` seconds."""

    def __new__(cls, fields: int, first: float) -> Self: ...
    def push(self, at: int, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Values of one time, of shape (fields,), NaN where missing; NaN comes back while they are learnt."""

@final
class Agent:
    """The samples of one channel on a device: smoothed, thinned, checked against a threshold, packed into batches."""

    def __new__(
        cls,
        channel: int = 0,
        *,
        ring_bytes: int = 1_048_576,
        average_over: int = 4,
        one_in: int = 10,
        batch_ms: int = 100,
        alarm_above: float | None = None,
        alarm_below: float | None = None,
    ) -> Self:
        """One sample goes out for ``one_in`` that come in; an alarm begins above ``alarm_above`` and ends below
        ``alarm_below``."""

    def push(
        self, at: npt.NDArray[np.int64], values: npt.NDArray[np.float32]
    ) -> tuple[list[bytes], list[tuple[Literal["raised", "ended"], int, float]]]:
        """Takes samples of shape (n,): the batches that were full, and the alarms (edge, at, smoothed value)."""

    def flush(self) -> bytes | None:
        """The batch in hand; None when there is none."""

    def ring(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        """Times and values of the newest samples as they came, the oldest first."""

    def stats(self) -> dict[str, int]:
        """Counters: samples_in = samples_out + averaged + invalid + held."""

def decode_batch(batch: bytes) -> dict[str, Any]:
    """Reads a batch of an agent: channel, number, at, values; raises :class:`CorruptError`."""

@final
class PromptSet:
    """Three prompts for one task, and the policy that picks one; threads may share one.

    A prompt is a dict in the form of its file, or the text of that file.
    """

    def __new__(
        cls, prompts: Sequence[str | dict[str, Any]], policy: str | dict[str, Any] | None = None
    ) -> Self:
        """A set of one prompt of each tier, and a policy or the built-in one."""

    def running(self, tier: Literal["ultra", "fast", "quality"]) -> dict[str, Any]:
        """The running prompt of a tier."""

    def policy(self) -> dict[str, Any]:
        """The policy."""

    def swap(self, prompt: str | dict[str, Any]) -> int:
        """Puts a newer prompt in the place of the running one; the version that it replaced."""

    def rollback(self, tier: Literal["ultra", "fast", "quality"]) -> int:
        """Takes the version before the last swap back; its number."""

    def import_bundle(self, bundle: bytes) -> int:
        """Swaps in every prompt of a bundle, all at once or none; how many."""

    def start_experiment(
        self,
        candidate: str | dict[str, Any],
        *,
        share: float = 0.5,
        thompson_floor: float | None = None,
        alpha: float = 0.05,
        tolerated_share: float = 0.5,
        unreadable_max: float = 0.05,
        latency_p95_max: float = 10.0,
        outcomes_min: int = 50,
    ) -> None:
        """Gives a newer prompt to a share of the keys, or (thompson_floor) to as many as it seems to be better for.

        It is taken back when a sequential test at ``alpha`` finds it worse, or when it passes a limit (latency in
        seconds) from ``outcomes_min`` outcomes on.
        """

    def experiment(self, tier: Literal["ultra", "fast", "quality"]) -> dict[str, Any] | None:
        """Where a tier's experiment stands: candidate, share, outcomes ([judged, right]), evidence, rollback."""

    def end_experiment(
        self, tier: Literal["ultra", "fast", "quality"], end: Literal["promote", "discard"]
    ) -> int:
        """Ends an experiment; the version that runs now."""

    def drain_outcomes(self) -> list[dict[str, Any]]:
        """Takes the outcomes out of the log."""

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

    def decide(self, log_probs: Sequence[float]) -> tuple[str, float]:
        """The label that log-probabilities of :attr:`options` decide for, and how sure that is."""

    @property
    def options(self) -> list[str] | None:
        """The options whose log-probabilities :meth:`decide` takes; None without a decision rule."""

    @property
    def prompt(self) -> dict[str, Any]:
        """The prompt, in the form of its file."""

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
