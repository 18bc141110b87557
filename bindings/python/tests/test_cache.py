import threading

import numpy as np
import pytest

import edgeweave
from edgeweave.ruvector import Embedder, Index, Retriever, SemanticCache


def letters(text):
    vector = np.full(32, 0.01, dtype=np.float32)
    for letter in text.encode():
        vector[letter % 32] += 1
    return vector


def cache(**options):
    return SemanticCache(Embedder("letters-1", 32, letters), **options)


def test_an_answer_is_computed_once_found_by_meaning_and_expires():
    answers = cache(policies={"farm": {"threshold": 0.9, "ttl": 60_000}})
    computed = []

    def compute():
        computed.append(1)
        return {"seen": "a lame cow"}

    assert answers.get("farm", "what is seen", 0) is None
    assert answers.get_or_compute("farm", "what is seen", 0, compute)[1] == "computed"
    answer, how, _ = answers.get_or_compute("farm", "what is seen", 1, compute)
    assert answer == {"seen": "a lame cow"} and how == "exact" and len(computed) == 1
    assert answers.ttl("farm", "what is seen") == 60_000
    assert answers.get("farm", "what is seen", 60_001) is None
    answers.put("farm", "who", "bella", 0)
    assert answers.report("farm", "who", "stale", 1) and answers.get("farm", "who", 2) is None
    assert answers.dedupe(0.99)["examined"] == len(answers) == 2
    assert answers.advance_epoch("farm") == 2 and len(answers) == 0
    assert answers.stats()["computed"] == 1
    with pytest.raises(ValueError, match="treshold"):
        cache(policies={"farm": {"treshold": 1}})


def test_exceptions_of_callbacks_go_on():
    answers = cache(policies={"": {"threshold": 0.99, "grey_from": 0.5}}, verify=lambda asked, stored: 1 / 0)
    with pytest.raises(KeyError, match="away"):
        answers.get_or_compute("farm", "what", 0, lambda: {}["away"])
    assert answers.stats()["compute_errors"] == 1 and len(answers) == 0
    answers.put("farm", "the cows rest", 1, 0)
    with pytest.raises(ZeroDivisionError):
        answers.get("farm", "the cows rest here", 0)

    def broken(text):
        raise RuntimeError("no model")

    with pytest.raises(edgeweave.Error, match="embedder failed") as raised:
        SemanticCache(Embedder("broken", 4, broken)).get("farm", "x", 0)
    assert isinstance(raised.value.__cause__, RuntimeError)

    def interrupted(text):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SemanticCache(Embedder("broken", 4, interrupted)).get("farm", "x", 0)
    with pytest.raises(edgeweave.Error) as raised:
        SemanticCache(Embedder("wrong", 4, letters)).get("farm", "x", 0)
    assert "wanted (4,)" in str(raised.value.__cause__)


def test_threads_that_want_one_text_share_the_computation():
    answers, computed, got = cache(), [], []
    begun = threading.Event()

    def compute():
        computed.append(1)
        begun.wait(5)
        return "answer"

    threads = [
        threading.Thread(target=lambda: got.append(answers.get_or_compute("farm", "what", 0, compute)[0])) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    begun.set()
    for thread in threads:
        thread.join()
    assert got == ["answer"] * 4 and len(computed) == 1


def test_a_retriever_finds_the_passage():
    index = Index(32)
    retriever = Retriever(index, Embedder("letters-1", 32, letters), chars=60)
    with pytest.raises(edgeweave.ClosedError):
        len(index)
    text = "Cows rest for half of the day. Milk is cooled to four degrees at once."
    assert retriever.add(7, text, {"page": 3}) == len(retriever) == 2
    (passage,) = retriever.retrieve("Milk is cooled to four degrees", 1)
    assert passage["document"] == 7 and "four degrees" in passage["text"] and passage["metadata"] == {"page": 3}
    assert text.encode()[passage["start"] : passage["end"]].decode() == passage["text"]
    assert retriever.retrieve("Milk", 1, filter="page == 4", relevance=0.5) == []
    retriever.flush()
    assert retriever.remove(7) and not retriever.remove(7)
