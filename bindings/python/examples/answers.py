"""Answers that are computed once: a cache by meaning before a slow model, and passages of documents for its prompt."""

import numpy as np
import numpy.typing as npt

from edgeweave.promptopt import PromptSet
from edgeweave.ruvector import Embedder, Index, Retriever, SemanticCache


def letter_pairs(text: str) -> npt.NDArray[np.float32]:
    """Stands for an embedding model here: counts pairs of letters."""
    vector = np.full(512, 1e-3, dtype=np.float32)
    for pair in zip(text.lower(), text.lower()[1:]):
        vector[(ord(pair[0]) * 31 + ord(pair[1])) % 512] += 1
    return vector


embedder = Embedder("letter-pairs-1", 512, letter_pairs)
manual = Retriever(Index(512), embedder, chars=80)
manual.add(1, "Milk is cooled to four degrees at once. Clean the tank every second day.", {"chapter": "milk"})
manual.add(2, "Lame cows are seen by the vet within a day. Trim hooves twice a year.", {"chapter": "health"})

prompts = PromptSet(
    [
        {"format": "edgeweave-prompt/1", "tier": tier, "version": 1, "template": "{passage}\nQ: {question}\nA:"}
        for tier in ("ultra", "fast", "quality")
    ]
)
answers = SemanticCache(embedder, policies={"manual": {"ttl": "static", "threshold": 0.9}})


def ask(question: str, now: int) -> str:
    def compute() -> str:
        passage = manual.retrieve(question, 1)[0]["text"]
        prompt = prompts.select({"battery": 0.8}).render({"passage": passage, "question": question})
        return prompt.splitlines()[0]  # a model would answer here

    answer, how, _ = answers.get_or_compute("manual", question, now, compute)
    print(f"{how}: {answer}")
    return str(answer)


first = ask("To how many degrees is milk cooled?", 0)
assert ask("To how many degrees is milk cooled ?", 1000) == first
assert answers.stats()["computed"] == 1
