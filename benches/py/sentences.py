#!/usr/bin/env python3
"""Real sentence vectors (256-d) for the vector bench, from any folder of text or HTML.

    pip install wordllama numpy
    python sentences.py OUT_BASE.npy OUT_QUERIES.npy FOLDER... [--count 110000] [--queries 1000]

Sentences are taken from .html, .md, .rst, .txt, .py and .rs files, each distinct sentence once, in an
order that depends only on their text. A vector is the mean of the token rows of the table that the
`wordllama` wheel carries. No network is used.
"""
import argparse
import glob
import hashlib
import html
import os
import re

import numpy as np
from safetensors.numpy import load_file
from tokenizers import Tokenizer
import importlib.util

ENDINGS = (".html", ".md", ".rst", ".txt", ".py", ".rs")
TAGS = re.compile(r"<script.*?</script>|<style.*?</style>|<pre.*?</pre>|<[^>]+>", re.S)
SPLIT = re.compile(r"(?<=[.!?])\s+|\n\s*\n")


def sentences(folders, count):
    found = set()
    for folder in folders:
        for root, dirs, files in sorted(os.walk(folder)):
            dirs.sort()
            for name in sorted(files):
                if not name.endswith(ENDINGS):
                    continue
                with open(os.path.join(root, name), errors="ignore") as file:
                    text = file.read(1 << 20)
                if name.endswith(".html"):
                    text = html.unescape(TAGS.sub(" ", text))
                for sentence in SPLIT.split(text):
                    sentence = " ".join(sentence.split())
                    words = sentence.split(" ")
                    letters = sum(c.isalpha() or c == " " for c in sentence)
                    if 6 <= len(words) <= 60 and letters > 0.85 * len(sentence):
                        found.add(sentence)
            if len(found) > 3 * count:
                break
    ordered = sorted(found, key=lambda s: hashlib.sha256(s.encode()).digest())
    return ordered[:count]


def embedder():
    folder = os.path.dirname(importlib.util.find_spec("wordllama").origin)
    weights = glob.glob(os.path.join(folder, "**", "*256*.safetensors"), recursive=True)[0]
    tokenizer = glob.glob(os.path.join(folder, "**", "*tokenizer*.json"), recursive=True)[0]
    table = next(iter(load_file(weights).values())).astype(np.float32)
    return Tokenizer.from_file(tokenizer), table


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("base")
    parser.add_argument("queries")
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--count", type=int, default=101_000)
    parser.add_argument("--held-out", type=int, default=1_000)
    options = parser.parse_args()
    texts = sentences(options.folders, options.count)
    tokenizer, table = embedder()
    tokenizer.no_padding()
    rows = np.zeros((len(texts), table.shape[1]), np.float32)
    for start in range(0, len(texts), 4096):
        batch = tokenizer.encode_batch(texts[start:start + 4096], add_special_tokens=False)
        for at, encoded in enumerate(batch):
            rows[start + at] = table[encoded.ids].mean(axis=0)
    np.save(options.queries, rows[: options.held_out])
    np.save(options.base, rows[options.held_out:])
    print(f"{len(texts) - options.held_out} base and {options.held_out} query vectors of {table.shape[1]} components")


if __name__ == "__main__":
    main()
