#!/usr/bin/env python3
"""Clustered synthetic vectors for the vector bench, where real ones would take too long to make.

    pip install numpy
    python clustered.py OUT_BASE.npy OUT_QUERIES.npy [--count 1000000] [--dim 384] [--seed 1]

Centres lie in a subspace; each row is a centre with noise, part of it inside the subspace and a little outside.
Queries are rows of the same kind that are not in the base. Everything follows from the seed; rows are float16.
"""
import argparse

import numpy as np

BLOCK = 20_000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base")
    parser.add_argument("queries")
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--held-out", type=int, default=1_000)
    parser.add_argument("--dim", type=int, default=384)
    parser.add_argument("--centres", type=int, default=20_000)
    parser.add_argument("--subspace", type=int, default=96)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    random = np.random.default_rng(options.seed)
    inside = min(options.subspace, options.dim)
    directions = np.linalg.qr(random.standard_normal((options.dim, inside)))[0].T.astype(np.float32)
    centres = random.standard_normal((options.centres, inside), np.float32)

    def rows(count):
        chosen = centres[random.integers(len(centres), size=count)]
        within = chosen + 0.6 * random.standard_normal((count, inside), np.float32)
        around = 0.1 * random.standard_normal((count, options.dim), np.float32)
        return (within @ directions + around).astype(np.float16)

    np.save(options.queries, rows(options.held_out))
    base = np.lib.format.open_memmap(options.base, "w+", np.float16, (options.count, options.dim))
    for start in range(0, options.count, BLOCK):
        base[start:start + BLOCK] = rows(min(BLOCK, options.count - start))
    base.flush()
    print(f"{options.count} base and {options.held_out} query vectors of {options.dim} components")


if __name__ == "__main__":
    main()
