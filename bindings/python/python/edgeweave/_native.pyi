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
    "Call",
    "Choice",
    "ClosedError",
    "CorruptError",
    "Embedder",
    "Engine",
    "Error",
    "Index",
    "List",
    "PromptSet",
    "Retriever",
    "SemanticCache",
    "Standardizer",
    "StreamEngine",
    "Transaction",
    "Version",
    "__version__",
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
    ) -> Self:
        """Opens a file, or memory for None. A schema is {field: kind}, a kind one of "lww", "mv", "max", "min",
        "pn_counter", "flag", "or_set", "list", {"status": [names in order]}, {"or_map": kind}; with {"flag": "remove"},
        {"or_set": "remove"}, {"or_map": kind, "wins": "remove"} a removal wins. A field of a map is a path, "tasks/weld"."""

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
        cls, journal: str | PathLike[str] | None = None, *, clock: Callable[[], int] | None = None
    ) -> Self:
        """An engine over a journal in a SQLite file, or in memory; ``clock()`` gives milliseconds since the Unix epoch
        in the place of the system's clock."""

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

    def start(self, workflow: str, input: _Json, *, key: str | None = None) -> int:
        """Starts a workflow by name; the same key gives the same run."""

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
    ) -> Self:
        """Sources with their fields, and rules as text. Patterns without FROM are over ``source`` (the first one);
        rules without a key are told apart by the field ``key``. Spans are in seconds: how late an event may be, how
        long ids are remembered, how far ahead an event may be."""

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
