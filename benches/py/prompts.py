"""DSPy on the same rows and model as `promptopt optimize`, and its cost of a call around the model.

Usage: pip install dspy xllamacpp
       python prompts.py DATA.csv MODEL.gguf [--calls 1500] [--seed 1] [--tests 100] [--port 8123]

DATA.csv has the columns `text` and `label` (`promptopt/scripts/public_sets.py` makes three). The model runs in llama.cpp's
server on one core, greedily. DSPy classifies with `Predict` and the labels as a `Literal`; an answer that it cannot parse is
wrong. Optimisers: `BootstrapFewShotWithRandomSearch` (3 bootstrapped and 5 labelled demonstrations at most) and `MIPROv2`,
whose instructions the same model proposes. The calls asked for are shared out: both get as many validation examples as let thirteen
programs be tried. Prints accuracy on test rows that no optimiser saw, calls, tokens of a prompt, time.
"""

import argparse
import csv
import logging
import math
import os
import pathlib
import random
import statistics
import subprocess
import sys
import time
import urllib.request
from typing import Literal

os.environ.setdefault("TQDM_DISABLE", "1")

import dspy  # noqa: E402: reads the environment
from dspy.utils import DummyLM  # noqa: E402

SERVER = pathlib.Path(__file__).parents[2] / "promptopt/scripts/llama_server.py"
CONTEXT = 8192
TEXT_CHARS = 400
CANDIDATES = 10


class Counting(dspy.LM):
    calls = 0

    def forward(self, *arguments, **options):
        Counting.calls += 1
        return super().forward(*arguments, **options)


def wilson(right, count):
    z = 1.96
    share = right / count
    centre = share + z * z / (2 * count)
    spread = z * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return ((centre - spread) / (1 + z * z / count), (centre + spread) / (1 + z * z / count))


def signature(labels):
    class Classify(dspy.Signature):
        text: str = dspy.InputField()
        label: Literal[tuple(labels)] = dspy.OutputField()

    return Classify.with_instructions(f"Classify the text as one of: {', '.join(labels)}.")


def measure(name, program, tests, started, optimising):
    right, failed, tokens, times = 0, 0, [], []
    for example in tests:
        before = time.monotonic()
        try:
            given = program(text=example.text).label
        except Exception:  # whatever an adapter raises on what it cannot parse
            given, failed = None, failed + 1
        times.append(time.monotonic() - before)
        right += given == example.label
        usage = dspy.settings.lm.history[-1].get("usage") or {}
        tokens.append(usage.get("prompt_tokens", 0))
    low, high = wilson(right, len(tests))
    print(
        f"{name}: {100 * right / len(tests):.1f} % [{100 * low:.1f}, {100 * high:.1f}] of {len(tests)}, "
        f"{failed} not parsed, {optimising} calls to optimise, {statistics.median(tokens):.0f} tokens a prompt, "
        f"p50 {1e3 * statistics.median(times):.0f} ms, {time.monotonic() - started:.0f} s",
        flush=True,
    )


def overhead(program):
    with dspy.context(lm=DummyLM([{"label": "x"}] * 4000)):
        times = []
        for at in range(2000):
            before = time.perf_counter()
            try:
                program(text=f"text {at}")
            except Exception:
                pass
            times.append(time.perf_counter() - before)
    print(f"DSPy around a model that answers at once: median {1e6 * statistics.median(times):.0f} us a call")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("data")
    parser.add_argument("model")
    parser.add_argument("--calls", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tests", type=int, default=100)
    parser.add_argument("--port", type=int, default=8123)
    asked = parser.parse_args()
    logging.disable(logging.WARNING)
    with open(asked.data, newline="") as file:
        rows = [dspy.Example(text=row["text"][:TEXT_CHARS], label=row["label"]) for row in csv.DictReader(file)]
    rows = [row.with_inputs("text") for row in rows]
    random.Random(asked.seed).shuffle(rows)
    tests, rows = rows[: asked.tests], rows[asked.tests :]
    train, rest = rows[: len(rows) // 2], rows[len(rows) // 2 :]
    labels = sorted({row.label for row in train})
    program = dspy.Predict(signature(labels))
    overhead(dspy.Predict("text -> label"))

    server = subprocess.Popen([sys.executable, SERVER, asked.model, str(asked.port), str(CONTEXT)])
    try:
        address = f"http://127.0.0.1:{asked.port}"
        for _ in range(120):
            try:
                urllib.request.urlopen(f"{address}/health").read()
                break
            except OSError:
                time.sleep(0.5)
        options = {"api_base": f"{address}/v1", "api_key": "none", "cache": False, "temperature": 0.0, "max_tokens": 32}
        lm = Counting("openai/smollm2", num_retries=0, **options)
        dspy.configure(lm=lm)

        def metric(example, given, trace=None):
            return example.label == given.label

        started = time.monotonic()
        measure("Predict", program, tests, started, 0)
        # Zero-shot, labelled, bootstrapped, and the random sets: each on all of the validation examples.
        validation = rest[: max(10, asked.calls // (CANDIDATES + 3))]
        shared = {"metric": metric, "max_bootstrapped_demos": 3, "max_labeled_demos": 5, "num_threads": 1, "max_errors": 10**9}
        searches = [
            (dspy.BootstrapFewShotWithRandomSearch(num_candidate_programs=CANDIDATES, **shared), {}),
            (
                dspy.MIPROv2(auto=None, num_candidates=CANDIDATES, seed=asked.seed, **shared),
                {"num_trials": CANDIDATES, "minibatch_size": min(35, len(validation))},
            ),
        ]
        for search, settings in searches:
            name, before, started = type(search).__name__, Counting.calls, time.monotonic()
            try:
                best = search.compile(program, trainset=train, valset=validation, **settings)
            except Exception as cause:  # MIPROv2 ends where an instruction that the model proposes is not in its form
                print(f"{name}: ends after {Counting.calls - before} calls with {type(cause).__name__}", flush=True)
                continue
            measure(name, best, tests, started, Counting.calls - before)
    finally:
        server.kill()


main()
